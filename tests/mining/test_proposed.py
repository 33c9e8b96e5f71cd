"""All that is proposed for a few small edits, one for each way in which code changes, with its price.

`tests/golden/prices` holds the cheapest rules for each edit of the catalog; what is proposed and lost there
shows here. After a change that is meant, `pytest tests/mining/test_proposed.py --write-golden` writes
`tests/golden/proposed` anew; read the difference.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest

from rulewright.languages import Language
from rulewright.mining.propose import proposals
from rulewright.mining.text.align import variants
from rulewright.mining.text.tree import Tree

EDITS: dict[str, list[tuple[Language, str, str]]] = {
    "goes": [
        ("python", "a()\nb(1)\nc()\n", "a()\nc()\n"),
        ("python", "def f():\n    a()\n    b()\n", "def f():\n    a()\n"),
        ("python", "a()\nb()\nb2()\nc()\n", "a()\nc()\n"),
        ("python", "import a\n\nx = 1\n", "\nx = 1\n"),
        ("python", "f(a, old)\n", "f(a)\n"),
        ("python", "f(old, b)\n", "f(b)\n"),
        ("python", "f(a, old, b)\n", "f(a, b)\n"),
        ("java", "class A {\n  @Old\n  int x;\n}\n", "class A {\n  int x;\n}\n"),
        ("javascript", "if (a) {\n  b();\n}\nc();\n", "c();\n"),
    ],
    "comes": [
        ("python", "a()\nc()\n", "a()\nb()\nc()\n"),
        ("python", "f(a, b)\n", "f(a, new, b)\n"),
        ("python", "f()\n", "f(new)\n"),
        ("python", "def f():\n    a()\n", "def f():\n    a()\n    b()\n"),
        ("python", "a()\nb()", "a()\nb()\n"),
        ("go", "package p\n\nvar a = 1", "package p\n\nvar a = 1\n"),
        ("javascript", "a.b(1);\n", "a.b(1).c();\n"),
        ("javascript", "a.b(1).d();\n", "a.b(1).c().d();\n"),
    ],
    "becomes": [
        ("python", "x = old(a, 1)\n", "x = new(a, 1)\n"),
        ("python", "x = old(a)\n", "x = a.new\n"),
        ("python", "x = [old(a)]\n", "x = [a, b]\n"),
        ("python", "if len(a) == 0:\n    b()\n", "if not a:\n    b()\n"),
        ("python", "with lock:\n    go()\nstop()\n", "go(lock)\nstop()\n"),
        ("python", "f(a)\n", "with g:\n    f(a)\n"),
        ("python", "# run it\nf()\n", "go()\nf()\n"),
        ("python", "x = 'a.old.b'\n", "x = 'a.new.b'\n"),
        ("go", "package p\n\nfunc f() { a.Old(b) }\n", "package p\n\nfunc f() { a.New(b) }\n"),
        ("typescript", "let x: Old = f(a);\n", "let x: New = f(a);\n"),
        ("rust", "fn f() { a::old(b) }\n", "fn f() { a::new(b) }\n"),
    ],
    "together": [
        ("python", "a(0)\nb(1)\nc(2)\nd(3)\n", "a(0)\ne(1)\nc(9)\nd(3)\n"),
        ("python", "a()\nold = 1\nb()\n", "a()\nnew = 2\nb(new)\n"),
        ("python", "f(a, old, b)\n", "f(a, x, y, b)\n"),
        ("javascript", "let a = b;\nlet c = a.d;\n", "const { d: c } = b;\n"),
    ],
}


def proposed(language: Language, pre: str, post: str) -> list[str]:
    """The readings of an edit, and for the first one every rule: shape, price, kind, hunks and the rule."""
    lines = [f"{language}: {pre!r} → {post!r}"]
    readings = list(variants(Tree(pre, language), Tree(post, language)))
    for reading in readings:
        hunks = ", ".join(f"{h.a0}-{h.a1} → {h.b0}-{h.b1}" for h in reading.hunks)
        lines.append(f"  +{reading.cost:.2f}: {hunks}; may lie aside by {list(reading.slides)}")
    edit = readings[0]
    for number in range(len(edit.hunks)):
        for one in proposals.for_hunk(edit, number, frozenset(), set(), lambda: False):
            flags = [name for name in ("adds", "inserts", "blanks") if getattr(one, name)]
            lines.append(
                f"  {one.shape:8} {one.extra_cost:5.2f} {one.kind} {sorted(one.hunks)}"
                f" {' '.join([*flags, one.key])}"
            )
    return lines


@pytest.mark.parametrize("way", EDITS)
def test_all_that_is_proposed(way: str, same: Callable[[str, str], None]) -> None:
    same(f"proposed/{way}.txt", "\n".join(line for edit in EDITS[way] for line in proposed(*edit)) + "\n")
