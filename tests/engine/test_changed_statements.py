"""Which statements a rule changes, what they become, and when they parse by themselves."""

from __future__ import annotations

from typing import Any

import pytest

from rulewright.actions import Action
from rulewright.engine import changed_statements
from rulewright.engine.apply import Step, trace
from rulewright.engine.changed_statements import ChangedStatement
from rulewright.languages import Language

OLD: dict[str, Any] = {"rule": {"pattern": "old($$$A)"}, "fix": "mid($$$A)"}


def step_of(code: str, rule: dict[str, Any] = OLD, language: Language = "python") -> Step:
    (step,) = trace(Action(language, (rule,)), code, exact=True).steps
    assert step.edits
    return step


def fixed(fix: str) -> dict[str, Any]:
    return {**OLD, "fix": fix}


@pytest.mark.parametrize(
    ("code", "found"),
    [
        ("x = 1\nold(1)\ny = 2\n", [("old(1)", 0, "mid(1)")]),
        ("x = old(1)\ny = old(2)", [("x = old(1)", 0, "x = mid(1)"), ("y = old(2)", 0, "y = mid(2)")]),
        ("x = f(old(1), old(2))\n", [("x = f(old(1), old(2))", 0, "x = f(mid(1), mid(2))")]),
        ("def f():\n    old(1)\n    y\n", [("    old(1)", 4, "    mid(1)")]),
        ("def f():\n\told(\n\t\t1)\n", [("\told(\n\t\t1)", 1, "\tmid(1)")]),
        # What stands in the head of a statement changes the whole of it, with what stands below.
        ("if old(1):\n    old(2)\n", [("if old(1):\n    old(2)", 0, "if mid(1):\n    mid(2)")]),
        (
            "if x:\n    old(1)\nelif old(2):\n    y\n",
            [("if x:\n    old(1)\nelif old(2):\n    y", 0, "if x:\n    mid(1)\nelif mid(2):\n    y")],
        ),
        (
            "if x:\n    if y:\n        old(1)\n    elif old(2):\n        z\n    old(3)\n",
            [
                ("    if y:\n        old(1)\n    elif old(2):\n        z", 4,
                 "    if y:\n        mid(1)\n    elif mid(2):\n        z"),
                ("    old(3)", 4, "    mid(3)"),
            ],
        ),
        # A statement that shares its lines is part of a larger one, if there is one.
        ("if a:\n    x = 1; old(1)\n", [("if a:\n    x = 1; old(1)", 0, "if a:\n    x = 1; mid(1)")]),
        ("x = 1; old(1)\n", None),
        ("old(1); x = 1\n", None),
        ("old(1)  # why\n", None),
        ("old(1) \n", [("old(1)", 0, "mid(1)")]),
        ("old(2)\nold(1)  # why\n", None),
    ],
)  # fmt: skip
def test_the_smallest_statements_about_matches(code: str, found: list[tuple[str, int, str]] | None) -> None:
    holes = changed_statements.changed(code, step_of(code).edits)
    told = [(code[hole.start : hole.end], hole.indent, hole.text) for hole in holes or ()]
    assert (holes is None, told) == (found is None, found or [])


@pytest.mark.parametrize(
    ("language", "code", "fix", "is_known"),
    [
        ("python", "old(1)\n", "mid(1)", True),
        ("python", "old(1)\n", "mid", False),  # it ends otherwise
        ("python", "x = 1\nold(1)\n", "(mid)(1)", False),  # it may go on with the line above
        ("python", "x = 1\n(old(1))\n", "(mid)(1)", True),  # as it did before
        ("ruby", "x = 1\nold(1)\n", "mid(<<~A)", False),
        ("ruby", "old(<<~A)\n  b\nA\n", "mid(1)", False),
        ("ruby", "old(1 << 2)\n", "mid(1 << 2)", True),
        ("rust", "fn f() {\n    old(1)\n}\n", "mid(1)", True),
    ],
)
def test_a_changed_statement_begins_and_ends_as_before(
    language: Language, code: str, fix: str, is_known: bool
) -> None:
    holes = changed_statements.changed(code, step_of(code, fixed(fix), language).edits)
    assert (holes is not None) is is_known
    if language == "rust" and holes is not None:
        assert [hole.kind for hole in holes] == ["function_item"], "the last of a block may be its value"


