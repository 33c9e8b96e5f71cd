"""Loss that alternatives, relations and joins hide; padding in CRLF files; why a composed rule fails."""

from __future__ import annotations

from typing import Any

import pytest

from rulewright.actions import Action
from rulewright.engine import apply, judge, no_match, places
from rulewright.languages import Language
from rulewright.verdict import Verdict


def action(language: Language, rule: dict[str, Any], fix: str, **more: Any) -> Action:
    return Action(language, ({"rule": rule, "fix": fix, **more},))


def test_a_variable_that_a_relation_binds_is_no_loss() -> None:
    inline = action(
        "javascript",
        {"pattern": "return $NAME", "follows": {"pattern": "const $NAME = $VALUE"}},
        "return $VALUE",
    )
    outcome = judge(inline, "function f() {\n  const total = a + b\n  return total\n}\n")
    assert outcome.verdict is Verdict.OK, outcome
    inside = action(
        "python",
        {"pattern": "log($X)", "inside": {"pattern": "def $F($X): $$$B", "stopBy": "end"}},
        "trace($F)",
    )
    assert judge(inside, "def f(a):\n    log(a)\n").verdict is Verdict.OK


@pytest.mark.parametrize(
    ("language", "pattern", "fix", "code", "lost"),
    [
        ("go", "return nil", "return err", 'return nil, "", nil', "'\"\"'"),
        ("go", "return nil", "return nil, err", "return nil, nil", "'nil'"),
        ("go", "return nil, $A", "return $A, nil", "return nil, nil", ""),
        ("go", "return nil, $$$A", "return $$$A", 'return nil, "", nil', ""),
        ("go", "err := f()", "err := g()", "err, _ := f()", "'_'"),
        ("go", "err := f()", "err := g()", "err := f( )", ""),
        ("go", "f($$$A)", "g", "f()", ""),
    ],
)
def test_what_stands_beyond_the_end_of_a_list_is_lost(
    language: Language, pattern: str, fix: str, code: str, lost: str
) -> None:
    """A list that ends with the pattern matches a longer one; words of the pattern hid the rest."""
    outcome = judge(action(language, {"pattern": pattern}, fix), f"package p\n\nfunc q() {{\n\t{code}\n}}\n")
    assert (Verdict.LOSSY in outcome.flags) is bool(lost), outcome
    assert lost in outcome.detail


@pytest.mark.parametrize(
    ("pattern", "fix", "code", "lost"),
    [
        ("isSet($A) ? $A : $B", "orElse($A, $B)", "isSet(e[1]) ? e[1] : f", ""),
        ("isSet($A) ? $A : $B", "orElse($A, $B)", "isSet(e.g(h)) ? e.g(h) : f(e)", ""),
        ("isSet($A, k) && $A", "$A", "isSet(e[1], k) && e[1]", ""),
        ("isSet($A) ? $A : $B", "$B", "isSet(e[1]) ? e[1] : f", ""),
        ("isSet($A, $_) ? $A : b", "$A", "isSet(e[1], c) ? e[1] : b", ""),
        ("f(g($$$), $A, $A)", "$A", "f(g(x), e[1], e[1])", ""),
        ("isSet($A) && $A", "$A", "isSet(e[1] /* why */) && e[1]", "/* why */"),
    ],
)
def test_a_variable_covers_all_of_its_places(pattern: str, fix: str, code: str, lost: str) -> None:
    outcome = judge(action("javascript", {"pattern": pattern}, fix), f"x = {code};\n")
    assert outcome.verdict == ("lossy" if lost else "ok") and lost in outcome.detail, outcome


@pytest.mark.parametrize(
    ("named", "lost"), [({"kind": "function_definition"}, False), ({"pattern": "def $F($$$): $$$"}, True)]
)
def test_a_keyword_belongs_to_a_kind_but_not_to_a_pattern_that_spells_it_out(
    named: dict[str, Any], lost: bool
) -> None:
    fields = {"name": "$F", "parameters": "$P", "body": "$B"}
    parts = [{"has": {"field": field, "pattern": name}} for field, name in fields.items()]
    rule = action("python", {**named, "all": parts}, "def $F$P:\n    $B")
    outcome = judge(rule, "async def f(a):\n    return a\n")
    assert (Verdict.LOSSY in outcome.flags) is lost and ("'async'" in outcome.detail) is lost


