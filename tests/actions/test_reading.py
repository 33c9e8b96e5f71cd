"""What is taken and what is refused where rules are read, on both sides of each bound."""

# ruff: noqa: E501  (tables of cases read best unbroken)
from __future__ import annotations

import json
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rulewright import difftext
from rulewright.actions import Action, Rejection, canonical, cli_line, parse_action, yaml_text
from rulewright.actions.codec import is_rule_file, read_action
from rulewright.actions.rule_text import MAX_CHARS, MAX_DEPTH, MAX_NODES, describe
from rulewright.languages import Language
from rulewright.verdict import Verdict

RULE: dict[str, Any] = {"rule": {"pattern": "foo($A)"}, "fix": "bar($A)"}
TEXT = "id: r\nlanguage: python\nrule: {pattern: foo($A)}\nfix: bar($A)\n"


def wire(**fields: Any) -> str:
    return json.dumps({"action": {"type": "ast_grep", **fields}})


def refused(text: str, language: Language | None = None) -> Rejection:
    parsed = parse_action(text, language)
    assert isinstance(parsed, Rejection), parsed
    return parsed


def nested(levels: int) -> dict[str, Any]:
    """A rule object of so many mappings below its first."""
    made: dict[str, Any] = {"kind": "call"}
    for _ in range(levels):
        made = {"has": made}
    return made


def test_an_object_may_be_as_deep_and_as_large_as_a_text() -> None:
    # The list of rules, the rule and its `rule` are three levels.
    deepest = MAX_DEPTH - 3
    for levels, taken in ((deepest, True), (deepest + 1, False)):
        parsed = parse_action(wire(language="python", mode="rule", rule={"rule": nested(levels)}))
        assert isinstance(parsed, Action) is taken, parsed
    assert "deeper than 32 levels" in refused(wire(language="python", mode="rule", rule=nested(40))).detail
    # The list, the rule, its `rule`, `any` and one mapping and one text for each alternative.
    for n, taken in (((MAX_NODES - 4) // 2, True), ((MAX_NODES - 4) // 2 + 1, False)):
        rule = {"rule": {"any": [{"kind": "a"}] * n}}
        parsed = parse_action(wire(language="python", mode="rule", rule=rule))
        assert isinstance(parsed, Action) is taken, n
    # Two rules, as one text of JSON.
    room = MAX_CHARS - len(json.dumps([RULE, {**RULE, "fix": ""}]))
    for n, taken in ((room, True), (room + 1, False)):
        two = [RULE, {**RULE, "fix": "x" * n}]
        parsed = parse_action(wire(language="python", mode="rule", rule=two))
        assert isinstance(parsed, Action) is taken, n


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"mode": "rule", "rule": []}, "`rule` is an empty list"),
        ({"mode": "rule", "rule": [RULE, 3]}, "document 2: a rule is a mapping"),
        ({"mode": "rule", "rule": RULE, "language": "pyton"}, "did you mean `python`?"),
        ({"mode": "rule", "rule": RULE, "language": 3}, "`language` must be one of ours, got a number (3)"),
        ({"mode": "rule", "rule": RULE, "language": "go"}, "the action is for Go, the code is Python"),
        ({"mode": "rule", "rule": RULE, "cli": "x"}, "mode `rule` takes `rule`, but `cli` is there too"),
        ({"mode": "rule", "rule": RULE, "notes": 3}, "`notes` must be text of at most 16384 characters"),
        ({"mode": "rule", "rule": RULE, "notes": "x" * 16_385}, "`notes` must be text of at most 16384"),
        ({"mode": "rule", "rule": {**RULE, "fix": "x" * 16_385}}, "has 16385 characters, at most 16384"),
        ({"mode": "rule", "rule": [{**RULE, "fix": "x" * 9_000}] * 2}, "characters, at most 16384 are taken"),
        ({"mode": "cli", "cli": "ast-grep run -p a -r b -l go"}, "for Go, the code is Python|line is for Go"),
        ({"mode": "rule", "rule": [{**RULE, "language": "Go"}]}, "the rule is for Go, the code is Python"),
    ],
)  # fmt: skip
def test_what_an_action_may_not_say(fields: dict[str, Any], says: str) -> None:
    detail = refused(wire(**fields), "python").detail
    assert any(one in detail for one in says.split("|")), detail


@pytest.mark.parametrize("notes", ["", "x" * 16_384])
def test_notes_and_absent_fields_are_taken(notes: str) -> None:
    parsed = parse_action(wire(mode="rule", rule=RULE, notes=notes, cli=None, rule_yaml=None), "python")
    assert isinstance(parsed, Action) and parsed.notes == notes


