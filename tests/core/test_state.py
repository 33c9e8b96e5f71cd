"""The state is bounded whatever a model proposes."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from rulewright.state.state import (
    MAX_HISTORY,
    MAX_TOKENS,
    HistoryItem,
    State,
    StateUpdate,
    count_tokens,
)

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=400),
    lambda inner: st.lists(inner, max_size=6) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=20,
)
UPDATES = st.fixed_dictionaries(
    {}, optional=dict.fromkeys(("decisions", "constraints", "open_issues", "next_focus"), JSON)
)


@given(st.lists(UPDATES | JSON, max_size=12))
def test_bounds_hold_after_any_updates(updates: list[object]) -> None:
    state = State(goals=("use `is None`",))
    for step, update in enumerate(updates):
        item = HistoryItem(step, "0" * 8, "summary " * 100, "ok")
        state = state.merge(StateUpdate.parse(update), item)
        assert count_tokens(state.render()) <= MAX_TOKENS
        assert len(state.history) <= MAX_HISTORY
        for items in (state.goals, state.decisions, state.constraints, state.open_issues):
            assert len(set(items)) == len(items)
        assert State.from_dict(state.to_dict()) == state


def test_merge_joins_deduplicates_and_keeps_the_last_three() -> None:
    state = State()
    for step in range(5):
        update = StateUpdate(decisions=("same", f"d{step}"), open_issues=(f"o{step}",), next_focus=f"f{step}")
        state = state.merge(update, HistoryItem(step, "a", "s", "ok"))
    assert [item.step for item in state.history] == [2, 3, 4]
    assert state.decisions == ("d0", "d1", "d2", "d3", "same", "d4")
    assert state.open_issues == ("o4",)
    assert state.next_focus == "f4"


def test_parse_keeps_what_has_the_right_shape() -> None:
    update = StateUpdate.parse(
        {"decisions": ["a", 3, " "], "constraints": "c", "next_focus": ["x", "y"], "z": 1}
    )
    assert update == StateUpdate(decisions=("a",), constraints=("c",), next_focus="x; y")
    assert StateUpdate.parse("nonsense") == StateUpdate()
