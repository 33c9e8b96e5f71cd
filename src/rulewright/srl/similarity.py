"""Similarity of two actions: `S_field`, `S_str` and `R` (docs/reference/rewards.md).

Symmetric, deterministic, in [0, 1]; equal normal forms give 1. Similarity says nothing about the effect:
a wrong token in a fix still scores above 0.9, which is why `reward_srl.gated` exists.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache
from itertools import groupby
from typing import Final, NamedTuple

from rapidfuzz.distance import Indel

from rulewright.actions.action import Action
from rulewright.srl.rule_tree import RuleNode, views

FIELD_WEIGHT: Final = 0.7
STRING_WEIGHT: Final = 0.3
MAX_ASSIGNMENT: Final = 24
"""Children of one label that are assigned optimally; more are paired equal ones first, then in order."""

_TOKEN: Final = re.compile(r"\$+[A-Z_][A-Z0-9_]*|\w+|\n[ \t]*|[^\w\s]")


class Similarity(NamedTuple):
    """`r = 0.7·s_field + 0.3·s_str`; all three in [0, 1]."""

    r: float
    s_field: float
    s_str: float


def similarity(student: Action, teacher: Action) -> Similarity:
    """Compare two actions in their normal form.

    The formula is the plan's (section 5); normal form and soft Dice as in docs/reference/rewards.md.
    """
    a, b = views(student), views(teacher)
    s_field = max(dice(a.raw, b.raw), dice(a.alpha, b.alpha))
    s_str = max(
        Indel.normalized_similarity(a.raw_text, b.raw_text),
        Indel.normalized_similarity(a.alpha_text, b.alpha_text),
    )
    return Similarity(FIELD_WEIGHT * s_field + STRING_WEIGHT * s_str, s_field, s_str)


def best_similarity(student: Action, references: Iterable[Action]) -> Similarity:
    """The highest similarity to any of several verified references (at least one)."""
    return max(similarity(student, reference) for reference in references)


def dice(a: Sequence[RuleNode], b: Sequence[RuleNode]) -> float:
    """Soft Dice 2·M(a, b) / (‖a‖ + ‖b‖) of two sequences of documents."""
    if a == b:
        return 1.0
    # The best total match that keeps order on both sides: documents run one after another.
    above = [0.0] * (len(b) + 1)
    for left in a:
        row = [0.0]
        for j, right in enumerate(b):
            row.append(max(above[j + 1], row[j], above[j] + match(left, right)))
        above = row
    return 2 * above[-1] / sum(node.size for node in (*a, *b))


def match(a: RuleNode, b: RuleNode) -> float:
    """Weight that two trees have in common, 0 ≤ M ≤ min(‖a‖, ‖b‖)."""
    if a.label != b.label:
        return 0.0
    if a == b:
        return a.size
    return a.weight * _same_text(a, b) + _kids(a.kids, b.kids)


def _same_text(a: RuleNode, b: RuleNode) -> float:
    if a.text == b.text:
        return 1.0
    if a.text is None or b.text is None or not a.fuzzy:
        return 0.0
    return _token_similarity(*sorted((a.text, b.text)))


@lru_cache(maxsize=65536)
def _token_similarity(a: str, b: str) -> float:
    ids: dict[str, int] = {}
    left, right = ([ids.setdefault(token, len(ids)) for token in _TOKEN.findall(text)] for text in (a, b))
    return float(Indel.normalized_similarity(left, right))


def _kids(a: Sequence[RuleNode], b: Sequence[RuleNode]) -> float:
    if not a or not b:
        return 0.0
    if len(a) == 1 and len(b) == 1:
        return match(a[0], b[0])
    left, right = _by_label(a), _by_label(b)
    return sum(_assigned(group, right[label]) for label, group in left.items() if label in right)


def _by_label(nodes: Sequence[RuleNode]) -> dict[str, list[RuleNode]]:
    label: Callable[[RuleNode], str] = lambda node: node.label  # noqa: E731
    return {key: list(group) for key, group in groupby(sorted(nodes, key=label), key=label)}


def _assigned(a: list[RuleNode], b: list[RuleNode]) -> float:
    """The largest total match of two groups of children, each used once."""
    if len(a) == 1 or len(b) == 1:
        return max(match(x, y) for x in a for y in b)
    if max(len(a), len(b)) > MAX_ASSIGNMENT:
        total = 0.0
        left, right = _counted(a), _counted(b)
        for key in sorted(left.keys() & right.keys()):
            common = min(len(left[key]), len(right[key]))
            total += sum(node.size for node in left[key][:common])
            del left[key][:common], right[key][:common]
        rest_a = [node for key in sorted(left) for node in left[key]]
        rest_b = [node for key in sorted(right) for node in right[key]]
        return total + sum(match(x, y) for x, y in zip(rest_a, rest_b, strict=False))
    fewer, more = sorted((a, b), key=len)
    return _hungarian([[match(x, y) for y in more] for x in fewer])


def _counted(nodes: Sequence[RuleNode]) -> dict[str, list[RuleNode]]:
    groups: dict[str, list[RuleNode]] = {}
    for node in nodes:
        groups.setdefault(node.dump(), []).append(node)
    return groups


def _hungarian(gain: Sequence[Sequence[float]]) -> float:
    """Maximum-weight assignment of every row to a column of its own; rows ≤ columns.

    The shortest-augmenting-path form of the Hungarian method (Jonker and Volgenant, 1987).
    """
    n, m = len(gain), len(gain[0])
    u, v = [0.0] * (n + 1), [0.0] * (m + 1)
    row_of = [0] * (m + 1)
    for i in range(1, n + 1):
        row_of[0] = i
        column = 0
        slack = [float("inf")] * (m + 1)
        came_from = [0] * (m + 1)
        used = [False] * (m + 1)
        while row_of[column]:
            used[column] = True
            row, step, nearest = row_of[column], float("inf"), 0
            for j in range(1, m + 1):
                if used[j]:
                    continue
                cost = -gain[row - 1][j - 1] - u[row] - v[j]
                if cost < slack[j]:
                    slack[j], came_from[j] = cost, column
                if slack[j] < step:
                    step, nearest = slack[j], j
            for j in range(m + 1):
                if used[j]:
                    u[row_of[j]] += step
                    v[j] -= step
                else:
                    slack[j] -= step
            column = nearest
        while column:
            row_of[column] = row_of[came_from[column]]
            column = came_from[column]
    return sum(gain[row_of[j] - 1][j - 1] for j in range(1, m + 1) if row_of[j])
