"""The one module that prints.

Output for machines goes to stdout (`emit`, `emit_json`), output for people to stderr. Progress is a bar
on a terminal; elsewhere it is a line every 5 %, for jobs that take some seconds.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import sys
import textwrap
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, ClassVar, Final, Literal, TextIO

from rulewright.errors import RulewrightError, why

_CONTROL: Final = re.compile(
    r"\x1b\[[0-?]*[ -/]*[@-~]|[\x00-\x08\x0b-\x1f\x7f\x80-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]"
)


def clean(text: str) -> str:
    r"""Strip control sequences, so that foreign text cannot drive a terminal.

    What changes the direction of text is written out: code would seem to be other code.

    >>> clean("a\x1b[31mb\x07 \u202ec")
    'ab \\u202ec'
    """
    if text.isprintable():
        return text
    return _CONTROL.sub(lambda found: "" if found[0] < "\xa0" else ascii(found[0])[1:-1], text)


def say(message: str = "") -> None:
    """Print a line for the user on stderr; with a launcher, only the first process prints."""
    if os.environ.get("RANK", "0") == "0" or "WORLD_SIZE" not in os.environ:
        print(Progress.wipe() + message, file=sys.stderr, flush=True)


def ask(question: str) -> str | None:
    """The line that the user answers; `None` at the end of the input."""
    print(question, end="", file=sys.stderr, flush=True)
    line = sys.stdin.readline()
    if not line:
        say()
    return line.strip() if line else None


def say_all(lines: Iterable[str]) -> None:
    for line in lines:
        say(line)


def emit(text: str) -> None:
    """Text that is the command's result, on stdout.

    Raises:
        RulewrightError: it cannot be written: a full disk.
        BrokenPipeError: nobody reads it any more.
    """
    try:
        print(text, flush=True)
    except OSError as error:
        # What is left in the buffer would fail once more when the process ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if isinstance(error, BrokenPipeError):
            raise
        raise RulewrightError(
            f"standard output: cannot be written ({why(error)})", "send it to a place with room"
        ) from error


def emit_json(value: Any) -> None:
    """One JSON value a line on stdout, for `--json`."""
    emit(json.dumps(value, ensure_ascii=False, default=str))


def error(failure: RulewrightError) -> None:
    """`error: …` and `hint: …`, on stderr, once."""
    # Whichever process meets it: another one may never hear of it.
    if not failure.told:
        print(failure.shown(), file=sys.stderr, flush=True)


def plural(count: int, what: str) -> str:
    """A number of things.

    >>> plural(1, "place"), plural(2_000, "place")
    ('1 place', '2,000 places')
    """
    return f"{count:,} {what}" if count == 1 else f"{count:,} {what}s"


def few_lines(lines: Iterable[str], most: int) -> list[str]:
    """The first lines, cleaned, and how many more there are.

    >>> few_lines(["a", "b", "c"], 2)
    ['a', 'b', '… and 1 more']
    """
    given = [clean(line) for line in lines]
    return given if len(given) <= most else [*given[:most], f"… and {len(given) - most} more"]


def decided(what: str, value: object, reason: str) -> None:
    """Report an automatic choice as *value (reason)*."""
    say(f"{what}: {value} ({reason})")


def colored(stream: TextIO) -> bool:
    """Whether colors belong there: on a terminal that knows them, unless NO_COLOR is set."""
    dumb = os.environ.get("TERM", "") == "dumb"
    return stream.isatty() and not dumb and not os.environ.get("NO_COLOR")


Style = Literal["title", "bold", "good", "bad"]
_STYLES: Final[dict[Style, str]] = {"title": "1;36", "bold": "1", "good": "32", "bad": "31"}


def paint(text: str, style: Style, stream: TextIO) -> str:
    """Text in a color, where the stream shows colors."""
    return f"\x1b[{_STYLES[style]}m{text}\x1b[0m" if colored(stream) else text


def width() -> int:
    """Columns to fill: COLUMNS, else the terminal's, else 80."""
    return shutil.get_terminal_size((80, 24)).columns


def wrap(text: str, first: str = "", later: str | None = None) -> str:
    """Lines of prose no wider than the terminal (nor than one reads with ease).

    Args:
        text: one paragraph.
        first: what its first line begins with.
        later: what the others begin with; the same unless given.
    """
    return textwrap.fill(
        text, max(min(width(), 100), 30), initial_indent=first,
        subsequent_indent=first if later is None else later,
        break_long_words=False, break_on_hyphens=False,
    )  # fmt: skip


def duration(seconds: float) -> str:
    """A time in its largest unit.

    >>> duration(59), duration(600), duration(36_000)
    ('59 s', '10 min', '10.0 h')
    """
    if seconds >= 3_600:
        return f"{seconds / 3_600:.1f} h"
    return f"{seconds / 60:.0f} min" if seconds >= 60 else f"{seconds:.0f} s"


