"""The judge, outside the sandbox: compare observed with expected values.

Everything that comes in was written by the candidate's process: it is read as JSON of
bounded size, rebuilt into plain values only, and compared with the built-in operators.
"""

from __future__ import annotations

import json
import operator
import random
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Final

from rulewright.sandbox.instrument import Check, Treatment


def _same(left: Any, right: Any) -> bool:
    # A large set or dict of crafted keys is slow to build; an unequal size is told first.
    if hasattr(left, "__len__") and hasattr(right, "__len__") and len(left) != len(right):
        return False
    return bool(left == right)


_OPERATORS: Final[dict[str, Callable[[Any, Any], bool]]] = {
    "==": _same, "!=": operator.ne, "<": operator.lt, "<=": operator.le, ">": operator.gt,
    ">=": operator.ge, "in": lambda a, b: a in b, "not in": lambda a, b: a not in b,
}  # fmt: skip
_MAX_DEPTH: Final = 100
_MAX_ALIKE: Final = 1000
"""Keys of one set or dict that share a hash: a crafted one would take minutes to build."""
_MAX_FRACTION_CHARS: Final = 10_000
"""Of each of its parts: to reduce a longer one would take minutes."""
_DECOYS: Final = 3

Observation = tuple[int, str, Any]


class NotPlain(Exception):
    """A value that is no plain data, or no value at all."""


@dataclass(frozen=True)
class Judgment:
    """What the observations of one run amount to."""

    held: frozenset[int]
    broken: Mapping[int, str]
    """Number → why."""
    opaque: frozenset[int]
    """Checks whose value is no plain data, to be asked in another way."""
    counts: Mapping[int, int]

    @property
    def ok(self) -> bool:
        return not self.broken and not self.opaque and bool(self.held)


def read(report: bytes) -> list[Observation]:
    """The observations in a report; whatever is no observation is left out."""
    found: list[Observation] = []
    for line in report.split(b"\n"):
        try:
            message = json.loads(line) if line else None
        except (ValueError, RecursionError):
            continue
        if (
            isinstance(message, list)
            and len(message) == 3
            and type(message[0]) is int
            and isinstance(message[1], str)
        ):
            found.append((message[0], message[1], message[2]))
    return found


def judge(
    checks: Mapping[int, Check], observations: list[Observation], required: Mapping[int, int] | None
) -> Judgment:
    """Compare.

    Args:
        checks: what was asked.
        observations: what was answered.
        required: how often each check has to have run (from a reference); `None` where
            there is no reference: then what nothing can skip has to have run.
    """
    held: set[int] = set()
    broken: dict[int, str] = {}
    opaque: set[int] = set()
    counts: Counter[int] = Counter()
    for number, letter, answer in observations:
        check = checks.get(number)
        if check is None:
            broken[number] = "answered a check that does not exist"
            continue
        counts[number] += 1
        try:
            problem = _problem(check, letter, answer)
        except NotPlain:
            opaque.add(number)
            continue
        if problem:
            broken.setdefault(number, f"line {check.line}: {check.text}: {problem}")
        else:
            held.add(number)
    needed = required if required is not None else {n: 1 for n, check in checks.items() if check.required}
    for number, count in needed.items():
        if counts[number] < count and number not in broken:
            check = checks[number]
            broken[number] = f"line {check.line}: {check.text}: ran {counts[number]} of {count} times"
    return Judgment(
        frozenset(held - broken.keys() - opaque), broken, frozenset(opaque - broken.keys()), counts
    )


def _problem(check: Check, letter: str, answer: Any) -> str:
    """Why an answer does not satisfy its check; empty where it does."""
    match check.form, letter:
        case "value", "v":
            return _compared(check, rebuilt(answer))
        case "exact", "v":
            seen = rebuilt(answer) if answer and answer[0] in ("n", "b") else _SOMETHING_ELSE
            return "" if (seen is check.expected) == check.wanted else "not the object wanted"
        case "pair", "p":
            left, right = (rebuilt(part) for part in _list(answer, 2))
            return "" if _same(left, right) else "the two sides differ"
        case "pair", "c":
            return "" if answer == [True, False, False] else "the objects differ, or equal anything"
        case "truth", "t":
            return "" if answer is check.wanted else f"is {answer!r:.20}"
        case "raises", "x":
            return "" if answer == [True, False] else "did not raise what was expected"
        case "choice", "w":
            return "" if answer == list(check.answers) else "does not tell the expected value from others"
        case "mark", "r":
            return ""
    return "answered out of form"


_SOMETHING_ELSE: Final = object()


def _compared(check: Check, seen: Any) -> str:
    left, right = (check.expected, seen) if check.swapped else (seen, check.expected)
    try:
        held = bool(_OPERATORS[check.operator](left, right))
    except (TypeError, RecursionError) as error:
        return type(error).__name__
    return "" if held else f"saw {_shown(seen)}"