@pytest.mark.parametrize(
    ("first", "second", "left"),
    [
        # A statement of before stays, or goes into a larger one that a later rule changes.
        ("a", "b", ["a = f(5)", "b = mid(2)"]),
        ("b", "a", ["a = mid(1)", "b = f(5)"]),
        ("c", "c", ["if mid(4):\n    c = f(5)"]),
    ],
)
def test_statements_of_earlier_rules(first: str, second: str, left: list[str]) -> None:
    code = "a = old(1)\nb = old(2)\nif old(4):\n    c = g(3)\n"
    lines = {name: {"rule": {"pattern": f"{name} = $X"}, "fix": f"{name} = f(5)"} for name in "abc"}
    held = changed_statements.changed(code, step_of(code, lines[first]).edits)
    assert held is not None
    edits = [edit for edit in step_of(code).edits if ("abc".index(second) + 1) * 11 > edit.start >=
             "abc".index(second) * 11]  # fmt: skip
    holes = changed_statements.changed(code, edits, held)
    assert holes is not None and [hole.text for hole in holes] == left


def alone(texts: list[tuple[str, str]], language: Language, limit: int) -> changed_statements.Alone | None:
    """Parse texts, each given with the statement that it replaces."""
    holes: list[ChangedStatement] = []
    for old, new in texts:
        step = step_of(old, {"rule": {"kind": "identifier", "regex": "^old$"}, "fix": "mid"}, language)
        found = changed_statements.changed(old, step.edits)
        assert found is not None
        holes.append(found[0]._replace(text=new))
    return changed_statements.parse_alone(holes, language, limit)


@pytest.mark.parametrize(
    ("language", "texts", "starts"),
    [
        ("python", [("old()", "mid()"), ("x = old", "y = 1")], (0, 6)),
        ("python", [("if x:\n    old()", "    mid()"), ("old", "z")], (6, 16)),
        ("javascript", [("f(() => {\n  old();\n});", "  mid();"), ("old;", "z;")], (0, 9)),
        ("python", [("old()", "mid(")], None),
        ("python", [("old()", "x = 1")], (0,)),
        ("python", [("old()", "return")], None),  # another kind
        ("python", [("old()", "mid()\nmid()")], None),  # two
        ("python", [("old()", "# gone")], None),  # none
        ("python", [("if x:\n    old()", "    a\n    b")], None),
        ("python", [("if x:\n    old()", "  a")], None),  # indented otherwise
    ],
)
def test_changed_statements_parse_by_themselves_if_each_stays_one_of_its_kind(
    language: Language, texts: list[tuple[str, str]], starts: tuple[int, ...] | None
) -> None:
    found = alone(texts, language, 1_000)
    assert (None if found is None else found.starts) == starts


def test_they_are_parsed_up_to_a_limit() -> None:
    """With the end of each line, and what an indented one stands below."""
    texts = [("old()", "mid()"), ("if x:\n    old()", "    mid()")]
    n = len("mid()\nif 1:\n    mid()\n")
    assert alone(texts, "python", n) is not None and alone(texts, "python", n - 1) is None


REST = "\n\ndef other(a):\n    return a\n"


@pytest.mark.parametrize(
    ("fix", "texts"),
    [("mid($$$A)", ["mid(1)", "mid(2, 3)", "mid()"]), ("longer_name(0, $$$A)", None), ("f()", ["f()"] * 3)],
)
def test_where_the_text_of_each_edit_stands_among_the_changed_statements(
    fix: str, texts: list[str] | None
) -> None:
    code = f"x = [old(1), old(2, 3)]\n{REST * 100}y = old()\n"
    parts = step_of(code, fixed(fix)).parts
    assert parts is not None
    whole = parts.root.text()
    found = [whole[start:end] for start, end in parts.spans]
    assert found == (texts or ["longer_name(0, 1)", "longer_name(0, 2, 3)", "longer_name(0, )"])


@pytest.mark.parametrize(("n_chars", "parted"), [(2_000, True), (1_999, False)])
def test_from_2000_characters_on_the_changed_statements_are_parsed_alone(n_chars: int, parted: bool) -> None:
    code = "old(1)\n"
    step = step_of(code + "#" * (n_chars - len(code)))
    assert (step.parts is not None) is parted
    assert step_of("x = (\n" + step.source).parts is None, "a text with faults"
