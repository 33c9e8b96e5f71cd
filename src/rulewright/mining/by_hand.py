"""A change made by hand → rules, and what may be believed of them. Nothing is written here.

What the person saw and left alone is evidence: a rule that changes a line which the diff
shows unchanged is not trusted, and places in the rest of a changed file are possible ones.
"""

from __future__ import annotations

import difflib
import re
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

from rulewright import difftext, jsonl
from rulewright.actions.action import Action
from rulewright.actions.rule_file import Document, documents_of, joined
from rulewright.engine import places
from rulewright.engine.apply import trace
from rulewright.engine.places import Place
from rulewright.errors import RulewrightError
from rulewright.languages import Language
from rulewright.mining import callees, diffs
from rulewright.mining.judge.confidence import CONFIDENT, confidence
from rulewright.mining.learn.mined import Mined, Tier, learn_from, mine

MAX_HUNKS: Final = 12
"""Hunks of one file that are learnt from one by one."""
MANY_LEFT: Final = 3
"""Like places that a person left alone, from which more than twice the changed ones tell against a rule."""


@dataclass(frozen=True)
class Rule:
    """A learnt rule and how far to trust it."""

    document: Document
    tier: str
    reason: str


@dataclass(frozen=True)
class Learned:
    """The rules of a change.

    Args:
        rules: in order.
        problems: what could not be expressed, one line a file.
        changes: the change, by file.
    """

    rules: tuple[Rule, ...]
    problems: tuple[str, ...]
    changes: tuple[diffs.Change, ...] = field(repr=False)

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
        if place.in_import and self.worst.tier != "train":
            return "an import, and the rules for its uses are not all trusted"
        if place.comments_only:
            return "only a comment changes"
        if _in_longer_word(rule.document.action, place.old):
            return "it is a part of a longer word there"
        for change in self.changes:
            if change.path.resolve() == path.resolve():
                return "you left it as it was in a file that you changed"
        return ""

    def hides(self, path: Path, place: Place) -> bool:
        """Whether a place is one that the diff itself shows unchanged: no candidate at all."""
        for change in self.changes:
            if change.path.resolve() == path.resolve():
                lines = set(range(place.line, place.last_line + 1))
                return bool(lines & _now(change)) and not lines & _changed_now(change)
        return False


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


def read(diff: str) -> list[diffs.Change]:
    """The changes of a diff file; `-` reads standard input."""
    raw = sys.stdin.buffer.read() if diff == "-" else jsonl.require_file(Path(diff)).read_bytes()
    name = "standard input" if diff == "-" else diff
    return diffs.read(raw.decode("utf-8", "replace"), Path(), name)


def learn(changes: Sequence[diffs.Change], budget_s: float) -> Learned:
    """Find the rules of a change, file after file; a file that they explain already adds none.

    Raises:
        RulewrightError: no file gave a rule for more than itself; the reasons.
    """
    found: list[Rule] = []
    problems: list[str] = []
    for change in changes:
        known = _of_language([rule.document for rule in found], change.language)
        if known is not None and _explains(known, change):
            continue
        rules, problem = _best(change, budget_s)
        if problem:
            problems.append(f"{change.path}: {problem}")
        texts = {rule.document.action for rule in found}
        found += [rule for rule in rules if rule.document.action not in texts]
    if not found:
        said = "no rule found: " + "; ".join(problems)
        raise RulewrightError(said, "make the change smaller, one kind of change at a time")
    return Learned(tuple(_weighed(found, changes)), tuple(problems), tuple(changes))


_RANK: Final = {"train": 0, "literal": 1, "reject": 2}


def _best(change: diffs.Change, budget_s: float) -> tuple[list[Rule], str]:
    """The rules of a change in one file, or why there are none.

    A single rule that may change other places too is tried first. If it is not to be trusted, a rule for
    each hunk is, and rules that leave all else in the file alone are.
    """
    tried: list[tuple[tuple[int, ...], list[Rule]]] = []
    reason = ""
    for learner in (_one_rule, _rule_a_hunk, _strict_rules):
        rules, why = learner(change, budget_s)
        reason = reason or why
        if not rules:
            continue
        ranks = [_RANK[rule.tier] for rule in rules]
        if max(ranks) == 0:
            return rules, ""
        size = sum(len(rule.document.action.rules_json()) for rule in rules)
        tried.append(((max(ranks), sum(ranks), size), rules))
    if not tried:
        return [], reason
    return min(tried, key=lambda one: one[0])[1], ""


def _one_rule(change: diffs.Change, budget_s: float) -> tuple[list[Rule], str]:
    return _taken(learn_from(change.pre, change.post, change.language, budget_s), change)


def _strict_rules(change: diffs.Change, budget_s: float) -> tuple[list[Rule], str]:
    return _taken(mine(change.pre, change.post, change.language, budget_s), change)


def _rule_a_hunk(change: diffs.Change, budget_s: float) -> tuple[list[Rule], str]:
    """A rule for each hunk that the rules before do not explain; nothing if they do not give the change."""
    found: list[Rule] = []
    for post in difftext.hunk_by_hunk(change.pre, change.post, MAX_HUNKS):
        part = replace(change, post=post)
        known = _of_language([rule.document for rule in found], change.language)
        if known is not None and _explains(known, part):
            continue
        rules, why = _one_rule(part, budget_s)
        if not rules:
            return [], why
        found += rules
    together = _of_language([rule.document for rule in found], change.language)
    if together is None or not _explains(together, change):
        return [], "the rules of the single hunks do not give the change"
    return found, ""


