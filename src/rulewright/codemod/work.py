"""Judge rules on every file that they are for, without writing any."""

from __future__ import annotations

import json
import os
import tempfile
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

from rulewright import collector, console, difftext
from rulewright.actions import Action
from rulewright.actions.rule_file import Document, joined
from rulewright.engine import Engine, Request, cli, no_match, places
from rulewright.engine.judge import judge_together
from rulewright.engine.rules import compile_rule
from rulewright.engine.walk import Walk, WalkedFile, find
from rulewright.errors import RulewrightError, UsageError
from rulewright.replacing import read_text
from rulewright.verdict import Outcome, Place, RuleFailed, Verdict

MAX_SEARCHED: Final = 1000
"""Most files that are searched for code to explain why a rule matches nowhere."""
NO_MATCH: Final = Outcome(Verdict.NO_MATCH, "no rule matched anything")


Texts = tuple[str, str | None]
"""The text of a file before and after the rules; `None` if there is no result."""


class TextSpool:
    """Keeps texts in an unnamed temporary file: those of a whole repository need not be in memory."""

    def __init__(self) -> None:
        self._file = tempfile.TemporaryFile()  # noqa: SIM115 (open as long as a text may be asked for)

    def put(self, texts: Texts) -> Callable[[], Texts]:
        """Store texts; the result reads them back."""
        start = self._file.seek(0, os.SEEK_END)
        self._file.write(json.dumps(texts).encode("ascii") + b"\n")

        def get() -> Texts:
            self._file.seek(start)
            before, after = json.loads(self._file.readline())
            return before, after

        return get


@dataclass(frozen=True)
class JudgedFile:
    """A file, and what the rules do to it.

    Args:
        found: the file.
        outcome: the judgment, without texts.
        accepted: verdicts that do not prevent a change.
        exact: keep ast-grep's line ends; otherwise new lines end as all lines of the file do.
        texts: reads the texts; empty for a file that was not read.
    """

    found: WalkedFile
    outcome: Outcome
    accepted: frozenset[str] = frozenset()
    exact: bool = False
    texts: Callable[[], Texts] = field(default=lambda: ("", None), repr=False)

    def with_outcome(self, outcome: Outcome, before: str, spool: TextSpool) -> JudgedFile:
        """The file with an outcome, whose texts go into the spool."""
        after = outcome.post
        if after is not None and not self.exact:
            after = difftext.ended_alike(after, before)
        texts = spool.put((before, after))
        return replace(self, outcome=replace(outcome, post=None, states=()), texts=texts)

    @property
    def path(self) -> Path:
        return self.found.path

    def numbered(self, place: Place) -> Place:
        """A place with the number of its rule among all rules, not among those for this file."""
        return replace(place, rule=self.found.documents[place.rule])

    @property
    def changes(self) -> bool:
        """Whether the rules change its text."""
        before, after = self.texts()
        return after is not None and after != before

    @property
    def good(self) -> bool:
        """Whether the result may be written."""
        if self.outcome.verdict is Verdict.OK:
            return True
        flags = self.outcome.flags or {self.outcome.verdict}
        return bool(self.accepted) and all(str(flag) in self.accepted for flag in flags)

    @property
    def idle(self) -> bool:
        """Whether the rules have nothing to do in this file."""
        return self.outcome.verdict in (Verdict.NO_MATCH, Verdict.NO_CHANGE)


@dataclass
class Work:
    """The judgments on every file that the rules are for, and what was left out."""

    documents: tuple[Document, ...]
    walk: Walk
    judged: list[JudgedFile] = field(default_factory=list)
    spool: TextSpool = field(default_factory=TextSpool, repr=False)
    _places: dict[Path, list[Place]] = field(default_factory=dict, repr=False)

    def places(self, one: JudgedFile) -> list[Place]:
        """The places that the rules change in a file; rules are numbered among those for this file."""
        if one.path not in self._places:
            found: Sequence[Place] | None = one.outcome.places
            if found is None:
                found = places.of(action_for(one.found, self.documents), one.texts()[0])
            self._places[one.path] = list(found)
        return self._places[one.path]

    @property
    def good(self) -> list[JudgedFile]:
        return [one for one in self.judged if one.good]

    @property
    def failed(self) -> list[JudgedFile]:
        return [one for one in self.judged if not one.good and not one.idle]


