"""One rule from a change that a person made: what it must not become."""

from __future__ import annotations

import pytest

from rulewright import engine
from rulewright.languages import Language
from rulewright.mining import learn_from


@pytest.mark.parametrize(
    ("language", "pre", "post"),
    [
        ("python", "def f(a):\n    a.recv()\n    a.shut()\n", "def f(a):\n    a.arecv()\n    a.ashut()\n"),
        ("python", "a = 'x'\nb = foo('y', 'z')\n", "a = '.x'\nb = foo('.y', '.z')\n"),
        ("python", "# one\nx = 1\n# two\n", "## one\nx = 1\n## two\n"),
        ("javascript", "// a\nf()\n// b\n", "/// a\nf()\n/// b\n"),
        ("go", 'package p\n\nvar a = "x"\nvar b = "y"\n', 'package p\n\nvar a = "/x"\nvar b = "/y"\n'),
    ],
)  # fmt: skip
def test_no_rule_matches_every_token_of_a_kind(language: Language, pre: str, post: str) -> None:
    mined = learn_from(pre, post, language)
    for rule in mined.action.rules if mined.action else ():
        said = str(rule["rule"].get("regex", "some text"))
        assert any(sign.isalnum() for sign in said), rule


@pytest.mark.parametrize(
    ("language", "pre", "post", "other"),
    [
        (
            "rust",
            "fn f() -> Place {\n    Place::nowhere()\n}\n",
            "fn f() -> Place {\n    Place::sample()\n}\n",
            "fn g(nowhere: u8) -> u8 { Other::nowhere(); nowhere }\n",
        ),
        (
            "java",
            "class A {\n  Place f() {\n    return Place.nowhere(1);\n  }\n}\n",
            "class A {\n  Place f() {\n    return Place.sample(1);\n  }\n}\n",
            "class B {\n  int g(int nowhere) {\n    return Other.nowhere(nowhere);\n  }\n}\n",
        ),
        (
            "typescript",
            "const p = Place.nowhere(a)\n",
            "const p = Place.sample(a)\n",
            "const nowhere = Other.nowhere(b)\n",
        ),
        ("python", "p = nowhere(a)\n", "p = sample(a)\n", "def f(nowhere):\n    nowhere = 1\n"),
        (
            "go",
            "package p\n\nfunc f() {\n\tplace.Nowhere(3)\n}\n",
            "package p\n\nfunc f() {\n\tplace.Sample(3)\n}\n",
            "package p\n\nvar Nowhere = T{Nowhere: 1}\n",
        ),
        (
            "cpp",
            "void f() {\n    Place::nowhere(1);\n}\n",
            "void f() {\n    Place::sample(1);\n}\n",
            "int f(int nowhere) { return Other::nowhere(nowhere); }\n",
        ),
    ],
)
def test_a_renamed_call_stays_a_call_with_its_qualifier(
    language: Language, pre: str, post: str, other: str
) -> None:
    mined = learn_from(pre, post, language)
    assert mined.action is not None, mined.reason
    assert engine.apply(mined.action, pre).post == post
    assert engine.apply(mined.action, other).post in (None, other)


def test_a_class_that_is_renamed_is_renamed_where_it_is_not_called_too() -> None:
    mined = learn_from("raise StandardError(a)\n", "raise Exception(a)\n", "python")
    assert mined.action is not None
    assert engine.apply(mined.action, "except_(StandardError)\n").post == "except_(Exception)\n"


@pytest.mark.parametrize(
    ("pre", "post"),
    [("x = os .getcwdu(1)\n", "x = os .getcwd(1)\n"), ("x = raw_input(   )\n", "x = input(   )\n")],
)
def test_blanks_where_nobody_puts_any_are_no_part_of_a_rule(pre: str, post: str) -> None:
    mined = learn_from(pre, post, "python")
    assert mined.action is not None, mined.reason
    usual = pre.replace(" .", ".").replace("(   )", "(2)")
    assert engine.apply(mined.action, usual).post == post.replace(" .", ".").replace("(   )", "(2)")


TWO_PARTS = (
    "from tiny import pick\nimport os\n\n\ndef f(xs):\n    return pick(xs, 3)\n",
    "import os\n\n\ndef f(xs):\n    return xs.take(3)\n",
)


def test_two_unlike_changes_are_no_single_rule() -> None:
    mined = learn_from(*TWO_PARTS, "python")
    assert mined.action is None
    assert mined.reason == "no single rule makes the whole change"
