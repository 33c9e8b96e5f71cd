"""The input and output of the sandbox: plain frozen data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import PurePosixPath
from typing import Final, Literal

from rulewright.errors import UsageError
from rulewright.sandbox.inside.spec import Entry, Limits, Spec
from rulewright.verdict import Verdict

__all__ = ["Entry", "Job", "Limits", "Oracle", "Result", "Status", "TestVerdict", "Tier"]

Tier = Literal["bubblewrap", "landlock", "docker", "unsafe"]
Oracle = Literal["split", "choice", "native", "none"]


class Status(StrEnum):
    """How a run ended."""

    OK = "ok"
    FAIL = "fail"
    """Exit code other than 0."""
    TIMEOUT = "timeout"
    OOM = "oom"
    OUTPUT_LIMIT = "output_limit"
    PIDS_LIMIT = "pids_limit"
    DISK_LIMIT = "disk_limit"
    SIGNAL = "signal"
    INFRA = "infra"
    """Our failure, not the program's: retried once, then excluded from rewards."""


_VERDICTS: Final = {
    Status.OK: Verdict.OK,
    Status.FAIL: Verdict.TESTS_FAILED,
    Status.TIMEOUT: Verdict.TIMEOUT,
    Status.INFRA: Verdict.INFRA,
}


@dataclass(frozen=True)
class Job:
    """One run in a fresh workspace.

    Args:
        files: path in the workspace → content; what a model wrote belongs here.
        entry: what to start.
        stdin: bytes on standard input; nothing by default.
        limits: bounds.
        tests: path → content in a folder of their own that the program cannot change
            (`/tests` in the bubblewrap tier).
        collect: names of result files to read back; links and large files are not.
    """

    files: Mapping[str, str | bytes] = field(default_factory=dict)
    entry: Entry = field(default=Entry())
    stdin: str | bytes = b""
    limits: Limits = field(default=Limits())
    tests: Mapping[str, str | bytes] = field(default_factory=dict)
    collect: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for name in (*self.files, *self.tests, *self.collect):
            path = PurePosixPath(name)
            if not name or path.is_absolute() or ".." in path.parts or "\0" in name:
                raise UsageError(
                    f"sandbox job: file name {name!r} is not a relative path inside the workspace",
                    "give paths such as pkg/mod.py",
                )

    def spec(self) -> Spec:
        """The job as its supervisor takes it."""
        return Spec(
            self.entry, self.limits, _all_raw(self.files), _all_raw(self.tests), _raw(self.stdin),
            self.collect,
        )  # fmt: skip


def _all_raw(files: Mapping[str, str | bytes]) -> dict[str, bytes]:
    return {name: _raw(data) for name, data in files.items()}


def _raw(data: str | bytes) -> bytes:
    return data.encode("utf-8", "surrogatepass") if isinstance(data, str) else data


@dataclass(frozen=True)
class Result:
    """How one run went. Text is stripped of control sequences."""

    status: Status
    exit_code: int | None
    """`None` where a signal ended it or nothing ran."""
    stdout: str
    stderr: str
    wall_s: float
    """Measured outside the program."""
    cpu_s: float
    memory_peak_bytes: int
    tier: Tier
    detail: str = ""
    files: Mapping[str, bytes | None] = field(default_factory=dict)
    report: bytes = b""

    @property
    def ok(self) -> bool:
        return self.status is Status.OK

    @property
    def verdict(self) -> Verdict:
        """The run in the vocabulary of the whole project (docs/reference/formats.md)."""
        return _VERDICTS.get(self.status, Verdict.CRASHED)


@dataclass(frozen=True)
class TestVerdict:
    """Whether a program passes its tests, twice over.

    `official` is what the exit code says, comparable with published numbers. `strict`
    counts only checks that were seen to hold by a judge the program cannot reach. Where
    `official` is true and `strict` is not, something is wrong: see `alarm`.
    """

    __test__ = False  # not a test class for pytest

    official: bool
    strict: bool
    n_passed: int
    """Checks that ran and held."""
    n_failed: int
    """Checks that ran and did not hold, or had to run and did not."""
    detail: str
    status: Status
    tier: Tier
    oracle: Oracle
    """The weakest means by which a check was judged: `split` (value compared outside),
    `choice` (compared inside, among decoys), `native` (its own assertion), `none`."""
    flags: tuple[str, ...] = ()
    """Suspicious constructs in the program's text; a reason to withhold reward."""
    result: Result | None = None
    """The official run."""

    @property
    def alarm(self) -> bool:
        """The exit code says pass, the strict judge does not."""
        return self.official and not self.strict and self.status is not Status.INFRA

    @property
    def verdict(self) -> Verdict:
        """The strict verdict in the vocabulary of the whole project."""
        if self.strict:
            return Verdict.OK
        if self.status is Status.OK:
            return Verdict.TESTS_FAILED
        return _VERDICTS.get(self.status, Verdict.CRASHED)
