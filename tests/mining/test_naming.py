"""A node is named by its name, or by as much of its first line as no other node of its kind begins with."""

from __future__ import annotations

from typing import Any

import pytest

from rulewright.mining.propose.naming import by_name
from rulewright.mining.text.tree import Tree

CODE = """\
def handle_the_first_request(a):
    pass
def handle_the_first_request(b):
    pass
with open_the_door(a) as door:
    pass
with open_the_window(c) as window:
    pass
with open_the_window(d) as window:
    pass
go(a)
"""


def named(name: str) -> dict[str, Any]:
    return {"field": "name", "regex": f"^{name}$"}


@pytest.mark.parametrize(
    ("number", "ways"),
    [
        # Two begin alike, so all of the first line is needed.
        (1, [{"has": named("handle_the_first_request")}, {"regex": r"^def handle_the_first_request\(b"}]),
        # Words alone, from the 16th character on.
        (2, [{"regex": "^with open_the_door"}]),
        (4, [{"regex": r"^with open_the_window\(d"}]),
        # One line is asked for to its end.
        (5, [{"regex": r"^go\(a\)$"}]),
    ],
)
def test_how_a_node_is_named(number: int, ways: list[dict[str, Any]]) -> None:
    tree = Tree(CODE, "python")
    node = tree.root.children[number]
    assert list(by_name(tree, node)) == [{"kind": node.kind, **way} for way in ways]


@pytest.mark.parametrize(("n", "held"), [(60, True), (61, False)])
def test_a_name_that_is_too_long_is_none(n: int, held: bool) -> None:
    tree = Tree(f"def {'f' * n}():\n    pass\n", "python")
    assert any("has" in way for way in by_name(tree, tree.root.children[0])) is held


@pytest.mark.parametrize(("n", "end"), [(80, "$"), (81, "")])
def test_a_long_line_is_cut(n: int, end: str) -> None:
    tree = Tree(f"go('{'a' * (n - 6)}')\n", "python")
    [way] = by_name(tree, tree.root.children[0])
    assert way["regex"].endswith("$") is bool(end)
