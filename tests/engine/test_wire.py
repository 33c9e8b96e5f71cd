"""Messages between the engine and its workers: nothing is lost, however the pipe cuts them."""

from __future__ import annotations

import os
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rulewright.actions import Action
from rulewright.engine import wire
from rulewright.engine.wire import Inbox, Request
from rulewright.sandbox.inside.spec import frame
from rulewright.verdict import Outcome, Place, Verdict

ACTION = Action("go", ({"rule": {"pattern": "a"}, "fix": "b"},), "rule", ids=("r",))
PLACE = Place(1, 2, "a", "b", 0, ("a",), ("b",), False, True)
OUTCOME = Outcome(
    Verdict.LOSSY, "why", "b\n", 2, 3, (1, 2), ("m\n", "b\n"), True, 7, frozenset([Verdict.LOSSY]), (PLACE,)
)


@pytest.mark.parametrize(
    "request_",
    [
        Request("text", "code\n", "python"),
        Request(ACTION, "a\n", "go", "b\n", exact=True, listed=True),
        Request(ACTION, "a\n", "go", exact=True),
        Request(ACTION, "a\n", "go", listed=True),
    ],
)
def test_a_request_comes_as_it_went(request_: Request) -> None:
    back = wire.request_from_json(wire.request_to_json(request_))
    assert back == request_
    if isinstance(request_.action, Action) and isinstance(back.action, Action):
        assert (back.action.mode, back.action.ids) == (request_.action.mode, request_.action.ids)


@pytest.mark.parametrize(
    "outcome",
    [
        OUTCOME,
        Outcome(Verdict.BAD_RULE, "why"),
        replace(OUTCOME, places=None),
        replace(OUTCOME, places=()),
        replace(OUTCOME, states=("b\n",)),
        replace(OUTCOME, states=("b\n", "m\n")),
        replace(OUTCOME, states=("m\n", "n\n", "b\n")),
        replace(OUTCOME, post="", states=("m\n", "")),
        replace(OUTCOME, post=None, states=("",)),
        replace(OUTCOME, tidied=False, flags=frozenset()),
    ],
)
def test_an_outcome_comes_as_it_went(outcome: Outcome) -> None:
    sent = wire.outcome_to_json(outcome)
    assert not outcome.post or [outcome.post] != sent["states"][-1:], "the result is sent once"
    assert wire.outcome_from_json(sent) == outcome


def test_a_request_asks_for_the_tidy_step_and_no_places_unless_told() -> None:
    plain = Request("text", "code\n", "python")
    assert (plain.expected, plain.exact, plain.listed) == (None, False, False)


def test_the_last_state_is_not_sent_twice() -> None:
    assert wire.outcome_to_json(OUTCOME)["states"] == ["m\n", ""]


@settings(max_examples=60, deadline=None)
@given(st.lists(st.text(max_size=30), max_size=5), st.lists(st.integers(1, 60), max_size=8))
def test_an_inbox_gives_every_whole_message_once(messages: list[str], cuts: list[int]) -> None:
    raw = b"".join(frame(message) for message in messages)
    reader, writer = os.pipe()
    inbox, found, done = Inbox(reader), [], 0
    try:
        for size in [*cuts, len(raw)]:
            if part := raw[done : done + size]:
                os.write(writer, part)
                found += inbox.read() or []
                done += len(part)
                whole = [
                    m for i, m in enumerate(messages) if len(b"".join(map(frame, messages[: i + 1]))) <= done
                ]
                assert found == whole
    finally:
        os.close(writer)
        assert inbox.read() is None, "the other side is gone"
        os.close(reader)
    assert found == messages