LEGEND: Final = "(marked «so», or bright on a terminal)"


def highlight(text: str, marked: bool) -> str:
    """A piece of text, marked or not: bright or dim on a terminal, « » elsewhere.

    >>> highlight("x = 1", True)
    '«x = 1»'
    """
    if colored(sys.stderr):
        return f"\x1b[{'1;32' if marked else '2'}m{text}\x1b[0m"
    return f"«{text}»" if marked else text


def table(headers: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A plain aligned table; numbers to the right.

    >>> print(table(["name", "n"], [["a", 10], ["bb", 2]]))
    name   n
    ----  --
    a     10
    bb     2
    """
    cells = [[str(cell) for cell in row] for row in rows]
    widths = [max([len(header), *(len(row[i]) for row in cells)]) for i, header in enumerate(headers)]
    right = [
        bool(cells) and all(re.fullmatch(r"[-+]?[\d.,]+ ?(%|s|ms|MB|GB)?|–|", row[i]) for row in cells)
        for i in range(len(headers))
    ]

    def line(row: Sequence[str]) -> str:
        parts = (
            cell.rjust(width) if is_right else cell.ljust(width)
            for cell, width, is_right in zip(row, widths, right, strict=True)
        )
        return "  ".join(parts).rstrip()

    return "\n".join([line(headers), "  ".join("-" * w for w in widths), *map(line, cells)])


QUIET_S: Final = 5.0
"""Seconds after which a job without a terminal says how far it is, and between two such lines."""


class Progress:
    """Counts items; carries the counters that matter (valid, applied, reward, $)."""

    _on_screen: ClassVar[bool] = False
    """Whether a terminal shows a bar in its last line."""

    def __init__(
        self, what: str, total: int | None, tty: bool, every_s: float = 0.2, quiet_s: float = QUIET_S
    ) -> None:
        self._what, self._total, self._tty = what, total, tty
        self._every_s, self._quiet_s = every_s, quiet_s
        self._done = self._first = 0
        self._start = self._last = time.monotonic()
        self._next_mark = 5
        self._said = ""
        self._counters: dict[str, object] = {}

    @classmethod
    def wipe(cls) -> str:
        """What takes the bar off the terminal, before another line is printed."""
        shown, cls._on_screen = cls._on_screen, False
        return "\r\x1b[2K" if shown else ""

    def begin(self, total: int, done: int) -> None:
        """Note how many items there are, and how many of them an earlier run did."""
        self._total, self._done, self._first = total, done, done
        self._start = time.monotonic()

    def advance(self, n: int = 1, /, **counters: object) -> None:
        """Note `n` more items and the current value of named counters."""
        self._done += n
        self._counters.update(counters)
        now = time.monotonic()
        if now - self._last < (self._every_s if self._tty else self._quiet_s * (1 if self._total else 2)):
            return
        if self._tty:
            self._last = now
            print(self.wipe() + self.line()[: width() - 1], end="", file=sys.stderr, flush=True)
            Progress._on_screen = True
        elif not self._total or self._done * 100 >= self._next_mark * self._total:
            self._last = now
            self._next_mark = self._done * 100 // (self._total or 100) // 5 * 5 + 5
            self._said = self.line()
            say(self._said)

    def end(self) -> None:
        """Show how it ended; without a terminal only if there were lines before."""
        if self._tty or (self._said and not self._said.startswith(self._count())):
            say(self.line())

    def line(self) -> str:
        """The current state as one line."""
        seconds = max(time.monotonic() - self._start, 1e-9)
        done = self._done - self._first
        parts = [self._count(), _rate(done, seconds)]
        if self._total and done and self._done < self._total:
            parts.append(f"ETA {duration((self._total - self._done) / done * seconds)}")
        parts += [f"{key} {value}" for key, value in self._counters.items()]
        return "  ".join(parts)

    def _count(self) -> str:
        return f"{self._what}: {self._done:,}" + (f"/{self._total:,}" if self._total else "")


def _rate(n: int, seconds: float) -> str:
    """Items a second, or how long one takes.

    >>> _rate(30, 20), _rate(2, 118), _rate(0, 4)
    ('1.5/s', '59 s each', '0.0/s')
    """
    return f"{n / seconds:,.1f}/s" if not n or n / seconds >= 0.1 else f"{duration(seconds / n)} each"


@contextmanager
def progress(what: str, total: int | None = None) -> Iterator[Progress]:
    """`with progress("mine", n) as bar: … bar.advance(verified=…)`."""
    tty = sys.stderr.isatty() and os.environ.get("TERM", "") != "dumb"
    bar = Progress(what, total, tty)
    try:
        yield bar
    finally:
        bar.end()


def counted(title: str, counts: Mapping[str, object]) -> str:
    """A titled list of `key: value`."""
    return "\n".join([title, *(f"  {key}: {value}" for key, value in counts.items())])