def test_documents_of_one_action_are_of_one_language() -> None:
    go = TEXT.replace("python", "Go")
    assert refused(f"{TEXT}---\n{go}").detail.startswith(
        "document 2: the rule is for Go, document 1 is for Python"
    )
    assert "the code is Python; write `language: Python`" in refused(go, "python").detail
    assert refused(wire(mode="rule", rule=RULE)).detail == "no language is given"
    assert refused(wire(mode="cli", cli="ast-grep run -p a -r b")).detail == "the command line lacks -l"


FIELDS = [
    ("message: [a]", "`message` must be text"),
    ("message: null", "`message` must be text"),
    ("note: null", ""),
    ("url: 3", ""),
    ("url: null", ""),
    ("labels: null", ""),
    ("files: null", ""),
    ("ignores: null", ""),
    ("metadata: a", "`metadata` must be a mapping"),
    ("metadata: null", ""),
    ("files: a", "`files` must be a list"),
    ("files: [3]", "`files` is a list of globs, got a number (3)"),
    ("ignores: [{glob: 3}]", "`ignores` is a list of globs, got a mapping"),
    ("ignores: [{glob: a, caseInsensitive: true}, b]", ""),
    ("severity: bad", "`severity` must be one of hint, info, warning, error, off"),
    ("severity: info", ""),
    ("labels: {A: {style: primary}}", ""),
    ("labels: {A: {style: third}}", "label `A` needs a `style`"),
    ("labels: {A: 3}", "label `A` needs a `style`"),
    ("labels: {B: {style: secondary}}", "label `B`: no variable `$B` is defined"),
    ("constraints: null", ""),
]


@pytest.mark.parametrize(("line", "says"), FIELDS)
def test_fields_without_effect_have_types_all_the_same(line: str, says: str) -> None:
    parsed = parse_action(f"{TEXT}{line}\n")
    if says:
        assert isinstance(parsed, Rejection) and says in parsed.detail, parsed
    else:
        assert isinstance(parsed, Action) and parsed.rules == (RULE,)


def test_a_label_names_a_whole_variable() -> None:
    text = TEXT.replace("$A", "$AB") + "labels: {A: {style: primary}}\n"
    assert "no variable `$A` is defined" in refused(text).detail


def test_pairs_of_json_escapes_are_one_character_and_halves_are_refused() -> None:
    escaped = TEXT.replace("bar($A)", '"bar(\\ud83d\\ude00)"')
    parsed = parse_action(escaped)
    assert isinstance(parsed, Action) and parsed.rules[0]["fix"] == "bar(😀)"
    for text in (escaped, TEXT):
        assert "a key must be text: quote '1'" in refused(f"{text}constraints: {{1: {{kind: a}}}}\n").detail
    last = parse_action(TEXT.replace("bar($A)", '"\\uDBFF\\uDFFF"'))
    assert isinstance(last, Action) and last.rules[0]["fix"] == "\U0010ffff"
    refused(TEXT.replace("bar($A)", '"bar(\\ud83d)"'))


@pytest.mark.parametrize(
    ("words", "pattern", "fix"),
    [
        ("-p a -r b", "a", "b"), ("-pa -rb", "a", "b"), ("-p=a -r=b", "a", "b"), ("-p '=a' -r ''", "=a", ""),
        ("--pattern=a --rewrite=", "a", ""), ("--pattern a --rewrite==b", "a", "=b"), ("-p -x -r -y", "-x", "-y"),
        ("-p 'a\nb' -r 'c'", "a\nb", "c"), ("-p 'a\nb' -r c(d)", "a\nb", "c(d)"),
    ],
)  # fmt: skip
def test_flags_have_their_values_in_every_form(words: str, pattern: str, fix: str) -> None:
    language, rule = cli_line.parse(f"ast-grep run {words} -l py")
    assert (language, rule) == ("python", {"rule": {"pattern": pattern}, "fix": fix})


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("ast-grep", "must begin with `ast-grep run`"),
        ("ast-grep scan -p a -r b", "must begin with `ast-grep run`"),
        ("sg run -p a -r b", "must begin with `ast-grep run`"),
        ("ast-grep run -r b -p", "-p lacks its value"),
        ("ast-grep run -p a --pattern b -r c", "--pattern is given twice"),
        ("ast-grep run -p a -r b --strictness smrt", "unknown strictness `smrt`; did you mean `smart`?"),
        (f"ast-grep run {'x' * 80}", f"`{'x' * 80}` is not taken"),
        (f"ast-grep run {'x' * 81}", f"`{'x' * 77}...` is not taken"),
        ("ast-grep run -p a -r b\rrm", "line break outside quotes"),
        ("ast-grep run -p a\n-r b", "line break outside quotes"),
    ],
)
def test_a_command_line_is_refused_in_words(line: str, says: str) -> None:
    assert says in refused(wire(mode="cli", cli=line), "python").detail


