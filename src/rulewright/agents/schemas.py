"""Arguments and answers of each tool, as schemas that the client sees.

Answers must fit into a context window: lists are limited, texts are cut, and missing items are counted.
"""

from __future__ import annotations

from typing import Annotated, Final

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

CUT_CHARS: Final = 300
"""Most characters of the code of one place."""
DIFF_CHARS: Final = 8_000
"""Most characters of a diff."""
REASON_CHARS: Final = 600
FAILURES: Final = 10
"""Files that failed, named one by one."""
FILES: Final = 50
"""Changed files, named one by one."""
MAX_RULE: Final = 64_000
MAX_CODE: Final = 400_000

Rule = Annotated[
    str,
    StringConstraints(min_length=1, max_length=MAX_RULE),
    Field(description="An ast-grep rule file in YAML (id, language, rule, fix; several separated by ---)"),
]
Code = Annotated[str, StringConstraints(max_length=MAX_CODE)]
Path = Annotated[str, StringConstraints(min_length=1, max_length=4096)]
Paths = Annotated[
    list[Path],
    Field(max_length=200, description="Files and folders; folders are walked as ast-grep walks them"),
]
Language = Annotated[str, Field(max_length=40, description="Of `code`: python, typescript, go, …")]
Limit = Annotated[int, Field(ge=1, le=200, description="Most places to list")]


