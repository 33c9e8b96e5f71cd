"""A tree answers by offsets; each answer is checked against a look at every one of its nodes."""

from __future__ import annotations

from itertools import combinations, pairwise
from pathlib import Path

import pytest
from tests.mining.test_cases import CASES, case

from rulewright import grammars
from rulewright.languages import Language, language_of_path
from rulewright.mining.text.snippets import WRAPPERS
from rulewright.mining.text.tree import Node, Tree

TEXTS: list[tuple[Language, str]] = [
    ("python", "def f(a, b=1):\n    return [a, b]  # both\n"),
    ("javascript", "f(() => { g(1) })\n\n\nh()\n"),
    ("go", "package p\n\nvar a, b = 1, x.y\n"),
    ("java", "class A {\n\tint a() { return -1; }\n}\n"),
]


@pytest.fixture(params=TEXTS, ids=[language for language, _ in TEXTS])
def tree(request: pytest.FixtureRequest) -> Tree:
    language, text = request.param
    return Tree(text, language)


def ranges(tree: Tree) -> list[tuple[int, int]]:
    return list(combinations(range(len(tree.text) + 1), 2))


def everything(tree: Tree) -> list[Node]:
    return list(tree.root.walk())


def test_a_node_has_the_text_of_ast_grep_and_its_place(tree: Tree) -> None:
    for node in everything(tree):
        assert tree.text_of(node) == node.sg.text()
        assert node.size == len(node.sg.text())
        assert node.named is node.sg.is_named()
        for slot, child in enumerate(node.children):
            assert child.parent is node and child.slot == slot and child.index > node.index
            assert child.siblings_after() == node.children[slot + 1 :]
            assert child.siblings_before() == node.children[:slot][::-1], "nearest first"
            assert next(child.ancestors()) is node and [*child.ancestors()][-1] is tree.root
    assert tree.root.siblings_after() == tree.root.siblings_before() == []


def test_the_leaves_spell_the_text_in_order(tree: Tree) -> None:
    leaves = [tree.text_of(leaf) for leaf in tree.root.leaves()]
    assert "".join("".join(leaves).split()) == "".join(tree.text.split()) and all(leaves)


def test_the_nodes_at_around_and_within_a_range(tree: Tree) -> None:
    nodes = everything(tree)
    for start, end in ranges(tree):
        exact = {n.index for n in nodes if (n.start, n.end) == (start, end)}
        assert {n.index for n in tree.at(start, end)} == exact
        around = {n.index for n in nodes if n.start <= start and end <= n.end} | {tree.root.index}
        assert {n.index for n in tree.covering(start, end)} == around
        inside = [n for n in nodes if n.size and start <= n.start and n.end <= end]
        assert [n for n in tree.within(start, end) if n.size] == inside


def test_of_nodes_with_one_range_the_outer_comes_first(tree: Tree) -> None:
    for start, end in ranges(tree):
        at, around = tree.at(start, end), tree.covering(start, end)
        assert all(outer in inner.ancestors() for outer, inner in pairwise(at))
        assert all(outer in inner.ancestors() for inner, outer in pairwise(around))


def test_siblings_that_span_a_range(tree: Tree) -> None:
    rows = {
        (row[0].start, row[-1].end)
        for node in everything(tree)
        for first in range(len(node.children))
        for last in range(first, len(node.children))
        if (row := [c for c in node.children[first : last + 1] if c.size])
    }
    rows.add((tree.root.start, tree.root.end))
    for start, end in ranges(tree):
        found = tree.siblings_spanning(start, end)
        assert bool(found) == ((start, end) in rows)
        if found:
            assert (found[0].start, found[-1].end) == (start, end)
            assert len({id(node.parent) for node in found}) == 1
            assert len(found) == 1 or not tree.at(start, end), "one node that is all of it comes first"


def test_a_range_goes_from_edge_to_edge_where_nodes_begin_and_end(tree: Tree) -> None:
    nodes = [n for n in everything(tree) if n.size]
    begins, ends = {n.start for n in nodes}, {n.end for n in nodes}
    for start, end in ranges(tree):
        assert tree.is_edge_to_edge(start, end) == (start in begins and end in ends)


