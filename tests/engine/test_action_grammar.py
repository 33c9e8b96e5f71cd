"""The grammar of answers: every answer that we write passes, what is no action is stopped."""

from __future__ import annotations

import random
from typing import Any

import pytest
from tests.grammar_reader import Reader

from rulewright.actions import Action, Rejection, parse_response, render_response
from rulewright.languages import LANGUAGES, Language
from rulewright.state.state import StateUpdate
from rulewright.verdict import Verdict

pytest.importorskip("xgrammar", reason="pip install 'rulewright[grammar]'")

OURS = [language for language in LANGUAGES if language != "other"]


@pytest.fixture(scope="module")
def python() -> Reader:
    return Reader("python")


RICH: tuple[dict[str, Any], ...] = (
    {"rule": {"pattern": "$A == None"}, "fix": "$A is None"},
    {"rule": {"pattern": '"$A: x" # \\n', "not": {"any": [{"kind": "call"}, {"pattern": "x"}]}}, "fix": ""},
    {
        "rule": {"kind": "call", "has": {"field": "function", "stopBy": "end", "regex": "^a: 'b'"}},
        "fix": "- x",
    },
    {
        "rule": {"all": [{"has": {"nthChild": {"position": "2n+1", "reverse": True}}}, {"kind": "block"}]},
        "constraints": {"A": {"not": {"regex": "null"}}},
        "transform": {"B": {"replace": {"source": "$A", "replace": "\\s+", "by": ""}}},
        "rewriters": [{"id": "r", "rule": {"pattern": "f($C)"}, "fix": "g($C)"}],
        "fix": {"template": "if x:\n    y = '\\t'\n\n    z\n", "expandEnd": {"regex": ","}},
    },
    {
        "rule": {"pattern": {"context": "class A: $B", "selector": "expression_statement"}},
        "fix": "é 日本 𝄞\n",
    },
    {"rule": {"pattern": "x", "inside": {"kind": "module", "stopBy": {"kind": "call"}}}, "fix": "yes"},
    {
        "rule": {"all": [{"kind": "call", "regex": "^f"}, {"any": [{"pattern": "a", "kind": "list"}]}]},
        "fix": "x",
    },
    {"utils": {"u": {"matches": "v"}, "v": {"pattern": "~"}}, "rule": {"matches": "u"}, "fix": "\ttab"},
)


@pytest.mark.parametrize("rule", RICH, ids=range(len(RICH)))
def test_what_we_write_passes(python: Reader, rule: dict[str, Any]) -> None:
    text = render_response(Action("python", (rule,)))
    assert isinstance(
        parse_response(text), type(parse_response(render_response(Action("python", (RICH[0],)))))
    )
    assert python.taken(text) == len(text.encode()), text.encode()[python.taken(text) :][:60]


def test_several_rules_thoughts_and_a_state_pass(python: Reader) -> None:
    action = Action("python", (RICH[0], RICH[1]))
    text = render_response(action, "None is one object.", StateUpdate(decisions=("a",)))
    assert python.taken(text) == len(text.encode())


@pytest.mark.parametrize("language", OURS)
def test_every_language_has_one(language: Language) -> None:
    reader = Reader(language)
    text = render_response(Action(language, ({"rule": {"pattern": "a"}, "fix": "b"},)))
    assert reader.taken(text) == len(text.encode())
    other: Language = "go" if language != "go" else "rust"
    wrong = render_response(Action(other, ({"rule": {"pattern": "a"}, "fix": "b"},)))
    assert reader.taken(wrong) < wrong.index(other) + len(other)


GOOD = render_response(Action("python", (RICH[0],)))
WRONG = {
    "prose": ("Sure! " + GOOD, 0),
    "kind": (GOOD.replace("pattern: $A == None", "kind: calll"), "kind: call"),
    "key": (GOOD.replace("pattern:", "patern:"), "rule:\\n  pat"),
    "no fix": (GOOD.replace("fix: $A is None\\n", ""), "== None\\n"),
    "mapping in a plain scalar": (GOOD.replace("$A is None", "$A: int"), "fix: $A"),
    "comment in a plain scalar": (GOOD.replace("$A is None", "$A #x"), "fix: $A"),
    "raw line break": (GOOD.replace("\\n", "\n"), "id: rule"),
    "indent": (GOOD.replace("  pattern", "   pattern"), "rule:\\n  "),
    "two actions": (GOOD + GOOD, GOOD),
    "open": (GOOD.removesuffix("</action>") + "}", GOOD.removesuffix("</action>")),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_is_no_action_is_stopped_where_it_errs(python: Reader, name: str) -> None:
    text, upto = WRONG[name]
    taken = text.encode()[: python.taken(text)].decode()
    assert len(taken) < len(text)
    assert taken == "" if upto == 0 else taken.rstrip(" :").endswith(str(upto).rstrip(" :")), taken[-40:]


def test_whatever_passes_is_an_action(python: Reader, count: Any) -> None:
    """Walks at random: the wire form, its JSON and its YAML always parse."""
    rng = random.Random(11)
    found = [text for _ in range(60) if (text := python.walk(rng, 2000)) is not None]
    assert len(found) > 20
    refused = [r for text in found if isinstance(r := parse_response(text, "python"), Rejection)]
    assert {r.verdict for r in refused} <= {Verdict.BAD_RULE}
    # What a grammar cannot say, and chance does often: the same key twice, a number or `null` for a text.
    left = [
        r.detail
        for r in refused
        if not any(s in r.detail for s in ("twice", "duplicate", "expected", "must"))
    ]
    count(f"action grammar: {len(found)} random answers, {len(found) - len(refused)} valid actions")
    assert not left, left[:5]