@pytest.mark.parametrize(
    ("rules", "can"),
    [
        ((RULE,), True), ((RULE, RULE), False), (({"rule": {"pattern": "a"}},), False),
        (({**RULE, "utils": {}},), False), (({"rule": {"pattern": "a"}, "fix": {"template": "b"}},), False),
        (({"rule": {"pattern": "a", "kind": "b"}, "fix": "c"},), False),
        (({"rule": {"pattern": {"context": "a", "selector": "b"}}, "fix": "c"},), True),
        (({"rule": {"pattern": {"context": "a"}}, "fix": "c"},), False),
        (({"rule": {"pattern": {"selector": "a", "strictness": "ast"}}, "fix": "c"},), False),
        (({"rule": {"pattern": {"context": "a", "selector": 3}}, "fix": "c"},), False),
        (({"rule": {"pattern": {"context": "a", "other": "b"}}, "fix": "c"},), False),
    ],
)  # fmt: skip
def test_what_a_command_line_can_say(rules: tuple[Any, ...], can: bool) -> None:
    assert cli_line.can_render(rules) is can


@pytest.mark.parametrize(
    ("text", "is_action"),
    [
        ("", True), ("  \n", True), ("<action>", True), ("<think>a", True), (TEXT, False), ("{id: r}", False),
        ('{"rule": {}}', False), ('{"rule": {}, "mode": "rule"}', True), ('{"rule": {}, "type": "x"}', True),
        ('{"a": 1}', True), ("{broken", True), ("{ language: x", False),
        ("id: r\nlanguage: tsx\nrule: {pattern: '<action>{$A}</action>'}\nfix: <think/>", False),
        ("rule: think\n<action>{}</action>", True),
    ],
)  # fmt: skip
def test_a_rule_file_is_told_from_an_action(text: str, is_action: bool) -> None:
    assert is_rule_file(text) is not is_action


def test_an_empty_answer_is_told_as_that() -> None:
    assert read_action(" \n") == Rejection(Verdict.NO_ACTION, "the answer is empty")


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ({"a": "b"}, "a: b\n"), ({"a": ""}, 'a: ""\n'), ({"a": "yes"}, "a: 'yes'\n"), ({"a": "1.5"}, "a: '1.5'\n"),
        ({"a": "b: c"}, "a: 'b: c'\n"), ({"a": "b #c"}, "a: 'b #c'\n"), ({"a": "b:"}, "a: 'b:'\n"),
        ({"a": "-"}, "a: '-'\n"), ({"a": "- b"}, "a: '- b'\n"), ({"a": "-b"}, "a: -b\n"), ({"a": " b"}, "a: ' b'\n"),
        ({"a": "b\nc"}, "a: |-\n  b\n  c\n"), ({"a": "b\nc\n"}, "a: |\n  b\n  c\n"), ({"a": "b\n"}, "a: |\n  b\n"),
        ({"a": " b\nc"}, 'a: " b\\nc"\n'), ({"a": "b\n\n"}, 'a: "b\\n\\n"\n'), ({"a": "\n"}, 'a: "\\n"\n'),
        ({"a": "\tb"}, 'a: "\\tb"\n'), ({"a": "'\""}, "a: '''\"'\n"), ({"a": "'b"}, "a: \"'b\"\n"),
        ({"a": {}}, "a: {}\n"), ({"a": []}, "a: []\n"), ({"a": [1, "b"]}, "a:\n  - 1\n  - b\n"),
        ({"a": [{"b": 1, "c": 2}]}, "a:\n  - b: 1\n    c: 2\n"), ({"a": {"b": "c\nd"}}, "a:\n  b: |-\n    c\n    d\n"),
        ({"a": [[]]}, "a:\n  - []\n"), ({"a": True, "b": None}, "a: true\nb: null\n"),
    ],
)  # fmt: skip
def test_yaml_as_people_write_it(value: dict[str, Any], text: str) -> None:
    assert yaml_text.dump(value) == text


def test_values_are_named_for_messages() -> None:
    assert describe({}) == "a mapping" and describe("a") == 'text ("a")'


