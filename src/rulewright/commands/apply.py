"""Apply an action to files and show the diff; with --write, change them.

ACTION is an ast-grep rule file, the JSON of an action, or a model's whole answer (`-`: stdin). Folders
are searched as ast-grep searches them, and the `files`, `ignores` and `severity` of a rule file apply. If
the rule would lose code or break the syntax of a file, that file is named and not changed; the others are
changed.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import tyro
from pydantic import Field

from rulewright import console
from rulewright.actions import Rejection
from rulewright.actions.rule_file import Document, read_given
from rulewright.codemod.choose import Chooser, narrow
from rulewright.codemod.show import diff, one_line
from rulewright.codemod.work import JudgedFile, JudgeOptions, Work, action_for, check, nearest, work_on
from rulewright.codemod.write import drop_unwritable, write
from rulewright.commands.choosing import PlaceByPlace, say_failed, say_left_out
from rulewright.config import AsJson, CommandConfig
from rulewright.engine import no_match, places, project
from rulewright.errors import RulewrightError, UsageError
from rulewright.replacing import read_text
from rulewright.verdict import Verdict

FEW = 20
"""Files up to which each that is named gets a line of its own, and each gets its reason with --json."""
EXPLAINED = 3
"""Files of folders that tell why a rule matches nowhere: those that come nearest."""


class Config(CommandConfig):
    """Options of `rulewright apply`."""

    action: tyro.conf.Positional[str]
    """Rule file, action JSON or model answer; `-` reads stdin."""
    files: tyro.conf.Positional[tuple[Path, ...]]
    """Files to change; in a folder, all files of the rules' languages that ast-grep would search."""
    write: bool = False
    """Change the files; without this option only the diff is shown."""
    only: tuple[str, ...] = ()
    """Only the places on these lines: FILE:LINE …"""
    interactive: bool = False
    """Ask at each place, as `ast-grep scan -i` does: y, n, e(dit), a(ll), q; writes the places that you
    accept."""
    all_or_nothing: bool = False
    """Write no file if any of them fails or cannot be written."""
    exact: bool = False
    """Give exactly the result of `ast-grep scan -U`: all rules in one pass, padded blank lines kept."""
    accept: tuple[Literal["lossy", "degenerate", "syntax_error"], ...] = ()
    """Write a file even if its change has one of these flags."""
    deadline_s: float = Field(default=10.0, gt=0)
    """CPU seconds per file."""
    workers: int = Field(default=1, ge=1)
    """Processes."""
    color: Literal["auto", "always", "never"] = "auto"
    """Colors in the diff; auto: on a terminal, unless NO_COLOR is set."""
    allow_other_version: bool = False
    """Continue with another minor version of ast-grep."""
    json_output: AsJson = False
    """Print one JSON line per file instead of the diff."""


def run(config: Config) -> int:
    """Apply, show, perhaps write. Exit code 1 if a file failed; 0 where there was nothing to do."""
    if config.interactive and config.action == "-":
        raise UsageError(
            "--interactive reads your answers from stdin, so the action cannot be `-`", "name a file"
        )
    if config.interactive and config.json_output:
        raise UsageError("--interactive and --json exclude each other", "use only one of them")
    return carry_out(config, read(config.action))


def read(name: str) -> tuple[Document, ...]:
    """The rules that the user names: a file, or `-` for stdin."""
    text = sys.stdin.read() if name == "-" else read_text(Path(name), "name a file that holds the action")
    where = "stdin" if name == "-" else name
    if not text.strip():
        raise UsageError(
            f"{where}: is empty", "expected an ast-grep rule file, an action or a model's answer"
        )
    try:
        documents = read_given(text, Path(name).stem, project.completer(None if name == "-" else Path(name)))
    except project.NotAlone as error:
        raise RulewrightError(
            f"{where}: {error}", f"`ast-grep scan --rule {name} -U` in the project applies it"
        ) from error
    if isinstance(documents, Rejection):
        said = f"{where}: {documents.verdict}: {console.clean(documents.detail)}"
        raise RulewrightError(said, "correct the file")
    check(documents, where)
    return documents


def carry_out(config: Config, documents: Sequence[Document]) -> int:
    """Apply rules that were read already; the exit code as of `run`."""
    if all(one.off for one in documents):
        console.say("every rule has `severity: off`, so nothing changes (as with ast-grep)")
        return 0
    how = JudgeOptions(
        config.exact, config.workers, config.deadline_s, config.allow_other_version, frozenset(config.accept),
        None if config.action == "-" else Path(config.action).parent,
    )  # fmt: skip
    work = work_on(config.files, documents, how)
    chooser = Chooser(config.only, PlaceByPlace() if config.interactive else None)
    if chooser.active:
        narrow(work, chooser, config.exact)
    asked = config.write or config.interactive
    barred = drop_unwritable(work) if asked else []
    writes = asked and not (config.all_or_nothing and (work.failed or barred))
    if writes:
        barred += write(work, work.good, config.all_or_nothing)
    _show(config, work, writes)
    unmet = chooser.unmatched()
    for place in unmet:
        console.say(f"--only {place}: the rule changes nothing there")
    return 1 if work.failed or barred or unmet else 0


