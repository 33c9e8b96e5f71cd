"""Which matches a comment silences, and which selectors name the kind of what they select."""

from __future__ import annotations

import pytest
from ast_grep_py import SgRoot

from rulewright.engine import selectors, suppress


def kept(code: str, rule_id: str = "r") -> list[int]:
    """Lines of the calls of `f` that no comment silences, from 1."""
    root = SgRoot(code, "python").root()
    found = root.find_all(pattern="f($$$)")
    return [node.range().start.line + 1 for node in suppress.keep(found, root, rule_id)]


@pytest.mark.parametrize(
    ("code", "lines"),
    [
        ("f()\nf()\n", [1, 2]),
        ("f()\n# ast-grep-ignore\nf()\nf()\n", [1, 4]),
        ("f()  # ast-grep-ignore\nf()\n", [2]),
        ("# ast-grep-ignore\n\nf()\nf()\n", []),
        ("# ast-grep-ignore\nf()\nf()\n", [3]),
        ("f()\n# ast-grep-ignore: r\nf()\n", [1]),
        ("f()\n# ast-grep-ignore: other\nf()\n", [1, 3]),
        ("f()\n# ast-grep-ignore: other, r\nf()\n", [1]),
        ("f()\n# ast-grep-ignore: r for a reason\nf()\n", [1]),
        ("f()\n# see ast-grep-ignore\nf()\n", [1, 3]),
        ("f()\nx = '# ast-grep-ignore'\nf()\n", [1, 3]),
        ("# ast-grep-ignore: other\n\nf()\n", [3]),
        ("# ast-grep-ignore: other\n\nf()\n# ast-grep-ignore\nf()\n", [3]),
        ("# ast-grep-ignore\n\nf()\n# ast-grep-ignore: other\nf()\n", []),
        ("f()\n# ast-grep-ignore: other\n# ast-grep-ignore: r\nf()\n", [1]),
    ],
)
def test_a_comment_silences_what_begins_on_its_line(code: str, lines: list[int]) -> None:
    assert kept(code) == lines


@pytest.mark.parametrize(
    ("selector", "named"),
    [
        ("call", True),
        ("call > identifier", True),
        ("call identifier", True),
        ("call > :has(x)", False),
        (":has(call)", False),
        (":not(call)", False),
        (":is(call)", True),
        (":is(call, attribute)", True),
        (":is(call, :has(x))", False),
        ("call, attribute", True),
        ("call, :has(x)", False),
        ("identifier:has(call)", True),
        ("call:has(x), attribute", True),
        ("call:has(x), :has(y)", False),
        ("a + b", True),
        ("a ~ :nth-child(2)", False),
    ],
)
def test_a_selector_names_its_kind_in_every_alternative(selector: str, named: bool) -> None:
    assert selectors.has_kinds(selector) is named
