"""What each operator proposes for a change: the places that it writes to, and that it makes the change."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.mining.test_cases import CASES, case

from rulewright.actions import visit
from rulewright.languages import Language, language_of_path
from rulewright.mining.judge.soundness import effect
from rulewright.mining.propose import deletions, insertions, runs, tokens
from rulewright.mining.propose.candidate import Candidate
from rulewright.mining.text.align import Edit, variants
from rulewright.mining.text.tree import Tree

Operator = Callable[[Edit, int], Iterator[Candidate]]


def gone(edit: Edit, number: int) -> Iterator[Candidate]:
    return deletions.deletions(edit, number, frozenset())


def run(edit: Edit, number: int) -> Iterator[Candidate]:
    return runs.runs(edit, number, frozenset())


OPERATORS: list[Operator] = [
    tokens.inside_token, runs.final_newline, insertions.insertions, gone, run,
]  # fmt: skip


@pytest.mark.parametrize("folder", CASES[2::4], ids=lambda folder: folder.name)
def test_a_proposal_that_hits_nothing_else_makes_its_change(folder: Path) -> None:
    before, after, *_ = case(folder)
    language = language_of_path(next(folder.glob("before.*")))
    for edit in variants(Tree(before, language), Tree(after, language)):
        for number in range(len(edit.hunks)):
            for operator in OPERATORS:
                for candidate in operator(edit, number):
                    done = effect(edit, candidate)
                    assert number in candidate.hunks
                    rule = candidate.rule
                    used = visit.bound({"pattern": visit.template_of(rule["fix"])})
                    assert used <= visit.bound(rule["rule"]) | rule.get("transform", {}).keys(), rule
                    if done is not None and done.positives and not done.negatives:
                        assert done.hunks >= candidate.hunks, candidate.rule


def written(rule: dict[str, Any]) -> str:
    """What a fix writes, and on which sides it reaches further than its match."""
    fix = rule["fix"]
    if isinstance(fix, str):
        return fix
    sides = {"expandStart": "<", "expandEnd": ">"}
    return f"{''.join(sides[key] for key in sides if key in fix)} {fix['template']}"


def fixes(operator: Operator, language: Language, pre: str, post: str) -> set[str]:
    edit = next(variants(Tree(pre, language), Tree(post, language)))
    return {written(one.rule) for number in range(len(edit.hunks)) for one in operator(edit, number)}


@pytest.mark.parametrize(
    ("operator", "language", "pre", "post", "wanted"),
    [
        # Beside one neighbor, or over both of them.
        (insertions.insertions, "python", "a()\nc()\n", "a()\nb()\nc()\n",
         {"b()\nc()", "a()\nb()", "< $Z\nb()\nc()", "> a()\nb()\n$Z"}),
        (insertions.insertions, "python", "f(a, b)\n", "f(a, new, b)\n", {"new, b", "< , new, b"}),
        (insertions.insertions, "python", "def f():\n    a()\n", "def f():\n    a()\n    b()\n",
         {"$A\n    b()"}),
        (insertions.insertions, "python", "a()\nb()\n", "a()\nc()\n", set()),
        # A statement goes over the one before it or after it; alone only where nothing is beside it.
        (gone, "python", "a()\nb(1)\nc()\n", "a()\nc()\n", {"< $Z", "> $Z"}),
        (gone, "python", "def f():\n    a()\n    b()\n", "def f():\n    a()\n", {"< $Z"}),
        (gone, "python", "import a\n", "\n", {""}),
        (gone, "python", "a()\nb()\nb2()\nc()\n", "a()\nc()\n", {"<> $Z"}),
        (gone, "python", "f(a, old)\n", "f(a)\n", {"< "}),
        (gone, "javascript", "f(old, a);\n", "f(a);\n", {"> "}),
        (gone, "python", "a()\nb()\n", "a()\nc()\n", set()),
        # Neighbors that change together, with one more on either side.
        (run, "python", "a()\nb(1)\nc()\n", "a()\nd(1)\nc()\n", {"> d$A", "> $A\nd($$$B)", "> d($$$A)\n$B"}),
        (run, "python", "a()\nc()\n", "a()\nb()\nc()\n", {"> $A\nb()\n$B"}),
        # The end of a file.
        (runs.final_newline, "python", "a()\nb()", "a()\nb()\n", {"$T\n"}),
        (runs.final_newline, "go", "package p\n\nvar a = 1", "package p\n\nvar a = 1\n", {"$T\n"}),
        (runs.final_newline, "go", "package p\n\nvar a = 1\n", "package p\n\nvar a = 1", set()),
        (runs.final_newline, "python", "a()\nb()\n", "a()\nb()", set()),
        (runs.final_newline, "python", "a()\nb()\n", "a()\n\nb()\n", set()),
    ],
)  # fmt: skip
def test_what_an_operator_writes(
    operator: Operator, language: Language, pre: str, post: str, wanted: set[str]
) -> None:
    assert fixes(operator, language, pre, post) == wanted


def test_all_that_changes_in_a_row_is_one_run() -> None:
    found = fixes(run, "python", "a()\nb(1)\nb(2)\nc()\n", "a()\nd(3)\nc()\n")
    assert {"> d(3)", "> $A\nd(3)", "> d(3)\n$A"} <= found


@pytest.mark.parametrize("top", ["", "stay()\n" * 200])
def test_a_long_insertion_is_not_spelled_out(top: str) -> None:
    for size, told in ((1_000, True), (1_001, False)):
        new = "x" * (size - 1) + "\n"
        made = fixes(insertions.insertions, "python", f"{top}a()\nc()\n", f"{top}a()\n{new}c()\n")
        assert bool(made) is told


def test_a_neighbor_of_a_run_is_told_by_its_first_line_too() -> None:
    """With variables for single words with and without it, and with the words as they stand only with it."""
    pre = "a(0)\ny = b\nc()\n"
    edit = next(variants(Tree(pre, "python"), Tree(pre.replace("b", "d"), "python")))
    of_statements = [one for one in run(edit, 0) if "expression_statement" in one.key]
    ways = {("regex" in str(one.rule["rule"]), "y = b" in one.key) for one in of_statements}
    assert ways == {(False, False), (True, False), (True, True)}
