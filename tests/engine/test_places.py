"""Places of an action: their lines in the text as it was, however many rules have changed it since."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from rulewright.actions import Action
from rulewright.engine import places
from rulewright.engine.changed_statements import PARTED_CHARS
from rulewright.engine.kinds import names
from rulewright.languages import Language

LONGER: dict[str, Any] = {"rule": {"pattern": "long($A)"}, "fix": "one($A)\ntwo($A)\nthree($A)"}
SHORTER: dict[str, Any] = {"rule": {"pattern": "short($A, $B)"}, "fix": "short($A)"}
RENAMED: dict[str, Any] = {"rule": {"pattern": "old($A)"}, "fix": "new($A)"}


def lines(code: str, *rules: dict[str, Any], language: Language = "python") -> list[tuple[int, int, int]]:
    return [(p.rule, p.line, p.last_line) for p in places.of(Action(language, rules), code)]


def test_a_place_has_the_lines_that_it_takes() -> None:
    assert lines("old(1)\nold(2)\n", RENAMED) == [(0, 1, 1), (0, 2, 2)]
    assert lines("a = old(\n    1)\nold(2)\n", RENAMED) == [(0, 1, 2), (0, 3, 3)]


@pytest.mark.parametrize(
    ("code", "first", "line"),
    [
        ("old(0)\nlong(1)\n", LONGER, 1),
        ("long(1)\nold(2)\n", LONGER, 2),
        ("long(1)\nx = 1\nlong(2)\nold(3)\n", LONGER, 4),
        ("short(1,\n    2)\nold(3)\n", SHORTER, 3),
        ("short(1,\n    2)\nlong(3)\nold(4)\n", SHORTER, 4),
        ("short(1,\n    2)\nshort(3,\n    4)\nold(5)\n", SHORTER, 5),
        ("long(\n1)\nlong(\n2)\nold(5)\n", LONGER, 5),
    ],
)
def test_a_later_rule_counts_lines_as_they_were(code: str, first: dict[str, Any], line: int) -> None:
    assert (1, line, line) in lines(code, first, RENAMED)


def test_what_an_earlier_rule_wrote_stands_where_that_did_its_work() -> None:
    wrote = {"rule": {"pattern": "long($A)"}, "fix": "one($A)\nold($A)"}
    assert lines("x = 1\nlong(2)\n", wrote, RENAMED) == [(0, 2, 2), (1, 2, 2)]
    wrote = {"rule": {"pattern": "long($A)"}, "fix": "one($A)\ntwo($A)\nold($A)"}
    assert lines("x = 1\nlong(\n2)\n", wrote, RENAMED) == [(0, 2, 3), (1, 3, 3)]


@pytest.mark.parametrize(
    ("language", "code", "rule", "fix", "gone", "come"),
    [
        ("python", "old(a, 'x')\n", {"pattern": "old($$$A)"}, "new($$$A)", ("old",), ("new",)),
        ("python", "f(a, a)\n", {"pattern": "f($A, $A)"}, "f(b, $A, b)", (), ("b",)),
        ("python", "log('old', b)\n", {"pattern": "log($A, $B)"}, "log('new', $B)", ("old",), ("new",)),
        ("python", "a == None\n", {"pattern": "$A == None"}, "$A is None", (), ()),
        ("javascript", "this.a(true)\n", {"pattern": "this.a($A)"}, "that.a(false)", (), ("that",)),
        ("go", 'package p\nvar a = f("x")\n', {"pattern": 'f("x")'}, 'g("y")', ("f", "x"), ("g", "y")),
        ("rust", 'fn m() { f("x") }\n', {"pattern": 'f("x")'}, 'f("y")', ("x",), ("y",)),
        ("ruby", "f(<<~A)\n  x y\nA\n", {"pattern": "f($A)"}, "g($A)", ("f",), ("g",)),
        ("python", "f(1)\n", {"pattern": "f(1)"}, "f(1)  # why", (), ()),
    ],
)  # fmt: skip
def test_the_words_that_go_and_come(
    language: Language,
    code: str,
    rule: dict[str, Any],
    fix: str,
    gone: tuple[str, ...],
    come: tuple[str, ...],
) -> None:
    (place,) = places.of(Action(language, ({"rule": rule, "fix": fix},)), code)
    assert (place.gone, place.come) == (gone, come)


@pytest.mark.parametrize(
    ("code", "rule", "fix", "comments_only"),
    [
        ("f()  # old\n", {"kind": "comment"}, "# new", True),
        ("f()\n", {"pattern": "f()"}, "f()  # new", True),
        ("f()\n", {"pattern": "f()"}, "f( )", True),
        ("f()\n", {"pattern": "f()"}, "g()  # new", False),
        ("f(a)\n", {"pattern": "f(a)"}, "f(a, a)", False),
    ],
)
def test_whether_only_comments_change(code: str, rule: dict[str, Any], fix: str, comments_only: bool) -> None:
    (place,) = places.of(Action("python", ({"rule": rule, "fix": fix},)), code)
    assert place.comments_only is comments_only


@pytest.mark.parametrize(
    ("language", "code", "rule", "fix", "in_import"),
    [
        ("python", "import a\n", {"pattern": "import a"}, "import b", True),
        ("python", "from m import a\n", {"kind": "dotted_name", "regex": "^a$"}, "b", True),
        ("python", "a()\n", {"pattern": "a()"}, "b()", False),
        ("c", "#include <a.h>\n", {"kind": "system_lib_string"}, "<b.h>", True),
        ("rust", "use a::b;\n", {"kind": "identifier", "regex": "^b$"}, "c", True),
        ("csharp", "using A;\n", {"kind": "identifier", "regex": "^A$"}, "B", True),
        ("php", "<?php\nuse A\\B;\n", {"kind": "name", "regex": "^B$"}, "C", True),
    ],
)
def test_whether_a_place_stands_in_an_import(
    language: Language, code: str, rule: dict[str, Any], fix: str, in_import: bool
) -> None:
    (place,) = places.of(Action(language, ({"rule": rule, "fix": fix},)), code)
    assert place.in_import is in_import


def test_a_place_ends_where_its_text_does() -> None:
    block = {"rule": {"pattern": "if a:\n    $B"}, "fix": "$B"}
    assert lines("if a:\n    b()\nold(1)\n", block, RENAMED) == [(0, 1, 2), (1, 3, 3)]
    assert lines("x = 1\nold(\n1\n)", RENAMED) == [(0, 2, 4)]


def test_what_is_written_back_unchanged_is_no_place() -> None:
    same = Action("python", ({"rule": {"pattern": "f($A)"}, "fix": "f($A)"},))
    assert places.of(same, "f(1)\n") == []
    some = Action("python", ({"rule": {"pattern": "f($A)"}, "fix": "f(1)"},))
    assert [place.line for place in places.of(some, "f(1)\nf(2)\nf(1)\nf(3)\n")] == [2, 4]


def test_only_the_places_that_are_kept_change() -> None:
    action = Action("python", (RENAMED, {"rule": {"pattern": "new($A)"}, "fix": "newer($A)"}))
    code = "old(1)\nold(2)\nold(3)\n"
    wanted = {(0, 1): None, (0, 2): "mine(2)"}
    seen: list[tuple[int, int]] = []

    def keep(place: Any) -> str | None:
        seen.append((place.rule, place.line))
        return wanted.get((place.rule, place.line), place.new)

    done = places.change(action, code, keep)
    assert done.steps[-1].after == "old(1)\nmine(2)\nnewer(3)\n"
    assert seen == [(0, 1), (0, 2), (0, 3), (1, 3)]


def test_lines_choose_the_places_and_a_rule_that_fails_leaves_the_text_alone() -> None:
    code = "old(1)\nold(\n    2)\nold(3)\n"
    action = Action("python", (RENAMED,))
    assert places.after(action, code, places.where({3})) == "old(1)\nnew(2)\nold(3)\n"
    refused = Action("python", (RENAMED, {"rule": {"kind": "no_such_kind"}, "fix": "x"}))
    assert places.after(refused, code, places.where({3})) == code


def test_matches_are_found_with_a_fix_or_without_but_not_where_a_comment_silences_them() -> None:
    code = "f(1)\nf(2)  # ast-grep-ignore: r\nf(3)  # ast-grep-ignore: other\n"
    for more in ({}, {"fix": "g($A)"}):
        action = Action("python", ({"rule": {"pattern": "f($A)"}, **more},), ids=("r",))
        assert [node.range().start.line for node in places.matches(action, code)] == [0, 2]
    assert len(places.matches(Action("python", (RENAMED,)), "old(1)\nold(2)\n")) == 2


def test_places_of_a_long_text_are_those_of_its_statements() -> None:
    """Of a long text only the changed statements are parsed after the rule."""
    rest = "\n\ndef other(a):\n    return a\n"
    rules = {"rule": {"pattern": "old($A)"}, "fix": "fresh('as', $A)  "}, {**RENAMED, "fix": "old($A)"}
    for code in ("x = old(1)\n", "def f():\n    import old  # and\n    return [old(a), old(b)]\n"):
        long = rest * 300 + code + rest * 300 + code
        assert len(long) > PARTED_CHARS
        for rule in rules:
            few = places.of(Action("python", (rule,)), code)
            shifts = (rest * 300).count("\n"), (rest * 600 + code).count("\n")
            wanted = [
                replace(one, line=one.line + shift, last_line=one.last_line + shift)
                for shift in shifts
                for one in few
            ]
            assert places.of(Action("python", (rule,)), long) == wanted
            assert bool(few) == (rule is rules[0])


@pytest.mark.parametrize(
    ("language", "role", "code"),
    [
        ("python", "new", "x = Old()\n"),
        ("python", "type", "def f(a: Old | None) -> list[int]: ...\n"),
        ("python", "type", "def f() -> list[Old]: ...\n"),
        ("python", "base", "class A(Old): ...\n"),
        ("python", "definition", "class Old: ...\n"),
        ("python", "value", "x = a | Old\n"),
        ("python", "value", "x = Old.make()\n"),
        ("python", "value", "x = m.Old\n"),
        ("python", "of Mode", "x = Mode.Old\n"),
        ("python", "of m", "x = m.Old()\n"),
        ("java", "new", "class A { Object x = new Old(); }\n"),
        ("java", "type", "class A { List<Old> x; }\n"),
        ("java", "generic", "class A { Old<List> x; }\n"),
        ("csharp", "generic", "class A { Old<List> x; }\n"),
        ("python", "generic", "def f(a: Old[int] | None): ...\n"),
        ("java", "base", "class A extends Old {}\n"),
        ("java", "of b", "class A { a.b.Old x; }\n"),
        ("java", "namespace", "package a.Old;\n"),
        ("csharp", "namespace", "namespace A.Old;\n"),
        ("rust", "new", "fn f() { Old { x: 1 } }\n"),
        ("rust", "type", "fn f(a: m::Old) {}\n"),
        ("rust", "base", "impl Old for A {}\n"),
        ("rust", "value", "fn f() { Old::new() }\n"),
        ("go", "new", "package p\nvar x = Old{}\n"),
        ("go", "value", "package p\nvar x = Old(1)\n"),
        ("go", "definition", "package p\ntype Old struct{}\n"),
        ("c", "value", "int x = Old(1);\n"),
        ("kotlin", "new", "val x = Old()\n"),
        ("kotlin", "base", "class A : Old()\n"),
        ("kotlin", "definition", "class Old\n"),
        ("ruby", "base", "class A < Old\nend\n"),
        ("ruby", "of A", "x = A::Old\n"),
        ("typescript", "type", "let x: m.Old;\n"),
    ],
)
def test_what_the_name_of_a_class_is_used_for(language: Language, role: str, code: str) -> None:
    kinds = ("identifier", "type_identifier", "simple_identifier", "constant")
    named = [{"kind": kind} for kind in kinds if kind in names(language).kinds]
    for name, wanted in (("Old", role), ("OLD", "")):  # this one names no class
        rule = {"any": named, "regex": f"^{name}$"}
        (place,) = places.of(Action(language, ({"rule": rule, "fix": "New"},)), code.replace("Old", name))
        assert place.role == wanted


@pytest.mark.parametrize(
    ("language", "role", "code"),
    [
        ("python", "of a", "a.old(1)\n"),
        ("python", "of b", "a.b(x, (1, 2))[0].old(1)\n"),
        ("python", "of a", "_a.old(1)\n"),
        ("python", "of a value", "(1)[0].old(2)\n"),
        ("python", "", "a.old\n"),  # no call
        ("python", "", "a.oldest_one(1)\n"),  # several words
        ("python", "", "old(1)\n"),
        ("javascript", "of a", "a?.old(1)\n"),
        ("rust", "of a", "fn f() { a.old::<B>(1) }\n"),
        ("cpp", "of a", "int x = a->old(1);\n"),
        ("ruby", "of a", "a.old\n"),
    ],
)
def test_whose_method_is_called(language: Language, role: str, code: str) -> None:
    kinds = ("identifier", "property_identifier", "field_identifier")
    named = [{"kind": kind} for kind in kinds if kind in names(language).kinds]
    rule = {"any": named, "regex": "^old"}
    (place,) = places.of(Action(language, ({"rule": rule, "fix": "new"},)), code)
    assert place.role == role


@pytest.mark.parametrize(
    ("language", "code", "arguments"),
    [
        ("python", "x = a.old(1, f(2), *b, key=3, **c)  # d\n", ("", "", "*", "key", "*")),
        ("python", "x = old\n", None),
        ("python", "x = f(old)\n", None),
        ("javascript", "a?.old(1, ...b /* c */);\n", ("", "*")),
        ("ruby", "old(1, key: 2, **c, &d)\n", ("", "key", "*", "*")),
        ("php", "<?php\n$a->old(1, ...$b, key: 2);\n", ("", "*", "key")),
        ("csharp", "class A { int x = B.old(1, key: 2); }\n", ("", "key")),
        ("kotlin", "val x = a.old(1, key = 2, *b)\n", ("", "key", "*")),
        ("java", "class A { int x = a.old(1, b -> c); }\n", ("", "")),
        ("go", "package p\n\nfunc f() { a.old(1, b...) }\n", ("", "*")),
        ("rust", "fn f() { A::old(1, 2) }\n", ("", "")),
        ("cpp", "int x = a->old(1);\n", ("",)),
    ],
)
def test_the_arguments_of_what_is_called(
    language: Language, code: str, arguments: tuple[str, ...] | None
) -> None:
    kinds = {"identifier", "simple_identifier", "field_identifier", "property_identifier", "name"}
    kinds &= set(names(language).kinds)
    rule = {"rule": {"any": [{"kind": kind} for kind in sorted(kinds)], "regex": "^old$"}, "fix": "fresh"}
    [place] = places.of(Action(language, (rule,)), code)
    assert place.arguments == arguments
