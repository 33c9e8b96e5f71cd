"""The verdicts on actions, programs and steps (docs/reference/formats.md).

One vocabulary for the engine, the sandbox, teachers, rewards and evaluation.
"""

from __future__ import annotations

from collections.abc import Container
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final


class Verdict(StrEnum):
    """One reason per way to fail, and `ok`."""

    OK = "ok"
    NO_ACTION = "no_action"
    MULTIPLE_ACTIONS = "multiple_actions"
    BAD_JSON = "bad_json"
    BAD_ACTION = "bad_action"
    BAD_RULE = "bad_rule"
    NO_MATCH = "no_match"
    NO_CHANGE = "no_change"
    LOSSY = "lossy"
    DEGENERATE = "degenerate"
    SYNTAX_ERROR = "syntax_error"
    WRONG_RESULT = "wrong_result"
    TESTS_FAILED = "tests_failed"
    TIMEOUT = "timeout"
    CRASHED = "crashed"
    INFRA = "infra"


# The action could not even be tried: it earns the reward of an invalid action.
INVALID = frozenset(
    {
        Verdict.NO_ACTION,
        Verdict.MULTIPLE_ACTIONS,
        Verdict.BAD_JSON,
        Verdict.BAD_ACTION,
        Verdict.BAD_RULE,
        Verdict.TIMEOUT,
        Verdict.CRASHED,
    }
)


# The action did something that nobody wants, whatever else it did: it loses code, replaces most of a
# file by a literal, or breaks the syntax. It is not written, not rewarded as right, and not learned from.
UNSOUND = frozenset({Verdict.LOSSY, Verdict.DEGENERATE, Verdict.SYNTAX_ERROR})


class RuleFailed(Exception):
    """A rule that ast-grep refuses, or that brings it down.

    Args:
        message: what to fix.
        verdict: what an action with this rule comes to.
    """

    def __init__(self, message: str, verdict: Verdict = Verdict.BAD_RULE) -> None:
        super().__init__(message)
        self.verdict = verdict


# Of a `wrong_result` or failed tests, for a retry: it does not tell what is wanted.
NOT_ASKED_FOR: Final = "the result is not what was asked for"


@dataclass(frozen=True)
class Place:
    """One replacement.

    Args:
        line, last_line: 1-based lines that it covers in the text before any rule.
        old, new: the text that goes and the text that comes.
        rule: index of the rule.
        gone, come: names and literals of `old` that `new` lacks, and the other way round.
    """

    line: int
    last_line: int
    old: str
    new: str
    rule: int
    gone: tuple[str, ...] = ()
    come: tuple[str, ...] = ()
    comments_only: bool = False
    """Whether the code is the same before and after, comments left out."""
    in_import: bool = False
    """Whether it is an import, or stands in one."""
    role: str = ""
    """What the name of a class is used for there (`definition`, `base`, `new`, `type`, `generic`, `value`),
    or whose it is (`of Owner`); of a method that is called and whose name goes, on what (`of cache`)."""
    arguments: tuple[str, ...] | None = None
    """Where the name of what is called goes: each argument's name, `*` for a spread one, empty for others."""

    @property
    def lines(self) -> range:
        """The lines (from 1) that it covers."""
        return range(self.line, self.last_line + 1)

    def touches(self, lines: Container[int]) -> bool:
        """Whether any of some lines (from 1) is one that it covers."""
        return any(line in lines for line in self.lines)


@dataclass(frozen=True)
class Outcome:
    """What applying an action to one text came to.

    `post` is the text after the action, also where the verdict is not `ok` (a
    `wrong_result` has one); `None` where nothing was produced. `flags` holds every
    judgment that was true (`lossy`, `degenerate`, `syntax_error`), `verdict` the first
    that counts.
    """

    verdict: Verdict
    detail: str = ""
    """For the user or a model that wants to repair it; one line. With `ok`: what to look at all the same."""
    post: str | None = None
    n_rules: int = 0
    n_matches: int = 0
    """Places that changed, all rules together; one that is rewritten to its own text does not count."""
    matches_per_rule: tuple[int, ...] = ()
    states: tuple[str, ...] = ()
    """The text after each rule in order (each tidied, unless `exact`); multi-step material."""
    tidied: bool = False
    """Whether the tidy step emptied whitespace-only lines that the rewrite created."""
    bytes_touched: int = 0
    flags: frozenset[Verdict] = field(default_factory=frozenset)
    places: tuple[Place, ...] | None = field(default=None, repr=False)
    """The single places that changed, where they were asked for."""

    @property
    def ok(self) -> bool:
        return self.verdict is Verdict.OK

    @property
    def said(self) -> str:
        """The outcome in one line, as given to a retry."""
        return f"{self.verdict}: {self.detail}"

    @property
    def unsound(self) -> frozenset[Verdict]:
        """What speaks against it, whatever else it did; empty where nothing does."""
        return (self.flags | {self.verdict}) & UNSOUND
