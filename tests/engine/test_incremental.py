"""Many rules on one text, of which only changed statements are parsed anew."""

from __future__ import annotations

import random
from typing import Any

import pytest

from rulewright.actions import Action
from rulewright.engine import changed_statements, incremental
from rulewright.engine.apply import trace
from rulewright.engine.judge import judge, judge_trace
from rulewright.engine.parsing import ParsedCode, parse, parsed
from rulewright.languages import Language
from rulewright.verdict import Outcome


def rename(old: str, new: str) -> dict[str, Any]:
    return {"rule": {"pattern": f"{old}($$$A)"}, "fix": f"{new}($$$A)"}


RULES: tuple[dict[str, Any], ...] = (
    rename("old", "mid"), rename("mid", "fresh"), rename("fresh", "old"), rename("a", "b"), rename("f", "f_"),
    {"rule": {"pattern": "b($A)"}, "fix": "$A"},
    {"rule": {"pattern": "a($A)"}, "fix": "a(b($A), b($A))"},
    {"rule": {"pattern": "pair(fresh($A), old($B))"}, "fix": "both($A, $B)"},
    {"rule": {"pattern": "pair($A, $A)"}, "fix": "twice($A)"},
    {"rule": {"pattern": "f($A)"}, "fix": "f(($A)"},
    {"rule": {"pattern": "mid($A)"}, "fix": ""},
    {"rule": {"pattern": "f($A)"}, "fix": "f(\n    $A,\n\n    1)"},
    {"rule": {"any": [{"pattern": "old($A)"}, {"pattern": "a($A)"}]}, "fix": "f($A)"},
    {"rule": {"pattern": "old($A)"}, "constraints": {"A": {"regex": "^[a-f]"}}, "fix": "a($A)"},
    {"rule": {"pattern": "f($A)"}, "transform": {"B": {"substring": {"source": "$A", "startChar": 1}}},
     "fix": "f(x$B)"},
    {"rule": {"pattern": "a($A)", "inside": {"pattern": "f($$$)", "stopBy": "end"}}, "fix": "mid($A)"},
    {"rule": {"pattern": "f($A)", "has": {"pattern": "old($B)", "stopBy": "end"}}, "fix": "fresh($A, $B)"},
    {"rule": {"kind": "identifier", "regex": "^[ab]$"}, "fix": "ab"},
)  # fmt: skip
OWN: dict[Language, tuple[dict[str, Any], ...]] = {
    "python": (
        {"rule": {"pattern": "if $C:\n    $$$B"}, "fix": "if not_($C):\n    $$$B"},
        {"rule": {"pattern": "$A == None"}, "fix": "$A is None"},
        {"rule": {"pattern": "not $A in $B"}, "fix": "$A not in $B"},
        {"rule": {"pattern": "old($A)", "kind": "call"}, "fix": "old($A)  # seen"},
        {"rule": {"kind": "expression_statement", "pattern": "f($A)"}, "fix": "f($A)\nfresh($A)"},
        {"rule": {"kind": "block"}, "fix": "pass"},
        {"rule": {"pattern": "def $F($$$P):\n    $$$B"}, "fix": "def $F($$$P, z=1):\n    $$$B"},
    ),
    "typescript": (
        {"rule": {"pattern": "$A == null"}, "fix": "$A === null"},
        {"rule": {"pattern": "f($A);"}, "fix": "f($A)\nfresh($A);"},
        {"rule": {"kind": "arrow_function"}, "fix": "old"},
        {"rule": {"pattern": "$A.then($B)"}, "fix": "f($A).then($B)"},
        {"rule": {"pattern": "let $A = $B"}, "fix": "const $A = $B"},
        {"rule": {"pattern": "a($A)"}, "fix": "`${a($A)"},
    ),
    "java": (
        {"rule": {"pattern": "int $A = $B;"}, "fix": "long $A = $B;"},
        {"rule": {"pattern": "f($A);"}, "fix": "f($A); old($A);"},
        {"rule": {"kind": "method_declaration"}, "fix": "void gone() {}"},
    ),
    "c": (
        {"rule": {"pattern": "int $A = $B;"}, "fix": "long $A = $B;"},
        {"rule": {"kind": "if_statement"}, "fix": ";"},
        {"rule": {"pattern": "a($A)"}, "fix": "(a) * $A"},
    ),
}  # fmt: skip
VALUES = (
    "1", "x", "old(1)", "mid(x)", "a(b(2))", "f(a(x))", "pair(fresh(1), old(2))", "pair(old(x), old(x))",
    "old(old(3))", "b(x + old(1)) * 2", "f(old(a(x)))", "fresh(mid(old(x)))",
)  # fmt: skip
LINES: dict[Language, tuple[str, ...]] = {
    "python": (
        "{0}", "x = {0}", "return {0}", "if {0} == None:\n    {1}\n    y = {2}", "y = not {0} in {1}",
        "for i in {0}:\n    if i:\n        {1}\n\n    {2}", "t = f'{{{0}}} old(1)'", "é = {0}; 'ü'",
        "s = '''\n  old(1)\n'''", "g(\n    {0},\n    {1},\n)", "x = 1; {0}", "# old(1)", "with {0}: {1}",
        "if x: {0}", "    ", "def inner(p={0}):\n    return [{1} for q in {2}]",
        "class K:\n    k = {0}\n\n    def m(self):\n        {1}",
    ),
    "typescript": (
        "{0};", "{0}", "let x = {0};", "let y = {0}", "if ({0} == null) {{\n  {1};\n}}", "({0})",
        "f(() => {{\n  {0};\n}});", "old(async () => {{\n  {0}\n  {1};\n}});", "x.then({0});", "// old(1)",
        "class K {{\n  k = {0};\n  m() {{\n    {1};\n  }}\n}}", "x = 1; {0};", "é = {0};", "a(x).then({0})",
        "const t = `${{{0}}} old(1)`;",
    ),
    "java": (
        "class K {{\n  int k = {0};\n  void m() {{\n    g({1});\n    int y = {2};\n  }}\n}}", "int z = {0};",
        "g({0});", "old({0});", "if (x) {{\n  f({0});\n}} else {{\n  mid({1});\n}}", "// old(1)",
        "void q() {{\n  run(() -> {{\n    f({0});\n  }});\n}}",
    ),
    "c": (
        "{0};", "int x = {0};", "void q(void) {{\n  {0};\n  if (x) {{\n    {1};\n  }}\n}}", "/* old(1) */",
        "#define Q old(1)", "#if 1\n{0};\n#endif", "int w = ({0});",
    ),
}  # fmt: skip


