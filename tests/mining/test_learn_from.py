"""The rules of a change that the user made in one file: what they must not become."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from rulewright import engine
from rulewright.actions import Action
from rulewright.actions.rule_file import joined
from rulewright.engine import places
from rulewright.errors import RulewrightError
from rulewright.languages import Language
from rulewright.mining.by_hand.diffs import Change
from rulewright.mining.by_hand.learn import learn, without_needless
from rulewright.mining.by_hand.learned import LearnedRules
from rulewright.mining.by_hand.replay import Missing
from rulewright.mining.learn import cover
from rulewright.mining.propose.candidate import Candidate
from rulewright.mining.text.tree import Tree
from rulewright.verdict import Place


def learned(pre: str, post: str, language: Language) -> Action:
    return joined(learn([Change(Path("a"), language, pre, post, now=pre)], 2.0).documents)


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


def of(
    pre: str, post: str, language: Language = "python", now: str | None = None, **more: Any
) -> LearnedRules:
    change = Change(Path("a"), language, pre, post, now=pre if now is None else now, **more)
    return learn([change], 2.0)


LEFT = "b = os.getcwdu() + c\n"
MADE = 6
"""Places that were changed, of which a third is two."""
JAVA = "class A {\n  void f() {\n    go(1);\n  }\n}\n"
TRUST: list[tuple[Language, str, str, str, str]] = [
    ("python", "x = load(a)\n", "x = read(a)\n", "train", "compact, general and named"),
    ("python", "raise Old(1)\n", "raise New(1)\n", "train", "compact, general and named"),
    ("python", "def stop(self):\n    pass\n", "def halt(self):\n    pass\n", "literal",
     "it renames every `stop`"),
    ("python", "class A:\n    def f(self):\n        self.old(1)\n",
     "class A:\n    def f(self):\n        self.new(1)\n", "literal", "`self` is of another class elsewhere"),
    ("java", JAVA, JAVA.replace("go", "run"), "literal", "`go` is a method of another class elsewhere"),
    *(("java", static + JAVA, static + JAVA.replace("go", "run"), "train", "")
      for static in ("import static a.B.go;\n", "import static a.B.*;\n")),
    ("python", "a = os.getcwdu()\n", "a = os.getcwd()\n", "train", ""),
    ("python", "a = os.getcwdu()\n" + LEFT, "a = os.getcwd()\n" + LEFT, "literal",
     "hold one more place like the 1 that you changed"),
    *(("python", "a = os.getcwdu()\n" * n + LEFT * 2, "a = os.getcwd()\n" * n + LEFT * 2, *trusted)
      for n, trusted in ((MADE, ("literal", f"hold 2 more places like the {MADE} that you changed")),
                         (MADE + 1, ("train", "")))),
    ("python", "x = old.run(1)\n", "x = new.run(1)\n", "literal", "of `old` the change shows `run` only"),
    ("python", "import old\nx = old.run(1)\n", "import new\nx = new.run(1)\n", "train", ""),
    ("python", "import old\nx = old.run(1)\ny = old.go(2)\n", "import new\nx = new.run(1)\ny = new.go(2)\n",
     "train", ""),
]  # fmt: skip


@pytest.mark.parametrize(("language", "pre", "post", "tier", "reason"), TRUST)
def test_how_far_a_learned_rule_is_trusted(
    language: Language, pre: str, post: str, tier: str, reason: str
) -> None:
    first = of(pre, post, language).rules[0]
    assert first.tier == tier and reason in first.reason


def test_the_rules_of_an_import_are_trusted_as_its_uses_are() -> None:
    pre = "import old\n\n\ndef f(k):\n    return old.run(1)\n"
    doubted = of(pre, pre.replace("1", "k").replace("old", "fresh"))
    assert [rule.tier for rule in doubted.rules] == ["literal"] * 4
    assert all(rule.reason.startswith("as its uses: `k` is a variable") for rule in doubted.rules[1:])
    pre = "import old\nx = old.run(1)\ny = old.go(2)\n"
    good = of(pre, pre.replace("old", "fresh"))
    assert [rule.reason for rule in good.rules[1:]] == ["goes and comes with its uses"] * 3
    assert doubted.least_trusted.tier == "literal" and good.least_trusted.tier == "train"


@pytest.mark.parametrize(
    ("pre", "post", "problem"),
    [
        ("a = os.getcwdu()\nx = 1\n", "a = os.getcwd()\nx = 1", "a:2: the end of the file"),
        ("import a\nx = load(1)\n", "import a\nimport b\nx = read(1)\n", "a: no import of `b` from b"),
        (
            "import b\nimport old\nold.run(1)\n",
            "import b\nold.run(1)\n",
            "a: the import of `old` from old stays",
        ),
    ],
)
def test_what_no_rule_makes_is_told_with_its_place(pre: str, post: str, problem: str) -> None:
    assert of(pre, post).problems == (problem,)


def test_a_name_that_the_rules_bring_must_be_imported_where_it_is_used() -> None:
    done = of("import a\nx = load(1)\n", "import a\nimport b\nx = b.read(1)\n")
    assert done.names["python"].imported == {"b"}
    for before, missing in (
        ("import a\ny = b.read(2)\n", "b"),
        ("import b\ny = b.read(2)\n", ""),
        ("y = 2\n", ""),
    ):
        assert done.missing_name(Tree(before, "python"), before) == missing


def test_places_in_the_changed_file_are_hidden_where_the_diff_shows_them_unchanged() -> None:
    pre = "a = os.getcwdu()\nx = 1\nb = os.getcwdu()\n" + "x = 1\n" * 5 + "c = os.getcwdu()\n"
    post = pre.replace("u()\nx", "()\nx", 1)
    place = {line: Place(line, line, "getcwdu", "getcwd", 0) for line in range(1, 12)}
    done = of(pre, post, seen=frozenset({2, 3, 4}))
    assert [n for n in place if done.is_excluded(Path("a"), place[n])] == [2, 3, 4]
    assert not any(done.is_excluded(Path("b"), place[n]) for n in place), (
        "the diff shows nothing of another file"
    )
    across = Place(1, 2, "", "", 0)
    assert not done.is_excluded(Path("a"), across), "a part of it was changed"
    later = of(pre, post, now="# new\n# new\n" + post, seen=frozenset({2, 3, 4}))
    assert [n for n in place if later.is_excluded(Path("a"), place[n])] == [4, 5, 6], (
        "two lines came before them"
    )
    assert "you left it as it was" in done.doubt(Path("a"), place[9])
    owed = of(pre, post, now=pre, seen=frozenset({2, 3, 4}))
    assert "not made in this file yet" in owed.doubt(Path("a"), place[1]), "the diff of a branch"
    assert "you left it as it was" in owed.doubt(Path("a"), place[9])
    assert done.doubt(Path("b"), place[9]) == ""


@pytest.mark.parametrize(
    ("text", "doubt"),
    [
        ("c/old_v/z", ""),
        ("old_v", ""),
        ("c/old_vs/z", "it is a part of a longer word there"),
        ("cold_v/z", "it is a part of a longer word there"),
        ("an old_v one", "only words of a text change"),
    ],
)
def test_a_part_of_a_string_is_doubted_in_prose_and_in_longer_words(text: str, doubt: str) -> None:
    done = of("f('a/old_v/x')\ng('b/old_v/y')\n", "f('a/new_v/x')\ng('b/new_v/y')\n")
    [place] = places.of(joined(done.documents), f"h('{text}')\n")
    assert done.doubt(Path("b"), place) == doubt


def test_a_comment_alone_is_doubted() -> None:
    done = of("f(1)  # teh word\n", "f(1)  # the word\n")
    [place] = places.of(joined(done.documents), "g()  # teh word\n")
    assert done.doubt(Path("b"), place) == "only a comment changes"


def test_of_nothing_nothing_is_learned() -> None:
    with pytest.raises(RulewrightError, match="the change is empty"):
        learn([], 2.0)


def test_a_file_is_made_anew_only_without_a_rule_that_changed_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of many rules for many files each is left out once; that must not cost rules times files."""
    asked: list[str] = []
    change_places = places.change

    def counted(action: Action, text: str, keep: places.Keep, **more: bool) -> object:
        asked.append(text)
        return change_places(action, text, keep, **more)

    root = Tree("", "python").root
    names = ["getcwdu", "mktempu", "splitextu", "joinpathu", "listdiru", "renamesu"]
    changes = [
        Change(Path(name), "python", f"x = os.{name}(1)\n", f"x = os.{name[:-1]}(1)\n") for name in names
    ]
    found = [
        cover.GradedRule(rule, "train", "", Candidate(rule, "pattern", root, "call", frozenset()))
        for name in [*names, "unheardof"]
        for rule in [{"rule": {"pattern": f"os.{name}"}, "fix": f"os.{name[:-1]}"}]
    ]
    monkeypatch.setattr(places, "change", counted)
    kept = without_needless(found, Missing(changes, "python"))
    assert [one.rule for one in kept] == [one.rule for one in found[:-1]]
    assert len(asked) == 2 * len(names), "once with all rules, once without its own"
