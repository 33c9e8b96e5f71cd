"""Text to action and back: strict, three modes, one result."""

# ruff: noqa: E501  (tables of cases read best unbroken)
from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rulewright import yaml12
from rulewright.actions import (
    Action,
    Rejection,
    Response,
    canonical,
    parse_action,
    parse_response,
    render_action,
    render_response,
    render_rules,
    yaml_text,
)
from rulewright.prompts import extract_edit
from rulewright.state.state import StateUpdate
from rulewright.verdict import Verdict

RULE = "id: r\nlanguage: python\nrule:\n  pattern: foo($A)\nfix: bar($A)\n"
ACTION = Action("python", ({"rule": {"pattern": "foo($A)"}, "fix": "bar($A)"},), ids=("r",))


def _wire(**fields: Any) -> str:
    return json.dumps({"action": {"type": "ast_grep", "language": "python", **fields}})


def _yaml(text: str) -> str:
    return _wire(mode="yaml", rule_yaml=text)


def test_three_modes_reach_the_same_action() -> None:
    cli = _wire(mode="cli", cli="ast-grep run -p 'foo($A)' -r 'bar($A)' -l py")
    rule = _wire(mode="rule", rule={"rule": {"pattern": "foo($A)"}, "fix": "bar($A)"})
    made = [parse_action(text) for text in (_yaml(RULE), cli, rule, RULE)]
    assert {(one.language, one.rules_json()) for one in made if isinstance(one, Action)} == {
        ("python", ACTION.rules_json())
    }
    assert [one.mode for one in made if isinstance(one, Action)] == ["yaml", "cli", "rule", "yaml"]
    forms = [canonical.normal_form(one) for one in made if isinstance(one, Action)]
    assert all(form == forms[0] for form in forms)


def test_an_answer_by_part() -> None:
    text = render_response(ACTION, "because", StateUpdate(decisions=("d",)))
    parsed = parse_response(text, "python")
    assert isinstance(parsed, Response)
    assert parsed == Response(ACTION, "because", StateUpdate(decisions=("d",)))
    assert parsed.action.ids == ("r",)


def test_tags_inside_texts_are_text() -> None:
    action = Action("tsx", ({"rule": {"pattern": "<action>$A</action>"}, "fix": "</action>"},), "rule")
    assert parse_response(render_response(action)) == Response(action)


def test_thoughts_end_at_the_last_closing_tag_before_the_action() -> None:
    closing = Action("tsx", ({"rule": {"pattern": "'</think>'"}, "fix": "''"},), "rule")
    parsed = parse_response(f"first</think>second</think>{render_response(closing)}")
    assert parsed == Response(closing, "first\nsecond")
    assert extract_edit("first</think>second</think>\n```\nx\n```\n", "") == "x"
    # So are tags of code in the answer; a thought may come after it.
    tagged = Action("tsx", ({"rule": {"pattern": "<b>{$A}</b>"}, "fix": "<think>{$A}</think>"},), "rule")
    for end, thought in (("", "<action>"), ("<think>second <action></think>", "<action>\nsecond <action>")):
        parsed = parse_response(f"<think><action></think>{render_response(tagged)}{end}")
        assert isinstance(parsed, Response)
        assert (parsed.action, parsed.think) == (tagged, thought)