def whole(action: Action, code: str, exact: bool) -> Outcome:
    """The judgment by whole texts."""
    return judge_trace(trace(action, code, exact=exact), code, None)


def drawn(language: Language, seed: int) -> tuple[Action, str]:
    rng = random.Random(f"{language} {seed}")
    rules = rng.choices((*RULES, *OWN[language] * 2), k=rng.randint(2, 7))
    lines = []
    for _ in range(rng.randint(3, 40)):
        line = rng.choice(LINES[language]).format(*rng.choices(VALUES, k=3))
        deep = rng.random() < 0.2 and language == "python"
        lines.append("if x:\n    " + line.replace("\n", "\n    ") if deep else line)
    end = rng.choice(("\n", "\n", "\r\n"))
    code = rng.choice(("", "", "", "\ufeff")) + end.join("\n".join(lines).split("\n")) + rng.choice(("", end))
    return Action(language, tuple(rules)), code


@pytest.mark.parametrize(
    ("names", "chars", "pays"),
    [
        ("ab", 2_000, True), ("ab", 1_999, False), ("abc", 1_999, False), ("abcd", 1_999, True),
        ("a", 9_000, False), ("ax", 9_000, False), ("abx", 9_000, True), ("abcx", 1_999, False),
        ("ab?", 9_000, False),
    ],
)  # fmt: skip
def test_it_pays_for_several_rules_that_may_match(names: str, chars: int, pays: bool) -> None:
    """Two in a long text, four in a short one; `x` is not in it, and `?` is no rule."""
    code = "a(1)\nb(1)\nc(1)\nd(1)\n".ljust(chars, "#")
    rules = tuple(rename(name, "fresh") if name != "?" else {"rule": {"kind": "no_kind"}} for name in names)
    assert incremental.pays(Action("python", rules), code) is pays
    assert not incremental.pays(Action("other", rules), code)


@pytest.mark.parametrize("language", OWN)
def test_many_rules_come_to_what_they_come_to_on_whole_texts(language: Language) -> None:
    n_told = n_changed = 0
    for seed in range(150):
        action, code = drawn(language, seed)
        exact = seed % 3 == 0
        told = incremental.judged(action, code, exact)
        if told is not None:
            assert told == whole(action, code, exact), (seed, action.rules, code)
            n_told += 1
            n_changed += sum(map(bool, told.matches_per_rule)) > 1
    assert n_told > 20 and n_changed > 5


FOR_CLI: dict[str, Any] = {
    "rule": {"pattern": "nowhere($A)"},
    "fix": {"template": "x", "expandEnd": {"pattern": "$A"}},
}
"""The command line may have to say whether it is a rule, whatever the text."""
CODE = "def m(self):\n    old(1)\n    a(old(2))\n\n\n" * 100


