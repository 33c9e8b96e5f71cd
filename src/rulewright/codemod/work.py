"""Rules on files: walk, judge, narrow to some places, write. For commands and agents.

Nothing is written but by `write`, and there only what was judged good, each file for
itself unless all or none are wanted.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections import deque
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from itertools import chain
from pathlib import Path
from typing import Final

from rulewright import console, difftext
from rulewright.actions import Action
from rulewright.actions.rule_file import Document, joined
from rulewright.engine import Engine, Request, cli, nomatch, places
from rulewright.engine.judge import judge_together, judge_trace
from rulewright.engine.rules import compile_rule
from rulewright.engine.walk import Walk, WalkedFile, find
from rulewright.errors import RulewrightError, UsageError
from rulewright.replacing import Replacement, clear, read_text, replace_all, why_not_writable
from rulewright.verdict import Outcome, Place, RuleFailed, Verdict

LINE: Final = 70
"""Characters of a place that are shown on a line."""
SHARED: Final = 15
"""Those that stay of what two versions of a long one begin with alike."""
MAX_TRIED: Final = 40
"""Places of a file that fails up to which each is tried by itself."""
LOOKED_THROUGH: Final = 1000
"""Files among which those are sought by which it is explained that a rule matches nowhere."""
NOTHING: Final = Outcome(Verdict.NO_MATCH, "no rule matched anything")


Texts = tuple[str, str | None]
"""The text of a file, and the one after the rules; `None` where nothing was produced."""


class Aside:
    """Texts in a file without a name: those of a whole repository need not lie in memory."""

    def __init__(self) -> None:
        self._file = tempfile.TemporaryFile()  # noqa: SIM115 (open as long as a text may be asked for)

    def put(self, texts: Texts) -> Callable[[], Texts]:
        """Lay texts aside; what gives them back."""
        start = self._file.seek(0, os.SEEK_END)
        self._file.write(json.dumps(texts).encode("ascii") + b"\n")

        def get() -> Texts:
            self._file.seek(start)
            before, after = json.loads(self._file.readline())
            return before, after

        return get


@dataclass(frozen=True)
class JudgedFile:
    """A file, and what came of it.

    Args:
        found: the file.
        outcome: without texts.
        accepted: judgments that do not stop a change.
        exact: leave what ast-grep gives; else new lines end as all lines of the file do.
        texts: gives them; of a file that was not read none.
    """

    found: WalkedFile
    outcome: Outcome
    accepted: frozenset[str] = frozenset()
    exact: bool = False
    texts: Callable[[], Texts] = field(default=lambda: ("", None), repr=False)

    def came_to(self, outcome: Outcome, before: str, aside: Aside) -> JudgedFile:
        """The file with what came of a text, the texts laid aside."""
        after = outcome.post
        if after is not None and not self.exact:
            after = difftext.ended_alike(after, before)
        texts = aside.put((before, after))
        return replace(self, outcome=replace(outcome, post=None, states=()), texts=texts)

    @property
    def path(self) -> Path:
        return self.found.path

    def numbered(self, place: Place) -> Place:
        """A place with the number of its rule among all, not among those that are for this file."""
        return replace(place, rule=self.found.documents[place.rule])

    @property
    def changes(self) -> bool:
        """Whether its text after the rules is another."""
        before, after = self.texts()
        return after is not None and after != before

    @property
    def good(self) -> bool:
        """Whether the change may be written."""
        if self.outcome.verdict is Verdict.OK:
            return True
        flags = self.outcome.flags or {self.outcome.verdict}
        return bool(self.accepted) and all(str(flag) in self.accepted for flag in flags)

    @property
    def idle(self) -> bool:
        """Whether there was nothing to do in this file."""
        return self.outcome.verdict in (Verdict.NO_MATCH, Verdict.NO_CHANGE)


@dataclass
class Work:
    """Every file that the rules are for, and what was left out."""

    documents: tuple[Document, ...]
    walk: Walk
    done: list[JudgedFile] = field(default_factory=list)
    aside: Aside = field(default_factory=Aside, repr=False)
    _places: dict[Path, list[Place]] = field(default_factory=dict, repr=False)

    def places(self, one: JudgedFile) -> list[Place]:
        """What the rules change in a file, by the number of the rule among those that are for it."""
        if one.path not in self._places:
            found: Sequence[Place] | None = one.outcome.places
            if found is None:
                found = places.of(action_for(one.found, self.documents), one.texts()[0])
            self._places[one.path] = list(found)
        return self._places[one.path]

    @property
    def good(self) -> list[JudgedFile]:
        return [one for one in self.done if one.good]

    @property
    def failed(self) -> list[JudgedFile]:
        return [one for one in self.done if not one.good and not one.idle]


@dataclass(frozen=True)
class How:
    """How to judge."""

    exact: bool = False
    workers: int = 1
    deadline_s: float = 10.0
    allow_other_version: bool = False
    accepted: frozenset[str] = frozenset()
    base: Path | None = None
    """The folder of the rule file, if there is one."""
    listed: bool = False
    """Whether the single places will be asked for."""


def work_on(paths: Sequence[Path], documents: Sequence[Document], how: How) -> Work:
    """Judge rules on every file that they are for.

    Raises:
        RulewrightError: a rule is one that ast-grep refuses: said once, before any file is read;
            or ast-grep itself is absent, broken or of another version.
        UsageError: a path is not there, or no file is named.
    """
    if not paths:
        raise UsageError("no files to apply the rule to", "name files or folders")
    check(documents)
    cli.check_version(how.allow_other_version)
    together = how.exact and len(documents) > 1
    walk = find(paths, documents, how.exact, how.base, judged=not together)
    work = Work(tuple(documents), walk)
    work.done = [
        JudgedFile(found, NOTHING, how.accepted, how.exact) for found in walk.files if not found.may_match
    ]
    work.done += _judged([found for found in walk.files if found.may_match], work, how)
    work.done.sort(key=lambda one: one.path.parts)
    return work


def nearest(
    files: Sequence[WalkedFile], documents: Sequence[Document], most: int
) -> list[tuple[WalkedFile, str]]:
    """Files with their texts by which to explain that rules match nowhere, the likeliest first."""
    read: list[tuple[WalkedFile, str]] = []
    for found in files[:LOOKED_THROUGH]:
        with suppress(UsageError):
            read.append((found, read_text(found.path)))
    rules = [rule for one in documents for rule in one.action.rules]
    return [read[number] for number in nomatch.likeliest(rules, [text for _, text in read], most)]


def check(documents: Sequence[Document], file: str = "") -> None:
    """Compile every rule; raises `RulewrightError` with all that is wrong with them, and their file."""
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


def _judged(files: Sequence[WalkedFile], work: Work, how: How) -> Iterator[JudgedFile]:
    """Read and judge files, one after another; those that cannot be read are named in the walk."""
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
        if how.exact and any(len(found.documents) > 1 for found in files):
            for found, text in read():
                yield judge_together([work.documents[number].action for number in found.documents], text)
        elif files:
            with Engine(how.workers, how.deadline_s, allow_other_version=how.allow_other_version) as engine:
                yield from engine.judge_many(
                    Request(action_for(found, work.documents), text, found.language,
                            exact=how.exact, listed=how.listed)
                    for found, text in read()
                )  # fmt: skip

    with console.progress("apply", len(files) if len(files) > 20 else None) as bar:
        for outcome in outcomes():
            found, before = owed.popleft()
            yield JudgedFile(found, outcome, how.accepted, how.exact).came_to(outcome, before, work.aside)
            bar.advance()


def action_for(found: WalkedFile, documents: Sequence[Document]) -> Action:
    """The rules that are for a file, as one action."""
    return joined([documents[number] for number in found.documents])


def narrowed(one: JudgedFile, work: Work, keep: places.Keep, exact: bool = False) -> JudgedFile:
    """What comes of a file where only some places change."""
    before, _ = one.texts()
    done = places.change(action_for(one.found, work.documents), before, keep, exact=exact)
    if done.failure is None and not any(step.edits for step in done.steps):
        return one.came_to(Outcome(Verdict.NO_CHANGE, "no place was chosen"), before, work.aside)
    return one.came_to(judge_trace(done, before, None), before, work.aside)


def spare(work: Work) -> dict[tuple[Path, Place], str]:
    """Take files that fail only by some of their places without these; give these, each with its reason."""
    found: dict[tuple[Path, Place], str] = {}
    for number, one in enumerate(work.done):
        if one.good or one.idle or not one.outcome.unsound or one.texts()[1] is None:
            continue
        all_places = work.places(one)
        if not 1 < len(all_places) <= MAX_TRIED:
            continue
        bad: dict[Place, str] = {}
        for place in all_places:
            alone = narrowed(one, work, _these({place}))
            if not alone.good and not alone.idle:
                bad[place] = alone.outcome.detail
        rest = narrowed(one, work, _these({*all_places} - {*bad}))
        if rest.good and rest.changes:
            work.done[number] = rest
            found |= {(one.path, one.numbered(place)): why for place, why in bad.items()}
    return found


def _these(chosen: Collection[Place]) -> places.Keep:
    return lambda place: place.new if place in chosen else None


def narrow(work: Work, chooser: Chooser, exact: bool = False) -> None:
    """Leave in every file only the places that a person chooses.

    Raises:
        UsageError: the rules were applied in one pass, whose places cannot be told apart.
    """
    if exact and any(len(one.found.documents) > 1 for one in work.done):
        raise UsageError(
            "--exact with several rules is one pass of ast-grep's", "leave --only or --exact out"
        )
    for number, one in enumerate(work.done):
        if not one.idle and one.texts()[1] is not None:
            work.done[number] = narrowed(one, work, chooser.keep(one.path), exact)


class Chooser:
    """Which places a person names: by `--only FILE:LINE`, or asked one by one.

    Args:
        only: `FILE:LINE` texts; empty: every place.
        ask: what a person makes of a place: its new text, or `None` to leave it; without, nobody is asked.
    """

    def __init__(self, only: Sequence[str], ask: Callable[[Path, Place], str | None] | None = None) -> None:
        self._only: list[tuple[Path, int]] = []
        for text in only:
            name, _, line = text.rpartition(":")
            if not name or not line.isdigit():
                raise UsageError(f"--only {text}: expected FILE:LINE", "name a place as it is listed")
            self._only.append((Path(name), int(line)))
        self._met: set[tuple[Path, int]] = set()
        self._ask = ask

    @property
    def active(self) -> bool:
        return bool(self._only) or self._ask is not None

    def keep(self, path: Path) -> places.Keep:
        """The choice for a file."""
        whole = os.path.normpath(path.absolute())
        mine = [one for one in self._only if os.path.normpath(one[0].absolute()) == whole]

        def choose(place: Place) -> str | None:
            near = [one for one in mine if place.line <= one[1] <= place.last_line]
            self._met.update(near)
            if self._only and not near:
                return None
            return place.new if self._ask is None else self._ask(path, place)

        return choose

    def unmet(self) -> list[str]:
        """What was named with `--only`, and is no place of the rule."""
        return [f"{path}:{line}" for path, line in self._only if (path, line) not in self._met]


def one_line(text: str, limit: int = LINE) -> str:
    """A text on one line, cut at the limit."""
    flat = " ".join(console.clean(text).split())
    return flat if len(flat) <= limit else flat[: limit - 3] + "…"


def one_line_each(old: str, new: str) -> tuple[str, str]:
    """Two versions of a text, each on one line; of long ones the part where they differ.

    >>> one_line_each("f(" + "a" * 99 + ", b)", "f(" + "a" * 99 + ", c)")
    ('…aaaaaaaaaaaaa, b)', '…aaaaaaaaaaaaa, c)')
    """
    one, other = (" ".join(console.clean(text).split()) for text in (old, new))
    alike, _ = difftext.common_ends(one, other)
    if alike + SHARED > LINE:
        one, other = (f"…{text[alike - SHARED :]}" for text in (one, other))
    return one_line(one), one_line(other)


def bar_unwritable(work: Work) -> list[tuple[Path, str]]:
    """Leave out, and name in the walk, the files that would change and that this person may not write."""
    refused = {one.path: why for one in work.good if one.changes and (why := why_not_writable(one.path))}
    work.done = [one for one in work.done if one.path not in refused]
    work.walk.named += refused.items()
    return list(refused.items())


def write(work: Work, files: Sequence[JudgedFile], whole: bool = False) -> list[tuple[Path, str]]:
    """Change files to what came of them; remove what a killed run left below the paths that were walked.

    Gives the files that could not be replaced, named in the walk as well; with `whole` no file is changed
    then (`replacing.replace_all`).
    """
    clear(work.walk.left_behind)
    made = ((one.path, *one.texts()) for one in files)
    changes = (Replacement(path, old, new) for path, old, new in made if new is not None and new != old)
    refused = replace_all(changes, whole)
    names = {path for path, _ in refused}
    work.done = [one for one in work.done if one.path not in names]
    work.walk.named += refused
    return refused


def diff(one: JudgedFile, colored: bool) -> str:
    """A unified diff of a file; empty where nothing was produced."""
    before, after = one.texts()
    if after is None:
        return ""
    name = str(one.path)
    old, new = difftext.lines(before), difftext.lines(after)
    lines = []
    heads = [f"--- {name}\n", f"+++ {name}\n"]
    for number, line in enumerate(chain(heads, difftext.hunks(old, new))):
        end = "" if line.endswith("\n") or line.startswith("@@ ") else "\n\\ No newline at end of file"
        text = console.clean(line.rstrip("\r\n"))
        color = ("\x1b[1m" if number < 2 else _COLORS.get(line[:1], "")) if colored else ""
        lines.append(f"{color}{text}\x1b[0m{end}" if color else text + end)
    return "\n".join(lines)


_COLORS: Final = {"+": "\x1b[32m", "-": "\x1b[31m", "@": "\x1b[36m"}
