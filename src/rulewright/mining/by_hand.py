"""A change made by hand → rules, and what may be believed of them. Nothing is written here.

A change may be of several files and of several unlike parts: `cover` finds the few general rules
that make it together. What the person saw and left alone is evidence: a rule that changes a line
which the diff shows unchanged is not taken, and places in the rest of a changed file are possible ones.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache, cached_property
from pathlib import Path
from typing import Final, NamedTuple

from rulewright import difftext
from rulewright.actions.action import Action
from rulewright.actions.action import Rule as AnyRule
from rulewright.actions.rule_file import Document, documents_of, joined
from rulewright.actions.suggest import quoted
from rulewright.actions.visit import regex_escape
from rulewright.engine import places
from rulewright.engine.parsing import parse
from rulewright.errors import RulewrightError
from rulewright.languages import Language
from rulewright.mining import callees, doubts, imports, resting, ties
from rulewright.mining.diffs import Change, lines_of
from rulewright.mining.learn import cover
from rulewright.mining.learn.mined import TIERS, Tier, refuse
from rulewright.mining.reading import new_text, old_text
from rulewright.mining.text.tree import Tree
from rulewright.verdict import Place


@dataclass(frozen=True)
class Rule:
    """A learned rule and how far to trust it."""

    document: Document
    tier: Tier
    reason: str
    roles: frozenset[str] = frozenset()
    """Of a class that becomes another one: how the change shows it used. Empty: it may be used in any way."""
    alike: frozenset[tuple[str, str]] = frozenset()
    """Code that is sure even where the rule is not, with what it becomes (`doubts.alike`)."""
    follows: bool = False
    """Whether it is for an import and only as good as the rules for the uses of what that binds."""

    @property
    def written(self) -> AnyRule:
        """The one rule of its document."""
        [rule] = self.document.action.rules
        return rule

    def doubt(self, place: Place) -> str:
        """Why a place is not sure, unless it is the very code that the change shows; empty where it is."""
        if self.tier != "train":
            return f"the rule is of tier {self.tier}: {self.reason}"
        if place.comments_only:
            return "only a comment changes"
        if doubts.is_prose(self.document.action, place.old):
            return "only words of a text change"
        if doubts.in_longer_word(self.document.action, place.old):
            return "it is a part of a longer word there"
        return ""

    def makes(self, place: Place, lines: Sequence[str]) -> bool:
        """Whether a place is the very code that the change shows."""
        here = "\n".join(lines[place.line - 1 : place.last_line])
        new = places.dense(place.new)
        return bool(self.alike) and any((places.dense(one), new) in self.alike for one in (place.old, here))

    def is_sure_of(self, language: Language) -> bool:
        """Whether it is one for a language that may be written without a person's word."""
        return self.tier == "train" and self.document.action.language == language