def _taken(mined: Mined, change: diffs.Change) -> tuple[list[Rule], str]:
    """Mined rules with their trust; none where they are about this one file."""
    if mined.action is None:
        return [], mined.reason
    if "run" in mined.shapes or mined.figures.degenerate:
        return [], "a rule would hold unchanged code of this file only"
    if contradiction := _contradicts(mined.action, change):
        return [Rule(one, "reject", contradiction) for one in documents_of(mined.action)], ""
    singles = [one.action for one in documents_of(mined.action)]
    calls = _calls(singles, change)
    rules = []
    for single, made in zip(singles, calls, strict=True):
        tier, reason = (mined.tier, mined.reason) if made is single else _trust_in_calls(made)
        names = callees.bare_name(made)
        if tier == "train" and names is not None and not names[0][:1].isupper():
            tier, reason = "literal", f"it renames every `{names[0]}`, whatever that stands for"
        elif tier == "train" and (owner := callees.own_member(made)):
            tier, reason = "literal", f"`{owner}` is of another class elsewhere"
        rules += [Rule(document, tier, reason) for document in documents_of(made)]
    return rules, ""


def _calls(singles: Sequence[Action], change: diffs.Change) -> list[Action]:
    """Rules with each rename as one of calls, if calls are all that it changed and the result is the same."""
    changed = _changed(change.pre, change.post)
    made = list(singles)
    text = change.pre
    for number, single in enumerate(singles):
        done = trace(single, text)
        nodes = [
            node
            for step in done.steps
            for node in step.nodes
            if node is not None and (len(singles) > 1 or node.range().start.line + 1 in changed)
        ]
        calls = callees.as_calls(single, text, nodes)
        trial = [*made[:number], calls, *made[number + 1 :]] if calls is not None else made
        whole = _joined(trial)
        if calls is not None and _explains(whole, change) and not _contradicts(whole, change):
            made[number] = calls
        text = done.steps[-1].after if done.steps else text
    return made


def _joined(actions: Sequence[Action]) -> Action:
    return joined([document for action in actions for document in documents_of(action)])


def _trust_in_calls(action: Action) -> tuple[Tier, str]:
    """The tier of rules about calls, which replace rules about names."""
    sure = confidence(action.rules)
    if sure >= CONFIDENT:
        return "train", "calls by their name and what it belongs to"
    return "literal", f"too doubtful: {sure:.2f} likely to be right elsewhere"


def _weighed(rules: Sequence[Rule], changes: Sequence[diffs.Change]) -> list[Rule]:
    """Trust, but for a rule that finds many more places in the changed files than were changed."""
    weighed = []
    for rule in rules:
        left = _left_alone([rule.document], changes) if rule.tier == "train" else ""
        weighed.append(replace(rule, tier="literal", reason=left) if left else rule)
    return weighed


def _contradicts(action: Action, change: diffs.Change) -> str:
    """The first line that the diff shows unchanged and the rule would change; empty where there is none."""
    changed = _changed(change.pre, change.post)
    for place in places.of(action, change.pre):
        lines = set(range(place.line, place.last_line + 1))
        if lines & change.seen and not lines & changed:
            return f"it changes line {place.line} of {change.path}, which the diff shows unchanged"
    return ""


def _explains(action: Action, change: diffs.Change) -> bool:
    """Whether a rule does what the person did where the person did it."""
    changed = _changed(change.pre, change.post)

    def keep(place: Place) -> str | None:
        return place.new if set(range(place.line, place.last_line + 1)) & changed else None

    done = places.change(action, change.pre, keep)
    return bool(done.steps) and done.failure is None and done.steps[-1].after == change.post


def _left_alone(documents: Sequence[Document], changes: Sequence[diffs.Change]) -> str:
    """Whether the changed files hold many more such places that were left; the reason, or nothing."""
    made = left = 0
    for language in dict.fromkeys(change.language for change in changes):
        action = _of_language(documents, language)
        for change in changes if action is not None else ():
            if change.language == language and action is not None:
                changed = _changed(change.pre, change.post)
                for place in places.of(action, change.pre):
                    touches = bool(set(range(place.line, place.last_line + 1)) & changed)
                    made, left = made + touches, left + (not touches)
    if left >= MANY_LEFT and left > 2 * made:
        return f"the files that you changed hold {left} more places like the {made} that you changed"
    return ""


def _of_language(documents: Sequence[Document], language: Language) -> Action | None:
    mine_ = [one for one in documents if one.action.language == language]
    return joined(mine_) if mine_ else None


def _changed(pre: str, post: str) -> set[int]:
    """The lines of `pre` (from 1) that a change touches; for an insertion those beside it."""
    return set(_lines_of(pre, post, old_side=True))


def _lines_of(pre: str, post: str, old_side: bool) -> Iterator[int]:
    for a0, a1, b0, b1 in difftext.changed(pre.splitlines(), post.splitlines()):
        start, end = (a0, a1) if old_side else (b0, b1)
        yield from range(start + 1, end + 1) if end > start else (start, start + 1)


def _changed_now(change: diffs.Change) -> set[int]:
    """The lines of the file as it is that the change touched."""
    return set(_lines_of(change.pre, change.post, old_side=not change.is_post))


def _now(change: diffs.Change) -> set[int]:
    """The lines of the file as it is that the diff shows unchanged."""
    if not change.is_post:
        return set(change.seen)
    now: set[int] = set()
    matcher = difflib.SequenceMatcher(None, change.pre.splitlines(), change.post.splitlines(), autojunk=False)
    for a, b, size in matcher.get_matching_blocks():
        now.update(b + i + 1 for i in range(size) if a + i + 1 in change.seen)
    return now