@pytest.mark.parametrize(("n", "lost"), [(24, False), (25, True)])
def test_what_so_many_nameless_variables_hold_is_meant_to_go(n: int, lost: bool) -> None:
    rule = action("python", {"pattern": f"f({', '.join(['$_'] * n)})"}, "g()")
    outcome = judge(rule, f"f({', '.join(f'a{i}' for i in range(n))})\n")
    assert (Verdict.LOSSY in outcome.flags) is lost, outcome


@pytest.mark.parametrize("wrap", [lambda rule: rule, lambda rule: {"all": [rule]}])
def test_a_word_of_another_alternative_is_no_leave_to_drop_it(wrap: Any) -> None:
    either = {"any": [{"pattern": "function $F() { $$$B }"}, {"pattern": "async function $F() { $$$B }"}]}
    outcome = judge(
        action("javascript", wrap(either), "const $F = () => { $$$B }"), "async function f() { await g() }\n"
    )
    assert Verdict.LOSSY in outcome.flags and "async" in outcome.detail
    first = {"any": list(reversed(either["any"]))}
    said = judge(
        action("javascript", wrap(first), "const $F = () => { $$$B }"), "async function f() { g() }\n"
    )
    assert Verdict.LOSSY not in said.flags


@pytest.mark.parametrize(
    ("rule", "code", "lost"),
    [
        ({"pattern": "from m import a"}, "from m import a, b\n", "'b'"),
        ({"pattern": "from m import a"}, "from m import a\n", ""),
        ({"pattern": "import a"}, "import a, b\n", "'b'"),
        ({"pattern": "assert $A"}, "assert f(1), 'no'\n", "'no'"),
        ({"pattern": "from m import $$$A"}, "from m import a, b\n", ""),
        ({"kind": "import_from_statement"}, "from m import a, b\n", ""),
        ({"kind": "import_from_statement", "has": {"pattern": "a"}}, "from m import a, b\n", ""),
    ],
)
def test_an_empty_fix_takes_away_no_more_than_its_pattern_says(
    rule: dict[str, Any], code: str, lost: str
) -> None:
    outcome = judge(action("python", rule, ""), code)
    assert (Verdict.LOSSY in outcome.flags) is bool(lost) and lost in outcome.detail


@pytest.mark.parametrize(
    ("fix", "lost"), [("bar.foo$ARGS", "'foo.bar' (attribute)"), ("my.foo.bar$ARGS", "")]
)
def test_code_right_beside_a_capture_is_lost_or_kept_as_a_whole(fix: str, lost: str) -> None:
    rule = {"kind": "call", "has": {"field": "arguments", "pattern": "$ARGS"}}
    outcome = judge(action("python", rule, fix), "foo.bar(1)\n")
    assert (Verdict.LOSSY in outcome.flags) is bool(lost) and lost in outcome.detail


JOIN = {
    "rewriters": [{"id": "one", "rule": {"kind": "identifier", "pattern": "$N"}, "fix": "import $N"}],
    "transform": {"ALL": {"rewrite": {"rewriters": ["one"], "source": "$$$NAMES", "joinBy": "\n"}}},
}


@pytest.mark.parametrize(
    ("code", "lost"),
    [
        ("take(jar, pot)\n", ""),
        ("take(jar,  # the good one\n     pot)\n", "line 1: `joinBy` leaves out '# the good one'"),
        ("take(jar,\n     'lid')\n", "line 2: `joinBy` leaves out 'lid'"),
        ("pass\ntake(jar, pot if cup else mug)\n", "line 2: `joinBy` leaves out 'if'"),
    ],
)
def test_code_between_joined_parts_is_a_loss(code: str, lost: str) -> None:
    outcome = judge(action("python", {"pattern": "take($$$NAMES)"}, "$ALL", **JOIN), code)
    assert bool(lost) == (Verdict.LOSSY in outcome.flags), outcome
    assert lost in outcome.detail