WRONG = [
    ("", Verdict.NO_ACTION, "no <action>"),
    ("<think>" + f"<action>{_yaml(RULE)}</action>", Verdict.NO_ACTION, "inside <think>"),
    (_yaml(RULE), Verdict.NO_ACTION, "between <action> and </action>"),
    (f"<action>{_yaml(RULE)}</action><action>{_yaml(RULE)}</action>", Verdict.MULTIPLE_ACTIONS, "more than one"),
    (f"<action>[{_yaml(RULE)}]</action>", Verdict.MULTIPLE_ACTIONS, "list"),
    (f"<action>{_yaml(RULE)[:-9]}</action>", Verdict.BAD_JSON, "unterminated string starting at column"),
    (f"<action>{_yaml(RULE)[:40]}", Verdict.BAD_JSON, "cut off"),
    (f"<action>{_yaml(RULE)}", Verdict.BAD_JSON, "closing"),
    (f"<action>{_yaml(RULE)} more</action>", Verdict.BAD_JSON, "after the JSON"),
    ("<action></action>", Verdict.BAD_JSON, "empty"),
    ('<action>{"action": {"type": "ast_grep", "type": "x"}}</action>', Verdict.BAD_JSON, "duplicate"),
    ("<action>" + "[" * 100_000 + "</action>", Verdict.BAD_JSON, "not JSON"),
    ('<action>{"action": {"type": "sed"}}</action>', Verdict.BAD_ACTION, "ast_grep"),
    (f"<action>{_wire(mode='yml', rule_yaml=RULE)}</action>", Verdict.BAD_ACTION, "`mode`"),
    (f"<action>{_wire(mode='cli', rule_yaml=RULE)}</action>", Verdict.BAD_ACTION, "needs the field `cli`"),
    (f"<action>{_wire(mode='yaml', rule_yml=RULE)}</action>", Verdict.BAD_ACTION, "did you mean `rule_yaml`"),
    (f"<action>{_wire(mode='yaml', rule_yaml=3)}</action>", Verdict.BAD_ACTION, "must be text"),
    (f"<action>{_yaml(RULE + 'serverity: hint')}</action>", Verdict.BAD_RULE, "did you mean `severity`"),
    (f"<action>{_yaml(RULE + 'kind: call')}</action>", Verdict.BAD_RULE, "belongs under `rule:`"),
    (f"<action>{_yaml(RULE.replace('language: python', ''))}</action>", Verdict.BAD_RULE, "missing field `language`"),
    (f"<action>{_yaml(RULE + '---' + chr(10) + RULE.replace('rule:', 'ruel:'))}</action>", Verdict.BAD_RULE, "document 2"),
    (f"<action>{_yaml(RULE + 'fix: again')}</action>", Verdict.BAD_RULE, "duplicate"),
    (f"<action>{_yaml(RULE + '<<: {note: x}')}</action>", Verdict.BAD_RULE, "merge"),
    (f"<action>{_yaml(RULE + 'note: !!python/name:os.system x')}</action>", Verdict.BAD_RULE, "tag"),
    (f"<action>{_yaml(RULE.replace('python', 'pyhton'))}</action>", Verdict.BAD_RULE, "did you mean `python`"),
    (f"<action>{_yaml(RULE.replace('python', 'js'))}</action>", Verdict.BAD_RULE, "JavaScript"),
    (f"<action>{_yaml(RULE + 'note: ' + 'x' * 17_000)}</action>", Verdict.BAD_ACTION, "16384"),
    (f"<action>{_yaml(RULE + 'note: a' + chr(0))}</action>", Verdict.BAD_ACTION, "U+0000"),
    (f"<action>{_wire(mode='rule', rule={'rule': {'pattern': chr(0xD800)}})}</action>", Verdict.BAD_ACTION, "surrogate"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "verdict", "reason"), WRONG, ids=[str(i) for i in range(len(WRONG))])
def test_what_is_not_one_valid_action_is_refused_with_a_reason(
    text: str, verdict: Verdict, reason: str
) -> None:
    parsed = parse_response(text, "python")
    assert isinstance(parsed, Rejection)
    assert (parsed.verdict, reason in parsed.detail) == (verdict, True), parsed


CLI_WRONG = [
    "ast-grep run -p 'a' -r 'b' -l python mod.py; rm -rf /",
    "ast-grep run -p 'a' -r 'b' -l python .",
    "ast-grep run -p 'a' -r 'b' -l python -U",
    "ast-grep run -p 'a' -r 'b' -l python --stdin",
    "ast-grep run -p 'a' -r 'b' -l python -c /etc/x",
    "ast-grep run -p 'a' -r 'b' -l python --custom-languages allow",
    "ast-grep run -p 'a' -p 'c' -r 'b' -l python",
    "ast-grep run -p 'a' -l python",
    "ast-grep run -r 'a' -l python",
    "ast-grep run -p 'a' -r 'b' -l python\nrm -rf /",
    "ast-grep run -p 'a -r 'b' -l python",
    "ast-grep run -p 'a' -r 'b' -l python --strictness fuzzy",
    "ast-grep scan --inline-rules x",
    "sh -c 'ast-grep run'",
    "ast-grep run -p 'a' -r",
]


@pytest.mark.parametrize("line", CLI_WRONG)
def test_a_command_line_is_only_what_we_take(line: str) -> None:
    parsed = parse_action(_wire(mode="cli", cli=line))
    assert isinstance(parsed, Rejection) and parsed.verdict is Verdict.BAD_ACTION, parsed


