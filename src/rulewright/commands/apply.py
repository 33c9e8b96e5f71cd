"""Apply an action to files and show the diff; with --write, change them.

ACTION is a file (or `-` for stdin) that holds an ast-grep rule file, the JSON of an
action, or a model's whole answer. Files are written all together, and only if every one
of them came out well.
"""

from __future__ import annotations

import difflib
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import tyro

from rulewright import console
from rulewright.actions import Action, Rejection, read_action
from rulewright.config import CommandConfig
from rulewright.errors import RulewrightError, UsageError
from rulewright.languages import EXTENSIONS, Language, language_of_path
from rulewright.replacing import Change, read_text, replace_all
from rulewright.verdict import Outcome, Verdict

SKIPPED_FOLDERS = frozenset({"node_modules", "vendor", "target", "build", "dist", "__pycache__"})


class Config(CommandConfig):
    """Options of `rulewright apply`."""

    action: Annotated[str, tyro.conf.Positional]
    """Rule file, action JSON or model answer; `-` reads stdin."""
    files: Annotated[tuple[Path, ...], tyro.conf.Positional]
    """Files to change; of a folder, those of the action's language."""
    write: bool = False
    """Change the files; without it only the diff is shown."""
    exact: bool = False
    """The bare result of `ast-grep scan -U`: without emptying padded blank lines."""
    accept: tuple[Literal["lossy", "degenerate", "syntax_error"], ...] = ()
    """Judgements that shall not stand in the way."""
    deadline_s: float = 10.0
    """Processor seconds per file."""
    workers: int = 1
    """Processes."""
    color: Literal["auto", "always", "never"] = "auto"
    """Colours in the diff; auto: on a terminal."""
    allow_other_version: bool = False
    """Go on with an ast-grep of another minor version."""
    json_output: Annotated[bool, tyro.conf.arg(name="json")] = False
    """One JSON line a file instead of the diff."""


@dataclass(frozen=True)
class Applied:
    """A file, its bytes as text, and what came of it."""

    path: Path
    before: str
    outcome: Outcome
    accepted: frozenset[str]

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


def run(config: Config) -> int:
    """Apply, show, perhaps write. Exit code 1 if a file failed or none changed."""
    return carry_out(config, _read_action(config.action))


def carry_out(config: Config, action: Action) -> int:
    """Apply an action that was read already; the exit code as of `run`."""
    done = _apply(config, action, expand(config.files, action.language))
    failed = [one for one in done if not one.good and not one.idle]
    changed = [one for one in done if one.good]
    if config.write and not failed:
        replace_all([Change(one.path, one.before, one.outcome.post or "") for one in changed])
    _show(config, action, done, written=config.write and not failed)
    if failed:
        return 1
    return 0 if changed else 1


def _read_action(name: str) -> Action:
    if name == "-":
        text = sys.stdin.read()
    else:
        try:
            text = Path(name).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise UsageError(
                f"{name}: cannot be read ({error})", "name a file that holds the action"
            ) from error
    read = read_action(text)
    if isinstance(read, Rejection):
        raise RulewrightError(f"{name}: {read.verdict}: {console.clean(read.detail)}", "mend the action")
    return read


def expand(given: tuple[Path, ...], language: Language) -> list[Path]:
    paths: list[Path] = []
    suffixes = {suffix for suffix, name in EXTENSIONS.items() if name == language}
    for path in given:
        if path.is_dir():
            paths += sorted(_in_folder(path, suffixes))
        elif not path.exists():
            raise UsageError(f"{path}: no such file", "check the path")
        elif language_of_path(path) not in (language, "other") and {language_of_path(path), language} != {
            "c",
            "cpp",
        }:
            raise UsageError(
                f"{path}: is {language_of_path(path)}, the action is for {language}",
                "name files of the action's language, or change its `language`",
            )
        else:
            paths.append(path)
    if not paths:
        raise UsageError("no files to apply the action to", f"name {language} files or a folder of them")
    return list(dict.fromkeys(paths))


