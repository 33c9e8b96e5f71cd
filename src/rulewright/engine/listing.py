"""Ask ast-grep which files it searches, which it skips, and where rules match.

It runs in the user's current folder, over the user's files, and writes nothing.
"""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from rulewright.engine import cli
from rulewright.errors import RulewrightError
from rulewright.languages import AST_GREP_NAMES, Language
from rulewright.verdict import RuleFailed, Verdict

NO_WALK: Final = "ast-grep cannot walk here"


@dataclass
class Listing:
    """The files that ast-grep named."""

    files: dict[Path, Language]
    skipped: dict[Path, str]
    """Why it passes over a file, in its word: `invalidUtf8`, `fileTooLarge`, `ioError`, `emptyFile`."""
    matched: set[Path]
    """Files in which a rule matches, or may."""
    hosts: set[Path]
    """Files of another language that hold code of ours (JavaScript in HTML)."""


def scan(
    paths: Sequence[Path], rules: Sequence[tuple[Language, Mapping[str, Any]]], folder: Path | None = None
) -> Listing:
    """Run `ast-grep scan` in the current folder; read its lists of searched and of matching files."""
    texts = [
        json.dumps({"id": f"walk-{number}", "language": language, **rule}, ensure_ascii=False)
        for number, (language, rule) in enumerate(rules)
    ]
    options = ["--inspect", "entity", "--files-with-matches", "--color", "never"]
    # In a folder of its own: globs are read from there for what lies in it.
    with tempfile.TemporaryDirectory(prefix="rulewright-") as name:
        rule_file = Path(name, "rules.yml")
        rule_file.write_text("\n---\n".join(texts), encoding="utf-8")
        told, matches = run(["scan", "--rule", str(rule_file), *options], paths, folder)
    seen = Listing({}, {}, {Path(os.fsdecode(line)) for line in matches.split(b"\n") if line}, set())
    first: dict[Path, str] = {}
    for name, facts in entities(told):
        path = Path(name)
        known = facts.get("language", "").lower()
        if "skipped" in facts:
            seen.skipped[path] = facts["skipped"]
        elif first.setdefault(path, known) != known:
            seen.hosts.add(path)
        elif language := AST_GREP_NAMES.get(known):
            seen.files[path] = language
    return seen


def run(words: Sequence[str], paths: Sequence[Path], folder: Path | None = None) -> tuple[bytes, bytes]:
    """Run ast-grep in the current folder; return its trace and its output."""
    runs = [_run([*words, *portion], folder) for portion in _portions(paths)]
    traces, outputs = zip(*runs, strict=True)
    return b"\n".join(traces), b"\n".join(outputs)


def _portions(paths: Sequence[Path]) -> Iterator[list[str]]:
    """Paths as arguments, as many at once as a command line holds; without any, one empty list."""
    portion: list[str] = []
    left = _LINE_BYTES
    for path in paths:
        name = f"./{path}" if str(path).startswith("-") else str(path)
        left -= len(os.fsencode(name))
        if left < 0 and portion:
            yield portion
            portion, left = [], _LINE_BYTES - len(os.fsencode(name))
        portion.append(name)
    yield portion


_LINE_BYTES: Final = 1 << 17
"""Of the paths on one command line: with a pointer for each, macOS takes 1 MiB and Linux 2."""


def _run(words: Sequence[str], folder: Path | None) -> tuple[bytes, bytes]:
    environment = {**cli.ENVIRONMENT, **{k: os.environ[k] for k in _OF_GIT if k in os.environ}}
    with (
        tempfile.TemporaryFile() as out,
        tempfile.TemporaryFile() as err,
        cli.start(*words, stdout=out, stderr=err, env=environment, cwd=folder) as running,
    ):
        try:
            code = running.wait(cli.WALL_SECONDS)
        except subprocess.TimeoutExpired as error:
            running.kill()
            slow = f"ast-grep took more than {cli.WALL_SECONDS} s to walk"
            raise RuleFailed(slow, Verdict.TIMEOUT) from error
        err.seek(0)
        out.seek(0)
        told = err.read()
        if b"panicked at" in told or code < 0 or code == 101:
            raise RuleFailed("ast-grep panicked", Verdict.CRASHED)
        if code not in (0, 1):
            said = (line.strip(" ╰▻│├") for line in told.decode("utf-8", "replace").splitlines())
            reasons = [line for line in said if line and not line.startswith("sg: ")]
            raise RulewrightError(
                f"{NO_WALK}: {reasons[-1] if reasons else f'exit {code}'}",
                "look at sgconfig.yml and the globs of the rule",
            )
        return told, out.read()


# Where git's own list of ignored files may lie.
_OF_GIT: Final = ("HOME", "XDG_CONFIG_HOME")


def entities(told: bytes) -> Iterator[tuple[str, dict[str, str]]]:
    """The files that ast-grep's trace names, and its message about each."""
    mark = b"sg: entity|file|"
    for line in told.split(b"\n"):
        name, colon, what = line[len(mark) :].rpartition(b": ")
        if line.startswith(mark) and colon:
            facts = what.decode("utf-8", "replace").split(",")
            yield os.fsdecode(name), dict(part.partition("=")[::2] for part in facts)


def garbled(path: Path) -> bool:
    """Whether a name that ast-grep told is not the file's: that one is no UTF-8."""
    return "\ufffd" in str(path) and not path.exists()