@dataclass(frozen=True)
class Learned:
    """The rules of a change.

    Args:
        rules: in order.
        problems: what could not be expressed, one line a hunk: `FILE:LINE: old → new`.
        changes: the change, by file.
        brought: names that it imports anew.
        defined: names that its rules bring and that the changed files define themselves.
    """

    rules: tuple[Rule, ...]
    problems: tuple[str, ...]
    changes: tuple[Change, ...]
    brought: Mapping[Language, frozenset[str]] = field(default_factory=dict)
    defined: Mapping[Language, frozenset[str]] = field(default_factory=dict)

    @property
    def documents(self) -> tuple[Document, ...]:
        return tuple(rule.document for rule in self.rules)

    @property
    def worst(self) -> Rule:
        """The least trusted rule."""
        return max(self.rules, key=lambda rule: TIERS.index(rule.tier))

    def doubt(self, path: Path, place: Place, lines: Sequence[str] = ()) -> str:
        """Why a place is not sure; empty where it is. `lines` are those of its file."""
        rule = self.rules[place.rule]
        if not rule.makes(place, lines) and (why := rule.doubt(place)):
            return why
        if self._change_of(path) is not None:
            return "you left it as it was in a file that you changed"
        if rule.roles and place.role not in rule.roles and not place.in_import:
            used = doubts.ROLES.get(place.role, f"it is {place.role or 'not called'} there")
            return f"{used}, which your change does not show"
        return ""

    def halves(self, sure: Sequence[Place]) -> list[Place]:
        """Of the places of a file that are sure by themselves, those that are a part of a change only.

        In the change other rules make their lines together with theirs, and there these are not sure.
        """
        left, found = list(sure), list[Place]()
        while True:
            half = [place for place in left if not self._is_whole(place, left)]
            if not half:
                return found
            found += half
            left = [place for place in left if place not in half]

    def _is_whole(self, place: Place, sure: Sequence[Place]) -> bool:
        shown = self._beside.get(place.rule, set())
        lines = range(place.line, place.last_line + 1)
        beside = {one.rule for one in sure if one.touches(lines)} if frozenset() not in shown else set()
        return not shown or place.in_import or any(others <= beside for others in shown)

    @cached_property
    def _beside(self) -> dict[int, set[frozenset[int]]]:
        """By rule, with which others it makes lines of the change (`doubts.together`)."""
        found: dict[int, set[frozenset[int]]] = {}
        for change in self.changes:
            mine = [number for number, one in enumerate(self.rules) if one.is_sure_of(change.language)]
            if len(mine) > 1:
                action = joined([self.rules[number].document for number in mine])
                for rule, shown in doubts.together(action, change).items():
                    more = (frozenset(mine[other] for other in others) for others in shown)
                    found.setdefault(mine[rule], set()).update(more)
        return found

    def lacks(self, before: str, after: str, language: Language) -> str:
        """A name that the rules bring and that a file would not have after the change."""
        brought, defined = (names.get(language, frozenset()) for names in (self.brought, self.defined))
        if not brought | defined:
            return ""
        # What an import brings is another thing than what the changed files define under the same name.
        own = [name for name in sorted(defined) if re.search(rf"(?<![\w.]){re.escape(name)}\b", after)]
        sought = [*filter(None, [imports.lacking(after, brought - defined, language)]), *own]
        known = {one.name for one in imports.bound(before, language)} if sought else set()
        return next(
            (one for one in sought if one not in known and not Tree(before, language).defines(one)), ""
        )

    def hides(self, path: Path, place: Place) -> bool:
        """Whether a place is one that the diff itself shows unchanged: no candidate at all."""
        change = self._change_of(path)
        if change is None:
            return False
        shown, changed = self._lines_of(change)
        return place.touches(shown) and not place.touches(changed)

    @cached_property
    def _change_of(self) -> Callable[[Path], Change | None]:
        """The change of a file; asked for each of its places, and a name is resolved once."""
        by_path = {change.path.resolve(): change for change in reversed(self.changes)}
        return cache(lambda path: by_path.get(path.resolve()))

    @cached_property
    def _lines_of(self) -> Callable[[Change], tuple[set[int], set[int]]]:
        """Lines shown unchanged and lines changed."""
        return cache(_lines_now)


def learn(changes: Sequence[Change], budget_s: float) -> Learned:
    """Find the smallest set of general rules that make a change.

    Raises:
        RulewrightError: no rule was found for any of it; the reasons.
    """
    if not changes:
        raise RulewrightError("the change is empty: there is nothing to learn from", "change a file by hand")
    given, changes = changes, [_with_one_end(change) for change in changes]
    rules: list[Rule] = []
    problems: list[str] = []
    brought: dict[Language, frozenset[str]] = {}
    defined: dict[Language, frozenset[str]] = {}
    for language in dict.fromkeys(change.language for change in changes):
        mine = [change for change in changes if change.language == language]
        refused = {change.path: _refused(change) for change in mine}
        problems += [why for why in refused.values() if why]
        fit = [change for change in mine if not refused[change.path]]
        of_names = _Names.of(fit, language)
        texts = [cover.Text(c.pre, of_names.apart.get(c.path, c.post), c.seen) for c in fit]
        found = cover.rules_for([one for one in texts if one.pre != one.post], language, budget_s)
        found = needed([one for one in found if one.tier != "reject"] or found, fit, language)
        rules += _trusted(found, fit, of_names, language)
        brought[language] = frozenset(one.name for one in of_names.come)
        defined[language] = doubts.defined([one.rule for one in found], fit, language)
        problems += [
            line for c in fit for line in _unexplained(_of(rules, language), c, c.path in of_names.apart)
        ]
    problems += [
        f"{one.path}:{len(difftext.rows(one.pre))}: the end of the file"
        for one, ended in zip(given, changes, strict=True)
        if one is not ended
    ]
    if not rules:
        raise RulewrightError(
            "no rule found for any part of the change: " + "; ".join(problems[:8]),
            "the reason stands after each file; one kind of change at a time is learned best",
        )
    return Learned(tuple(rules), tuple(problems), tuple(changes), brought, defined)


def _with_one_end(change: Change) -> Change:
    """A change without the end of the last line that it gives or takes: no rule could be about that."""
    pre, post = change.pre, change.post
    if not pre or not post or pre.endswith("\n") == post.endswith("\n"):
        return change
    return replace(change, post=post[:-1] if post.endswith("\n") else post + "\n")


def _refused(change: Change) -> str:
    """Why nothing can be learned from a file, with the place; empty where something can."""
    why = refuse(change.pre, change.post, change.language)
    if why:
        return f"{change.path}: {why}"
    before, after = (parse(text, change.language) for text in (change.pre, change.post))
    if not after.is_worse_than(before):
        return ""
    return f"{change.path}:{after.first_line}: a syntax error after the change"


