"""A rule that hits too much is narrowed by what its right places have and its wrong ones lack."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from rulewright.languages import Language
from rulewright.mining.judge.refine import refinements
from rulewright.mining.judge.soundness import effect
from rulewright.mining.propose import proposals
from rulewright.mining.propose.candidate import Candidate
from rulewright.mining.text.align import Edit, variants
from rulewright.mining.text.tree import Tree


def proposed(language: Language, pre: str, post: str, pattern: str) -> tuple[Edit, Candidate]:
    """The edit, and the first candidate for it with this pattern."""
    edit = next(variants(Tree(pre, language), Tree(post, language)))
    found = proposals.for_hunk(edit, 0, frozenset(), set(), lambda: False)
    return edit, next(c for c in found if c.rule["rule"].get("pattern") == pattern)


def narrowed(language: Language, pre: str, post: str, pattern: str) -> dict[str, Any]:
    """The first sound refinement of the candidate with this pattern: what was added to it."""
    edit, candidate = proposed(language, pre, post, pattern)
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
    return done is not None and done.is_sound


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
        ("python", "f(a, 1)\nf(b, 1)\nf(c, 1)\n", "g(a, 1)\ng(b, 1)\nf(c, 1)\n", "f($A, $B)",
         {"A": {"regex": "^(a|b)$"}}),
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


PLACES: list[tuple[Language, str, str]] = [
    ("python", "a + f(a, 1)\nb - f(a, 1)\n", "a + g(a, 1)\nb - f(a, 1)\n"),
    ("python", "f(a, 1) + a\nf(a, 1) - b\n", "g(a, 1) + a\nf(a, 1) - b\n"),
    ("rust", "fn m() { f(a, 1) }\nfn n() { let x = 1; f(a, 1) }\nfn o() { h(); f(a, 1) }\n",
     "fn m() { f(a, 1) }\nfn n() { let x = 1; g(a, 1) }\nfn o() { h(); f(a, 1) }\n"),
    ("python", "h(key=f(a, 1), b=f(a, 1))\n", "h(key=g(a, 1), b=f(a, 1))\n"),
    ("python", "def a():\n    f(a, 1)\ndef b():\n    f(a, 1)\n",
     "def a():\n    g(a, 1)\ndef b():\n    f(a, 1)\n"),
    ("python", "class A:\n    f(a, 1)\nf(a, 1)\n", "class A:\n    g(a, 1)\nf(a, 1)\n"),
    ("python", "class A:\n    f(a, 1)\nf(a, 1)\n", "class A:\n    f(a, 1)\ng(a, 1)\n"),
    ("python", "f(a, 1)\nf(b.c, 1)\nf('x', 1)\n", "g(a, 1)\nf(b.c, 1)\nf('x', 1)\n"),
    ("python", "f(a, 1)\nf(a, 2)\nf(b, 1)\n", "g(a, 1)\nf(a, 2)\nf(b, 1)\n"),
    ("javascript", "x.y = f(a, 1)\nz = f(a, 1)\n", "x.y = g(a, 1)\nz = f(a, 1)\n"),
    ("javascript", "const o = { k: f(a, 1), m: f(a, 1) }\n", "const o = { k: g(a, 1), m: f(a, 1) }\n"),
]  # fmt: skip
"""Edits that change some of the places that `f($A, $B)` matches."""


@pytest.mark.parametrize(("language", "pre", "post"), PLACES)
def test_every_refinement_leaves_the_wrong_places_alone_and_keeps_the_right_ones(
    language: Language, pre: str, post: str
) -> None:
    edit, candidate = proposed(language, pre, post, "f($A, $B)")
    done = effect(edit, candidate)
    assert done is not None and done.negatives
    found = list(refinements(edit, candidate, done))
    assert found and all(better.cost > candidate.cost for better in found)
    for better in found:
        after = effect(edit, better)
        assert after is not None and after.is_sound and after.positives == done.positives, better.rule


def test_all_refinements_with_their_prices(same: Callable[[str, str], None]) -> None:
    """After a change that is meant, `--write-golden` writes them anew; read the difference."""
    lines = []
    for language, pre, post in PLACES:
        edit, candidate = proposed(language, pre, post, "f($A, $B)")
        done = effect(edit, candidate)
        assert done is not None
        lines.append(f"{language}: {pre!r} → {post!r}")
        lines += [f"  {one.extra_cost:6.3f} {one.key}" for one in refinements(edit, candidate, done)]
    same("narrowed.txt", "\n".join(lines) + "\n")


@pytest.mark.parametrize(("n", "told"), [(60, True), (61, False), (62, False)])
def test_too_many_wrong_places_are_not_told_apart(n: int, told: bool) -> None:
    pre = "f('a', 1)\n" + "f(a, 1)\n" * n
    edit, candidate = proposed("python", pre, pre.replace("f('a'", "g('a'"), "f($A, $B)")
    done = effect(edit, candidate)
    assert done is not None and len(done.negatives) == min(n, 61), "no more are looked for"
    assert bool(list(refinements(edit, candidate, done))) is told


@pytest.mark.parametrize(("n", "told"), [(60, True), (61, False)])
def test_a_place_is_named_by_a_name_that_a_person_can_read(n: int, told: bool) -> None:
    pre = f"class {'A' * n}:\n    x = f(a, 1)\nclass B:\n    x = f(a, 1)\n"
    edit, candidate = proposed("python", pre, pre.replace("f(", "g(", 1), "f($A, $B)")
    done = effect(edit, candidate)
    assert done is not None
    assert any("A" * n in better.key for better in refinements(edit, candidate, done)) is told


def demands(right: list[str], wrong: str) -> list[str]:
    """What tells the first arguments of the right calls from that of the wrong one, as text."""
    pre = "".join(f"f({one}, 1)\n" for one in (*right, wrong))
    post = "".join(f"g({one}, 1)\n" for one in right) + f"f({wrong}, 1)\n"
    edit, candidate = proposed("python", pre, post, "f($A, $B)")
    done = effect(edit, candidate)
    assert done is not None
    found = (one.rule.get("constraints", {}).get("A", {}) for one in refinements(edit, candidate, done))
    return [str(one) for one in found if one]


@pytest.mark.parametrize(("right", "told"), [(["'a'", "b"], True), (["'a'", "b", "c.d"], False)])
def test_a_variable_of_so_many_kinds(right: list[str], told: bool) -> None:
    assert any("kind" in one for one in demands(right, "[]")) is told


@pytest.mark.parametrize(("right", "told"), [
    (["a", "b", "c", "d"], True), (["a", "b", "c", "d", "e"], False),
    (["a" * 40], True), (["a" * 41], False),
])  # fmt: skip
def test_a_variable_of_so_many_texts(right: list[str], told: bool) -> None:
    assert any("regex" in one for one in demands(right, "z")) is told


def test_one_text_is_asked_for_without_parentheses() -> None:
    assert "{'regex': '^a$'}" in demands(["a"], "z")
    assert "{'regex': '^(a|b)$'}" in demands(["a", "b"], "z")


@pytest.mark.parametrize(
    ("before", "other", "told"),
    [
        ("let x = 1;", "let x = 1;", True),
        # Each right place has another one before it.
        ("let x = 1;", "let x = 3;", False),
        (f"let x = {'a' * 71};", f"let x = {'a' * 71};", True),
        (f"let x = {'a' * 72};", f"let x = {'a' * 72};", False),
        ("let x =\n1;", "let x =\n1;", False),
    ],
)
def test_the_text_of_a_neighbor_is_asked_for_where_it_is_one_short_line(
    before: str, other: str, told: bool
) -> None:
    pre = "".join(f"fn m() {{ {line} f(a, 1) }}\n" for line in (before, other, "let y = 2;"))
    edit, candidate = proposed("rust", pre, pre.replace("f(a", "g(a", 2), "f($A, $B)")
    done = effect(edit, candidate)
    assert done is not None and len(done.positives) == 2 and len(done.negatives) == 1
    found = [one.rule["rule"].get("follows", {}) for one in refinements(edit, candidate, done)]
    assert any("regex" in one for one in found) is told
