"""Run a problem's tests on a program: official status, strict status, coverage.

Programs are what a model wrote: they run in the sandbox only. Identical programs run once.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from concurrent.futures import Future
from dataclasses import dataclass, replace
from pathlib import Path
from threading import Lock
from typing import Final

from rulewright.digests import text_sha256
from rulewright.evaluation.canitedit import excess
from rulewright.evaluation.canitedit.data import TIMING, Problem
from rulewright.sandbox.job import Entry, Job, Limits, Result, Status, TestVerdict
from rulewright.sandbox.programs import ask_interpreter
from rulewright.sandbox.runner import Sandbox
from rulewright.verdict import Verdict

COVERAGE_S: Final = 60.0
_ATTEMPTS: Final = 3
_MIB: Final = 1 << 20

# How the sandbox begins a detail where the problem's own reference or tests are at fault.
_UNJUDGEABLE: Final = ("the reference ", "the tests do not parse")

_PROGRAMS: Final = Path(__file__).with_name("programs")
_STAND_INS: Final = frozenset({"vllm"})
"""Modules that a stand-in replaces where they are absent."""


@dataclass(frozen=True)
class Execution:
    """The result of one program."""

    official: str
    """The benchmark's word: OK, Exception, SyntaxError, Timeout; or `infra`."""
    official_passed: bool
    strict_passed: bool
    verdict: Verdict
    detail: str
    missing: tuple[int, ...] | None = None
    """Uncovered lines of an official pass; `None`: no coverage to be had."""
    excess: float | None = None
    seconds: float = 0.0


class Executor:
    """Executes programs for problems, each distinct one once.

    Args:
        sandbox: open.
        wall_s: of one run; the benchmark allows 15.
        with_coverage: measure coverage of official passes.
        python: the interpreter that the sandbox uses.
    """

    def __init__(
        self, sandbox: Sandbox, wall_s: float = 15.0, with_coverage: bool = True, python: str = sys.executable
    ) -> None:
        self._sandbox, self._with_coverage = sandbox, with_coverage
        self._limits = Limits(
            wall_s=wall_s, cpu_s=int(4 * wall_s), memory_bytes=2048 * _MIB, pids=256, open_files=512
        )
        self._cache: dict[str, Future[Execution]] = {}
        self._lock = Lock()
        self._python = python
        self._installed: dict[str, bool] = {}

    def run(self, problem: Problem, code: str) -> Execution:
        """Run the problem's tests on a program; the answer is cached. Thread-safe."""
        program = f"{code}\n{problem.tests}"
        key = text_sha256(f"{problem.id}\0{program}")
        with self._lock:
            known = self._cache.get(key)
            mine: Future[Execution] = self._cache.setdefault(key, Future())
        if known is not None:
            return known.result()
        try:
            mine.set_result(self._run(problem, code, program))
        except BaseException as error:
            mine.set_exception(error)
            raise
        return mine.result()

    def missing_modules(self, problem: Problem) -> list[str]:
        """Modules that the problem needs and the sandbox's interpreter lacks."""
        return self._absent(problem.modules() - _STAND_INS)

    def _absent(self, needed: set[str]) -> list[str]:
        unknown = sorted(needed - set(self._installed))
        if unknown:
            self._installed.update(ask_interpreter(self._python, unknown).installed)
        return sorted(name for name in needed if not self._installed[name])

    def _run(self, problem: Problem, code: str, program: str) -> Execution:
        if absent := self.missing_modules(problem):
            return _infra(f"the problem needs {', '.join(absent)}, not installed")
        try:
            program.encode()
        except UnicodeEncodeError:
            return Execution("Exception", False, False, Verdict.SYNTAX_ERROR, "not valid UTF-8")
        attempts = _ATTEMPTS if problem.id in TIMING else 1
        verdict = self._check(problem, code)
        for _ in range(attempts - 1):
            if verdict.strict or verdict.status is Status.TIMEOUT:
                break
            verdict = self._check(problem, code)
        if verdict.status is Status.INFRA:
            return _infra(verdict.detail)
        status, ours, result = official_status(verdict.result), verdict.verdict, verdict.result
        if ours is Verdict.TESTS_FAILED and result:
            # By Python's own words; parsing what a model wrote in this process could crash it.
            last = result.stderr.rstrip().rpartition("\n")[2]
            if last.startswith(("SyntaxError:", "IndentationError:", "TabError:")):
                ours = Verdict.SYNTAX_ERROR
        seconds = round(result.wall_s, 3) if result else 0.0
        detail = verdict.detail[:500]
        done = Execution(status, status == "OK", verdict.strict, ours, detail, seconds=seconds)
        if verdict.detail.startswith(_UNJUDGEABLE):
            # The strict judge cannot be had for this problem here, whatever the program is: to count
            # only those that fail officially would be unfair.
            done = replace(done, verdict=Verdict.INFRA)
        if not (done.official_passed and self._with_coverage):
            return done
        missing = self.coverage(program, self._stand_ins(problem))
        ratio = None if missing is None else excess.excess(problem.before, program, missing)
        return replace(done, missing=missing, excess=ratio)

    def _check(self, problem: Problem, code: str) -> TestVerdict:
        return self._sandbox.check(
            code,
            problem.tests,
            reference=problem.after,
            files=self._stand_ins(problem),
            limits=self._limits,
        )

    def _stand_ins(self, problem: Problem) -> dict[str, str]:
        return {f"{name}.py": _text(name) for name in self._absent(problem.modules() & _STAND_INS)}

    def coverage(self, program: str, files: Mapping[str, str] | None = None) -> tuple[int, ...] | None:
        """Uncovered lines of a program with its tests; `None` if it fails under coverage."""
        limits = replace(self._limits, wall_s=COVERAGE_S + 10, cpu_s=int(4 * COVERAGE_S))
        job = Job(
            files={
                **(files or {}),
                "main.py": program,
                ".coveragerc": excess.COVERAGE_RC,
                "cover.py": _text("cover"),
            },
            entry=Entry("script", ("cover.py",)),
            limits=limits,
            collect=("report.txt",),
        )
        result = self._sandbox.run(job)
        report = result.files.get("report.txt")
        if not result.ok or not report:
            return None
        missing = excess.missing_lines(report.decode("utf-8", "replace"))
        return None if missing is None else tuple(missing)


def coverage_installed(python: str = sys.executable) -> bool:
    """Whether the sandbox's interpreter has the coverage package."""
    return ask_interpreter(python, ["coverage"]).installed["coverage"]


def _text(name: str) -> str:
    return (_PROGRAMS / f"{name}.py").read_text(encoding="utf-8")


def _infra(detail: str) -> Execution:
    return Execution("infra", False, False, Verdict.INFRA, detail)


def official_status(result: Result | None) -> str:
    """The benchmark's word for a run: by exit code, time, and "SyntaxError" in stderr."""
    if result is None or result.status is Status.INFRA:
        return "infra"
    # Printing without end also ends in their time-out: nobody reads the pipe.
    if result.status in (Status.TIMEOUT, Status.OUTPUT_LIMIT):
        return "Timeout"
    if result.exit_code == 0:
        return "OK"
    return "SyntaxError" if "SyntaxError" in result.stderr else "Exception"
