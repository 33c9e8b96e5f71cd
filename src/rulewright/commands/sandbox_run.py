"""Run a program, or its tests, in the sandbox.

Without --tests, the program runs as a script, and its exit code becomes this command's (1 for every
failure). With --tests, prints both verdicts: official (the exit code) and strict (values compared outside
the sandbox).
"""

from __future__ import annotations

import dataclasses
import re
import shutil
import sys
from pathlib import Path
from typing import Any, Literal

import tyro
from pydantic import Field

from rulewright import console, jsonl
from rulewright.config import AsJson, CommandConfig
from rulewright.errors import UsageError
from rulewright.languages import language_of_path
from rulewright.replacing import read_text


class Config(CommandConfig):
    """What to run and within which bounds."""

    program: tyro.conf.Positional[Path]
    """A Python or JavaScript file; with --tests the module under test."""
    tests: Path | None = None
    """A test file: asserts that follow the program, or a unittest or pytest file that imports it."""
    kind: Literal["auto", "script", "unittest", "pytest"] = "auto"
    """How the tests are run; `auto` looks at them."""
    reference: Path | None = None
    """A program that is known to pass; it determines which checks must run."""
    stdin: Path | None = None
    """A file for standard input."""
    sandbox: Literal["auto", "bubblewrap", "landlock", "docker", "unsafe"] = "auto"
    """The sandbox tier; `unsafe` contains nothing and is never chosen automatically."""
    where: str = ""
    """The image for `docker`."""
    python: str = ""
    """The interpreter that runs Python; empty: the one that runs rulewright."""
    wall_s: float = Field(default=10.0, gt=0, le=86_400)
    """Wall-clock seconds."""
    memory_mb: int = Field(default=512, ge=1)
    """Memory of all processes together."""
    pids: int = Field(default=64, ge=1)
    """Processes and threads together."""
    json_output: AsJson = False
    """Print the result as one JSON object on stdout."""


def run(config: Config) -> int:
    """Run or check; 0 if it passed."""
    from rulewright.sandbox import Entry, Job, Limits, open_sandbox

    program = jsonl.require_file(config.program)
    limits = Limits(
        wall_s=config.wall_s,
        cpu_s=max(1, int(config.wall_s)),
        memory_bytes=config.memory_mb << 20,
        pids=config.pids,
    )
    language = language_of_path(config.program)
    entry = _entry(config.program, language)
    if config.tests is not None and language != "python":
        raise UsageError(
            f"{config.program}: tests of {language} are not judged here, only Python's",
            "run the test file itself as the program",
        )
    if config.tests is not None and config.stdin is not None:
        raise UsageError("tests read no standard input", "use either --tests or --stdin")
    with open_sandbox(config.sandbox, python=config.python or sys.executable, where=config.where) as sandbox:
        console.decided("sandbox", sandbox.tier, sandbox.reason)
        if config.tests is not None:
            tests = read_text(config.tests)
            verdict = sandbox.check(
                read_text(program), tests, kind=_kind(config, tests), module=program.stem, limits=limits,
                reference=read_text(config.reference) if config.reference else None,
            )  # fmt: skip
            _tell_verdict(verdict, config.json_output)
            return 0 if verdict.strict else 1
        stdin = jsonl.require_file(config.stdin).read_bytes() if config.stdin else b""
        # As it is: a program says itself in which encoding it is written.
        job = Job({program.name: program.read_bytes()}, Entry(entry[0], entry[1]), stdin=stdin, limits=limits)  # type: ignore[arg-type]
        result = sandbox.run(job)
    _tell_result(result, config.json_output)
    return 0 if result.ok else 1


def _entry(program: Path, language: str) -> tuple[str, tuple[str, ...]]:
    if language == "python":
        return "script", (program.name,)
    if language == "javascript":
        node = shutil.which("node")
        if node is None:
            raise UsageError("node is not installed, and JavaScript needs it", "apt-get install nodejs")
        return "argv", (node, f"{{ws}}/{program.name}")
    raise UsageError(
        f"{program}: {language} programs are not run", "Python (.py) and JavaScript (.js, .mjs, .cjs) are"
    )


def _kind(config: Config, tests: str) -> Literal["script", "unittest", "pytest"]:
    if config.kind != "auto":
        return config.kind
    module = re.escape(config.program.stem)
    if not re.search(rf"^\s*(from\s+{module}|import\s+(.*,\s*)?{module})\b", tests, re.MULTILINE):
        return "script"
    return "pytest" if "pytest" in tests or "\ndef test_" in f"\n{tests}" else "unittest"


def _tell_verdict(verdict: Any, as_json: bool) -> None:
    if as_json:
        row = dataclasses.asdict(dataclasses.replace(verdict, result=None))
        row.pop("result")
        console.emit_json({**row, "alarm": verdict.alarm, "verdict": verdict.verdict})
        return
    words = {True: "pass", False: "fail"}
    console.emit(
        f"official {words[verdict.official]}, strict {words[verdict.strict]} ({verdict.oracle} oracle)"
    )
    console.emit(f"checks: {verdict.n_passed} passed, {verdict.n_failed} failed")
    if verdict.detail:
        console.emit(verdict.detail)
    if verdict.flags:
        console.emit(f"flags: {', '.join(verdict.flags)}")
    if verdict.alarm:
        console.say("alarm: the exit code says pass, but the strict check outside the sandbox does not")


def _tell_result(result: Any, as_json: bool) -> None:
    if as_json:
        row = dataclasses.asdict(result)
        for key in ("files", "report"):
            row.pop(key)
        console.emit_json({**row, "verdict": result.verdict})
        return
    if result.stdout:
        console.emit(result.stdout.removesuffix("\n"))
    if result.stderr:
        console.say(result.stderr.removesuffix("\n"))
    detail = f" ({result.detail})" if result.detail else ""
    console.say(
        f"{result.status}{detail}: {result.wall_s:.2f} s, CPU {result.cpu_s:.2f} s, "
        f"peak {result.memory_peak_bytes / 1e6:.0f} MB"
    )