def test_the_blanks_that_begin_a_line(tree: Tree) -> None:
    at = 0
    for line in tree.text.splitlines(keepends=True):
        indent = line[: len(line.rstrip("\n")) - len(line.rstrip("\n").lstrip(" \t"))]
        assert {tree.line_indent(at + i) for i in range(len(line))} == {indent}
        at += len(line)


@pytest.mark.parametrize(
    ("language", "code", "is_local"),
    [
        ("python", "def f(x):\n    with a as it:\n        pass\n", True),
        ("python", "def f(x):\n    try:\n        a\n    except E as it:\n        pass\n", True),
        ("python", "def f(x):\n    for y, (it, *z) in x:\n        pass\n", True),
        ("python", "def f(x):\n    return (it := x)\n", True),
        ("python", "def f(x, it=1):\n    return x\n", True),
        ("python", "def f(x=it, y: int = it):\n    return x\n", False),
        ("python", "with a as it:\n    pass\n", False),
        ("javascript", "function f(x) { const { it } = x; }", True),
        ("javascript", "function f(x) { const { a: it } = x; }", True),
        ("javascript", "function f(x) { const { it: a } = x; }", False),
        ("javascript", "function f(x) { const [a, it] = x; }", True),
        ("javascript", "function f(x) { const { it = 1 } = x; }", True),
        ("javascript", "function f(it = 1) { }", True),
        ("javascript", "function f(x = it) { }", False),
        ("javascript", "const f = ({ it }) => 1;", True),
        ("javascript", "const { it } = x;", False),
        ("typescript", "function f(it: A = 1) { }", True),
        ("typescript", "function f(x: A = it) { }", False),
        ("java", "class A { void f() { for (A it : b) { } } }", True),
        ("java", "class A { void f() { for (A a : it) { } } }", False),
        ("java", "class A { int it; }", False),
        ("go", "package p\nfunc f() {\n\tx, it := g()\n}\n", True),
        ("rust", "fn f() { let (a, it) = x; }", True),
        ("rust", "fn f() { let a = it; }", False),
        ("c", "void f() { int x, it; }", True),
        ("c", "void f() { int *it; }", True),
        ("c", "void f() { int x = it; }", False),
        ("c", "int it(void) { return 1; }", False),
        ("cpp", "void f() { for (auto it : b) { } }", True),
        ("cpp", "void f(int x = it) { }", False),
        ("kotlin", "fun f(it: Int) { }", True),
        ("kotlin", "fun f(x: Int = it) { }", False),
    ],
)
def test_a_name_that_a_function_declares(language: Language, code: str, is_local: bool) -> None:
    assert Tree(code, language).has_local("it") is is_local


def test_a_range_without_the_blanks_at_its_ends() -> None:
    tree = Tree(" x = 1 \n", "python")
    assert tree.stripped(0, 8) == (1, 6) and tree.stripped(6, 8) == (8, 8)


@pytest.mark.parametrize("n", [1, 3])
def test_how_deep_a_tree_is(n: int) -> None:
    # A module, a statement, n lists and a number in the innermost of them.
    tree = Tree("[" * n + "1" + "]" * n + "\n", "python")
    assert tree.is_deeper_than(n + 2) and not tree.is_deeper_than(n + 3)


@pytest.mark.parametrize("folder", CASES[::10], ids=lambda folder: folder.name)
def test_errors_and_work_of_a_text(folder: Path) -> None:
    before, *_ = case(folder)
    tree = Tree(before, language_of_path(next(folder.glob("before.*"))))
    assert tree.n_errors() == sum(node.kind == "ERROR" for node in everything(tree))
    assert tree.work == 0.2, "a short text is not free"
    assert Tree("x = 1\n" * 5_000, "python").work == 3.0, "30,000 characters are three times 10,000"


@pytest.mark.parametrize("language", sorted(WRAPPERS))
def test_the_whole_of_every_file_is_known_as_that(language: Language) -> None:
    assert Tree("", language).root.kind in grammars.ROOTS
    assert Tree("x\n", language).root.kind in grammars.ROOTS