def needed(
    found: Sequence[cover.Graded], changes: Sequence[Change], language: Language
) -> list[cover.Graded]:
    """The rules without those that the change comes out as well without (`cover.needed`)."""
    known: list[list[_Run]] = [[] for _ in changes]

    def missed(some: Sequence[cover.Graded]) -> int:
        return sum(
            _missed_of(some, change, runs, language) for change, runs in zip(changes, known, strict=True)
        )

    return cover.needed(found, missed)


class _Run(NamedTuple):
    """How many parts of a change some rules do not make, and which of them did anything."""

    given: frozenset[str]
    used: frozenset[str]
    missed: int


def _missed_of(some: Sequence[cover.Graded], change: Change, runs: list[_Run], language: Language) -> int:
    """How many parts of a change rules do not make; a run without those that did nothing is none anew."""
    names = [str(one.rule) for one in some]
    given = frozenset(names)
    for run in runs:
        if run.used <= given <= run.given:
            return run.missed
    made, used = _made(Action(language, tuple(one.rule for one in some), mode="rule"), change, True)
    run = _Run(given, frozenset(names[n] for n in used), len(_left(made, change, True)))
    runs.append(run)
    return run.missed


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
        _for_members(before, rule, plain, changes, names, language)
        for before, rule in zip(plain, tied, strict=True)
    ]
    if narrow != tied:
        # A wide rule may rename the import as well, which for a narrow one the rules for imports do.
        missed = _missed([*tied, *beside], changes, language)
        if _missed([*narrow, *beside], changes, language) > missed:
            narrow = tied
    made: list[Rule] = []
    free: list[bool] = []
    for before, wide, rule in zip(plain, tied, narrow, strict=True):
        rests = resting.once(rule, changes, language)
        general = by_rule[str(before)]
        tier, reason = general.tier, general.reason
        action = Action(language, (rule,), mode="rule")
        before_tie = Action(language, (before,), mode="rule")
        if tier == "train":
            tier, reason = doubts.doubted(before_tie, action, changes, reason, rule is not wide)
        if tier == "train" and rests is None:
            tier, reason = "literal", "it changes again what it made"
        free.append(tier != "reject" and not doubts.depends(before_tie, action, changes, rule is not wide))
        action = Action(language, (rests or rule,), mode="rule")
        made.append(Rule(documents_of(action)[0], tier, reason, doubts.roles(action, changes)))
    made = _whole(made, changes, language)
    sure = [one.written for one in made if one.tier == "train"]
    for number, one in enumerate(made):
        if free[number]:
            action = one.document.action
            others = [rule for rule in sure if rule != one.written]
            every = replace(action, rules=(*others, one.written))
            made[number] = replace(one, alike=doubts.alike(action, every, changes))
    made += [
        Rule(documents_of(Action(language, (rule,), mode="rule"))[0], "train", _BESIDE) for rule in beside
    ]
    return _together(made, len(made) - len(beside), language)


def _whole(rules: Sequence[Rule], changes: Sequence[Change], language: Language) -> list[Rule]:
    """The rules; less trusted those that make no line as it is now without rules that are not trusted.

    What changes only together with something else is half a change where that other thing is not there.
    """
    made = list(rules)
    while True:
        sure = [one for one in made if one.tier == "train"]
        action = _of(sure, language)
        if action is None:
            return made
        right = {number for change in changes for number in doubts.right(action, change)}
        weak = [
            one
            for number, one in enumerate(sure)
            if number not in right and not ties.is_import(one.written, language)
        ]
        if not weak:
            return made
        made = [replace(one, tier="literal", reason=HALF) if one in weak else one for one in made]


HALF: Final = "in your change it is always a part of a larger change"
"""Of a rule or place."""


_BESIDE: Final = "an import, by what the file uses and binds"