@pytest.mark.parametrize(
    ("fix", "literal"), [("bar($A)", False), ("bar()", True), ("$$$", False), ("$a", True), ("$5", True)]
)
def test_a_literal_action_has_no_variable(fix: str, literal: bool) -> None:
    action = Action("python", ({"rule": {"pattern": "foo()"}, "fix": fix},))
    assert canonical.is_literal(action) is literal
    by_kind = Action("python", ({"rule": {"kind": "call"}, "fix": "x"},))
    assert not canonical.is_literal(by_kind)
    assert not canonical.is_literal(Action("python", (*action.rules, *by_kind.rules)))
    with_regex = {"rule": {"pattern": "foo()", "regex": "$A"}, "fix": "x"}
    assert canonical.is_literal(Action("python", (with_regex,)))


TEN = [str(n) for n in range(10)]


@pytest.mark.parametrize(
    ("at", "context", "heads"),
    [
        ([4], 3, ["@@ -2,7 +2,7 @@"]),
        ([0], 3, ["@@ -1,4 +1,4 @@"]),
        ([9], 3, ["@@ -7,4 +7,4 @@"]),
        ([1, 8], 3, ["@@ -1,10 +1,10 @@"]),
        ([1, 8], 2, ["@@ -1,4 +1,4 @@", "@@ -7,4 +7,4 @@"]),
        ([2, 5], 1, ["@@ -2,6 +2,6 @@"]),
        ([2, 6], 1, ["@@ -2,3 +2,3 @@", "@@ -6,3 +6,3 @@"]),
        ([4], 0, ["@@ -5 +5 @@"]),
    ],
)
def test_hunks_that_touch_are_one(at: list[int], context: int, heads: list[str]) -> None:
    new = [f"{line}!" if n in at else line for n, line in enumerate(TEN)]
    assert [line for line in difftext.hunks(TEN, new, context) if line.startswith("@@")] == heads


def test_lines_that_come_or_go_alone() -> None:
    assert list(difftext.hunks(["a", "b"], ["a", "x", "b"], 0)) == ["@@ -1,0 +2 @@", "+x"]
    assert list(difftext.hunks(["a", "x", "b"], ["a", "b"], 0)) == ["@@ -2 +1,0 @@", "-x"]
    assert list(difftext.hunks([], ["a"], 3)) == ["@@ -0,0 +1 @@", "+a"]
    assert difftext.unified("a\n", "a\n") == [] and difftext.shown("a", None) == ""


@given(st.lists(st.sampled_from("aabcx\n"), max_size=12), st.lists(st.sampled_from("aabcy\n"), max_size=12))
def test_changes_make_one_text_of_the_other_and_leave_lines_between(old: list[str], new: list[str]) -> None:
    made: list[str] = []
    done = 0
    ranges = difftext.changed(old, new)
    for a0, a1, b0, b1 in ranges:
        assert (a0 < a1 or b0 < b1) and (a0 > done or not made)
        made += old[done:a0] + new[b0:b1]
        done = a1
    assert made + old[done:] == new


def test_neighboring_lines_changed_in_place_are_one_range() -> None:
    old = [f"line {n}" for n in range(200)]
    new = [f"{line}!" if n in (10, 11, 150) else line for n, line in enumerate(old)]
    assert difftext.changed(old, new) == [(10, 12, 10, 12), (150, 151, 150, 151)]


def test_a_thousand_like_lines_take_no_time() -> None:
    old = [line for n in range(2000) for line in (f"def test_{n}():\n", "    assert f(x) == y\n", "\n")]
    new = [f"{line[:-1]}  # {n}\n" if n % 100 == 1 else line for n, line in enumerate(old)]
    began = time.process_time()
    assert len(difftext.changed(old, new)) == 60
    assert time.process_time() - began < 0.5


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("rules:\n- id: x\n  pattern: a\n", "rules of Semgrep, and no rule of ast-grep"),
        ("ruleDirs: [rules]\n", "the settings of a project, and no rule of ast-grep"),
        ("id: x\nvalid: [a]\n", "the tests of a rule, and no rule of ast-grep"),
        ("id: x\nsnapshots: {}\n", "a snapshot of tests, and no rule of ast-grep"),
        ("```yaml\nid: x\n```\n", "the rule stands in a Markdown fence; give what is within it alone"),
    ],
)
def test_what_else_people_have_in_yaml_is_told(text: str, says: str) -> None:
    found = parse_action(text, "python")
    assert isinstance(found, Rejection)
    assert (found.verdict, found.detail) == (Verdict.BAD_RULE, says)