def _show(config: Config, work: Work, written: bool) -> None:
    if not config.json_output and not any("fix" in one.action.rules[0] for one in work.documents):
        _list(work)
        return
    colored = config.color == "always" or (config.color == "auto" and console.colored(sys.stdout))
    few = len(work.judged) <= FEW
    told = _to_explain(config, work)
    for one in work.judged:
        if config.json_output:
            outcome = one.outcome
            console.emit_json({
                "file": str(one.path), "verdict": outcome.verdict, "detail": _why(one, work.documents, few),
                "flags": sorted(outcome.flags), "n_rules": outcome.n_rules, "n_matches": outcome.n_matches,
                "bytes_touched": outcome.bytes_touched, "tidied": outcome.tidied,
                "written": written and one.good, "diff": diff(one, False),
            })  # fmt: skip
        elif not config.interactive and one.changes:
            console.emit(diff(one, colored))
        if one.good and one.outcome.detail and not config.json_output:
            console.say(f"{one.path}: note: {console.clean(one.outcome.detail)}")
        if one.path in told and not config.json_output:
            why = console.clean(_why(one, work.documents, True))
            console.say(f"{one.path}: {one.outcome.verdict}: {why}")
    for path, why in work.walk.named if config.json_output else ():
        console.emit_json({"file": str(path), "verdict": "skipped", "detail": why, "written": False})
    if not config.json_output:
        say_failed(work.failed, lambda one: one.outcome.detail)
    say_left_out(work.walk)
    _sum_up(config, work, written)


def _list(work: Work) -> None:
    """The places of rules that change nothing, because none of them has a `fix`."""
    n_places = n_files = 0
    for one in work.judged:
        text = one.texts()[0] if one.found.may_match else ""
        numbers = one.found.documents if text else ()
        found = [node for n in numbers for node in places.matches(work.documents[n].action, text)]
        for node in sorted(found, key=lambda node: node.range().start.index):
            console.emit(f"{one.path}:{node.range().start.line + 1}: {one_line(node.text())}")
        n_places, n_files = n_places + len(found), n_files + bool(found)
    say_failed(work.failed, lambda one: one.outcome.detail)
    say_left_out(work.walk)
    where = f"{console.plural(n_places, 'place')} in {console.plural(n_files, 'file')}"
    console.say(f"{where}; nothing to change, because the rule has no `fix`")


def _to_explain(config: Config, work: Work) -> set[Path]:
    """Files whose lack of places is explained: those that the user named, or a few where nothing is done."""
    idle = [one.path for one in work.judged if one.idle]
    named = {path.absolute() for path in config.files if path.is_file()}
    mine = {path for path in idle if path.absolute() in named}
    if mine and len(named) <= FEW:
        return mine
    if len(idle) < len(work.judged):
        return set()
    if same := [one.path for one in work.judged if one.outcome.verdict is Verdict.NO_CHANGE]:
        return set(same[:EXPLAINED])
    return {found.path for found, _ in nearest([one.found for one in work.judged], work.documents, EXPLAINED)}


def _why(one: JudgedFile, documents: Sequence[Document], few: bool) -> str:
    outcome = one.outcome
    if outcome.verdict is not Verdict.NO_MATCH or not few:
        return outcome.detail
    reason = no_match.explain(action_for(one.found, documents), one.texts()[0] or read_text(one.path))
    return reason or outcome.detail


def _sum_up(config: Config, work: Work, written: bool) -> None:
    n_places = sum(one.outcome.n_matches for one in work.good)
    what = "changed" if written else "would change"
    tidied = sum(one.outcome.tidied for one in work.good)
    note = f"; padded blank lines emptied in {tidied}" if tidied else ""
    of = f"{len(work.good)} of {console.plural(len(work.judged), 'file')}"
    console.say(f"{of} {what}, {console.plural(n_places, 'place')}{note}")
    idle = sum(one.idle for one in work.judged)
    if idle and len(work.judged) > EXPLAINED:
        console.say(f"{console.plural(idle, 'file')} with nothing to change")
    if config.all_or_nothing and config.write and not written and not work.failed:
        console.say("no file was written, because one of them cannot be changed")
    if not work.failed:
        return
    held = "nothing was written, because of" if config.write and not written else "not changed:"
    # What helps: only judgments can be accepted, only a deadline can be raised.
    flags = sorted({str(flag) for one in work.failed for flag in one.outcome.unsound})
    ways = f"; --accept {' '.join(flags)} takes them as they are" if flags else ""
    if any(one.outcome.verdict is Verdict.TIMEOUT for one in work.failed):
        ways += "; --deadline-s gives each file more time"
    console.say(f"{held} {console.plural(len(work.failed), 'file')} that failed{ways}")