def _for_members(
    plain: AnyRule,
    rule: AnyRule,
    rules: Sequence[AnyRule],
    changes: Sequence[Change],
    names: _Names,
    language: Language,
) -> AnyRule:
    """The rename of a module or class to another one, only for what the change takes from it.

    That the other has a `close` says nothing of its `open`. A Go file that takes more is left alone where
    one of the rules replaces the import itself: the new one could not stand beside the old one.
    """
    # Of `log.out` what an import binds is `log`.
    fix = re.sub(r"^(\w+)(?:\.|::|->)[\w.]+$", r"\1", str(plain["fix"]))
    renamed = callees.bare_name(Action(language, ({**plain, "fix": fix},), mode="rule"))
    old, new = renamed or ("", "")
    modules = [
        {one.module for one in side if one.name == name}
        for side, name in ((names.gone, old), (names.come, new))
    ]
    if not modules[0] or modules[0] & modules[1]:
        return rule
    members = doubts.members_changed(old, changes)
    is_replaced = any(
        one in old_text(other) and two in new_text(other)
        for other in rules
        for one in modules[0]
        for two in modules[1]
    )
    uses = re.compile(rf"(?<![\w.]){re.escape(old)}\b(?!\s*(?:\.|::|->)\s*\w)")
    if not members or any(map(uses.search, doubts.changed_code(changes, language))):
        return rule
    taken = {"regex": rf"^{regex_escape(old)}\s*(\.|::|->)\s*({'|'.join(sorted(members))})\b"}
    if language != "go" or not is_replaced:
        return imports.demanding(rule, {"inside": taken})
    more = imports.uses(frozenset({old}), language, {**taken, "stopBy": "neighbor"})
    return imports.demanding(rule, {"inside": taken}, {"not": more})


def _together(rules: Sequence[Rule], n_learned: int, language: Language) -> list[Rule]:
    """A rule for an import is as good as the rules for its uses: its guards say where it holds."""
    beside = [
        number >= n_learned or ties.is_import(rule.written, language) for number, rule in enumerate(rules)
    ]
    uses = [rule for rule, is_import in zip(rules, beside, strict=True) if not is_import]
    made = []
    for rule, is_import in zip(rules, beside, strict=True):
        words = ties.words(rule.written)
        own = [one for one in uses if ties.words(one.written) & words]
        worst = max(own, key=lambda one: TIERS.index(one.tier), default=None)
        if (
            is_import
            and worst is not None
            and rule.tier != "reject"
            and "stopBy" in str(rule.written["rule"])
        ):
            good = worst.tier == "train"
            reason = "goes and comes with its uses" if good else f"as its uses: {worst.reason}"
            rule = replace(rule, tier=worst.tier, reason=reason, follows=True)
        made.append(rule)
    return made


def _missed(rules: Sequence[AnyRule], changes: Sequence[Change], language: Language) -> int:
    """How many parts of the change the rules do not make."""
    action = Action(language, tuple(rules), mode="rule") if rules else None
    return sum(len(_unexplained(action, change, True)) for change in changes)


def _unexplained(action: Action | None, change: Change, names: bool) -> list[str]:
    """The parts of a change that the rules do not make, `FILE:LINE: old → new`.

    With `names`, imports are compared by what they bind, not by where they stand.
    """
    return _left(_made(action, change, names)[0] if action is not None else change.pre, change, names)


def _left(made: str, change: Change, names: bool) -> list[str]:
    """The parts of a change that a text lacks, as `_unexplained` tells them."""
    if made == change.post:
        return []
    language = change.language
    old, new = (imports.body(one, language) if names else difftext.rows(one) for one in (made, change.post))
    start = imports.body(change.pre, language) if names else difftext.rows(change.pre)
    shift = difftext.changed(start, old)
    whole = difftext.rows(change.pre)
    lines = []
    for a0, a1, b0, b1 in difftext.changed(old, new):
        line = doubts.line_before(a0, shift)
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
    return lines


def _short(lines: Sequence[str]) -> str:
    text = " ".join(lines).strip()
    return quoted(text) if text else "(nothing)"


def _made(action: Action, change: Change, names: bool) -> tuple[str, frozenset[int]]:
    """The text that the rules give where the person changed something, with `names` in its imports too.

    With the numbers of the rules that did anything.
    """

    def keep(place: Place) -> str | None:
        return place.new if place.touches(change.changed) or (names and place.in_import) else None

    done = places.change(action, change.pre, keep)
    if not done.steps or done.failure is not None:
        return change.pre, frozenset(range(len(action.rules)))
    used = (number for number, step in enumerate(done.steps) if step.after != step.before.source)
    return done.steps[-1].after, frozenset(used)


def _of(rules: Sequence[Rule], language: Language) -> Action | None:
    mine = [one.document for one in rules if one.document.action.language == language]
    return joined(mine) if mine else None


def _lines_now(change: Change) -> tuple[set[int], set[int]]:
    """The lines of a file as it is that its diff shows unchanged, and those that the change touched."""
    now = difftext.lines(change.now)
    shift = difftext.changed(difftext.lines(change.pre), now)
    moved = {line for _, _, b0, b1 in shift for line in range(b0, b1)}
    stayed = (line for line in range(len(now)) if line not in moved)
    shown = {line + 1 for line in stayed if doubts.line_before(line, shift) + 1 in change.seen}
    if change.now == change.pre:
        return shown, set(change.changed)
    return shown, set(lines_of(change.pre, change.now, old_side=False))
