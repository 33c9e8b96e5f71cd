"""The rules of a change that a person made in one file: what they must not become."""

from __future__ import annotations

from pathlib import Path

import pytest

from rulewright import engine
from rulewright.actions import Action
from rulewright.actions.rule_file import joined
from rulewright.errors import RulewrightError
from rulewright.languages import Language
from rulewright.mining import by_hand
from rulewright.mining.diffs import Change


def learned(pre: str, post: str, language: Language) -> Action:
    return joined(by_hand.learn([Change(Path("a"), language, pre, post, now=pre)], 2.0).documents)


def test_a_change_in_one_place_gives_the_rule_for_the_rest() -> None:
    pre = "a = os.getcwdu()\nb = os.getcwdu() + c\n"
    action = learned(pre, pre.replace("u()\n", "()\n"), "python")
    assert engine.apply(action, pre).post == "a = os.getcwd()\nb = os.getcwd() + c\n"


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
    try:
        rules = learned(pre, post, language).rules
    except RulewrightError:
        return
    for rule in rules:
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
    action = learned(pre, post, language)
    assert engine.apply(action, pre).post == post
    assert engine.apply(action, other).post in (None, other)


def test_a_class_that_is_renamed_is_renamed_where_it_is_not_called_too() -> None:
    action = learned("raise StandardError(a)\n", "raise Exception(a)\n", "python")
    assert engine.apply(action, "except_(StandardError)\n").post == "except_(Exception)\n"


@pytest.mark.parametrize(
    ("pre", "post"),
    [("x = os .getcwdu(1)\n", "x = os .getcwd(1)\n"), ("x = raw_input(   )\n", "x = input(   )\n")],
)
def test_blanks_where_nobody_puts_any_are_no_part_of_a_rule(pre: str, post: str) -> None:
    action = learned(pre, post, "python")
    usual = pre.replace(" .", ".").replace("(   )", "(2)")
    assert engine.apply(action, usual).post == post.replace(" .", ".").replace("(   )", "(2)")


def test_nothing_is_learned_from_what_does_not_parse_after_the_change() -> None:
    with pytest.raises(RulewrightError, match=r"a:2: a syntax error after the change"):
        learned("x = 1\ny = old(2)\n", "x = 1\ny = new(2\n", "python")
    # One fault went and another came: what `apply` says of a rule's result holds for a change by hand.
    with pytest.raises(RulewrightError, match=r"a:2: a syntax error after the change"):
        learned("a b c\ny = old(2);\n", "a;\ny = fresh(2;\n", "javascript")
    broken = "print 'a'\ny = old(2)\n"
    assert engine.apply(learned(broken, broken.replace("old", "new"), "python"), broken).post is not None
