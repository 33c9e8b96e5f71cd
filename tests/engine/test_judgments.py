"""Judgment beyond "it applied", the tidy step, and why nothing matched."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path

import pytest

from rulewright.actions import Action, parse_action
from rulewright.engine import apply, judge, no_match, parsing
from rulewright.engine.judge import judge_together
from rulewright.languages import Language
from rulewright.verdict import Verdict


def _action(pattern: object, fix: str, language: Language = "python", **more: object) -> Action:
    rule = pattern if isinstance(pattern, dict) else {"pattern": pattern}
    return Action(language, ({"rule": rule, "fix": fix, **more},))


LOSSY = [
    ("python", "if $A:\n    $B", "if not $A:\n    $B", "if x:\n    y()\nelse:\n    z()\n"),
    ("python", "import $A", "import new", "import os, sys\n"),
    ("python", "def $F($$$P):\n    $$$B", "def $F($$$P):\n    $$$B", "async def f(a):\n    return a\n"),
    ("python", "raise $E", "raise Other($E)", "raise A() from b\n"),
    ("python", "assert $A", "check($A)", 'assert x, "message"\n'),
    ("python", "foo($A)", "bar($A)", "foo(\n    # keep me\n    1\n)\n"),
    ("javascript", "const $A = $B", "let $A = $B", "const a = 1, b = 2\n"),
    # What goes stands in a longer name, in a string and behind a dot of the fix: it goes all the same.
    ("python", "import $A", "import someone", "import os, one\n"),
    ("python", "import $A", "import other  # 'one'", "import os, one\n"),
    ("javascript", "foo($A)", "bar('b', $A)", "foo(/* b */ 1)\n"),
    ("ruby", "foo($A)", "bar($A)", "foo(\n  # keep me\n  1\n)\n"),
    ("php", "if ($A) { $B }", "if (!$A) { $B }", "<?php\nif ($x) { y(); } else { z(); }\n"),
    ("csharp", "Foo($A)", "Bar($A)", "class A { void F() { Foo(\n  // keep me\n  1); } }\n"),
    ("kotlin", "if ($A) $B", "if (!$A) $B", "fun f() { if (x) { y() } else { z() } }\n"),
]  # fmt: skip


@pytest.mark.parametrize(("language", "pattern", "fix", "code"), LOSSY)
def test_silent_loss_is_seen(language: Language, pattern: str, fix: str, code: str) -> None:
    outcome = judge(_action(pattern, fix, language), code)
    assert Verdict.LOSSY in outcome.flags, outcome
    assert outcome.verdict in (Verdict.LOSSY, Verdict.NO_CHANGE)


HONEST = [
    ("python", "$D[$K] if $K in $D else $V", "$D.get($K, $V)", "x = d[a.b] if a.b in d else 0\n"),
    ("python", "f($$$A) or g($$$A)", "h($$$A)", "f(1, x) or g(1, x)\n"),
    ("python", "$A == None", "$A is None", "if x.y == None:\n    pass\n"),
    ("python", "foo($$$A)", "bar($$$A)", "foo(1, *x, k=2)\n"),
    ("python", "print($_, $$$)", "log()", "print(a, b, c)\n"),
    ("python", "old()", "new()", "old()\n"),
    ("python", "import os", "import os\nimport sys", "import os\n"),
    ("javascript", "var $A = $B;", "let $A = $B;", "var a = 1;\n"),
    ("go", {"pattern": {"context": "func f() { ioutil.ReadFile($X) }", "selector": "call_expression"}},
     "os.ReadFile($X)", "package p\nfunc g() { ioutil.ReadFile(a) }\n"),
    ("ruby", "$A == nil", "$A.nil?", "return if file == nil\n"),
    ("ruby", "def $F($$$P)\n  $B\nend", "def $F($$$P) = $B", "def f(a)\n  g(a)\nend\n"),
    ("php", "strpos($A, $B) !== false", "str_contains($A, $B)",
     "<?php\n$x = strpos($t, $_GET['a']) !== false;\n"),
    ("csharp", {"pattern": {"context": "class C { bool x = $A == null; }", "selector": "binary_expression"}},
     "$A is null", "class A { bool F(string a) { return a == null; } }\n"),
    ("kotlin", "$A.filter { $B }.first()", "$A.first { $B }", "val x = y.filter { it > 1 }.first()\n"),
]  # fmt: skip


@pytest.mark.parametrize(("language", "pattern", "fix", "code"), HONEST)
def test_an_honest_rule_is_not_suspected(language: Language, pattern: object, fix: str, code: str) -> None:
    assert judge(_action(pattern, fix, language), code).verdict is Verdict.OK


def _rules_of_others(folder: Path) -> Iterator[Action]:
    """Every rule of the catalog and every forward template that has a fix."""
    for line in (folder / "astgrep_catalog.jsonl").read_text("utf-8").splitlines():
        action = parse_action(json.loads(line).get("rule_yaml", ""))
        if isinstance(action, Action) and all("fix" in rule for rule in action.rules):
            yield action
    for line in (folder / "codemod_templates.jsonl").read_text("utf-8").splitlines():
        row = json.loads(line)
        yield Action(row["language"], ({key: value for key, value in row["forward"].items() if value},))


def test_rules_of_others_are_seldom_suspected(shared: Path, count: Callable[[str], None]) -> None:
    codes: dict[str, list[str]] = {}
    for line in (shared / "data" / "commit_edits.jsonl").read_text("utf-8").splitlines():
        row = json.loads(line)
        texts = codes.setdefault(row["language"], [])
        if len(texts) < 30 and 30 < len(row["pre"]) < 12_000:
            texts.append(row["pre"])
    flags: Counter[Verdict] = Counter()
    pairs = matches = 0
    for action in _rules_of_others(shared / "data"):
        for code in codes.get(action.language, []):
            outcome = judge(action, code)
            pairs += outcome.n_matches > 0
            matches += outcome.n_matches
            flags.update(outcome.flags)
    count(
        f"rules of others on real files: {pairs} (rule, file) pairs with {matches} matches; "
        + ", ".join(
            f"{flag} {flags[flag]}" for flag in (Verdict.LOSSY, Verdict.DEGENERATE, Verdict.SYNTAX_ERROR)
        )
    )
    assert pairs > 100
    assert flags[Verdict.LOSSY] + flags[Verdict.DEGENERATE] <= 0.01 * pairs


def test_a_stated_deletion_is_no_loss() -> None:
    assert judge(_action({"kind": "assert_statement"}, ""), "x = 1\nassert x, 'no'\n").ok


def test_a_whole_file_literal_is_degenerate() -> None:
    code = "def add(a, b):\n    return a - b\n"
    whole = _action({"kind": "module"}, "def add(a, b):\n    return a + b\n")
    assert judge(whole, code, "def add(a, b):\n    return a + b\n\n").verdict is Verdict.DEGENERATE
    body = "x = 1\n" + "y = some_long_name(1, 2, 3, 4)\n" * 6
    copied = _action(
        {"kind": "function_definition"}, "def f():\n    " + "value = other_name(9, 8, 7)\n    " * 8
    )
    assert judge(copied, "def f():\n    " + body.replace("\n", "\n    ")).verdict is Verdict.DEGENERATE


@pytest.mark.parametrize(
    ("rule", "code"),
    [
        (
            {"pattern": "keep([$A], $$$)", "has": {"pattern": "old($B)", "stopBy": "end"}},
            f"keep([old({'a' * 30})], {'z' * 60})\n",
        ),
        (
            {"pattern": "keep($A, $$$)", "inside": {"pattern": "pair($B, $$$)", "stopBy": "end"}},
            f"pair({'b' * 40}, keep(a, {'z' * 70}))\n",
        ),
    ],
)
def test_what_is_carried_over_counts_once_and_only_of_the_match(rule: object, code: str) -> None:
    """One variable within another, or one that is bound outside of the match, carries nothing more over."""
    assert Verdict.DEGENERATE in judge(_action(rule, f"{'x' * 200}($A, $B)"), code).flags


@pytest.mark.parametrize(
    ("language", "around"),
    [
        ("python", "{}\n"), ("ruby", "{}\n"), ("php", "<?php\n{};\n"), ("kotlin", "fun f() {{ {} }}\n"),
        ("csharp", "class A {{ void F() {{ {}; }} }}\n"),
    ],
)  # fmt: skip
def test_a_broken_result_is_a_syntax_error(language: Language, around: str) -> None:
    outcome = judge(_action("foo($A)", "bar($A", language), around.format("foo(1)"))
    assert outcome.verdict is Verdict.SYNTAX_ERROR
    assert outcome.post == around.format("bar(1")
    code = around.format("foo(1)")
    line = code[: code.index("foo")].count("\n") + 1
    assert f"1 syntax error, the code before 0; the first at line {line}" in outcome.detail


LONG: dict[Language, str] = {
    "python": "\n\ndef f{n}(a):\n    return foo(a)\n",
    "typescript": "\nfunction f{n}(a: number) {{\n  return foo(a);\n}}\n",
    "go": "\nfunc f{n}(a int) int {{\n\treturn foo(a)\n}}\n",
    "rust": "\nfn f{n}(a: i32) -> i32 {{\n    foo(a)\n}}\n",
    "ruby": "\ndef f{n}(a)\n  foo(a)\nend\n",
}
FIXES = ("bar($A)", "bar($A", '"', "bar($A) /*", "bar(`$A)", "'''", "#{$A", "=begin", "else", "return", "}")


@pytest.mark.parametrize("language", LONG)
@pytest.mark.parametrize("places", [(3,), (3, 300), (0, 599)])
def test_a_long_text_of_which_the_changed_part_is_parsed_is_judged_as_if_it_were_all(
    language: Language, places: tuple[int, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    parts = [LONG[language].format(n=n) for n in range(600)]
    code = "".join(part if n in places else part.replace("foo", "other") for n, part in enumerate(parts))
    parsed: set[str] = set()

    def parse(text: str, language: Language) -> parsing.ParsedCode:
        parsed.add(text)
        return parsing.parse(text, language)

    for module, name in (("apply", "parse"), ("checks", "parse"), ("changed_statements", "parsed")):
        monkeypatch.setattr(import_module(f"rulewright.engine.{module}"), name, parse)
    for fix in FIXES:
        outcome = judge(_action("foo($A)", fix, language), code)
        assert outcome.post is not None
        before, after = (parsing.parse(text, language) for text in (code, outcome.post))
        assert not before.broken
        assert (Verdict.SYNTAX_ERROR in outcome.flags) == after.is_worse_than(before), fix
    parsed.clear()
    judge(_action("foo($A)", FIXES[0], language), code)
    assert len(parsed) == 2
    assert all(len(text) < len(code) / 20 for text in parsed - {code}), "the whole text was parsed again"


@pytest.mark.parametrize(
    ("code", "lossy"), [("foo(\n    # keep\n    1)\nzed(2)\n", True), ("foo(1)\nzed(2)\n", False)]
)
def test_rules_judged_together_have_the_faults_of_each(code: str, lossy: bool) -> None:
    outcome = judge_together([_action("zed($A)", "zag($A)"), _action("foo($A)", "bar($A)")], code)
    assert (outcome.post, outcome.n_matches) == ("bar(1)\nzag(2)\n", 2)
    assert (
        outcome.verdict is (Verdict.LOSSY if lossy else Verdict.OK)
        and ("'# keep'" in outcome.detail) is lossy
    )


@pytest.mark.parametrize(
    ("before", "after", "is_worse"),
    [
        ("a();\n", "a();\n", False), ("x = ) 1;\n", "x = ) 2;\n", False),
        ("x = 1;\n", "f(1;\n", True), ("x = 1;\n", "x = ) 1;\n", True),
        # One fault of a kind less, and one of the other more.
        ("x = ) 1;\n", "f(1;\n", True), ("f(1;\n", "x = ) 1;\n", True), ("f(1;\n", "f(1);\n", False),
    ],
)  # fmt: skip
def test_a_text_with_more_faults_of_either_kind_is_worse(before: str, after: str, is_worse: bool) -> None:
    """`f(1;` lacks a token, and in `x = ) 1;` there is one that the grammar cannot place."""
    old, new = (parsing.parse(text, "javascript") for text in (before, after))
    assert new.is_worse_than(old) is is_worse


def test_a_judgment_tidies_and_rules_judged_together_do_not() -> None:
    """As `ast-grep scan -U`."""
    code, gone = "if x:\n    foo()\n    bar()\n", _action("foo()", "")
    assert judge(gone, code).post == "if x:\n\n    bar()\n"
    together = judge_together([gone], code)
    assert (together.post, together.tidied) == ("if x:\n    \n    bar()\n", False)


@pytest.mark.parametrize(("code", "verdict"), [("foo(1)\n", Verdict.NO_CHANGE), ("x\n", Verdict.NO_MATCH)])
def test_rules_judged_together_that_change_nothing(code: str, verdict: Verdict) -> None:
    assert judge_together([_action("foo($A)", "foo($A)"), _action("zed", "zed")], code).verdict is verdict


def test_a_sum_of_a_thousand_terms_is_judged() -> None:
    code = f"x = {' + '.join(f'a{n}' for n in range(1100))}\n"
    named = {"has": {"pattern": "$X", "field": "left"}}
    rule = {"kind": "assignment", "all": [named, {"has": {"pattern": "a0", "stopBy": "end"}}]}
    assert judge(Action("python", ({"rule": rule, "fix": "$X = 0"},)), code).verdict is Verdict.LOSSY


def test_the_wanted_result_decides_last() -> None:
    action = _action("foo($A)", "bar($A)")
    right = judge(action, "foo(1)\n", "bar(1)\n")
    assert right.ok and right.places is None, "places are told only where they are asked for"
    outcome = judge(action, "foo(1)\n", "baz(1)\n")
    assert outcome.verdict is Verdict.WRONG_RESULT
    assert "line 1 is 'bar(1)', wanted 'baz(1)'" in outcome.detail


@pytest.mark.parametrize(("end", "said"), [("", "missing"), ("\n", "too much")])
def test_a_line_end_that_the_text_ends_with_is_told_as_that(end: str, said: str) -> None:
    wanted = "bar(1)" + ("" if end else "\n")
    assert said in judge(_action("foo($A)", "bar($A)"), f"foo(1){end}", wanted).detail


def test_rules_apply_one_after_another_and_the_states_show_it() -> None:
    rules = (
        {"rule": {"pattern": "foo($A)"}, "fix": "bar($A)"},
        {"rule": {"pattern": "bar($A)"}, "fix": "baz($A)"},
    )
    outcome = judge(Action("python", rules), "foo(1)\n")
    assert outcome.states == ("bar(1)\n", "baz(1)\n")
    assert (outcome.n_rules, outcome.matches_per_rule, outcome.n_matches) == (2, (1, 1), 2)
    assert outcome.bytes_touched == 3 + 1  # foo → bar, r → z


def test_tidying_empties_only_the_lines_that_the_rewrite_made() -> None:
    code = "class A:\n    foo(\n        1,\n   \n        2)\n"
    action = _action("foo($$$A)", "bar(\n\n    $$$A)")
    exact, tidied = apply(action, code, exact=True), apply(action, code)
    assert exact.post == "class A:\n    bar(\n    \n        1,\n       \n        2)\n"
    assert tidied.post == "class A:\n    bar(\n\n        1,\n       \n        2)\n"
    assert tidied.tidied and not exact.tidied


def test_tidying_empties_the_line_of_a_deleted_statement() -> None:
    outcome = apply(_action("foo()", ""), "if x:\n    foo()\n    bar()\n")
    assert outcome.post == "if x:\n\n    bar()\n" and outcome.tidied
    assert not apply(_action("foo()", "baz()"), "if x:\n    foo()\n").tidied


def test_tidying_leaves_the_blanks_at_the_ends_of_the_lines_beside_it() -> None:
    outcome = apply(_action("foo()", ""), "if x: \n    foo()\n    bar() \n")
    assert outcome.post == "if x: \n\n    bar() \n"


def test_carriage_returns_stay() -> None:
    outcome = apply(_action("foo()", ""), "if x:\r\n    foo()\r\n    bar()\r\n")
    assert outcome.post == "if x:\r\n\r\n    bar()\r\n"


WHY = [
    ({"pattern": "fooo($A)"}, "foo(1)\n", "the nearest, at line 1, is `foo(1)`"),
    ({"pattern": "fooo($A)"}, "zzz(1)\nfoo(1)\n", "the nearest, at line 2, is `foo(1)`"),
    ({"pattern": "lambda: $A"}, "foo(1)\n", "the code has none"),
    ({"kind": "call", "inside": {"kind": "class_definition"}}, "class A:\n  foo(1)\n",
     "with `stopBy: end` in it there would be 1"),
    ({"kind": "lambda"}, "foo(1)\n", "no node of kind `lambda`"),
]  # fmt: skip


@pytest.mark.parametrize(("rule", "code", "reason"), WHY)
def test_it_says_why_nothing_matched(rule: dict[str, object], code: str, reason: str) -> None:
    assert reason in no_match.explain(_action(rule, "x"), code)


def test_it_says_that_a_constraint_or_a_comment_is_why() -> None:
    constrained = _action("foo($A)", "x", constraints={"A": {"regex": "z"}})
    assert "`constraints` leave none: at line 1 $A is `1`" in no_match.explain(
        constrained, "foo(1)\nfoo(2)\n"
    )
    assert "suppressed" in no_match.explain(_action("foo($A)", "x"), "foo(1)  # ast-grep-ignore\n")


def test_broken_code_goes_by_the_command_line() -> None:
    outcome = judge(_action("foo($A)", "bar($A)"), "foo(1)\ndef (\n")
    assert outcome.ok and outcome.post == "bar(1)\ndef (\n"


def test_empty_and_foreign_texts() -> None:
    action = _action("foo($A)", "bar($A)")
    assert judge(action, "").verdict is Verdict.NO_MATCH
    assert judge(action, "foo('\ud800')\n").verdict is Verdict.INFRA
    assert judge(Action("other", action.rules), "foo(1)").verdict is Verdict.BAD_ACTION
