"""Does an answer hold on other code? Siblings, negatives, and the reward for them.

An answer is tried on other code only if it is right on its own text, because only then the reward depends
on it. Nothing here parses a model's text.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from statistics import fmean
from typing import Final

from rulewright.actions import Action
from rulewright.data.schemas import Pairs
from rulewright.engine import Engine, Request
from rulewright.verdict import INVALID, Outcome, Verdict

GENERALITY: Final = 0.3
"""Share of the pay that an answer earns only by what it does elsewhere."""


@dataclass(frozen=True)
class TriedElsewhere:
    """What an action did to code beside its task's own."""

    share: float | None
    """How much of it came out right, in [0, 1]; `None`: could not be run, which is our fault."""
    posts: tuple[str, ...] = ()
    """The texts as the action leaves them."""


def try_one(engine: Engine, action: Action, pairs: Pairs) -> TriedElsewhere:
    """Execute an action on code with what it should become."""
    return try_all(engine, {0: (action, pairs)})[0]


def try_all(engine: Engine, asked: Mapping[int, tuple[Action, Pairs]]) -> dict[int, TriedElsewhere]:
    """Execute several actions, each named by a number; the same question is asked once."""
    keys = {
        n: (action.language, action.rules_json(), action.ids, pairs) for n, (action, pairs) in asked.items()
    }
    unique = {keys[n]: one for n, one in asked.items()}
    outcomes = engine.judge_many(
        Request(action, pre, action.language, post)
        for action, pairs in unique.values()
        for pre, post in pairs
    )
    found = {key: _tried(pairs, list(islice(outcomes, len(pairs)))) for key, (_, pairs) in unique.items()}
    return {n: found[key] for n, key in keys.items()}


def _tried(pairs: Pairs, outcomes: Sequence[Outcome]) -> TriedElsewhere:
    if any(one.verdict is Verdict.INFRA for one in outcomes):
        return TriedElsewhere(None)
    posts = tuple(
        pre if one.post is None else one.post for one, (pre, _) in zip(outcomes, pairs, strict=True)
    )
    right: Mapping[bool, list[bool]] = {True: [], False: []}
    for one, made, (pre, post) in zip(outcomes, posts, pairs, strict=True):
        right[pre == post].append(made == post and one.verdict not in INVALID and not one.unsound)
    # A product: neither a rule that fires nowhere else nor one that fires everywhere may be paid.
    return TriedElsewhere(fmean(right[False] or [True]) * fmean(right[True] or [True]), posts)


def paid(value: float, right: bool, general: float | None, weight: float, cap: float) -> float:
    """What an answer earns where its task knows code elsewhere.

    All of `value` if it is right everywhere. Right on its own text alone, it keeps `1 - weight`
    of that, more for each place that comes out right, and at most `cap`. What is not right on
    its own text keeps `1 - weight` too, so that it stays below; penalties stay as they are.

    Args:
        value: of the answer on its own text.
        right: whether it is right there.
        general: how much came out right elsewhere, in [0, 1]; `None`: nothing is known elsewhere.
        weight: share of the pay that only code elsewhere earns, in [0, 1).
        cap: most that an answer earns if it is not right everywhere.
    """
    if general is None or not weight or (right and general >= 1):
        return value
    kept = min((1 - weight) * value, value)
    if not right:
        return kept
    least = min(kept, cap)
    return least + (cap - least) * general