@dataclass(frozen=True)
class JudgeOptions:
    """How to judge rules on files."""

    exact: bool = False
    workers: int = 1
    deadline_s: float = 10.0
    allow_other_version: bool = False
    accepted: frozenset[str] = frozenset()
    base: Path | None = None
    """Folder of the rule file, if there is one."""
    listed: bool = False
    """Whether the places will be needed."""


@collector.paused()
def work_on(paths: Sequence[Path], documents: Sequence[Document], options: JudgeOptions) -> Work:
    """Judge rules on every file that they are for.

    Raises:
        RulewrightError: a rule is one that ast-grep refuses: said once, before any file is read;
            or ast-grep itself is absent, broken or of another version.
        UsageError: a path is not there, or no file is named.
    """
    if not paths:
        raise UsageError("no files to apply the rule to", "name files or folders")
    check(documents)
    cli.check_version(options.allow_other_version)
    together = options.exact and len(documents) > 1
    walk = find(paths, documents, options.exact, options.base, judged=not together)
    work = Work(tuple(documents), walk)
    work.judged = [
        JudgedFile(found, NO_MATCH, options.accepted, options.exact)
        for found in walk.files
        if not found.may_match
    ]
    work.judged += _judged([found for found in walk.files if found.may_match], work, options)
    work.judged.sort(key=lambda one: one.path.parts)
    return work


def nearest(
    files: Sequence[WalkedFile], documents: Sequence[Document], most: int
) -> list[tuple[WalkedFile, str]]:
    """Files, with their texts, in which rules come nearest to a match, the nearest first."""
    read: list[tuple[WalkedFile, str]] = []
    for found in files[:MAX_SEARCHED]:
        with suppress(UsageError):
            read.append((found, read_text(found.path)))
    rules = [rule for one in documents for rule in one.action.rules]
    return [read[number] for number in no_match.likeliest(rules, [text for _, text in read], most)]


def check(documents: Sequence[Document], file: str = "") -> None:
    """Compile every rule; raises one `RulewrightError` with all that is wrong."""
    problems = []
    for number, one in enumerate(documents, 1):
        where = f"document {number}: " if len(documents) > 1 else ""
        for rule in one.action.rules:
            try:
                compile_rule(rule, one.action.language)
            except RuleFailed as error:
                problems.append(f"{where}{error}")
    if problems:
        head = f"{file}: {Verdict.BAD_RULE}" if file else Verdict.BAD_RULE
        raise RulewrightError("\n".join(f"{head}: {one}" for one in problems), "correct the rule")


def _judged(files: Sequence[WalkedFile], work: Work, options: JudgeOptions) -> Iterator[JudgedFile]:
    """Read and judge files; those that cannot be read are added to what the walk left out."""
    owed: deque[tuple[WalkedFile, str]] = deque()

    def read() -> Iterator[tuple[WalkedFile, str]]:
        for found in files:
            try:
                owed.append((found, read_text(found.path)))
            except UsageError as error:
                work.walk.named.append((found.path, error.message.partition(": ")[2]))
            else:
                yield owed[-1]

    def outcomes() -> Iterator[Outcome]:
        if options.exact and any(len(found.documents) > 1 for found in files):
            for found, text in read():
                yield judge_together([work.documents[number].action for number in found.documents], text)
        elif files:
            with Engine(
                options.workers, options.deadline_s, allow_other_version=options.allow_other_version,
                in_process=options.workers == 1,
            ) as engine:  # fmt: skip
                yield from engine.judge_many(
                    Request(action_for(found, work.documents), text, found.language,
                            exact=options.exact, listed=options.listed)
                    for found, text in read()
                )  # fmt: skip

    with console.progress("apply", len(files) if len(files) > 20 else None) as bar:
        for outcome in outcomes():
            found, before = owed.popleft()
            yield JudgedFile(found, outcome, options.accepted, options.exact).with_outcome(
                outcome, before, work.spool
            )
            bar.advance()


def action_for(found: WalkedFile, documents: Sequence[Document]) -> Action:
    """The rules that are for a file, as one action."""
    return joined([documents[number] for number in found.documents])
