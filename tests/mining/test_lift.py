"""What becomes a variable, and that the variables filled in give back both sides of the change."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from tests.mining.test_cases import CASES, case

from rulewright.languages import language_of_path
from rulewright.mining.text.align import Edit, Mapped, variants
from rulewright.mining.text.lift import GENERAL, MAXIMAL, PLAIN, POLICIES, TIGHT, Hole, Lifted, Policy, lift
from rulewright.mining.text.tree import Node, Tree


def reading(before: str, after: str, language: str = "python") -> Edit:
    return next(variants(Tree(before, language), Tree(after, language)))  # type: ignore[arg-type]


def anchors(edit: Edit) -> list[tuple[Node, Mapped]]:
    """Every node around a change with what it became."""
    return [
        (node, mapped)
        for node in edit.pre.root.walk()
        if node.named and edit.touches(node.start, node.end)
        for mapped in edit.map_range(node.start, node.end)
        if mapped.hunks
    ]


def filled(lifted: Lifted, template: str, edit: Edit) -> str:
    texts = {hole.ref: edit.pre.text[hole.start : hole.end] for hole in lifted.holes}
    return re.sub(r"(?:\$\$\$|\$)[A-Z]\d*", lambda found: texts[found.group()], template)


def plain(text: str) -> str:
    """A text whatever its lines are indented by."""
    return "\n".join(line.strip() for line in text.split("\n"))


def _is_split(edit: Edit, hole: Hole) -> bool:
    """Whether something comes between the items that one variable stands for: such a rule is never sound."""
    return hole.multi and not hole.moved and edit.touches(hole.start, hole.end)


@pytest.mark.parametrize("folder", CASES[1::3], ids=lambda folder: folder.name)
def test_variables_filled_in_give_back_both_sides(folder: Path) -> None:
    before, after, *_ = case(folder)
    if "$" in before + after:
        return
    edit = reading(before, after, language_of_path(next(folder.glob("before.*"))))
    n_holes, places = 0, anchors(edit)
    for node, mapped in places:
        for policy in POLICIES:
            lifted = lift(edit, [node], mapped, policy, frozenset())
            if lifted is None or any(_is_split(edit, hole) for hole in lifted.holes):
                continue
            n_holes += len(lifted.holes)
            assert plain(filled(lifted, lifted.pattern, edit)) == plain(edit.pre.text_of(node))
            became = edit.post.text[mapped.start : mapped.end]
            assert plain(filled(lifted, lifted.fix, edit)) == plain(became)
            assert (lifted.hunks, lifted.anchors) == (mapped.hunks, (node,))
    assert n_holes or not places or "$" not in (folder / "rule.yml").read_text("utf-8"), (
        "a rule with variables needs some"
    )


def pattern(before: str, after: str, policy: Policy, language: str = "python", **more: object) -> str:
    """The pattern and the fix of the smallest construct around the whole change."""
    edit = reading(before, after, language)
    every = frozenset(range(len(edit.hunks)))
    node, mapped = min(
        ((n, m) for n, m in anchors(edit) if m.hunks == every and n.children), key=lambda pair: pair[0].size
    )
    lifted = lift(edit, [node], mapped, policy, more.get("names", frozenset()))  # type: ignore[arg-type]
    assert lifted is not None
    return f"{lifted.pattern} → {lifted.fix}"


@pytest.mark.parametrize(
    ("policy", "wanted"),
    [
        (GENERAL, "old($$$A) → new($$$A)"),
        (PLAIN, "old($A, $B, $C) → new($A, $B, $C)"),
        (TIGHT, "old($$$A) → new($$$A)"),
    ],
)
def test_arguments_in_a_row_are_one_variable_unless_they_shall_stand_alone(
    policy: Policy, wanted: str
) -> None:
    assert pattern("old(a, b.c, 3)\n", "new(a, b.c, 3)\n", policy) == wanted


@pytest.mark.parametrize(
    ("before", "after", "policy", "wanted"),
    [
        # A name that is called stays, unless all names shall go.
        ("x = a.f(*old)\n", "x = a.f(*new)\n", GENERAL, "*old → *new"),
        ("x = old(a).f\n", "x = new(a).g\n", GENERAL, "old($$$A).f → new($$$A).g"),
        ("a.f(1).g(2)\n", "a.f(3).g(4)\n", GENERAL, "$A.f(1).g(2) → $A.f(3).g(4)"),
        ("a.f(1).g(2)\n", "a.f(3).g(4)\n", MAXIMAL, "$A(1).$B(2) → $A(3).$B(4)"),
        # A single token may vary, unless tokens shall stay.
        ("x = a + 1\n", "x = a + 2\n", GENERAL, "$A + 1 → $A + 2"),
        ("x = a + 1\n", "x = a + 2\n", TIGHT, "a + 1 → a + 2"),
        # What moves from one side to the other is one variable.
        ("x = a or b\n", "x = b or a\n", GENERAL, "$A or $B → $B or $A"),
        # Items on both sides of one that changes are a variable each, a single one of several by itself.
        ("f(a, b, old, c, d)\n", "f(a, b, new, c, d)\n", GENERAL, "($$$A, old, $$$B) → ($$$A, new, $$$B)"),
        ("f(a, old)\n", "f(a, new)\n", GENERAL, "($A, old) → ($A, new)"),
        # Equal names are one thing; equal numbers may be so by chance.
        ("x = old(a)(a)\n", "x = new(a)(a)\n", PLAIN, "old($A) → new($A)"),
        ("f(1, old, 1)\n", "f(1, new, 1)\n", PLAIN, "($A, old, $B) → ($A, new, $B)"),
        ("f(a, old, a)\n", "f(a, new, a)\n", PLAIN, "($A, old, $A) → ($A, new, $A)"),
    ],
)
def test_what_becomes_a_variable(before: str, after: str, policy: Policy, wanted: str) -> None:
    assert pattern(before, after, policy) == wanted


@pytest.mark.parametrize(
    ("language", "before", "after", "wanted"),
    [
        # All items of a list that goes, where they come back in a row; else each by itself.
        ("python", "x = [a, b]\n", "x = f(a, b)\n", "[$$$A] → f($$$A)"),
        ("python", "x = [a]\n", "x = f(a)\n", "[$A] → f($A)"),
        ("python", "x = [a, b]\n", "x = f(b, a)\n", "[$A, $B] → f($B, $A)"),
        ("python", "x = [a, 1, b]\n", "x = f(a, b)\n", "[$A, 1, $B] → f($A, $B)"),
        # What is in brackets is a value like others, unless it is all that is left.
        ("python", "x = old([a])\n", "x = [a].new()\n", "old($A) → $A.new()"),
        ("python", "x = old({a: 1})\n", "x = {a: 1}.new()\n", "old($A) → $A.new()"),
        ("python", "x = list([a])\n", "x = [a]\n", "list([$A]) → [$A]"),
        ("python", "x = old((a))\n", "x = (a).new()\n", "old(($A)) → ($A).new()"),
        ("javascript", "old(a, b);\n", "a.new(b);\n", "old($A, $B) → $A.new($B)"),
        ("javascript", "old((a, b) => a);\n", "((a, b) => a).new();\n", "old($A) → ($A).new()"),
        # A body that goes may be any, but for what is done in it with a name from before it.
        ("python", "for x in rows:\n    yield y\n", "yield from rows\n",
         "for x in $A:\n    $B → yield from $A"),
        ("python", "for x in rows:\n    yield x\n", "yield from rows\n",
         "for $A in $B:\n    yield $A → yield from $B"),
        ("python", "for x in rows:\n    yield x + 1\n", "yield from rows\n",
         "for $A in $B:\n    yield $A + 1 → yield from $B"),
        ("python", "try:\n    go()\nfinally:\n    pass\n", "go()\n",
         "try:\n    $A\nfinally:\n    pass → $A"),
        # A name that goes and stood there twice; one that stood there once is what goes.
        ("python", "x = old(a, a)\n", "x = new()\n", "old($A, $A) → new()"),
        ("python", "x = old(a, b)\n", "x = new()\n", "old(a, b) → new()"),
        # A comment is no item, and stays.
        ("python", "f(a, # why\n  old, b)\n", "f(a, # why\n  new, b)\n",
         "($A, # why\n  old, $B) → ($A, # why\n  new, $B)"),
        ("python", "f(old, # why\n  a, b)\n", "f(new, # why\n  a, b)\n",
         "(old, # why\n  $$$A) → (new, # why\n  $$$A)"),
        # Constants and names of classes are what the code is about; names in capitals are values.
        ("python", "x = None + 1\n", "x = None + 2\n", "None + 1 → None + 2"),
        ("python", "x = Name + 1\n", "x = Name + 2\n", "Name + 1 → Name + 2"),
        ("python", "x = NAME + 1\n", "x = NAME + 2\n", "$A + 1 → $A + 2"),
        ("python", "class A(Old, B): pass\n", "class A(New, B): pass\n", "(Old, $A) → (New, $A)"),
        ("python", "class A(Old):\n    x = 1\n", "class A(New):\n    x = 2\n",
         "class A(Old):\n    $A = 1 → class A(New):\n    $A = 2"),
        # So are names of arguments; what is declared is not.
        ("python", "f(key=old, other=b)\n", "f(key=new, other=b)\n", "key=old → key=new"),
        ("python", "def f(a, b=1): pass\n", "def f(a, b=2): pass\n", "$A=1 → $A=2"),
        ("javascript", "let a = old(b);\n", "const a = old(b);\n", "let $A; → const $A;"),
        ("java", "class A { private int x = 1; }\n", "class A { private int x = 2; }\n", "$A = 1 → $A = 2"),
        # The name of a member stays with whatever it is of; what is made or called stays.
        ("javascript", "a.b(c).old;\n", "a.b(c).neu;\n", "$A.old → $A.neu"),
        ("javascript", "x.y = old;\n", "x.y = neu;\n", "$A = old → $A = neu"),
        ("javascript", "new Old(a);\n", "new Neu(a);\n", "new Old($$$A) → new Neu($$$A)"),
        ("kotlin", "val x = old.b(a) + 1\n", "val x = neu.b(a) + 2\n",
         "old.b($$$A) + 1 → neu.b($$$A) + 2"),
        ("python", "x = a[old]\n", "x = a[new]\n", "$A[old] → $A[new]"),
        ("python", 'x = f"a {b} old"\n', 'x = f"a {b} new"\n', 'f"a {$A} old" → f"a {$A} new"'),
    ],
)  # fmt: skip
def test_what_stays_and_what_varies(language: str, before: str, after: str, wanted: str) -> None:
    assert pattern(before, after, GENERAL, language) == wanted


def test_an_imported_name_stays_but_where_it_is_handed_on() -> None:
    names = frozenset({"os"})
    assert pattern("x = os + 1\n", "x = os + 2\n", GENERAL, names=names) == "os + 1 → os + 2"
    assert pattern("f(os, 1, *b)\n", "f(os, 2, *b)\n", PLAIN, names=names).startswith("($A, 1, $B)")


@pytest.mark.parametrize("name", ["$A", "$_", "$$$", "a$B"])
def test_a_text_that_would_read_as_a_variable_is_not_lifted(name: str) -> None:
    edit = reading(f"{name}(old)\n", f"{name}(new)\n", "javascript")
    found = [lift(edit, [n], m, TIGHT, frozenset()) for n, m in anchors(edit) if n.kind != "arguments"]
    assert found[0] is None
    usual = reading("$a(old)\n", "$a(new)\n", "javascript")
    assert all(lift(usual, [node], mapped, TIGHT, frozenset()) for node, mapped in anchors(usual))


def test_chosen_items_are_one_variable_that_moves_where_any_of_them_changes() -> None:
    for post, moved, fix in (("g(a, c)\n", True, "g(a, c)"), ("g(a, b)\n", False, "g($$$A)")):
        edit = next(variants(Tree("f(a, b)\n", "python"), Tree(post, "python")))
        items = next(node for node in edit.pre.root.walk() if node.kind == "argument_list")
        call = items.parent
        assert call is not None
        only = frozenset(item.index for item in items.children if item.named)
        [lifted] = [
            lift(edit, [call], mapped, MAXIMAL, frozenset(), frozenset(), only)
            for mapped in edit.map_range(call.start, call.end)
        ]
        assert lifted is not None and lifted.pattern == "f($$$A)" and lifted.fix == fix
        assert [hole.moved for hole in lifted.holes] == [moved]
