"""What a change does not show, and where its lines stood before it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from rulewright import difftext
from rulewright.actions.action import Action
from rulewright.languages import Language
from rulewright.mining.by_hand import doubts, replay
from rulewright.mining.by_hand.diffs import Change


def action(language: Language, matcher: dict[str, Any] | str, fix: str, **more: Any) -> Action:
    rule = {"rule": {"pattern": matcher} if isinstance(matcher, str) else matcher, "fix": fix, **more}
    return Action(language, (rule,), mode="rule")


def change(language: Language, pre: str, post: str) -> Change:
    return Change(Path("a"), language, pre, post)


def why(
    language: Language, matcher: dict[str, Any] | str, fix: str, pre: str, post: str,
    plain: str = "", of_members: bool = False,
) -> str:  # fmt: skip
    """What speaks against a rule; `plain` is the rename by spelling that it was before."""
    used = action(language, matcher, fix)
    before = action(language, plain, fix) if plain else used
    tier, reason = doubts.tier_of(before, used, [change(language, pre, post)], "", of_members)
    assert (tier == "train") is (not reason)
    return reason


def named(name: str, **more: Any) -> dict[str, Any]:
    return {"kind": "identifier", "regex": f"^{name}$", **more}


CALLED = {"kind": "call", "field": "function"}


@pytest.mark.parametrize(
    ("old", "new", "lines"),
    [
        ("abc", "abc", [0, 1, 2]),
        # Lines that come count as the one that they come before.
        ("abc", "axybc", [0, 1, 1, 1, 2]),
        ("abc", "xabc", [0, 0, 1, 2]),
        # Of lines that become others each is the one in its place, as far as there are any.
        ("abcd", "axyd", [0, 1, 2, 3]),
        ("abcd", "axd", [0, 1, 3]),
        ("abc", "axyzc", [0, 1, 1, 1, 2]),
        ("abcd", "ad", [0, 3]),
        ("abcdef", "axcdyzf", [0, 1, 2, 3, 4, 4, 5]),
    ],
)
def test_the_line_that_a_line_was_before(old: str, new: str, lines: list[int]) -> None:
    shift = difftext.changed(list(old), list(new))
    assert [difftext.old_line(line, shift) for line in range(len(new))] == lines


@pytest.mark.parametrize(
    ("matcher", "plain", "of_members", "pre", "reason"),
    [
        ("old_name", "", False, "x = old_name\n", "it renames every `old_name`, whatever that stands for"),
        (named("old_name", inside=CALLED), "old_name", False, "old_name(1)\n", ""),
        ("OldName", "", False, "x = OldName\n", ""),
        ("OldName", "", False, "x = OldName.b\n", "of `OldName` the change shows `b` only"),
        ("OldName", "", False, "x = OldName.b + OldName.c\n", ""),
        ("OldName", "", True, "x = OldName.b\n", ""),
    ],
)
def test_a_name_by_its_spelling(
    matcher: dict[str, Any] | str, plain: str, of_members: bool, pre: str, reason: str
) -> None:
    post = pre.replace("old_name", "new_name").replace("OldName", "NewName")
    fix = "new_name" if "old" in str(matcher) else "NewName"
    assert why("python", matcher, fix, pre, post, plain, of_members) == reason


@pytest.mark.parametrize(
    ("language", "top", "call", "told"),
    [
        ("java", "", "check($A, $B)", True),
        ("java", "", "Checks.check($A, $B)", False),
        ("java", "import static p.Checks.check;\n", "check($A, $B)", False),
        ("java", "import static p.Checks.*;\n", "check($A, $B)", False),
        ("java", "import static p.Checks.recheck;\n", "check($A, $B)", True),
        ("csharp", "", "check($A, $B)", True),
        ("typescript", "", "check($A, $B)", False),
    ],
)
def test_a_method_that_is_called_without_a_receiver(
    language: Language, top: str, call: str, told: bool
) -> None:
    pre = f"{top}class A {{\n    int x = {call.replace('$A, $B', '1, 2')};\n}}\n"
    post = pre.replace("check(", "verify(")
    reason = why(language, call, call.replace("check(", "verify("), pre, post)
    assert reason == ("`check` is a method of another class elsewhere" if told else "")


def test_of_several_methods_the_first_by_name_is_told_in_every_run() -> None:
    calls = "f6(f5(f4(f3(f2(f1({}))))))"
    pre = f"class A {{\n    int x = {calls.format(1)};\n}}\n"
    old = calls.format("$A")
    reason = why("java", old, old.replace("f", "g"), pre, pre.replace("f", "g"))
    assert reason == "`f1` is a method of another class elsewhere"


def test_what_is_left_is_named_by_its_own_line() -> None:
    pre = "import a\n\nx = f(1)\ny = 1\nx = f(1)\n"
    post = "import b\n\nx = f(1)\ny = 1\nx = g(2)\n"
    left = replay.missing_parts(None, change("python", pre, post), by_binding=True)
    assert left[0] == "a:5: `x = f(1)`  →  `x = g(2)`"


def test_a_name_that_is_called_without_a_receiver() -> None:
    pre = "class A {\n    int x = check(1, 2);\n}\n"
    matcher = named("check", inside={"kind": "method_invocation", "field": "name"})
    reason = why("java", matcher, "verify", pre, pre.replace("check", "verify"), "$A.check")
    assert reason == "`check` is a method of another class elsewhere"


@pytest.mark.parametrize(
    ("language", "line", "post", "reason"),
    [
        ("ruby", "require 'old_thing'", "go\nb\nc\n",
         "an import goes, and whether a file uses what it brings is not said"),
        ("ruby", "watch 'old_thing'", "go\nb\nc\n", ""),
        ("python", "import old_thing", "go\nb\nc\n", ""),
        ("ruby", "watch 'old_thing'", "go\nb\nc\nwatch 'old_thing'\n",
         "what it takes away stands elsewhere in your change"),
        ("ruby", "watch 'old_thing'", "go\nb\nc\nwatch 'other_thing'\n", ""),
    ],
)  # fmt: skip
def test_a_line_that_goes(language: Language, line: str, post: str, reason: str) -> None:
    assert why(language, line, "", f"{line}\ngo\nb\nc\n", post) == reason


@pytest.mark.parametrize(
    ("language", "pre", "n_parts"),
    [
        # Each `#` is a line that changes.
        ("python", "go(\n  a#,\n  b,\n  c#,\n)\n", 1),
        ("python", "go(a#)\nstay()\ngo(b#)\n", 2),
        ("python", "def f(\n  a#,\n  b,\n):\n    go(b#)\n", 2),
        ("python", "go({\n  'a': a#,\n  'b': b,\n  'c': c#,\n})\n", 2),
        ("python", "go#({\n  'a': a,\n  'b': b,\n}, c#)\n", 1),
        ("python", "import a\nfrom b import (\n  c#,\n  d,\n  e#,\n)\n", 2),
        ("ruby", "go#(<<-X)\n  a\n  b#\nX\n", 1),
        ("ruby", "if a#\n  go\n  go(b#)\nend\n", 2),
        ("tsx", "const x = (\n  <A b={c#}>\n    <B />\n    <C d={e#} />\n  </A>\n)\n", 2),
        ("tsx", "const x = (\n  <A#>\n    <B />\n  </A#>\n)\n", 1),
        # What is assigned, and a use of it in the same block.
        ("javascript", "let one = a#;\nstay();\ngo(one.b#);\n", 1),
        ("javascript", "let one = a#;\nstay();\ngo(two.b#);\n", 2),
        ("javascript", "let one = a#;\nstay();\ngo(it.one.b#);\n", 2),
        ("javascript", "if (one == a#) {\n  stay();\n  go(one.b#);\n}\n", 2),
        ("javascript", "{\n  let one = a#;\n}\n{\n  go(one.b#);\n}\n", 2),
        ("javascript", "let one = a#;\nlet two = b#;\nlet three = c;\ngo(one, two);\n", 1),
        ("javascript", "let one = a#;\nstay();\nlet two = b#;\ngo(one, two);\n", 2),
    ],
)
def test_hunks_that_belong_together(language: Language, pre: str, n_parts: int) -> None:
    one = change(language, pre.replace("#", ""), pre.replace("#", "1"))
    assert len(one.parts) == n_parts
    changed = {number for number, line in enumerate(pre.splitlines(), 1) if "#" in line}
    assert sorted(line for part in one.parts for line in part.old) == sorted(changed)


def test_a_line_between_two_statements_belongs_to_neither_of_them() -> None:
    pre = "go(\n  a,\n  b,\n)\nstay()\n"
    between, within = (
        change("python", pre, "go(\n  a1,\n  b,\n)\nnew()\nstay()\n"),
        change("python", pre, "go(\n  a1,\n  b,\n  c,\n)\nstay()\n"),
    )
    assert (len(between.parts), len(within.parts)) == (2, 1)


@pytest.mark.parametrize(
    ("pre", "told"),
    [("x = run(1)\n", True), ("x = run(1)\ny = run(1)\n", True), ("x = run(1)\ny = run(2)\n", False)],
)
def test_two_unlike_places_show_more_than_one(pre: str, told: bool) -> None:
    post = pre.replace("run(1)", "checked(run(1))").replace("run(2)", "checked(run(2))")
    reason = why("python", "run($A)", "checked(run($A))", pre, post)
    assert reason == ("one place alone shows that something is put around it" if told else "")


@pytest.mark.parametrize(
    ("pre", "told"),
    [
        ("from kit import as_text\n\nx = as_bytes(1)\n", True),
        ("from kit import as_text, as_bytes\n\nx = as_bytes(1)\n", True),
        ("import kit\n\nx = as_bytes(1)\n", False),
        ("from kit import as_text\n\nx = as_bytes(1)\ny = as_bytes(2)\n", False),
    ],
)
def test_one_name_that_was_imported_before_in_place_of_another(pre: str, told: bool) -> None:
    post = pre.replace("as_bytes(", "as_text(")
    reason = why("python", named("as_bytes", inside=CALLED), "as_text", pre, post, "as_bytes")
    assert reason.startswith("one place alone shows `as_text`, which was there before") is told
    assert bool(reason) is told


@pytest.mark.parametrize(
    ("n", "left", "reason"),
    [(1, 0, ""), (4, 1, ""), (3, 1, "one more place like the 3"), (6, 2, "2 more places like the 6")],
)
def test_like_places_that_were_left(n: int, left: int, reason: str) -> None:
    pre = "a = os.getcwdu()\n" * n + "pass\n" * 9 + "b = os.getcwdu() + c\n" * left
    told = why("python", "os.getcwdu()", "os.getcwd()", pre, pre.replace("u()\n", "()\n"))
    assert reason in told and bool(told) is bool(reason)


@pytest.mark.parametrize(
    ("line", "told"),
    [("#if POCKET", True), ("  # elif POCKET", True), ("#ifdef POCKET", False), ("// #if POCKET", False),
     ("#if PHONE", False)],
)  # fmt: skip
def test_a_condition_of_the_build(line: str, told: bool) -> None:
    pre = f"class A {{\n{line}\n    int x = POCKET;\n}}\n"
    post = pre.replace("POCKET", "TABLET")
    reason = why("csharp", named("POCKET"), "TABLET", pre, post, "POCKET", of_members=True)
    assert reason == ("a condition of the build decides for its own code" if told else "")


@pytest.mark.parametrize(
    ("pre", "old", "new", "told"),
    [
        ("def f(a, sink):\n    return {}\n", "old_text($A)", "sink.quoted($A)", True),
        ("def f(a):\n    return {}\n", "old_text($A)", "sink.quoted($A)", False),
        ("def f(a, sink):\n    return {}\n", "sink.old_text($A)", "sink.quoted($A)", False),
        ("def f(a, sink):\n    return {}\n", "old_text($A)", "rows.sink($A)", False),
    ],
)
def test_a_variable_of_the_changed_code(pre: str, old: str, new: str, told: bool) -> None:
    before, after = (pre.format(text.replace("$A", "a")) for text in (old, new))
    reason = why("python", old, new, before, after)
    assert reason == ("`sink` is a variable of the code that you changed" if told else "")


@pytest.mark.parametrize(
    ("language", "new", "name"),
    [
        ("java", "site.of($A, 1)", "site"),
        ("ruby", "site.of($A, 1)", "site"),
        ("csharp", "site.of($A, 1)", "site"),
        ("java", "site.inner.places.of($A, 1)", "site"),
        # What says by itself what it is: a class, a package, a type that all code has.
        ("java", "Site.of($A, 1)", ""),
        ("java", "site.Places.of($A, 1)", ""),
        ("java", "site.inner.Places.of($A, 1)", ""),
        ("java", "long.of($A, 1)", ""),
        ("java", "_site.of($A, 1)", ""),
        # A variable of one letter, or a word by itself.
        ("java", "s.of($A, 1)", ""),
        ("java", "site", ""),
        # Python says whose member a name is.
        ("python", "site.of($A, 1)", ""),
    ],
)
def test_a_member_of_the_object_itself_that_stands_alone(language: Language, new: str, name: str) -> None:
    frames = {"ruby": "def f(x)\n  {}\nend\n", "python": "def f(x):\n    {}\n"}
    frame = frames.get(language, "class A {{\n  void f(int x) {{ {}; }}\n}}\n")
    old = "Place.of($A, 1)"
    pre, post = (frame.format(text.replace("$A", "x")) for text in (old, new))
    reason = why(language, old, new, pre, post)
    assert reason == (f"`{name}` is of the class that you changed" if name else "")


def test_a_member_that_is_imported_or_stands_in_a_text_is_none_of_the_object() -> None:
    pre = "import p.site;\nclass A {\n  void f(int x) { Place.of(x, 1); }\n}\n"
    post = pre.replace("Place.of", "site.of")
    assert not why("java", "Place.of($A, 1)", "site.of($A, 1)", pre, post)
    assert not why("ruby", "'one two'", "site.of(1)", "x = 'one two'\n", "x = site.of(1)\n")
    assert not why("ruby", "# place of", "# site of", "# place of\nf\n", "# site of\nf\n")


CLASS = {"any": [{"kind": "identifier"}, {"kind": "type_identifier"}], "regex": "^FastClock$"}


@pytest.mark.parametrize(
    ("body", "fix", "roles"),
    [
        ("FastClock x;", "MockClock", {"type"}),
        ("class B extends FastClock { }", "MockClock", {"base"}),
        ("Object x = FastClock.now();", "MockClock", {"value"}),
        # What is made, or defined, is another class everywhere; so is one that is named with more.
        ("Object x = new FastClock();", "MockClock", set()),
        ("FastClock x = new FastClock();", "MockClock", set()),
        ("class FastClock { }", "MockClock", set()),
        ("FastClock x;", "time.FastClock", set()),
        ("FastClock x;", "VeryFastClock", {"type"}),
    ],
)
@pytest.mark.parametrize("top", ["", "import p.FastClock;\n"])
def test_how_a_class_is_used_in_the_change(top: str, body: str, fix: str, roles: set[str]) -> None:
    pre = f"{top}class A {{\n    {body}\n}}\n"
    one = change("java", pre, pre.replace("FastClock", fix))
    assert doubts.shown_roles(action("java", CLASS, fix), [one]) == roles


MEMBER = named("fetch", inside={"kind": "attribute", "field": "attribute"})


@pytest.mark.parametrize(
    ("matcher", "pre", "roles"),
    [
        (MEMBER, "cache.fetch(1)\n", {"of cache"}),
        # On unlike values it is a method of anything; two classes are two classes.
        (MEMBER, "cache.fetch(1)\nrows.fetch(2)\n", set()),
        (MEMBER, "Cache.fetch(1)\nRows.fetch(2)\n", {"of Cache", "of Rows"}),
        (MEMBER, "cache.fetch(1)\nRows.fetch(2)\n", {"of cache", "of Rows"}),
        # The rule says itself whose it is.
        ("cache.fetch($A)", "cache.fetch(1)\n", set()),
        ("$A.fetch(1)", "cache.fetch(1)\n", {"of cache"}),
    ],
)
def test_whose_method_the_change_shows(matcher: dict[str, Any] | str, pre: str, roles: set[str]) -> None:
    fix = matcher.replace("fetch", "load") if isinstance(matcher, str) else "load"
    one = change("python", pre, pre.replace("fetch", "load"))
    assert doubts.shown_roles(action("python", matcher, fix), [one]) == roles
    far = pre + "a = 1\n" * 9 + "other.fetch(9)\n"
    left = change("python", far, far.replace("fetch", "load").replace("other.load", "other.fetch"))
    assert doubts.shown_roles(action("python", matcher, fix), [left]) == roles, (
        "a place that was left shows none"
    )


OLD, ONE = ({"pattern": "old($A)"}, "fresh($A)"), ({"pattern": "one"}, "two")
KIT = (named("old_kit"), "kit")


@pytest.mark.parametrize(
    ("rules", "pre", "post", "made"),
    [
        ([OLD], "old(1)\n", "fresh(1)\n", {0}),
        ([OLD], "stay()\n", "gone()\n", set()),
        # A hunk is made whole, or it is not made.
        ([OLD], "old(1)\nx = one\n", "fresh(1)\nx = two\n", set()),
        ([OLD, ONE], "old(1)\nx = one\n", "fresh(1)\nx = two\n", {0, 1}),
        ([OLD], "old(1)\nstay()\nx = one\n", "fresh(1)\nstay()\nx = two\n", {0}),
        ([OLD], "old(one)\n", "fresh(two)\n", set()),
        # A place that was left tells nothing; nor does a line that comes apart from it, or a blank one.
        ([OLD], "old(1)\nstay()\nold(3)\n", "fresh(1)\nstay()\nold(3)\n", {0}),
        ([OLD], "stay()\nold(1)\n", "stay()\nnew_line()\nfresh(1)\n", set()),
        ([OLD], "old(1)\nstay()\n", "fresh(1)\nnew_line()\nstay()\n", set()),
        ([OLD], "old(1)\nstay()\n", "fresh(1)\n\nstay()\n", {0}),
        ([OLD], "stay()\nold(1)\na()\nb()\n", "stay()\nfresh(1)\na()\nnew_line()\nb()\n", {0}),
        # A use tells more than an import, where there is one.
        ([KIT], "import old_kit\n\nold_kit.f()\n", "import kit\n\nkit.f()\n", {0}),
        ([KIT], "import old_kit\n\nold_kit.f(1)\n", "import kit\n\nkit.f(2)\n", set()),
        ([KIT], "import old_kit\n\ng()\n", "import kit\n\ng()\n", {0}),
    ],
)
def test_the_rules_that_make_a_place_with_its_hunk(
    rules: list[tuple[dict[str, Any], str]], pre: str, post: str, made: set[int]
) -> None:
    several = Action("python", tuple({"rule": rule, "fix": fix} for rule, fix in rules), mode="rule")
    assert replay.completing_rules(several, change("python", pre, post)) == made


@pytest.mark.parametrize("top", ["", "from m import old\n\n"])
@pytest.mark.parametrize(("end", "alone"), [("", set()), ("y = old(b)\n", {frozenset[int]()})])
def test_the_others_with_which_a_rule_makes_a_line_that_is_no_import(
    top: str, end: str, alone: set[frozenset[int]]
) -> None:
    rules = [*action("python", "old", "new").rules, *action("python", "$A.tail", "$A.end").rules]
    pre = f"{top}x = old(a).tail\n{end}"
    made = change("python", pre, pre.replace("old", "new").replace("tail", "end"))
    shown = {0: {frozenset({1})} | alone, 1: {frozenset({0})}}
    assert replay.partners(Action("python", tuple(rules), mode="rule"), made) == shown


@pytest.mark.parametrize(
    ("language", "new", "pre", "names"),
    [
        ("python", "help_text($A)", "def help_text(a): pass\n{}\n", {"help_text"}),
        ("python", "help_text($A)", "from kit import help_text\n{}\n", {"help_text"}),
        ("python", "help_text($A)", "{}\n", set()),
        ("python", "$A.help_text", "def help_text(a): pass\n{}\n", set()),
        ("typescript", "Help.text($A)", "{};\nclass Help {{ }}\n", {"Help"}),
        # Ruby sees what other files define; Java what its package does.
        ("ruby", "help_text($A)", "def help_text(a)\nend\n{}\n", set()),
        ("java", "Help.text($A)", "class A {{ int x = {}; }}\nclass Help {{ }}\n", set()),
        ("java", "limit", "class A {{ int x = {}; int limit = 3; }}\n", {"limit"}),
    ],
)
def test_names_that_only_the_changed_file_defines(
    language: Language, new: str, pre: str, names: set[str]
) -> None:
    texts = (pre.format(text.replace("$A", "a")) for text in ("old(a)", new))
    rules = action(language, "old($A)", new).rules
    assert doubts.defined_names(rules, [change(language, *texts)], language) == names
    kept = action(language, f"{new} + $A", new).rules
    assert not doubts.defined_names(kept, [change(language, pre.format("a"), pre.format("a"))], language)


def test_several_words_of_a_string_are_prose() -> None:
    def is_prose(kind: str, old: str, **more: Any) -> bool:
        return doubts.is_part_of_text({"rule": {"kind": kind, "regex": "a b"}, "fix": "$N", **more}, old)

    steps = {"transform": {"N": {"replace": {"source": "$T", "replace": "a b", "by": "c"}}}}
    assert is_prose("string_content", "a b", **steps)
    assert not is_prose("string_content", " word ", **steps)
    assert not is_prose("comment", "a b", **steps)
    assert not is_prose("string_content", "a b")


@pytest.mark.parametrize(
    ("old", "told"),
    [("cat", False), ("the cat sat", False), ("the-cat.", False), ("concat", True), ("cats", True),
     ("cat, cats", True), ("dog", False)],
)  # fmt: skip
def test_a_part_of_a_longer_word(old: str, told: bool) -> None:
    steps = {"N": {"replace": {"source": "$T", "replace": "cat", "by": "cow"}}, "M": "rewrite($T)"}
    assert doubts.in_longer_word({"rule": {"kind": "comment"}, "transform": steps, "fix": "$N"}, old) is told
    assert not doubts.in_longer_word({"rule": {"kind": "comment"}, "fix": "cow"}, old)


def test_what_is_taken_from_a_name_on_the_changed_lines() -> None:
    pre = "f(Mode::A, x.Mode.B);\nMode::C;\nMode->d;\nMode.e\nAMode::f;\n"
    one = change(
        "rust", pre, pre.replace(";\n", "\n").replace("Mode::C\n", "Mode::C;\n").replace("e\n", "\n")
    )
    assert doubts.members_changed("Mode", [one]) == {"A", "d", "e"}


def test_the_lines_of_code_that_change() -> None:
    pre = "import a\nx = 1\n# c\ny = 2\nz\n"
    post = "import b\nx = 2\n# d\ny = 3\nz\n"
    assert doubts.changed_code([change("python", pre, post)], "python") == ["x = 1", "y = 2"]
    pre = "#[a]\n// b\n* c\n/* d\n-- e\nz\n"
    assert doubts.changed_code([change("rust", pre, "z\n")], "rust") == ["#[a]"]
