"""Prompts and the code in answers."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rulewright import prompts
from rulewright.state.state import State

CODE = st.text(alphabet=st.characters(codec="utf-8", exclude_characters="\r"), min_size=1, max_size=200)


@given(CODE.filter(lambda c: c.strip() and "think>" not in c), st.sampled_from(prompts.STYLES))
def test_what_an_edit_answer_says_is_read_back(code: str, style: prompts.Style) -> None:
    # Trailing blank lines cannot be told from a fence's own newline; files end in at most one.
    code = code.rstrip("\n") + "\n"
    if not code.strip():
        return
    answer = prompts.edit_answer(code, "python", style)
    assert prompts.extract_edit(answer, "x\n", style) == code


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        ("```python\na\nb\n```", "a\nb\n"),
        ("Sure:\n\n```\na\n```\nDone.", "a\n"),
        ("<think>```\nno\n```</think>\n```py\na\n```", "a\n"),
        ("```py\na\nb", "a\nb\n"),
        ("  ```py\na\n  ```", "a\n"),
        ("~~~py\n```\na\n~~~", "```\na\n"),
        ("a = 1", None),
        ("<think>only thought", None),
        ("", None),
    ],
)
def test_extraction(answer: str, code: str | None) -> None:
    assert prompts.extract_edit(answer, "x\n") == code


def test_the_final_newline_follows_the_input() -> None:
    assert prompts.extract_edit("```\na\n```", "x") == "a"


def test_an_empty_state_and_feedback_leave_no_trace() -> None:
    plain = prompts.action_prompt("do it", "x\n", "python")
    assert plain == prompts.action_prompt("do it", "x\n", "python", State(), "")
    more = prompts.action_prompt("do it", "x\n", "python", State(goals=("g",)), "no_match: nothing")
    assert "<state>" in more[-1]["content"] and "<feedback>no_match" in more[-1]["content"]


def test_digests_name_prompts() -> None:
    a, b = prompts.edit_prompt("a", "x", "python"), prompts.edit_prompt("b", "x", "python")
    assert prompts.digest(a) == prompts.digest(list(a)) != prompts.digest(b)