def _in_folder(folder: Path, suffixes: set[str]) -> list[Path]:
    found = []
    for base, folders, files in os.walk(folder):
        folders[:] = sorted(f for f in folders if not f.startswith(".") and f not in SKIPPED_FOLDERS)
        found += [Path(base) / f for f in files if Path(f).suffix.lower() in suffixes]
    return found


def _apply(config: Config, action: Action, paths: list[Path]) -> list[Applied]:
    from rulewright.engine import Engine, Request

    texts = [read_text(path) for path in paths]
    accepted = frozenset(config.accept)
    with (
        Engine(config.workers, config.deadline_s, allow_other_version=config.allow_other_version) as engine,
        console.progress("apply", len(paths) if len(paths) > 20 else None) as bar,
    ):
        done = []
        requests = [Request(action, text, action.language, exact=config.exact) for text in texts]
        for path, text, outcome in zip(paths, texts, engine.judge_many(requests)):
            done.append(Applied(path, text, outcome, accepted))
            bar.advance()
    return done


def _show(config: Config, action: Action, done: list[Applied], written: bool) -> None:
    colored = config.color == "always" or (config.color == "auto" and sys.stdout.isatty())
    quiet = 0
    for one in done:
        why = _why(one, action, few=len(done) <= 20)
        if config.json_output:
            console.emit_json(_row(one, why, written))
            continue
        if one.outcome.post is not None and one.outcome.post != one.before:
            console.emit(_diff(one, colored))
        if one.idle and len(done) > 20:
            quiet += 1
        elif not one.good:
            console.say(f"{one.path}: {one.outcome.verdict}: {console.clean(why)}")
    _sum_up(done, quiet, written, config.write)


def _why(one: Applied, action: Action, few: bool) -> str:
    if one.outcome.verdict is Verdict.NO_MATCH and few:
        from rulewright.engine import nomatch

        return nomatch.explain(action, one.before)
    return one.outcome.detail


def _sum_up(done: list[Applied], quiet: int, written: bool, wanted: bool) -> None:
    changed = [one for one in done if one.good]
    places = sum(one.outcome.n_matches for one in changed)
    what = "changed" if written else "would change"
    tidied = sum(one.outcome.tidied for one in changed)
    note = f"; padded blank lines emptied in {tidied}" if tidied else ""
    console.say(f"{len(changed)} of {len(done)} files {what}, {places} places{note}")
    if quiet:
        console.say(f"{quiet} files have nothing to change")
    if wanted and not written:
        console.say("nothing was written, because a file failed; --accept takes a judgement as it is")


def _row(one: Applied, why: str, written: bool) -> dict[str, Any]:
    outcome = one.outcome
    return {
        "file": str(one.path),
        "verdict": outcome.verdict,
        "detail": why,
        "flags": sorted(outcome.flags),
        "n_rules": outcome.n_rules,
        "n_matches": outcome.n_matches,
        "bytes_touched": outcome.bytes_touched,
        "tidied": outcome.tidied,
        "written": written and one.good,
        "diff": _diff(one, False) if outcome.post is not None else "",
    }


_COLORS = {"+": "\x1b[32m", "-": "\x1b[31m", "@": "\x1b[36m"}


def _diff(one: Applied, colored: bool) -> str:
    name = str(one.path)
    old, new = one.before.splitlines(keepends=True), (one.outcome.post or "").splitlines(keepends=True)
    lines = []
    for number, line in enumerate(difflib.unified_diff(old, new, name, name)):
        end = "" if line.endswith("\n") else "\n\\ No newline at end of file"
        text = console.clean(line.rstrip("\r\n"))
        color = ("\x1b[1m" if number < 2 else _COLORS.get(line[:1], "")) if colored else ""
        lines.append(f"{color}{text}\x1b[0m{end}" if color else text + end)
    return "\n".join(lines)