def test_command_line_forms() -> None:
    for line in (
        "ast-grep run -p 'a b' -r 'c' -l python --selector call --strictness=ast",
        "ast-grep run --pattern 'a b' --rewrite=c --lang Python --strictness ast --selector=call",
    ):
        parsed = parse_action(_wire(mode="cli", cli=line))
        assert isinstance(parsed, Action)
        assert parsed.rules[0]["rule"] == {
            "pattern": {"context": "a b", "selector": "call", "strictness": "ast"}
        }
    multi = parse_action(_wire(mode="cli", cli="ast-grep run -p 'if $A:\n    $B' -r '$B' -l py"))
    assert isinstance(multi, Action) and multi.rules[0]["rule"]["pattern"] == "if $A:\n    $B"


def test_an_id_that_could_be_a_path_is_replaced() -> None:
    action = parse_action(RULE.replace("id: r", 'id: "../../../tmp/x\\n"'))
    assert isinstance(action, Action) and action.id_of(0) == "rule"


def test_json_escapes_of_a_rule_file_in_json() -> None:
    action = parse_action(
        json.dumps({"id": "x", "language": "python", "rule": {"pattern": "'😀'"}, "fix": "é"})
    )
    assert isinstance(action, Action) and action.rules[0]["rule"]["pattern"] == "'😀'"


_texts = st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters="".join(map(chr, [*range(9), 11, 12, *range(14, 32)]))),
    max_size=40,
) | st.sampled_from(
    ["no", "on", "~", "null", "1e3", "0o17", "0x1F", ".inf", "12:30", "- a", "a: b", "a #b", "@x", "`x`", "{x", "[x",
     "|\n x", " lead", "trail ", "a\n  b\n", "a\n\n\n", "\n", "\ta", "'", '"', "''\n\"", "...", "---", "!x", "&x", "*x",
     "%x", "?", "? x", ":", "x:", "<<", "=", "é", "\x85", "\u2028x", "\ufeff", "a\r\nb", "a\tb", "\x7f"]
)  # fmt: skip
_values = st.recursive(
    _texts | st.integers(-99, 99) | st.booleans(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_texts, inner, max_size=3),
    max_leaves=8,
)


@settings(max_examples=300, deadline=None)
@given(st.dictionaries(_texts, _values, min_size=1, max_size=4))
def test_yaml_text_reads_back_equal(value: dict[str, Any]) -> None:
    assert yaml12.load(yaml_text.dump(value)) == value


_rules = st.fixed_dictionaries(
    {"rule": st.fixed_dictionaries({"pattern": _texts}, optional={"kind": _texts}), "fix": _texts},
    optional={"constraints": st.dictionaries(st.sampled_from(["A", "B"]), st.fixed_dictionaries({"regex": _texts}), min_size=1)},
)  # fmt: skip


@settings(max_examples=200, deadline=None)
@given(st.lists(_rules, min_size=1, max_size=3), st.sampled_from(["python", "tsx", "cpp"]), _texts)
def test_every_mode_renders_back(rules: list[dict[str, Any]], language: Any, notes: str) -> None:
    action = Action(language, tuple(rules), "yaml", notes, ids=tuple("r" for _ in rules))
    for mode in ("yaml", "rule"):
        parsed = parse_action(render_action(action, mode), language)
        assert parsed == Action(language, action.rules, mode, notes), parsed
    assert isinstance(parse_action(render_rules(action)), Action)


@settings(max_examples=100, deadline=None)
@given(_texts, _texts, st.sampled_from(["", "ast", "cst"]), st.sampled_from(["", "call"]))
def test_command_lines_render_back(pattern: str, fix: str, strictness: str, selector: str) -> None:
    more = {k: v for k, v in (("selector", selector), ("strictness", strictness)) if v}
    rule = {"rule": {"pattern": {"context": pattern, **more} if more else pattern}, "fix": fix}
    action = Action("python", (rule,), "cli")
    parsed = parse_action(render_action(action))
    assert parsed == action, parsed


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=200))
def test_no_text_raises(text: str) -> None:
    for parsed in (parse_action(text), parse_response(text), parse_response(f"<action>{text}</action>")):
        assert isinstance(parsed, Action | Rejection | Response)


def test_equal_actions_are_one_key() -> None:
    one, other = (
        Action("python", ({"rule": dict(rule), "fix": ""},))
        for rule in ([("kind", "call"), ("regex", "a")], [("regex", "a"), ("kind", "call")])
    )
    assert one == other and len({one, other}) == 1
    assert replace(one, ids=("a",)) == replace(one, ids=("b",))
