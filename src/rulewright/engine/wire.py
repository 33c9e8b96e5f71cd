"""The protocol between engine and worker: requests and outcomes in JSON frames."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Mapping
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
    action = request.action
    return {**vars(request), "action": vars(action) if isinstance(action, Action) else action}


def request_from_json(value: dict[str, Any]) -> Request:
    action = value["action"]
    return Request(**{**value, "action": Action(**_fields(action)) if isinstance(action, dict) else action})


def outcome_to_json(outcome: Outcome) -> dict[str, Any]:
    states = list(outcome.states)
    if states and states[-1] == outcome.post:
        states[-1] = ""
    places = None if outcome.places is None else [list(vars(one).values()) for one in outcome.places]
    return {**vars(outcome), "states": states, "flags": sorted(outcome.flags), "places": places}


def outcome_from_json(value: dict[str, Any]) -> Outcome:
    states, places = value["states"], value["places"]
    if states and not states[-1] and value["post"]:
        states[-1] = value["post"]
    if places is not None:
        value["places"] = [Place(*_frozen(row)) for row in places]
    flags = frozenset(map(Verdict, value["flags"]))
    return Outcome(**{**_fields(value), "verdict": Verdict(value["verdict"]), "flags": flags})


def _fields(value: Mapping[str, Any]) -> dict[str, Any]:
    return dict(zip(value, _frozen(value.values()), strict=True))


def _frozen(values: Iterable[Any]) -> Iterator[Any]:
    """Values of JSON, with a tuple for each list."""
    return (tuple(one) if isinstance(one, list) else one for one in values)


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
