"""`State` between steps: limited in size, merged by code (docs/reference/formats.md).

Invariant: a `State` made by `State.make` or `merge` is within its bounds. The model
proposes (`StateUpdate`); it never writes the state itself.
"""

from __future__ import annotations

import json
import re
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Final, Self

MAX_TOKENS: Final = 800
"""Upper bound of a rendered state, by `count_tokens`."""
MAX_HISTORY: Final = 3
MAX_ITEM_CHARS: Final = 240
_LISTS: Final = ("goals", "constraints", "decisions", "hypotheses", "open_issues")
_DROP_ORDER: Final = ("hypotheses", "decisions", "open_issues", "constraints", "history", "goals")
_TOKEN: Final = re.compile(r"[A-Za-z]{1,6}|\d{1,3}|[^\sA-Za-z\d]")


def count_tokens(text: str) -> int:
    """Estimate the number of tokens without a tokenizer: word pieces of ≤ 6 letters, digits by 3, marks.

    An upper-side estimate for byte-level BPE of code and English.
    """
    return len(_TOKEN.findall(text))


@dataclass(frozen=True)
class HistoryItem:
    """One step that was taken."""

    step: int
    action_id: str
    summary: str
    outcome: str


@dataclass(frozen=True)
class StateUpdate:
    """What a model proposes to remember; every field optional on input."""

    decisions: tuple[str, ...] = ()
    constraints: tuple[str, ...] = ()
    open_issues: tuple[str, ...] = ()
    next_focus: str = ""

    @classmethod
    def parse(cls, value: object) -> Self:
        """Read what a model wrote, keeping what has the right shape, ignoring the rest."""
        if not isinstance(value, dict):
            return cls()
        focus = value.get("next_focus", "")
        if isinstance(focus, list):
            focus = "; ".join(_texts(focus))
        return cls(
            decisions=_texts(value.get("decisions")),
            constraints=_texts(value.get("constraints")),
            open_issues=_texts(value.get("open_issues")),
            next_focus=focus.strip()[:MAX_ITEM_CHARS] if isinstance(focus, str) else "",
        )

    def to_dict(self) -> dict[str, Any]:
        return {
            "decisions": list(self.decisions),
            "constraints": list(self.constraints),
            "open_issues": list(self.open_issues),
            "next_focus": [self.next_focus] if self.next_focus else [],
        }


@dataclass(frozen=True)
class State:
    """Goals, constraints, decisions, hypotheses, history, open issues, next focus."""

    goals: tuple[str, ...] = ()
    constraints: tuple[str, ...] = ()
    decisions: tuple[str, ...] = ()
    hypotheses: tuple[str, ...] = ()
    history: tuple[HistoryItem, ...] = field(default_factory=tuple)
    open_issues: tuple[str, ...] = ()
    next_focus: str = ""

    @classmethod
    def from_dict(cls, value: dict[str, Any]) -> Self:
        """Read a saved state; the bounds are enforced again."""
        lists = {name: _texts(value.get(name)) for name in _LISTS}
        history = tuple(HistoryItem(**item) for item in value.get("history", ()))
        made = cls(history=history, next_focus=str(value.get("next_focus", "")), **lists)
        return made.bounded()

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)

    def render(self) -> str:
        """The text of a `<state>` block, without empty parts."""
        parts = {key: value for key, value in self.to_dict().items() if value}
        return json.dumps(parts, ensure_ascii=False)

    def merge(self, update: StateUpdate, item: HistoryItem) -> Self:
        """Take in one step: lists joined without repeats, history kept to the last three."""
        return replace(
            self,
            decisions=(*self.decisions, *update.decisions),
            constraints=(*self.constraints, *update.constraints),
            # Open issues are a statement of the present: a new list replaces the old.
            open_issues=update.open_issues or self.open_issues,
            next_focus=update.next_focus,
            history=(*self.history, item),
        ).bounded()

    def bounded(self) -> Self:
        """Deduplicate, cut long items, then drop the oldest of the least needed lists."""
        lists: dict[str, Any] = {}
        for name in _LISTS:
            # The last mention of each: what was said again counts as recent.
            cut = [_cut(item) for item in getattr(self, name)]
            lists[name] = tuple(reversed(dict.fromkeys(reversed(cut))))
        history = tuple(
            replace(item, summary=_cut(item.summary), outcome=_cut(item.outcome))
            for item in self.history[-MAX_HISTORY:]
        )
        state = replace(self, history=history, next_focus=_cut(self.next_focus), **lists)
        while count_tokens(state.render()) > MAX_TOKENS:
            # The first item of the longest list goes, of the least needed list on a tie.
            sizes = {name: len(getattr(state, name)) for name in _DROP_ORDER}
            longest = max(_DROP_ORDER, key=sizes.__getitem__)
            fewer: dict[str, Any] = {longest: getattr(state, longest)[1:]}
            state = replace(state, **fewer) if sizes[longest] else replace(state, next_focus="")
        return state


def _texts(value: object) -> tuple[str, ...]:
    if isinstance(value, str):
        value = [value]
    if not isinstance(value, list | tuple):
        return ()
    return tuple(item.strip() for item in value if isinstance(item, str) and item.strip())


def _cut(text: str) -> str:
    return text if len(text) <= MAX_ITEM_CHARS else text[: MAX_ITEM_CHARS - 1] + "…"
