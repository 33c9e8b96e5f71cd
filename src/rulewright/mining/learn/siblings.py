"""Siblings of an edit: the same change in other code, by which rewards test a rule elsewhere.

Invariant: a sibling is of the edit's own split, and the edit's action is right on it. Negatives are
siblings after the change, which the action must not change again.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from rulewright import engine
from rulewright.actions.action import Action
from rulewright.data.schemas import MAX_ELSEWHERE, MAX_ELSEWHERE_CHARS, Sibling
from rulewright.mining.inputs import EditRow, order
from rulewright.verdict import Verdict

_TRIED: Final = 16
"""Most edits of one rule from which siblings are chosen."""


class Siblings:
    """The texts of edits that share a rule, a few of each rule.

    Args:
        edits: all of them; read once.
        together: by edit id, the edits that have the same rule.
    """

    def __init__(self, edits: Iterable[EditRow], together: Mapping[str, Sequence[str]]) -> None:
        few = {
            ids: sorted(ids, key=lambda name: order(0, name))[:_TRIED]
            for ids in map(tuple, together.values())
        }
        self._together = {name: few[tuple(ids)] for name, ids in together.items()}
        wanted = {name for ids in few.values() for name in ids}
        self._texts = {
            edit.id: (edit.belongs_to, edit.pre, edit.post)
            for edit in (edits if wanted else ())
            if edit.id in wanted and max(len(edit.pre), len(edit.post)) <= MAX_ELSEWHERE_CHARS
        }

    def of(self, edit: EditRow, action: Action) -> dict[str, Any]:
        """The fields of an edit's record: `siblings` and `negatives`, where there are any."""
        known = [self._texts[name] for name in self._together.get(edit.id, ()) if name in self._texts]
        others = dict.fromkeys(
            (pre, post) for place, pre, post in known if place == edit.belongs_to and pre != edit.pre
        )
        right = [pair for pair in others if engine.judge(action, *pair).verdict is Verdict.OK][:MAX_ELSEWHERE]
        done = [post for _, post in right if engine.judge(action, post).verdict is Verdict.NO_MATCH]
        found = {
            "siblings": tuple(Sibling(pre=pre, post=post) for pre, post in right),
            "negatives": tuple(done),
        }
        return {name: value for name, value in found.items() if value}
