"""Programs against tests: the plain verdict by exit code, and the strict one.

The strict run executes rewritten tests (`instrument`) and judges outside (`judging`).
Values that are objects are asked again, among decoys. A reference, where there is one,
fixes how often each check has to run, and checks that the reference itself cannot
answer are left native, so that a right program is never failed by the method.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from rulewright.digests import text_sha256
from rulewright.sandbox import flags
from rulewright.sandbox.instrument import Instrumented, Kind, Treatment, instrument
from rulewright.sandbox.job import Entry, Job, Limits, Oracle, Result, Status, TestVerdict
from rulewright.sandbox.judging import Judgment, judge, plan_for, read

__all__ = ["CheckRequest", "Checker", "Kind"]

_PYTEST: tuple[str, ...] = ("-q", "-p", "no:cacheprovider")
_PINNED: tuple[str, ...] = (
    *_PYTEST, "-c", "/dev/null", "--noconftest", "--import-mode=importlib", "--rootdir={tests}",
    "--confcutdir={tests}",
)  # fmt: skip


@dataclass(frozen=True)
class CheckRequest:
    """A program to judge; see `Sandbox.check` for the fields."""

    program: str
    tests: str
    kind: Kind = "script"
    reference: str | None = None
    module: str = "mod"
    files: Mapping[str, str] = field(default_factory=dict)
    limits: Limits = field(default_factory=Limits)

    @property
    def test_file(self) -> str:
        return f"test_{self.module}.py"


@dataclass(frozen=True)
class _Calibration:
    """What the reference taught about its tests."""

    plan: Treatment
    required: Mapping[int, int]
    problem: str = ""


class Checker:
    """Judges requests with a way to run jobs; remembers references. Thread-safe."""

    def __init__(self, run: Callable[[Job], Result]) -> None:
        self._run = run
        self._calibrations: dict[str, _Calibration] = {}

    def check(self, request: CheckRequest) -> TestVerdict:
        """Judge one program."""
        official = self._run(_official_job(request))
        found = flags.flags(request.program)
        ok, tier = official.ok, official.tier
        verdict = TestVerdict(ok, ok, 0, 0, official.detail, official.status, tier, "none", found, official)
        if official.status in (Status.INFRA, Status.TIMEOUT):
            return verdict
        return self._strict(request, verdict)

    def _strict(self, request: CheckRequest, verdict: TestVerdict) -> TestVerdict:
        try:
            calibration = self._calibrate(request)
        except SyntaxError as error:
            return replace(verdict, strict=False, detail=f"the tests do not parse on their own: {error}")
        if calibration is not None and calibration.problem:
            return replace(verdict, strict=False, detail=calibration.problem)
        plan = calibration.plan if calibration else Treatment()
        required = calibration.required if calibration else None
        judgment, instrumented, result = self._observe(request, request.program, plan, required)
        if result.status is Status.INFRA:
            return replace(verdict, official=False, strict=False, status=Status.INFRA, detail=result.detail)
        problem = next(iter(judgment.broken.values()), "")
        if not problem and not judgment.ok:
            problem = "no check was seen to run" if not judgment.opaque else "a value could not be judged"
        if not problem and result.status not in (Status.OK, Status.FAIL):
            problem = f"the strict run ended with {result.status}"
        forms = {instrumented.checks[number].form for number in judgment.held}
        weakest: Oracle = "choice" if "choice" in forms else "split"
        if forms <= {"mark"}:
            weakest = "native" if forms else "none"
        return replace(
            verdict,
            strict=verdict.official and not problem,
            n_passed=len(judgment.held),
            n_failed=len(judgment.broken),
            detail=problem or verdict.detail,
            oracle=weakest,
        )

    def _calibrate(self, request: CheckRequest) -> _Calibration | None:
        if request.reference is None:
            return None
        key = text_sha256("\0".join((request.kind, request.module, request.tests, request.reference)))
        if key not in self._calibrations:
            calibration = self._calibration(request, request.reference)
            if calibration is None:  # our own fault: try again next time
                return _Calibration(Treatment(), {}, "the reference could not be run")
            self._calibrations[key] = calibration
        return self._calibrations[key]

    def _calibration(self, request: CheckRequest, reference: str) -> _Calibration | None:
        """Run the reference; what it cannot show to hold is left native."""
        plan = Treatment()
        for _ in range(3):
            judgment, _, result = self._observe(request, reference, plan, {})
            if result.status is Status.INFRA:
                return None
            odd = frozenset(judgment.broken) | judgment.opaque
            if not odd:
                if not judgment.held:
                    return _Calibration(plan, {}, "the reference runs no check")
                return _Calibration(plan, dict(judgment.counts))
            plan = Treatment(plan.native | odd, {n: c for n, c in plan.choices.items() if n not in odd})
        return _Calibration(plan, {}, "the reference does not pass its own tests")

    def _observe(
        self, request: CheckRequest, program: str, plan: Treatment, required: Mapping[int, int] | None
    ) -> tuple[Judgment, Instrumented, Result]:
        """One strict run; a second one where a value turned out to be an object."""
        recorder = f"_{secrets.token_hex(8)}"
        instrumented = instrument(request.tests, request.kind, recorder, plan)
        result = self._run(_strict_job(request, program, instrumented, recorder))
        judgment = judge(instrumented.checks, read(result.report), required)
        if judgment.opaque and not judgment.broken:
            again = plan_for(instrumented.checks, judgment.opaque, secrets.token_hex(8))
            wider = Treatment(plan.native | again.native, {**plan.choices, **again.choices})
            instrumented = instrument(request.tests, request.kind, recorder, wider)
            result = self._run(_strict_job(request, program, instrumented, recorder))
            judgment = judge(instrumented.checks, read(result.report), required)
        return judgment, instrumented, result


def _official_job(request: CheckRequest) -> Job:
    if request.kind == "script":
        files = {**request.files, "main.py": f"{request.program}\n{request.tests}"}
        return Job(files, Entry("script", ("main.py",)), limits=request.limits)
    files = {**request.files, f"{request.module}.py": request.program, request.test_file: request.tests}
    if request.kind == "pytest":
        return Job(files, Entry("pytest", (*_PYTEST, request.test_file)), limits=request.limits)
    return Job(files, Entry("unittest", (request.test_file,)), limits=request.limits)


def _strict_job(request: CheckRequest, program: str, instrumented: Instrumented, recorder: str) -> Job:
    if request.kind == "script":
        files = {**request.files, "main.py": f"{program}\n{instrumented.source}"}
        return Job(files, Entry("checks", ("main.py",), request.kind, recorder), limits=request.limits)
    files = {**request.files, f"{request.module}.py": program}
    tests = {request.test_file: instrumented.source}
    path = f"{{tests}}/{request.test_file}"
    argv = (*_PINNED, path) if request.kind == "pytest" else (path,)
    return Job(files, Entry("checks", argv, request.kind, recorder), limits=request.limits, tests=tests)
