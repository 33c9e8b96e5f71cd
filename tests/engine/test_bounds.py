"""The bounds of the engine and of what it reads, each on both of its sides."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from rulewright import engine
from rulewright.actions import Action, Rejection, parse_action, rule_text
from rulewright.actions.action import MAX_ID_CHARS, safe_id
from rulewright.actions.codec import MAX_RESPONSE_CHARS, parse_response
from rulewright.actions.rule_file import read_rule_file
from rulewright.actions.suggest import did_you_mean, quoted
from rulewright.actions.words import describe_rule
from rulewright.engine.applier import GROWTH, MIN_CAP_CHARS
from rulewright.engine.checks import wrong
from rulewright.verdict import Verdict


def flags(pattern: str, fix: str, code: str) -> frozenset[Verdict]:
    outcome = engine.judge(Action("python", ({"rule": {"pattern": pattern}, "fix": fix},)), code)
    return outcome.flags | {outcome.verdict}


def test_the_docs_give_the_bounds(root: Path) -> None:
    text = " ".join((root / "docs/reference/engine.md").read_text(encoding="utf-8").split())
    found = re.search(
        r"([\d,]+) characters, (\d+) levels, ([\d,]+) nodes after aliases and (\d+) rules for the rule text; "
        r"(\d+) times the input",
        text,
    )
    assert found is not None
    documented = [int(number.replace(",", "")) for number in found.groups()]
    ours = [rule_text.MAX_CHARS, rule_text.MAX_DEPTH, rule_text.MAX_NODES, rule_text.MAX_RULES, GROWTH]
    assert ours == documented and MIN_CAP_CHARS == 4_000_000
    assert "1 million characters for an answer" in text and MAX_RESPONSE_CHARS == 1_000_000
    assert f"at most {MAX_ID_CHARS} characters" in text


def test_a_rule_is_degenerate_from_half_of_the_code_and_60_characters_on() -> None:
    half = "aaaa()\nbbbb()\n"
    assert Verdict.DEGENERATE in flags("aaaa()", "z" * 60, half)
    assert Verdict.DEGENERATE not in flags("aaaa()", "z" * 59, half), "short"
    even = f"{'a' * 58}()\n{'b' * 58}()\n"
    assert Verdict.DEGENERATE in flags(f"{'a' * 58}()", "z" * 60, even), "half of the result is its own"
    assert Verdict.DEGENERATE not in flags(f"{'a' * 58}()", "z" * 60, even.replace("b()", "bb()"))
    assert Verdict.DEGENERATE not in flags("aaaa()", "z" * 60, "aaaa()\nbbbbb()\n"), "less than half goes"
    assert Verdict.DEGENERATE not in flags("aaaa($A)", f"{'z' * 60}($A)", f"aaaa({'q' * 80})\n"), "it stays"


def test_the_most_rules_of_an_answer() -> None:
    rule = "id: r\nlanguage: Python\nrule:\n  pattern: a\nfix: b\n"
    assert isinstance(parse_action("---\n".join([rule] * 16), "python"), Action)
    refused = parse_action("---\n".join([rule] * 17), "python")
    assert isinstance(refused, Rejection)
    assert "17 rules, at most 16 are taken" in refused.detail


def test_the_longest_rule_text_and_the_longest_answer() -> None:
    rule = "id: r\nlanguage: Python\nrule:\n  pattern: a\nfix: b\n# "
    assert isinstance(parse_action(rule + "x" * (16_384 - len(rule)), "python"), Action)
    assert isinstance(parse_action(rule + "x" * (16_385 - len(rule)), "python"), Rejection)
    long = parse_response("x" * 1_000_001)
    assert isinstance(long, Rejection) and "at most 1,000,000 are read" in long.detail
    almost = parse_response("x" * 1_000_000)
    assert isinstance(almost, Rejection) and "are read" not in almost.detail


@pytest.mark.parametrize(
    ("code", "taken"), [(0xD7FF, True), (0xD800, False), (0xDFFF, False), (0xE000, True)]
)
def test_halves_of_a_character_are_refused(code: int, taken: bool) -> None:
    given = f"id: r\nlanguage: Python\nrule:\n  pattern: a\nfix: b{chr(code)}\n"
    assert isinstance(parse_action(given, "python"), Action) is taken


def test_a_rule_file_of_a_person_may_be_long_and_deep() -> None:
    rule = "id: r\nlanguage: Python\nrule:\n  pattern: a\nfix: b\n"
    for depth, taken in ((62, True), (65, False)):
        given = f"{rule}metadata: {'{a: ' * (depth - 1)}1{'}' * (depth - 1)}\n"
        assert isinstance(read_rule_file(given), tuple) is taken, depth
    long = rule + "".join(f"# {'x' * 120}\n" for _ in range(20_000))
    assert 2_000_000 < len(long) < 4_000_000 and isinstance(read_rule_file(long), tuple)
    assert isinstance(read_rule_file(rule + "# " + "x" * 4_000_000), Rejection)


def test_values_in_messages_are_cut() -> None:
    assert rule_text.describe("x" * 38) == f'text ("{"x" * 38}")'
    assert rule_text.describe("x" * 39) == f'text ("{"x" * 36}...)'
    told = map(rule_text.describe, [None, {}, [], True, 1, 1.5])
    assert list(told) == [
        "nothing (null)", "a mapping", "a list", "a boolean (true)", "a number (1)", "a number (1.5)",
    ]  # fmt: skip


def test_ids_that_are_kept() -> None:
    assert safe_id("a" * 200) == "a" * 200
    assert safe_id("a" * 201) == safe_id("") == safe_id("a\nb") == "rule"


def test_code_in_messages_is_cut() -> None:
    assert quoted("x" * 80) == f"`{'x' * 80}`"
    assert quoted("x" * 81) == f"`{'x' * 77}...`"
    assert did_you_mean("patern", ["pattern", "kind"]) == "; did you mean `pattern`?"
    assert did_you_mean("zzz", ["pattern", "kind"]) == ""


def test_where_a_result_first_differs() -> None:
    assert wrong("a\nb\n", None) == wrong("a\n", "a\n") == ""
    assert wrong("a\nb\nc", "a\nx\nc") == "line 2 is 'b', wanted 'x'"
    assert wrong("a\n", "a\n\n") == "2 lines, wanted 3"
    assert wrong("a", f"{'x' * 60}") == f"line 1 is 'a', wanted '{'x' * 60}'"
    assert wrong("a", f"{'x' * 61}") == f"line 1 is 'a', wanted '{'x' * 57}...'"


@pytest.mark.parametrize(
    ("rule", "said"),
    [
        ({"rule": {"pattern": "a" * 119}, "fix": "b"}, f"Rewrite `{'a' * 119}` to `b`."),
        ({"rule": {"pattern": "a" * 120}, "fix": "b"}, "Rewrite what matches pattern."),
        ({"rule": {"pattern": "a"}, "fix": ""}, "Remove `a`."),
        ({"rule": {"pattern": "a"}, "fix": "b\nc"}, "Rewrite what matches pattern."),
        ({"rule": {"kind": "call_expression", "pattern": "a\nb"}, "fix": "c"},
         "Rewrite the matching call expression."),
        ({"rule": {"regex": "a", "any": []}, "fix": "b"}, "Rewrite what matches any, regex."),
    ],
)  # fmt: skip
def test_rules_in_words(rule: dict[str, object], said: str) -> None:
    assert describe_rule(rule) == said