class Arguments(BaseModel):
    """Arguments of a tool: unknown ones are refused, so that a misspelt one cannot be missed."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)


class Reply(BaseModel):
    """The result of a tool."""

    model_config = ConfigDict(use_attribute_docstrings=True)


class MatchRow(Reply):
    """A place that a rule finds."""

    path: str
    line: int
    """From 1."""
    text: str


class PlaceRow(Reply):
    """A place that a rule changes."""

    path: str
    """Empty for code that was given as text."""
    line: int
    """From 1, in the text before any rule."""
    old: str
    new: str
    doubt: str = ""
    """Why it may be wrong there; empty where nothing speaks against it."""


class FailedFile(Reply):
    """A file that the rule must not be applied to."""

    path: str
    verdict: str
    """lossy, degenerate, syntax_error, timeout, …"""
    why: str


class FindArguments(Arguments):
    """Where a rule matches; its `fix`, if any, is not looked at."""

    rule: Rule
    paths: Paths = ["."]
    limit: Limit = 30


class FindAnswer(Reply):
    """Matches."""

    matches: list[MatchRow]
    left_out: int
    """Matches beyond the limit."""
    total: int
    files_with_matches: int
    files: int
    """Files that the rule is for."""
    skipped: list[str]
    """What was not looked at, and why."""


class VerifyArguments(Arguments):
    """A rule tried on code, or on files; nothing is written."""

    rule: Rule
    code: Code = ""
    """Code to try it on."""
    expected: Code | None = None
    """What `code` must become."""
    leave_alone: Annotated[list[Code], Field(max_length=20)] = []
    """Texts that the rule must not change."""
    paths: Paths = []
    limit: Limit = 20


class VerifyAnswer(Reply):
    """What the rule does."""

    holds: bool
    """Whether it changes something, loses nothing, breaks nothing, and does what was expected."""
    verdict: str
    """ok, or no_match, no_change, bad_rule, lossy, degenerate, syntax_error, wrong_result, …"""
    why: str
    next: str
    """What to do next."""
    lost: str = ""
    """Code that the rewrite would drop silently; empty where there is none."""
    nearest: str = ""
    """Where nothing matches: which part of the rule leaves nothing over, and what came nearest."""
    places: list[PlaceRow] = []
    left_out: int = 0
    total: int = 0
    diff: str = ""
    touched: list[int] = []
    """Which of `leave_alone` (from 0) the rule changes."""
    files: dict[str, int] = {}
    """Of `paths`: files by verdict."""
    failures: list[FailedFile] = []


class LearnArguments(Arguments):
    """A change made by hand: a unified diff of files below the roots, or one text before and after."""

    diff: Code = ""
    """Output of `git diff`; its paths begin at the first root, the files as they are before or after it."""
    before: Code = ""
    after: Code = ""
    language: Language = ""
    paths: Paths = []
    """Where else to look for such places."""
    limit: Limit = 20


class RuleWithTrust(Reply):
    """A rule and how far to trust it."""

    rule: str
    """YAML."""
    trust: str
    """train: likely right elsewhere; literal: right here, doubtful elsewhere; reject: known to be wrong."""
    why: str


class Offered(Reply):
    """Places where rules may be applied."""

    places: list[PlaceRow]
    """Those without a doubt are sure."""
    left_out: int
    sure: int
    possible: int
    next: str


class LearnAnswer(Offered):
    """Rules that give the change, and like places in `paths`."""

    rules: list[RuleWithTrust]
    not_expressed: list[str]
    """Parts of the change that no rule gives."""


class ProposeArguments(Arguments):
    """A change in words."""

    instruction: Annotated[str, StringConstraints(min_length=1, max_length=4000)]
    """What to change: "use `is None` instead of `== None`"."""
    file: Path
    """The file that the model sees; one that holds such a place."""
    paths: Paths = []
    """Where the rule shall hold; `file` alone if empty."""
    samples: Annotated[int, Field(ge=1, le=16)] = 4
    """Answers side by side."""
    attempts: Annotated[int, Field(ge=1, le=8)] = 2
    """Tries of each, told why the one before failed."""
    limit: Limit = 20


class OtherRule(Reply):
    """Another answer that holds."""

    rule: str
    votes: int
    differs: list[str]


class ProposeAnswer(Offered):
    """The rule that most answers agree on by what they do; a doubt is a change that nobody asked for."""

    rule: str
    votes: int
    """Answers that do just this."""
    answers: int
    """Answers in all."""
    others: list[OtherRule]
    tokens: int


class ApplyArguments(Arguments):
    """A rule applied to files: a dry run unless `write` is true."""

    rule: Rule
    paths: Paths
    write: bool = False
    """Change the files; only below the folders that the server may write."""
    only: Annotated[list[Path], Field(max_length=200)] = []
    """Only the places on these lines: FILE:LINE."""
    expect_places: int | None = None
    """Write only if just so many places change, as the dry run said."""
    all_or_nothing: bool = False
    """Write no file if one of them fails."""


class ApplyAnswer(Reply):
    """What was, or would be, changed."""

    written: bool
    places: int
    files: list[str]
    """Changed files."""
    files_left_out: int
    diff: str
    failures: list[FailedFile]
    """Files that were left alone because the rule does harm there."""
    failures_left_out: int
    skipped: list[str]
    next: str


class ExplainArguments(Arguments):
    """Why a rule matches nothing."""

    rule: Rule
    code: Code = ""
    paths: Paths = []


class NoMatchReason(Reply):
    """The reason on one text."""

    path: str
    why: str
    """Empty where every rule of the file matches."""


class ExplainAnswer(Reply):
    """Reasons."""

    matches: bool
    """Whether every rule matches in at least one of the texts."""
    reasons: list[NoMatchReason]
    left_out: int


class CheckArguments(Arguments):
    """An audit of rules, given as text or as files and folders."""

    rules: Annotated[str, StringConstraints(max_length=MAX_CODE)] = ""
    """YAML of a rule file."""
    paths: Paths = []
    """Rule files, folders of them, projects with sgconfig.yml."""
    against: Paths = []
    """Code to try the rules on."""
    limit: Limit = 30


class FindingRow(Reply):
    """One thing that is wrong with a rule, or to be known."""

    rule: str
    path: str
    line: int
    kind: str
    level: str
    """error, warning or note."""
    detail: str
    where: str


class CheckAnswer(Reply):
    """Findings, the gravest first."""

    rules: int
    findings: list[FindingRow]
    left_out: int
    levels: dict[str, int]
