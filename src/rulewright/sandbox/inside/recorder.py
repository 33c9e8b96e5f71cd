"""What an instrumented check calls: describe the value seen, and let the driver judge.

Runs in the candidate's process and is therefore not trusted: no expected value is here,
so that a candidate that takes it over gains nothing it could have answered with.

A value is sent as plain data: `["i", "0xc"]`, `["l", [...]]` and so on; what is no plain
data is sent as `["o", type name]`. Values of subclasses of plain types and of numpy are
sent as the plain value they hold.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable
from typing import Any, Final

# Bound here, before any candidate code runs.
_write, _dumps, _type, _isinstance = os.write, json.dumps, type, isinstance
_MAX_NODES: Final = 100_000
_MAX_DEPTH: Final = 60


class Channel:
    """The pipe to the supervisor; one JSON line a check."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def send(self, *message: Any) -> None:
        """Send one line."""
        line = _dumps(message).encode() + b"\n"
        while line:
            line = line[_write(self._descriptor, line) :]


class Recorder:
    """The methods that instrumented tests call, each with the check's number first."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel

    def value(self, number: int, seen: Any) -> None:
        """Send one value."""
        self._channel.send(number, "v", plain(seen))

    def exact(self, number: int, seen: Any) -> None:
        """Send one value for an `is` comparison: no subclass counts as its base."""
        kind = _type(seen)
        sent = ["n"] if seen is None else ["b", seen] if kind is bool else ["o", kind.__name__]
        self._channel.send(number, "v", sent)

    def pair(self, number: int, left: Any, right: Any) -> None:
        """Send two values that should be equal; where they are no plain data, compare here.

        An object that equals everything shows itself by equalling a new object.
        """
        one, two = plain(left), plain(right)
        if has_object(one) or has_object(two):
            stranger = object()
            self._channel.send(
                number, "c", [bool(left == right), _equals(left, stranger), _equals(right, stranger)]
            )
        else:
            self._channel.send(number, "p", [one, two])

    def truth(self, number: int, seen: Any) -> None:
        """Send whether the value is true."""
        self._channel.send(number, "t", bool(seen))

    def choose(self, number: int, seen: Any, options: list[Any]) -> None:
        """Say which of several expectations hold; only the driver knows which should."""
        self._channel.send(number, "w", [_equals(seen, option) for option in options])

    def reached(self, number: int) -> None:
        """Say that this place was reached."""
        self._channel.send(number, "r", True)

    def raises(self, number: int, expected: Any, function: Any = None, *args: Any, **kwargs: Any) -> Any:
        """Stand for `assertRaises` and `pytest.raises`, as a call or a context."""
        if function is None:
            return Raising(self._channel, number, expected, kwargs.get("match"))
        with Raising(self._channel, number, expected, None) as context:
            function(*args, **kwargs)
        return context

    def raises_regex(
        self, number: int, expected: Any, match: Any, function: Any = None, *args: Any, **kw: Any
    ) -> Any:
        """Stand for `assertRaisesRegex`."""
        if function is None:
            return Raising(self._channel, number, expected, match)
        with Raising(self._channel, number, expected, match) as context:
            function(*args, **kw)
        return context


class Raising:
    """Send whether a block raised what was expected, and whether it would take anything."""

    def __init__(self, channel: Channel, number: int, expected: Any, match: Any) -> None:
        self._channel, self._number, self._expected, self._match = channel, number, expected, match
        self.exception: Any = None

    def __enter__(self) -> Raising:
        return self

    def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> bool:
        fits = (
            error is not None
            and _isinstance(error, self._expected)
            and (self._match is None or re.search(self._match, str(error)) is not None)
        )
        self._channel.send(self._number, "x", [fits, _isinstance(object(), self._expected)])
        self.exception = error
        return fits

    # pytest's names for the same things.
    @property
    def value(self) -> Any:
        return self.exception

    @property
    def type(self) -> Any:
        return _type(self.exception)

    def match(self, pattern: str) -> bool:
        """As `ExceptionInfo.match` of pytest."""
        if re.search(pattern, str(self.exception)) is None:
            raise AssertionError(f"{pattern!r} does not match {str(self.exception)!r}")
        return True


def _equals(left: Any, right: Any) -> bool:
    try:
        return bool(left == right)
    except Exception:
        return False


def has_object(sent: list[Any]) -> bool:
    """Whether something in a described value is no plain data."""
    queue: list[Any] = [sent]
    while queue:
        item = queue.pop()
        if item[0] == "o":
            return True
        if item[0] in "lts":
            queue += item[1]
        elif item[0] == "d":
            queue += [part for pair in item[1] for part in pair]
    return False


def plain(value: Any) -> list[Any]:
    """Describe a value as JSON-ready plain data.

    >>> plain([1, "a"])
    ['l', [['i', '0x1'], ['u', 'a']]]
    """
    return _Describer().describe(value, 0)


class _Describer:
    def __init__(self) -> None:
        self._nodes = 0

    def describe(self, value: Any, depth: int) -> list[Any]:
        self._nodes += 1
        if self._nodes > _MAX_NODES or depth > _MAX_DEPTH:
            return ["o", "too large"]
        if value is None:
            return ["n"]
        kinds = _type(value).__mro__  # the real type decides: `__class__` can lie
        for base, describe in self._BASES:
            if base in kinds:
                return describe(self, value, depth + 1)
        kind = _type(value)
        module, name = kind.__module__, kind.__name__
        if module == "fractions" and name == "Fraction":
            return ["q", hex(value.numerator), hex(value.denominator)]
        if module.partition(".")[0] == "numpy" and getattr(value, "ndim", None) == 0:
            return self.describe(value.item(), depth + 1)
        return ["o", f"{module}.{name}"]

    def _items(self, values: Any, depth: int) -> list[Any]:
        return [self.describe(item, depth) for item in values]

    _BASES: Final[tuple[tuple[type, Callable[..., list[Any]]], ...]] = (
        (bool, lambda self, v, d: ["b", v is True]),
        (int, lambda self, v, d: ["i", hex(int.__index__(v))]),
        (float, lambda self, v, d: ["g", float.hex(float.__float__(v))]),
        (complex, lambda self, v, d: ["z", float.hex(v.real), float.hex(v.imag)]),
        (str, lambda self, v, d: ["u", str.__str__(v)]),
        (bytes, lambda self, v, d: ["y", bytes.hex(v)]),
        (bytearray, lambda self, v, d: ["y", bytearray.hex(v)]),
        (list, lambda self, v, d: ["l", self._items(list.__iter__(v), d)]),
        (tuple, lambda self, v, d: ["t", self._items(tuple.__iter__(v), d)]),
        (set, lambda self, v, d: ["s", self._items(set.__iter__(v), d)]),
        (frozenset, lambda self, v, d: ["s", self._items(frozenset.__iter__(v), d)]),
        (dict, lambda self, v, d: ["d", [self._items(pair, d) for pair in dict.items(v)]]),
    )
