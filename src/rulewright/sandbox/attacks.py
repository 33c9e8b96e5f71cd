"""Run a folder of hostile cases and report for each whether it was contained.

A folder has `index.jsonl` (name, kind, file, what_it_tries, expected), the files, and
for the kinds `verdict` and `workspace` the checks, `verdict_tests.py`. Contained means:
the run ended with a status, the program reports no escape (the word ESCAPED on its
output), and the host is as before; for `verdict` also that the strict verdict is the
right one, the honest controls included; for actions that the engine gave a verdict.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from rulewright import console, jsonl
from rulewright.engine import Engine, Request
from rulewright.errors import UsageError
from rulewright.sandbox import hostwatch
from rulewright.sandbox.inside.spec import MIB
from rulewright.sandbox.job import Entry, Job, Limits, Status
from rulewright.sandbox.runner import Sandbox
from rulewright.verdict import Verdict

PROGRAMS: Final = ("resource", "network", "filesystem", "process")
KINDS: Final = (*PROGRAMS, "verdict", "workspace", "action-yaml", "action-cli")
_TEST_FILES: Final = ("verdict_tests.py", "verdict_tests.py.txt")
ESCAPED: Final = re.compile(r"\bESCAPED\b")

# Tight on purpose: a hostile program should meet its limits within seconds.
LIMITS: Final = Limits(
    wall_s=5.0, cpu_s=5, memory_bytes=256 * MIB, pids=64, file_bytes=16 * MIB, workspace_bytes=32 * MIB,
    inodes=4096, open_files=256, output_bytes=64 * 1024,
)  # fmt: skip
# What actions are applied to.
_CODE: Final = "import os\n\n\ndef f(a, b):\n    if a == None:\n        print(a)\n    return g(a, b)\n"


@dataclass(frozen=True)
class Case:
    """One line of the index."""

    name: str
    kind: str
    file: str
    expected: str


@dataclass(frozen=True)
class Report:
    """How one case went."""

    name: str
    kind: str
    tier: str
    outcome: str
    contained: bool
    detail: str
    seconds: float


def read_index(folder: Path) -> list[Case]:
    """The cases of a folder.

    Raises:
        UsageError: there is no index, or a line of it has another form.
    """
    index = folder / "index.jsonl"
    cases = []
    for line in jsonl.read_lines(jsonl.require_file(index)):
        value = line.value or {}
        absent = [key for key in ("name", "kind", "file") if not isinstance(value.get(key), str)]
        if absent:
            raise UsageError(
                f"{index}:{line.number}: no {', '.join(absent)}", "each line needs name, kind, file, expected"
            )
        if value["kind"] not in KINDS:
            raise UsageError(
                f"{index}:{line.number}: no kind {value['kind']!r}", f"one of {', '.join(KINDS)}"
            )
        cases.append(Case(value["name"], value["kind"], value["file"], str(value.get("expected", ""))))
    if not cases:
        raise UsageError(f"{index}: has no case", "each line needs name, kind, file, expected")
    return cases


def run_folder(folder: Path, sandbox: Sandbox, limits: Limits, only: Collection[str]) -> Iterator[Report]:
    """Run every case of a folder, or those named in `only` if any are, one after another."""
    cases = [case for case in read_index(folder) if not only or case.name in only]
    # `.txt` keeps a folder that lies among tests out of the reach of test collectors.
    tests_file = next((f for n in _TEST_FILES if (f := folder / n).exists()), None)
    tests = tests_file.read_text("utf-8") if tests_file else ""
    for case in cases:
        if case.kind in ("verdict", "workspace") and not tests:
            raise UsageError(f"{folder / _TEST_FILES[0]}: no such file", f"cases of kind {case.kind} need it")
    with Engine(workers=1, deadline_s=5.0, memory_mb=512) as engine:
        runner = _Runner(folder, sandbox, limits, tests, engine)
        yield from map(runner.run, cases)


class _Runner:
    def __init__(self, folder: Path, sandbox: Sandbox, limits: Limits, tests: str, engine: Engine) -> None:
        self._folder, self._sandbox, self._limits, self._tests = folder, sandbox, limits, tests
        self._engine = engine

    def run(self, case: Case) -> Report:
        """Run one case and compare the host before and after."""
        before = hostwatch.take(self._sandbox.user, self._folder)
        start = time.monotonic()
        outcome, problem, tier = self._run(case)
        seconds = time.monotonic() - start
        changed = before.differences(hostwatch.take(self._sandbox.user, self._folder))
        problems = [p for p in (problem, *changed) if p]
        return Report(
            case.name, case.kind, tier, outcome, not problems, "; ".join(problems), round(seconds, 3)
        )

    def _run(self, case: Case) -> tuple[str, str, str]:
        if case.kind in PROGRAMS:
            name = Path(case.file).name
            job = Job(
                {name: (self._folder / case.file).read_bytes()}, Entry("script", (name,)), limits=self._limits
            )
            result = self._sandbox.run(job)
            outcome = result.detail if result.status is Status.SIGNAL else str(result.status)
            if result.status is Status.FAIL:
                outcome = f"exit {result.exit_code}"
            lines = (*result.stdout.splitlines(), *result.stderr.splitlines())
            problem = next((console.clean(line)[:200] for line in lines if ESCAPED.search(line)), "")
            if result.status is Status.INFRA:
                problem = f"the sandbox failed: {result.detail}"
            return outcome, problem, result.tier
        if case.kind == "verdict":
            return self._verdict(case, {"mod.py": self._read(case)})
        if case.kind == "workspace":
            hint = "a workspace is one JSON object: file name → text"
            return self._verdict(case, jsonl.read_object(self._folder / case.file, hint))
        return self._action(case)

    def _read(self, case: Case) -> str:
        return jsonl.require_file(self._folder / case.file).read_bytes().decode("utf-8", "replace")

    def _verdict(self, case: Case, files: dict[str, str]) -> tuple[str, str, str]:
        wants_pass, program = bool(re.search(r"\bPASS\b", case.expected)), files.pop("mod.py", "")
        kind = "pytest" if re.search(r"^def test_", self._tests, re.MULTILINE) else "unittest"
        verdict = self._sandbox.check(program, self._tests, kind=kind, files=files, limits=self._limits)  # type: ignore[arg-type]
        words = "pass" if verdict.strict else "timeout" if verdict.status is Status.TIMEOUT else "fail"
        outcome = f"strict {words}, official {'pass' if verdict.official else 'fail'}"
        problem = ""
        if verdict.status is Status.INFRA:
            problem = f"the sandbox failed: {verdict.detail}"
        elif verdict.strict != wants_pass:
            wanted = "pass" if wants_pass else "fail"
            problem = f"the strict verdict should be {wanted}: {verdict.detail}"
        return outcome, problem, verdict.tier

    def _action(self, case: Case) -> tuple[str, str, str]:
        mode, key = ("yaml", "rule_yaml") if case.kind == "action-yaml" else ("cli", "cli")
        text = json.dumps(
            {"action": {"type": "ast_grep", "language": "python", "mode": mode, key: self._read(case)}}
        )
        start = time.monotonic()
        outcome = self._engine.judge(Request(text, _CODE, "python"))
        took = time.monotonic() - start
        problem = ""
        if outcome.verdict is Verdict.INFRA:
            problem = f"the engine failed: {outcome.detail}"
        elif took > 2 * self._limits.wall_s + 5:
            problem = f"took {took:.1f} s"
        elif case.kind == "action-cli" and outcome.verdict is Verdict.OK and "refused" in case.expected:
            problem = "accepted, expected to be refused"
        return str(outcome.verdict), problem, "engine worker"
