"""The protocol between engine and worker: requests and outcomes in JSON frames."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from typing import Any, BinaryIO, Final

from rulewright.actions import Action
from rulewright.languages import Language
from rulewright.sandbox.inside.spec import HEAD, frame, read_frame
from rulewright.verdict import Outcome, Place, Verdict

_READ_BYTES: Final = 1 << 18


@dataclass(frozen=True)
class Request:
    """One action to judge on one text.

    Args:
        action: an `Action`, or text: a raw answer, the JSON of an action, or a rule file.
        code: the text before.
        language: of the code.
        expected: the wanted text, where known.
        exact: without the tidy step.
        listed: with the single places.
    """

    action: Action | str
    code: str
    language: Language
    expected: str | None = None
    exact: bool = False
    listed: bool = False


def request_to_json(request: Request) -> dict[str, Any]:
    action: Any = request.action
    if isinstance(action, Action):
        action = {
            "language": action.language,
            "rules": list(action.rules),
            "mode": action.mode,
            "ids": list(action.ids),
        }
    return {
        "action": action, "code": request.code, "language": request.language,
        "expected": request.expected, "exact": request.exact, "listed": request.listed,
    }  # fmt: skip


def request_from_json(value: dict[str, Any]) -> Request:
    action = value["action"]
    if isinstance(action, dict):
        action = Action(action["language"], tuple(action["rules"]), action["mode"], ids=tuple(action["ids"]))
    given = (value[key] for key in ("code", "language", "expected", "exact", "listed"))
    return Request(action, *given)


def outcome_to_json(outcome: Outcome) -> dict[str, Any]:
    states = list(outcome.states)
    if states and states[-1] == outcome.post:
        states[-1] = ""
    return {
        "verdict": outcome.verdict, "detail": outcome.detail, "post": outcome.post, "states": states,
        "n_rules": outcome.n_rules, "n_matches": outcome.n_matches,
        "matches_per_rule": outcome.matches_per_rule, "tidied": outcome.tidied,
        "bytes_touched": outcome.bytes_touched, "flags": sorted(outcome.flags),
        "places": None if outcome.places is None else [list(vars(one).values()) for one in outcome.places],
    }  # fmt: skip


def outcome_from_json(value: dict[str, Any]) -> Outcome:
    states = value["states"]
    if states and not states[-1] and value["post"]:
        states[-1] = value["post"]
    rows = value["places"]
    places = (
        None
        if rows is None
        else tuple(
            Place(line, last, old, new, rule, tuple(gone), tuple(come), *flags)
            for line, last, old, new, rule, gone, come, *flags in rows
        )
    )
    return Outcome(
        Verdict(value["verdict"]), value["detail"], value["post"], value["n_rules"], value["n_matches"],
        tuple(value["matches_per_rule"]), tuple(states), value["tidied"], value["bytes_touched"],
        frozenset(Verdict(flag) for flag in value["flags"]), places,
    )  # fmt: skip


def send(stream: BinaryIO, value: Any) -> None:
    """Write one message."""
    stream.write(frame(value))
    stream.flush()


def receive(stream: BinaryIO) -> Any:
    """Read one message from a buffered stream; raises `EOFError` if the other side has closed."""

    def read(size: int) -> bytes:
        data = stream.read(size)
        if len(data) < size:
            raise EOFError
        return data

    return read_frame(read)


class Inbox:
    """Messages out of a pipe, as many as one read brings; nothing lingers unseen in a buffer."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._data = bytearray()

    def read(self) -> list[Any] | None:
        """Read once; the complete messages so far, or `None` if the other side has closed."""
        more = os.read(self._descriptor, _READ_BYTES)
        if not more:
            return None
        self._data += more
        messages = []
        while len(self._data) >= HEAD.size:
            end = HEAD.size + HEAD.unpack_from(self._data)[0]
            if len(self._data) < end:
                break
            messages.append(json.loads(self._data[HEAD.size : end]))
            del self._data[:end]
        return messages