@pytest.mark.parametrize(
    ("rules", "code"),
    [
        ((rename("old", "mid"), rename("mid", "fresh"), rename("a", "b")), CODE),
        ((rename("old", "mid"), rename("a", "b"), rename("mid", "old"), rename("b", "a")), CODE),
        ((rename("a", "b"), rename("old", "mid"), rename("b", "fresh")), CODE.replace("\n", "\r\n")),
    ],
)
def test_only_changed_statements_are_parsed_afresh(rules: tuple[dict[str, Any], ...], code: str) -> None:
    action = Action("python", rules)
    parse.cache_clear()
    told = incremental.judged(action, code, exact=False)
    assert told == whole(action, code, exact=False)
    parse.cache_clear()
    assert judge(action, code) == told


PYTHON = ("def keep(self):\n    return 1\n\n\n" * 10 + "def m(self):\n    old(1)\n    a(old(2))\n\n\n") * 20
SCRIPT = ("function keep() {\n  return 1;\n}\n" * 10 + "outer(() => {\n  old(1);\n});\ninner(2);\n") * 20


@pytest.mark.parametrize(
    ("language", "code", "names", "n_whole"),
    [
        ("python", PYTHON, "old>mid mid>fresh a>b", 1),
        ("python", PYTHON, "old>mid a>b fresh>old b>a", 1),
        # A call that changed statements stand in begins otherwise, or as the next rule's do.
        ("javascript", SCRIPT, "old>mid inner>a mid>b", 1),
        ("javascript", SCRIPT, "old>mid outer>a", 2),
    ],
)
def test_a_long_text_is_parsed_once_where_few_statements_change(
    language: Language, code: str, names: str, n_whole: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    texts: list[str] = []

    def parse_and_note(text: str, language: Language) -> ParsedCode:
        texts.append(text)
        return parsed(text, language)

    for module, name in ((incremental, "parse"), (incremental, "parsed"), (changed_statements, "parsed")):
        monkeypatch.setattr(module, name, parse_and_note)
    action = Action(language, tuple(rename(*pair.split(">")) for pair in names.split()))
    assert incremental.judged(action, code, exact=False) == whole(action, code, exact=False)
    assert sum(len(text) > len(code) / 2 for text in texts) == n_whole


@pytest.mark.parametrize(
    ("rules", "code"),
    [
        # A text with faults, now or between two rules; a comment that silences; a loss; a literal.
        ((rename("old", "mid"), rename("a", "b")), CODE + "def (\n"),
        (({"rule": {"pattern": "old($A)"}, "fix": "old(($A)"}, rename("a", "b")), CODE),
        ((rename("old", "mid"), rename("a", "b")), CODE + "# ast-grep-ignore\nold(1)\n"),
        (({"rule": {"pattern": "old"}, "fix": "# ast-grep-ignore\nold"}, rename("a", "b")), CODE),
        (({"rule": {"pattern": "a(old(2))"}, "fix": "a()"}, {"rule": {"kind": "module"}, "fix": "x"}), CODE),
        ((rename("old", "mid"), {"rule": {"kind": "call"}, "fix": "gone()"}), CODE),
        ((rename("old", "mid"), rename("a", "b"), FOR_CLI), CODE),
    ],
)
def test_what_may_be_wrong_is_left_to_whole_texts(rules: tuple[dict[str, Any], ...], code: str) -> None:
    action = Action("python", rules)
    assert incremental.judged(action, code, exact=False) is None
    assert judge(action, code) == whole(action, code, exact=False)


HEREDOC = "check(<<~ONE)\n  two three = =\nONE\n"


@pytest.mark.parametrize(
    ("language", "begin", "rules"),
    [
        # The text of a heredoc stands below its statement: without its beginning it is code.
        ("ruby", HEREDOC, [{"rule": {"pattern": "check($$$A)"}, "fix": "check(1, 2)"}]),
        ("ruby", HEREDOC, [{"rule": {"pattern": "check($$$A)"}, "fix": "check(1, 2)"}, rename("old", "mid")]),
        # Without a semicolon a line that begins with a bracket goes on with the line before.
        ("javascript", "x = y\nold(1)\n",
         [{"rule": {"pattern": "old($A)"}, "fix": "(0, f)($A)"}, rename("y", "z")]),
        # … also where a later rule makes it begin so.
        ("javascript", "x = y\nold(1)\n",
         [rename("old", "mid"), {"rule": {"pattern": "mid($A)"}, "fix": "(0, f)($A)"}, rename("y", "z")]),
    ],
)  # fmt: skip
def test_a_statement_that_goes_on_outside_of_its_lines(
    language: Language, begin: str, rules: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    action, code = Action(language, tuple(rules)), begin + "f(2);\n" * 400
    told = judge(action, code, None)
    monkeypatch.setattr(changed_statements, "PARTED_CHARS", 10**9)
    assert told == whole(action, code, exact=False)
