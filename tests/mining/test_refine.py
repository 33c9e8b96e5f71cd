"""A rule that hits too much is narrowed by what its right places have and its wrong ones lack."""

from __future__ import annotations

from typing import Any

import pytest

from rulewright.languages import Language
from rulewright.mining.candidate import Candidate
from rulewright.mining.judge.refine import refinements
from rulewright.mining.judge.soundness import effect
from rulewright.mining.propose import proposals
from rulewright.mining.text.align import variants
from rulewright.mining.text.tree import Tree


def narrowed(language: Language, pre: str, post: str, pattern: str) -> dict[str, Any]:
    """The first sound refinement of the candidate with this pattern: what was added to it."""
    edit = next(variants(Tree(pre, language), Tree(post, language)))
    candidate = next(
        c for c in proposals.for_hunk(edit, 0, frozenset(), set(), lambda: False)
        if c.rule["rule"].get("pattern") == pattern
    )  # fmt: skip
    done = effect(edit, candidate)
    assert done is not None and done.hunks and done.negatives
    better = next(c for c in refinements(edit, candidate, done) if _is_sound(edit, c))
    assert better.cost > candidate.cost
    return {
        key: value
        for key, value in {**better.rule["rule"], **better.rule.get("constraints", {})}.items()
        if key not in ("pattern", "kind")
    }


def _is_sound(edit: Any, candidate: Candidate) -> bool:
    done = effect(edit, candidate)
    return done is not None and done.sound


@pytest.mark.parametrize(
    ("language", "pre", "post", "pattern", "added"),
    [
        ("python", "f('a', 1)\nf(b, 1)\n", "g('a', 1)\nf(b, 1)\n", "f($A, $B)", {"A": {"kind": "string"}}),
        ("python", "f(a, 1)\nf(b, 1)\n", "g(a, 1)\nf(b, 1)\n", "f($A, $B)", {"A": {"regex": "^a$"}}),
        (
            "python",
            "class A:\n    x = f(a, 1)\nclass B:\n    x = f(a, 1)\n",
            "class A:\n    x = g(a, 1)\nclass B:\n    x = f(a, 1)\n",
            "f($A, $B)",
            {"inside": {
                "kind": "class_definition", "has": {"field": "name", "regex": "^A$"}, "stopBy": "end",
            }},
        ),
        ("python", "x = f(a, 1)\nf(a, 1)\n", "x = g(a, 1)\nf(a, 1)\n", "f($A, $B)",
         {"inside": {"kind": "assignment"}}),
        ("javascript", "f(a, 1)\nlet x = f(a, 1)\n", "g(a, 1)\nlet x = f(a, 1)\n", "f($A, $B)",
         {"inside": {"kind": "expression_statement"}}),
    ],
)  # fmt: skip
def test_the_cheapest_demand_that_tells_them_apart(
    language: Language, pre: str, post: str, pattern: str, added: dict[str, Any]
) -> None:
    assert narrowed(language, pre, post, pattern) == added