def _shown(seen: Any) -> str:
    try:
        return f"{seen!r:.80}"
    except ValueError:  # Python writes out no integer of thousands of digits
        return "a number too long to show"


def _list(answer: Any, length: int) -> list[Any]:
    if not isinstance(answer, list) or len(answer) != length:
        raise NotPlain
    return answer


def rebuilt(sent: Any, depth: int = 0) -> Any:
    """Rebuild a value from what `recorder.plain` sent.

    Raises:
        NotPlain: it is an object, or not of that form.
    """
    if depth > _MAX_DEPTH or not isinstance(sent, list) or not sent:
        raise NotPlain
    try:
        return _rebuilt(sent, depth + 1)
    except (ValueError, TypeError, IndexError, ZeroDivisionError, OverflowError) as error:
        raise NotPlain from error


def _rebuilt(sent: list[Any], depth: int) -> Any:
    match sent:
        case ["n"]:
            return None
        case ["b", bool() as value]:
            return value
        case ["i", str() as text]:
            return int(text, 16)
        case ["g", str() as text]:
            return float.fromhex(text)
        case ["z", str() as real, str() as imaginary]:
            return complex(float.fromhex(real), float.fromhex(imaginary))
        case ["u", str() as text]:
            return text
        case ["y", str() as text]:
            return bytes.fromhex(text)
        case ["q", str() as top, str() as bottom] if max(len(top), len(bottom)) <= _MAX_FRACTION_CHARS:
            return Fraction(int(top, 16), int(bottom, 16))
        case ["l", list() as items]:
            return [rebuilt(item, depth) for item in items]
        case ["t", list() as items]:
            return tuple(rebuilt(item, depth) for item in items)
        case ["s", list() as items]:
            return frozenset(_keys(items, depth))
        case ["d", list() as pairs]:
            keys = _keys([_list(pair, 2)[0] for pair in pairs], depth)
            return dict(zip(keys, (rebuilt(pair[1], depth) for pair in pairs), strict=True))
    raise NotPlain


def _keys(sent: list[Any], depth: int) -> list[Any]:
    """Rebuild what is to be found by its hash.

    Raises:
        NotPlain: too many share one.
    """
    keys = [rebuilt(item, depth) for item in sent]
    if len(keys) > _MAX_ALIKE and max(Counter(map(hash, keys)).values()) > _MAX_ALIKE:
        raise NotPlain
    return keys


def plan_for(checks: Mapping[int, Check], opaque: frozenset[int], seed: str) -> Treatment:
    """How to ask again what came out as an object: as a choice among decoys, else natively."""
    native: set[int] = set()
    choices: dict[int, tuple[list[str], tuple[bool, ...]]] = {}
    rng = random.Random(seed)
    for number in sorted(opaque):
        check = checks[number]
        if check.form == "value" and check.operator == "==":
            options = [check.expected, *decoys(check.expected, rng)]
            sources = [repr(option) for option in options]
            if not any(word in source for source in sources for word in ("inf", "nan")):
                order = list(range(len(options)))
                rng.shuffle(order)
                choices[number] = ([sources[i] for i in order], tuple(i == 0 for i in order))
                continue
        native.add(number)
    return Treatment(frozenset(native), choices)


def decoys(value: Any, rng: random.Random) -> list[Any]:
    """Values of the same kind that differ from `value` and from each other.

    >>> len(set(decoys(5, random.Random(0))) - {5})
    3
    """
    found: list[Any] = []
    tries = 0
    while len(found) < _DECOYS and tries < 100:
        tries += 1
        other = _other(value, rng)
        if other != value and other not in found:
            found.append(other)
    return found


def _other(value: Any, rng: random.Random) -> Any:
    match value:
        case bool() | None:
            return rng.choice([True, False, None, 0, 1, "", 2])
        case int():
            return value + rng.choice([-1, 1]) * rng.randint(1, max(3, abs(value) // 4))
        case float() | complex():
            return value + rng.choice([-1, 1]) * rng.uniform(0.5, 2) * max(1.0, abs(value))
        case str():
            at = rng.randint(0, len(value))
            return value[:at] + rng.choice("abcdefgh0123") + value[at + rng.randint(0, 1) :]
        case bytes():
            return value + bytes([rng.randrange(256)])
        case list() | tuple() if value and rng.random() < 0.7:
            at = rng.randrange(len(value))
            changed = [*value[:at], _other(value[at], rng), *value[at + 1 :]]
            return type(value)(changed)
        case list():
            return [*value, rng.randint(0, 99)]
        case tuple():
            return (*value, rng.randint(0, 99))
        case set():
            return value ^ {rng.randint(0, 999)}
        case dict() if value and rng.random() < 0.7:
            key = rng.choice(list(value))
            return {**value, key: _other(value[key], rng)}
        case dict():
            return {**value, rng.randint(0, 999): 0}
    return rng.random()
