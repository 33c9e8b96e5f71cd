"""Edits that no one would make: a reason or a verified action, never an error or a hang."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rulewright import engine
from rulewright.languages import Language
from rulewright.mining import mine
from rulewright.mining.learn.mine import MAX_CHARS
from rulewright.mining.text.tree import Tree

SOURCES: dict[Language, str] = {
    "python": "import os\n\n\ndef f(a, b):\n    # sum up\n    return [x + b for x in g(a)]\n",
    "javascript": "const a = require('m')\n\nfunction f(x) {\n  return a.g(x, () => `t ${x}`)\n}\n",
    "java": 'class A {\n  @B("c") int f(int x) {\n    return g(x) + 1; // more\n  }\n}\n',
    "go": 'package p\n\nimport "fmt"\n\nfunc f(x int) {\n\tfmt.Println(x, "y")\n}\n',
}

DEEP: dict[str, tuple[Language, str, str]] = {
    "calls": ("python", "f(" * 2_000 + "x" + ")" * 2_000, "f(" * 2_000 + "y" + ")" * 2_000),
    "blocks": ("java", "if (a) {" * 900 + "}" * 900, "if (b) {" * 900 + "}" * 900),
    "sum": ("go", "package p\nvar a = " + "+".join(["b"] * 3_000), "package p\nvar a = c"),
}


@pytest.mark.parametrize("name", DEEP)
def test_code_that_is_nested_too_deeply_is_refused(name: str) -> None:
    language, pre, post = DEEP[name]
    mined = mine(pre + "\n", post + "\n", language)
    assert mined.action is None
    assert "deep" in mined.reason


def test_depth_is_counted_in_levels() -> None:
    assert Tree("f(" * 60 + ")" * 60, "python").is_deeper_than(100)
    assert not Tree("f(" * 60 + ")" * 60, "python").is_deeper_than(300)
    assert not Tree("f(1)\n" * 400, "python").is_deeper_than(50)


def test_the_same_change_in_many_places_is_one_rule() -> None:
    pre = "".join(f"old({i})\n" for i in range(150))
    mined = mine(pre, pre.replace("old", "new"), "python")
    assert mined.figures.n_rules == 1
    assert mined.figures.sites == 150


@pytest.mark.parametrize("language", SOURCES)
def test_everything_shuffled_ends_soon(language: Language) -> None:
    pre = SOURCES[language] * 40
    lines = pre.split("\n")
    post = "\n".join(lines[1::2] + lines[::2])
    mined = mine(pre, post, language)
    assert mined.action is None or engine.apply(mined.action, pre).post == post


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(sorted(SOURCES)), st.data())
def test_a_damaged_text_gives_an_exact_action_or_a_reason(language: Language, data: st.DataObject) -> None:
    pre = SOURCES[language]
    where = st.integers(0, len(pre) - 1)
    junk = st.text(alphabet="(){}[]\"'`\\ \n\tx;,$A#/", max_size=4)
    post = pre
    for _ in range(data.draw(st.integers(1, 3))):
        at, length = data.draw(where), data.draw(st.integers(0, 8))
        post = post[:at] + data.draw(junk) + post[at + length :]
    if data.draw(st.booleans()):
        pre, post = post, pre
    mined = mine(pre, post, language)
    if mined.action is None:
        assert mined.reason
    else:
        assert engine.apply(mined.action, pre).post == post


def test_a_long_file_is_mined_and_one_beyond_the_bound_is_refused() -> None:
    pre = "".join(f"def f{i}(a):\n    return g(a, [{i}, {i}])\n\n\n" for i in range(2_500))
    post = pre.replace("g(a, [7, 7])", "h(a, [7, 7])")
    assert 100_000 < len(pre) < MAX_CHARS
    mined = mine(pre, post, "python")
    assert mined.action is not None and engine.apply(mined.action, pre).post == post
    longer = pre + "x = 1\n" * MAX_CHARS
    assert "longer than" in mine(longer, longer.replace("f7(", "h7("), "python").reason


def test_a_rule_that_was_made_of_an_earlier_text_does_not_break_the_next_step_down() -> None:
    pre = SOURCES["python"]
    mined = mine(pre, pre.replace("\n    # sum", "\n \n  # sum"), "python")
    assert mined.action is None or engine.apply(mined.action, pre).post != pre