@pytest.mark.parametrize("blank", ["", "    "])
def test_an_empty_line_of_a_crlf_file_stays_what_it_was(blank: str) -> None:
    code = f"if x:\n    keep(\n        1,\n{blank}\n        2)\n"
    rule = action("python", {"pattern": "keep($$$A)"}, "hold($$$A)")
    post = apply(rule, code.replace("\n", "\r\n")).post
    assert post is not None and post == (apply(rule, code).post or "").replace("\n", "\r\n")
    assert blank or ",\r\n\r\n" in post


def test_the_mark_of_an_empty_line_that_was_there_is_in_no_edit() -> None:
    code = "keep(\n    1,\n    \n    2)\nkeep(3)\n"
    rule = action("python", {"pattern": "keep($$$A)"}, "hold($$$A)")
    one, other = places.of(rule, code)
    assert (one.new, other.new) == ("hold(1,\n\n2)", "hold(3)")
    assert places.after(rule, code, places.where({1})) == "hold(1,\n\n2)\nkeep(3)\n"
    assert apply(rule, code).post == "hold(1,\n\n2)\nhold(3)\n"
    same = apply(action("python", {"pattern": "keep($$$A)"}, "keep($$$A)"), "keep(1,\n  \n2)\n")
    assert (same.verdict, same.n_matches, same.bytes_touched) == (Verdict.NO_CHANGE, 0, 0)


def test_a_changed_text_of_a_long_string_is_said() -> None:
    wrap = action("python", {"pattern": "run($A)"}, "with db:\n    run($A)")
    code = 'run("""\nselect 1\n  from t\n""")\n'
    outcome = judge(wrap, code)
    assert outcome.verdict is Verdict.OK and "line 1: the text of a multi-line string" in outcome.detail
    assert judge(wrap, "run(\n    1\n)\n").detail == ""
    last = action("python", {"pattern": "x = $A"}, "with db:\n    x = $A")
    assert "multi-line string" in judge(last, 'x = """\nselect 1\n"""\n').detail, (
        "it ends where the match does"
    )


@pytest.mark.parametrize(
    ("rule", "words"),
    [
        (
            {"all": [{"pattern": "f($A)"}, {"inside": {"kind": "class_definition"}}]},
            ["`pattern` matches once, but `inside` leaves none"],
        ),
        (
            {"all": [{"pattern": "f($A)"}, {"not": {"inside": {"kind": "module", "stopBy": "end"}}}]},
            ["`pattern` matches once, but `not` leaves none"],
        ),
        (
            {"any": [{"pattern": "g($A)"}, {"kind": "class_definition"}]},
            ["none of the 2 alternatives", "the pattern `g($A)`", "no node of kind `class_definition`"],
        ),
        ({"matches": "it"}, ["util `it`: the pattern `h($A)`"]),
    ],
)  # fmt: skip
def test_why_a_composed_rule_matches_nothing(rule: dict[str, Any], words: list[str]) -> None:
    utils = {"utils": {"it": {"pattern": "h($A)"}}} if "matches" in rule else {}
    said = no_match.explain(action("python", rule, "x", **utils), "f(1)\n")
    assert all(word in said for word in words), said


def test_a_util_from_elsewhere_is_told_as_that() -> None:
    outcome = apply(action("python", {"kind": "call", "has": {"matches": "is-lit"}}, "x"), "f(1)\n")
    assert outcome.verdict is Verdict.BAD_RULE and "utilDirs" in outcome.detail


@pytest.mark.parametrize("comment", ["/* why */", "/**/", "// why\n", "//\n"])
def test_a_comment_between_receiver_and_dot_is_a_loss_even_without_words(comment: str) -> None:
    outcome = judge(action("javascript", {"pattern": "$A.bind(b)"}, "$A"), f"var a = f() {comment}.bind(b)\n")
    assert Verdict.LOSSY in outcome.flags and comment.strip() in outcome.detail
