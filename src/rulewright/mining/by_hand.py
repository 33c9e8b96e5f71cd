"""A change made by hand → rules, and what may be believed of them. Nothing is written here.

A change may be of several files and of several unlike parts: `cover` finds the few general rules
that make it together. What the person saw and left alone is evidence: a rule that changes a line
which the diff shows unchanged is not taken, and places in the rest of a changed file are possible ones.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Final

from rulewright import difftext
from rulewright.actions.action import Action
from rulewright.actions.action import Rule as AnyRule
from rulewright.actions.rule_file import Document, documents_of, joined
from rulewright.actions.visit import regex_escape
from rulewright.engine import places
from rulewright.engine.parsing import parse
from rulewright.errors import RulewrightError
from rulewright.languages import Language
from rulewright.mining import callees, imports, ties
from rulewright.mining.diffs import Change
from rulewright.mining.learn import cover
from rulewright.mining.learn.mined import Tier, refuse
from rulewright.mining.reading import old_text
from rulewright.verdict import Place

MANY_LEFT: Final = 3
"""Like places that a person left alone, from which more than twice the changed ones tell against a rule."""


@dataclass(frozen=True)
class Rule:
    """A learned rule and how far to trust it."""

    document: Document
    tier: Tier
    reason: str


@dataclass(frozen=True)
class Learned:
    """The rules of a change.

    Args:
        rules: in order.
        problems: what could not be expressed, one line a hunk: `FILE:LINE: old → new`.
        changes: the change, by file.
        brought: names that it imports anew.
    """

    rules: tuple[Rule, ...]
    problems: tuple[str, ...]
    changes: tuple[Change, ...]
    brought: Mapping[Language, frozenset[str]] = field(default_factory=dict)

    @property
    def documents(self) -> tuple[Document, ...]:
        return tuple(rule.document for rule in self.rules)

    @property
    def worst(self) -> Rule:
        """The least trusted rule."""
        return max(self.rules, key=lambda rule: _RANK[rule.tier])

    def doubt(self, path: Path, place: Place) -> str:
        """Why a place is not sure; empty where it is."""
        rule = self.rules[place.rule]
        if rule.tier != "train":
            return f"the rule is of tier {rule.tier}"
        if place.comments_only:
            return "only a comment changes"
        if _is_prose(rule.document.action, place.old):
            return "only words of a text change"
        if _in_longer_word(rule.document.action, place.old):
            return "it is a part of a longer word there"
        if self._change_of(path) is not None:
            return "you left it as it was in a file that you changed"
        return ""

    def lacks(self, text: str, language: Language) -> str:
        """A name that the rules bring and that a file with this text, changed, would not import."""
        return imports.lacking(text, self.brought.get(language, frozenset()), language)

    def hides(self, path: Path, place: Place) -> bool:
        """Whether a place is one that the diff itself shows unchanged: no candidate at all."""
        change = self._change_of(path)
        if change is None:
            return False
        if change.path not in self._lines:
            self._lines[change.path] = _shown_now(change), _changed_now(change)
        shown, changed = self._lines[change.path]
        lines = set(range(place.line, place.last_line + 1))
        return bool(lines & shown) and not lines & changed

    def _change_of(self, path: Path) -> Change | None:
        if path not in self._of:
            self._of[path] = self._by_path.get(path.resolve())
        return self._of[path]

    @cached_property
    def _by_path(self) -> dict[Path, Change]:
        return {change.path.resolve(): change for change in reversed(self.changes)}

    @cached_property
    def _of(self) -> dict[Path, Change | None]:
        """Asked for each place of a file: a name is resolved once."""
        return {}

    @cached_property
    def _lines(self) -> dict[Path, tuple[set[int], set[int]]]:
        """Lines shown unchanged and lines changed, by file."""
        return {}


_RANK: Final = {"train": 0, "literal": 1, "reject": 2}


def _is_prose(action: Action, old: str) -> bool:
    """Whether a part of a string of several words is what a rule replaces."""
    matcher = action.rules[0]["rule"]
    return "transform" in action.rules[0] and "string" in str(matcher.get("kind")) and " " in old.strip()


def _in_longer_word(action: Action, old: str) -> bool:
    """Whether a part of a token that the rule replaces stands within a longer word at a place."""
    for step in (action.rules[0].get("transform") or {}).values():
        given = step.get("replace") if isinstance(step, dict) else None
        if not isinstance(given, dict):
            continue
        try:
            found = list(re.finditer(str(given.get("replace", "")), old))
        except re.error:
            return True
        for one in found:
            before, after = old[: one.start()][-1:], old[one.end() :][:1]
            if _joins(before, one.group()[:1]) or _joins(one.group()[-1:], after):
                return True
    return False


def _joins(left: str, right: str) -> bool:
    return bool(re.fullmatch(r"\w\w", left + right))


def learn(changes: Sequence[Change], budget_s: float) -> Learned:
    """Find the smallest set of general rules that make a change.

    Raises:
        RulewrightError: no rule was found for any of it; the reasons.
    """
    if not changes:
        raise RulewrightError("the change is empty: there is nothing to learn from", "change a file by hand")
    rules: list[Rule] = []
    problems: list[str] = []
    brought: dict[Language, frozenset[str]] = {}
    for language in dict.fromkeys(change.language for change in changes):
        mine = [change for change in changes if change.language == language]
        refused = {change.path: _refused(change) for change in mine}
        problems += [why for why in refused.values() if why]
        fit = [change for change in mine if not refused[change.path]]
        of_names = _Names.of(fit, language)
        texts = [cover.Text(c.pre, of_names.apart.get(c.path, c.post), c.seen) for c in fit]
        found = cover.rules_for([one for one in texts if one.pre != one.post], language, budget_s)
        found = _needed([one for one in found if one.tier != "reject"] or found, fit, language)
        rules += _trusted(found, fit, of_names, language)
        brought[language] = frozenset(one.name for one in of_names.come)
        problems += [
            line for c in fit for line in _unexplained(_of(rules, language), c, c.path in of_names.apart)
        ]
    if not rules:
        raise RulewrightError(
            "no rule found for any part of the change: " + "; ".join(problems[:8]),
            "make the change smaller, one kind of change at a time",
        )
    return Learned(tuple(rules), tuple(problems), tuple(changes), brought)


def _refused(change: Change) -> str:
    """Why nothing can be learned from a file, with the place; empty where something can."""
    why = refuse(change.pre, change.post, change.language)
    if why:
        return f"{change.path}: {why}"
    before, after = (parse(text, change.language) for text in (change.pre, change.post))
    if not after.is_worse_than(before):
        return ""
    return f"{change.path}:{after.first_line}: a syntax error after the change"


def _needed(
    found: Sequence[cover.Graded], changes: Sequence[Change], language: Language
) -> list[cover.Graded]:
    """The rules without those that the change comes out as well without, the least trusted first."""
    kept = list(found)
    missed = _missed([one.rule for one in kept], changes, language)
    for one in sorted(found, key=lambda one: -_RANK[one.tier]):
        fewer = [other for other in kept if other is not one]
        if fewer and (now := _missed([rule.rule for rule in fewer], changes, language)) <= missed:
            kept, missed = fewer, now
    return kept


@dataclass(frozen=True)
class _Names:
    """The imported names that a change takes away and brings, with their statements."""

    gone: dict[imports.Bound, str]
    come: dict[imports.Bound, str]
    apart: dict[Path, str]
    """The files where it does so, with the text after the change but for its imports."""

    @classmethod
    def of(cls, changes: Sequence[Change], language: Language) -> _Names:
        names = cls({}, {}, {})
        for change in changes:
            text = imports.apart(change.pre, change.post, language)
            if text is not None:
                names.apart[change.path] = text
            elif language != "go":
                continue
            old, new = imports.bound(change.pre, language), imports.bound(change.post, language)
            names.gone.update({one: old[one] for one in old if one not in new})
            names.come.update({one: new[one] for one in new if one not in old})
        return names

    @property
    def imports(self) -> list[imports.Import]:
        return [imports.Import(frozenset({one.name}), one.module) for one in self.gone]


def _trusted(
    found: Sequence[cover.Graded], changes: Sequence[Change], names: _Names, language: Language
) -> list[Rule]:
    """The rules tied to each other, each with its tier, as far as they do the same as before."""
    by_rule = {str(one.rule): one for one in found}
    plain = ties.order([one.rule for one in found], language)
    tied = ties.tied(plain, language)
    if tied != plain and _missed(tied, changes, language) > _missed(plain, changes, language):
        tied = plain
    if names.apart:
        tied = [ties.held(rule, names.imports, language) for rule in tied]
    beside = imports.rules(names.gone, names.come, language)
    if missed := _missed([*tied, *beside], changes, language):
        elsewhere = [ties.outside_imports(rule, language) for rule in tied]
        if _missed([*elsewhere, *beside], changes, language) < missed:
            tied = elsewhere
    narrow = [
        _for_members(before, rule, changes, names, language) for before, rule in zip(plain, tied, strict=True)
    ]
    if narrow != tied and _missed(narrow, changes, language) > _missed(tied, changes, language):
        narrow = tied
    made: list[Rule] = []
    for before, wide, rule in zip(plain, tied, narrow, strict=True):
        general = by_rule[str(before)]
        tier, reason = general.tier, general.reason
        action = Action(language, (rule,), mode="rule")
        if tier == "train":
            before_tie = Action(language, (before,), mode="rule")
            tier, reason = _doubted(before_tie, action, changes, reason, rule is not wide)
        made.append(Rule(documents_of(action)[0], tier, reason))
    made += [
        Rule(documents_of(Action(language, (rule,), mode="rule"))[0], "train", _BESIDE) for rule in beside
    ]
    return _together(made, len(made) - len(beside), language)


_BESIDE: Final = "an import, by what the file uses and binds"


def _for_members(
    plain: AnyRule, rule: AnyRule, changes: Sequence[Change], names: _Names, language: Language
) -> AnyRule:
    """The rename of a module or class to another one, only for what the change takes from it.

    That the other has a `close` says nothing of its `open`. A Go file that takes more is left alone: its
    new import could not stand beside the old one.
    """
    matcher = {
        key: part for key, part in plain["rule"].items() if key != "any" or "regex" not in plain["rule"]
    }
    renamed = callees.bare_name(Action(language, ({**plain, "rule": matcher},), mode="rule"))
    old, new = renamed or ("", "")
    modules = [
        {one.module for one in side if one.name == name}
        for side, name in ((names.gone, old), (names.come, new))
    ]
    if not all(modules) or modules[0] & modules[1]:
        return rule
    members = _members(old, changes)
    uses = re.compile(rf"(?<![\w.]){re.escape(old)}\b(?!\s*(?:\.|::|->)\s*\w)")
    if not members or any(uses.search("\n".join(imports.body(one.pre, language))) for one in changes):
        return rule
    taken = {"regex": rf"^{regex_escape(old)}\s*(\.|::|->)\s*({'|'.join(sorted(members))})\b"}
    more = {"not": imports.uses(frozenset({old}), language, {**taken, "stopBy": "neighbor"})}
    return imports.demanding(rule, {"inside": taken}, *([more] if language == "go" else []))


def _doubted(
    plain: Action, action: Action, changes: Sequence[Change], reason: str, of_members: bool
) -> tuple[Tier, str]:
    """The tier of a rule that looks right: what speaks against it elsewhere."""
    names = callees.bare_name(plain)
    if names is not None and not names[0][:1].isupper() and plain == action:
        return "literal", f"it renames every `{names[0]}`, whatever that stands for"
    if names is not None and not of_members and len(members := _members(names[0], changes)) == 1:
        return "literal", f"of `{names[0]}` the change shows `{members.pop()}` only"
    if owner := callees.own_member(plain):
        return "literal", f"`{owner}` is of another class elsewhere"
    if own := _own_method(action, changes):
        return "literal", f"`{own}` is a method of another class elsewhere"
    left = _left_alone(action, changes)
    return ("literal", left) if left else ("train", reason)


def _own_method(action: Action, changes: Sequence[Change]) -> str:
    """A method that the changed code calls without a receiver, if a rule is about such a call.

    In Java and C# that is a method of the class itself, or of what it derives from, unless it is imported.
    """
    if action.language not in ("java", "csharp"):
        return ""
    text = old_text(action.rules[0])
    names = {text} if re.fullmatch(r"\w+", text) else set(_BARE_CALL.findall(text))
    for change in changes:
        lines = change.pre.splitlines()
        changed = "\n".join(lines[n - 1] for n in _changed(change.pre, change.post) if 0 < n <= len(lines))
        for name in names & set(_BARE_CALL.findall(changed)):
            if not re.search(rf"import\s+static\s.*(?:\b{re.escape(name)}|\*)\s*;", change.pre):
                return name
    return ""


_BARE_CALL: Final = re.compile(
    r"(?<![\w.$])(?<!new )(?!(?:if|for|while|switch|catch|return|this|super)\b)(\w+)\s*\("
)


def _members(name: str, changes: Sequence[Change]) -> set[str]:
    """What is taken from a name in the changed files: `b` of `a.b`."""
    sought = re.compile(rf"(?<![\w.]){re.escape(name)}(?:\.|::|->)(\w+)")
    return {word for change in changes for word in sought.findall(change.pre)}


def _together(rules: Sequence[Rule], n_learned: int, language: Language) -> list[Rule]:
    """A rule for an import is as good as the rules for its uses: its guards say where it holds."""
    beside = [
        number >= n_learned or ties.is_import(rule.document.action.rules[0], language)
        for number, rule in enumerate(rules)
    ]
    uses = [rule for rule, is_import in zip(rules, beside, strict=True) if not is_import]
    made = []
    for rule, is_import in zip(rules, beside, strict=True):
        words = ties.words(rule.document.action.rules[0])
        own = [one for one in uses if ties.words(one.document.action.rules[0]) & words]
        worst = max(own, key=lambda one: _RANK[one.tier], default=None)
        if is_import and worst is not None and rule.tier != "reject" and _is_guarded(rule):
            good = worst.tier == "train"
            reason = "goes and comes with its uses" if good else f"as its uses: {worst.reason}"
            rule = replace(rule, tier=worst.tier, reason=reason)
        made.append(rule)
    return made


def _is_guarded(rule: Rule) -> bool:
    return "stopBy" in str(rule.document.action.rules[0]["rule"])


def _missed(rules: Sequence[AnyRule], changes: Sequence[Change], language: Language) -> int:
    """How many parts of the change the rules do not make."""
    action = Action(language, tuple(rules), mode="rule") if rules else None
    return sum(len(_unexplained(action, change, True)) for change in changes)


def _unexplained(action: Action | None, change: Change, names: bool = False) -> list[str]:
    """The parts of a change that the rules do not make, `FILE:LINE: old → new`.

    With `names`, imports are compared by what they bind, not by where they stand.
    """
    made = _made(action, change, names) if action is not None else change.pre
    if made == change.post:
        return []
    language = change.language
    old, new = (imports.body(one, language) if names else one.splitlines() for one in (made, change.post))
    start = imports.body(change.pre, language) if names else change.pre.splitlines()
    shift = difftext.changed(start, old)
    whole = change.pre.splitlines()
    lines = []
    for a0, a1, b0, b1 in difftext.changed(old, new):
        line = _line_before(a0, shift)
        at = whole.index(start[line]) if names and line < len(start) else line
        lines.append(f"{change.path}:{at + 1}: {_short(old[a0:a1])}  →  {_short(new[b0:b1])}")
    if names:
        got, want = imports.bound(made, language), imports.bound(change.post, language)
        lines += [
            f"{change.path}: the import of `{one.name}` from {one.module} stays"
            for one in got
            if one not in want
        ]
        lines += [
            f"{change.path}: no import of `{one.name}` from {one.module}" for one in want if one not in got
        ]
    elif not lines:
        lines.append(f"{change.path}:{len(whole)}: the end of the file")
    return lines


def _line_before(line: int, shift: Sequence[tuple[int, int, int, int]]) -> int:
    """The line (from 0) that a line of a changed text had before."""
    for a0, a1, b0, b1 in reversed(shift):
        if line >= b1:
            return line - b1 + a1
        if line >= b0:
            return min(a0 + line - b0, max(a0, a1 - 1))
    return line


def _short(lines: Sequence[str]) -> str:
    text = " ".join(" ".join(lines).split())
    return f"`{text[:60]}…`" if len(text) > 60 else f"`{text}`" if text else "(nothing)"


def _made(action: Action, change: Change, names: bool = False) -> str:
    """The text that the rules give where the person changed something, with `names` in its imports too."""
    changed = _changed(change.pre, change.post)

    def keep(place: Place) -> str | None:
        near = set(range(place.line, place.last_line + 1)) & changed
        return place.new if near or (names and place.in_import) else None

    done = places.change(action, change.pre, keep)
    return done.steps[-1].after if done.steps and done.failure is None else change.pre


def _left_alone(action: Action, changes: Sequence[Change]) -> str:
    """Whether the changed files hold many more such places that were left; the reason, or nothing."""
    made = left = 0
    for change in changes:
        changed = _changed(change.pre, change.post)
        for place in places.of(action, change.pre):
            touches = bool(set(range(place.line, place.last_line + 1)) & changed)
            made, left = made + touches, left + (not touches)
    if left >= MANY_LEFT and left > 2 * made:
        return f"the files that you changed hold {left} more places like the {made} that you changed"
    return ""


def _of(rules: Sequence[Rule], language: Language) -> Action | None:
    mine = [one.document for one in rules if one.document.action.language == language]
    return joined(mine) if mine else None


def _changed(pre: str, post: str) -> set[int]:
    """The lines of `pre` (from 1) that a change touches; for an insertion those beside it."""
    return set(_lines_of(pre, post, old_side=True))


def _lines_of(pre: str, post: str, old_side: bool) -> Iterator[int]:
    for a0, a1, b0, b1 in difftext.changed(pre.splitlines(), post.splitlines()):
        start, end = (a0, a1) if old_side else (b0, b1)
        yield from range(start + 1, end + 1) if end > start else (start, start + 1)


def _changed_now(change: Change) -> set[int]:
    """The lines of the file as it is that the change touched."""
    if change.now == change.pre:
        return _changed(change.pre, change.post)
    return set(_lines_of(change.pre, change.now, old_side=False))


def _shown_now(change: Change) -> set[int]:
    """The lines of the file as it is that the diff shows unchanged."""
    if change.now == change.pre:
        return set(change.seen)
    now: set[int] = set()
    matcher = difflib.SequenceMatcher(None, change.pre.splitlines(), change.now.splitlines(), autojunk=False)
    for a, b, size in matcher.get_matching_blocks():
        now.update(b + i + 1 for i in range(size) if a + i + 1 in change.seen)
    return now
