"""A change made by hand → rules, and what may be believed of them. Nothing is written here.

What the person saw and left alone is evidence: a rule that changes a line which the diff
shows unchanged is not trusted, and places in the rest of a changed file are possible ones.
"""

from __future__ import annotations

import difflib
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from rulewright import jsonl
from rulewright.actions.action import Action
from rulewright.actions.rule_file import Document, documents_of, joined
from rulewright.engine import places
from rulewright.engine.places import Place
from rulewright.errors import RulewrightError
from rulewright.languages import Language
from rulewright.mining import diffs
from rulewright.mining.learn.mined import Mined, learn_from, mine

MANY_LEFT: Final = 3
"""Like places that a person left alone, from which more than twice the changed ones tell against a rule."""


@dataclass(frozen=True)
class Learned:
    """The rules of a change, and how far to trust them.

    Args:
        documents: one rule each, in order.
        tier, reason: of the least trusted rule.
        problems: what could not be expressed, one line a file.
        changes: the change, by file.
    """

    documents: tuple[Document, ...]
    tier: str
    reason: str
    problems: tuple[str, ...]
    changes: tuple[diffs.Change, ...] = field(repr=False)

    @property
    def trusted(self) -> bool:
        return self.tier == "train"

    def doubt(self, path: Path, place: Place) -> str:
        """Why a place is not sure; empty where it is."""
        if not self.trusted:
            return f"the rule is of tier {self.tier}"
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


def read(diff: str) -> list[diffs.Change]:
    """The changes of a diff file; `-` reads standard input."""
    raw = sys.stdin.buffer.read() if diff == "-" else jsonl.require_file(Path(diff)).read_bytes()
    name = "standard input" if diff == "-" else diff
    return diffs.read(raw.decode("utf-8", "replace"), Path(), name)


def learn(changes: Sequence[diffs.Change], budget_s: float) -> Learned:
    """Find the rules of a change, file after file; a file that they explain already adds none.

    Raises:
        RulewrightError: no file gave a rule; the reasons.
    """
    found: list[Action] = []
    worst: tuple[str, str] = ("train", "")
    problems: list[str] = []
    for change in changes:
        known = [action for action in found if action.language == change.language]
        if any(_explains(action, change) for action in known):
            continue
        mined, contradiction = _best(change, budget_s)
        if mined.action is None:
            problems.append(f"{change.path}: {mined.reason}")
            continue
        found.append(mined.action)
        tier, reason = (mined.tier, mined.reason) if not contradiction else ("reject", contradiction)
        worst = max(worst, (tier, reason), key=lambda one: (_RANK[one[0]], bool(one[1])))
    if not found:
        said = "no rule found: " + "; ".join(problems)
        raise RulewrightError(said, "make the change smaller, in one place")
    documents = tuple(one for action in found for one in documents_of(action))
    if worst[0] == "train" and (left := _left_alone(documents, changes)):
        worst = ("literal", left)
    return Learned(documents, *worst, tuple(problems), tuple(changes))


_RANK: Final = {"train": 0, "literal": 1, "reject": 2}


def _best(change: diffs.Change, budget_s: float) -> tuple[Mined, str]:
    """The rule of a change, and the line seen unchanged that it would change all the same.

    A single rule that may change other places too is tried first; if it is not to be trusted, rules
    that leave all else in the file alone are.
    """
    tried: list[tuple[tuple[bool, int, int], Mined, str]] = []
    for learner in (learn_from, mine):
        mined = learner(change.pre, change.post, change.language, budget_s)
        contradiction = _contradicts(mined.action, change) if mined.action is not None else ""
        if mined.tier == "train" and not contradiction:
            return mined, ""
        rank = len(_RANK) if mined.action is None else _RANK[mined.tier]
        tried.append(((bool(contradiction), rank, mined.figures.n_rules), mined, contradiction))
    _, mined, contradiction = min(tried, key=lambda one: one[0])
    return mined, contradiction


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
    matcher = difflib.SequenceMatcher(None, pre.splitlines(), post.splitlines(), autojunk=False)
    for tag, a0, a1, b0, b1 in matcher.get_opcodes():
        if tag == "equal":
            continue
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
