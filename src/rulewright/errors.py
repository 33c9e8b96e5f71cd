"""Errors shown to the user, each with the next step.

Bad *data* is not an error: it is a counted value with a reason. A bug is a traceback. This module has the
remaining cases: wrong input, wrong configuration, a run that cannot continue.
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pydantic import ValidationError


class RulewrightError(Exception):
    """A run that failed for a reason that the user can fix.

    Args:
        message: what happened, where (`file:line`, record id), expected and got.
        hint: the next step, as an instruction; empty where there is none.
    """

    exit_code = 1
    told = False
    """Whether it has been printed."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message}\nhint: {self.hint}" if self.hint else self.message

    def shown(self) -> str:
        """The lines that a person is shown."""
        lines = [f"error: {line}" for line in self.message.splitlines()]
        return "\n".join([*lines, f"hint: {self.hint}"] if self.hint else lines)


class UsageError(RulewrightError):
    """A wrong command line, path or option."""

    exit_code = 2


class ConfigError(UsageError, ValueError):
    """One or more mistakes in a configuration; the message lists them all."""


class MissingDependency(UsageError, ImportError):
    """An optional package is absent; the hint is the line that installs it."""

    def __init__(self, package: str, needed_for: str, extra: str) -> None:
        super().__init__(
            f"{package} is not installed, and {needed_for} needs it",
            f"pip install 'rulewright[{extra}]'",
        )
        self.args = (package, needed_for, extra)  # what pickle makes it of again, in another process


@contextmanager
def needed(package: str, needed_for: str, extra: str) -> Iterator[None]:
    """Import an optional package inside this context; if it is missing, raise `MissingDependency`."""
    try:
        yield
    except ImportError as error:
        raise MissingDependency(package, needed_for, extra) from error


def first_line(error: BaseException) -> str:
    r"""A library error's message on one line; the name of its class if it has no message.

    >>> first_line(OSError("no space left\nat byte 7")), first_line(KeyboardInterrupt())
    ('no space left', 'KeyboardInterrupt')
    """
    lines = str(error).strip().splitlines()
    return lines[0][:300] if lines else type(error).__name__


def json_problem(error: Exception) -> str:
    r"""What is wrong with a text that should be JSON, and where; the line only where there are several.

    >>> import json
    >>> try: json.loads("hello")
    ... except ValueError as error: json_problem(error)
    'expected a value at column 1'
    """
    if not isinstance(error, json.JSONDecodeError):
        return first_line(error) if str(error) else "nested too deeply"
    said = error.msg.replace("Expecting value", "expected a value").replace("Expecting", "expected")
    said = f"{said[:1].lower()}{said[1:]}".removesuffix(" at")
    if error.pos >= len(error.doc.rstrip()):
        return f"{said} at the end"
    line = f"line {error.lineno}, " if "\n" in error.doc.strip() else ""
    return f"{said} at {line}column {error.colno}"


def did_you_mean(word: str, known: Iterable[str], n: int = 1, mark: str = "'") -> str:
    """Give `; did you mean 'x'?` for the nearest known words, or nothing.

    >>> did_you_mean("wieght", ["weight", "seed"])
    "; did you mean 'weight'?"
    """
    near = difflib.get_close_matches(word[:100], list(known), n=n, cutoff=0.6)
    return f"; did you mean {' or '.join(f'{mark}{one}{mark}' for one in near)}?" if near else ""


def few(parts: Sequence[str], most: int, between: str = ", ") -> str:
    """The first parts, and how many more there are.

    >>> few(["a", "b", "c", "d"], 2), few(["a", "b"], 2)
    ('a, b and 2 more', 'a, b')
    """
    more = f"{between.strip(', ')} and {len(parts) - most} more" if len(parts) > most else ""
    return between.join(parts[:most]) + more


def by_reason(counts: Mapping[str, int], most: int = 99) -> str:
    """How many there are for which reason, the most first.

    >>> by_reason({"license": 1, "too_long": 1200})
    'too_long 1,200, license 1'
    """
    ordered = sorted(counts.items(), key=lambda item: -item[1])
    return few([f"{reason} {n:,}" for reason, n in ordered], most)


def problems_of(error: ValidationError) -> str:
    """What a model's validation found wrong, on one line and without the values: those may be huge.

    >>> from rulewright.data.schemas import NormalizedRecord
    >>> try: NormalizedRecord.model_validate({"instruction": "x"})
    ... except ValueError as error: problems_of(error)[:19]
    'pre: field required'
    """
    found = [
        f"{'.'.join(map(str, item['loc'])) or 'record'}: {item['msg'][:1].lower()}{item['msg'][1:]}"[:200]
        for item in error.errors(include_url=False, include_input=False)
    ]
    return few(found, 5, "; ")


def why(error: Exception) -> str:
    """Why something could not be read or written, without the numbers of the system.

    >>> why(FileNotFoundError(2, "No such file or directory", "a.py"))
    'No such file or directory'
    """
    if isinstance(error, UnicodeDecodeError):
        line = error.object.count(b"\n", 0, error.start) + 1
        return f"not UTF-8 text, at byte {error.start} (line {line})"
    return (error.strerror if isinstance(error, OSError) else "") or str(error)
