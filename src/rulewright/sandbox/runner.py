"""Run untrusted programs and their tests; the module that the other parts use.

with open_sandbox(tier="auto") as sandbox:
    sandbox.run(Job({"main.py": "print(1)"})).stdout
    sandbox.check("def f(): return 1", "assert f() == 1").strict
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Protocol, Self

from rulewright.sandbox import checking
from rulewright.sandbox.job import Job, Limits, Result, TestVerdict, Tier


class Backend(Protocol):
    """What runs a job: workers on this machine, a container, a server."""

    @property
    def tier(self) -> Tier: ...

    def run(self, job: Job) -> Result: ...

    def close(self) -> None: ...


class Sandbox:
    """Runs jobs and checks programs against tests. Thread-safe; use as a context."""

    def __init__(self, backend: Backend, workers: int, reason: str) -> None:
        self.backend, self._workers = backend, workers
        self.reason = reason
        """Why this tier, for reports."""
        self._checker = checking.Checker(self.run)

    @property
    def tier(self) -> Tier:
        return self.backend.tier

    @property
    def user(self) -> int | None:
        """The uid that jobs have on this machine, where it is not the caller's."""
        return getattr(getattr(self.backend, "layout", None), "user", None)

    def run(self, job: Job) -> Result:
        """Run one job to its end; never raises for what the program does."""
        return self.backend.run(job)

    def check(
        self,
        program: str,
        tests: str,
        *,
        kind: checking.Kind = "script",
        reference: str | None = None,
        module: str = "mod",
        files: dict[str, str] | None = None,
        limits: Limits | None = None,
    ) -> TestVerdict:
        """Judge a program by its tests: by exit code, and by a judge that it cannot reach.

        Args:
            program: what a model wrote.
            tests: `script`: statements that follow the program in one file, as CanItEdit
                has them; `unittest` and `pytest`: a test file that imports `module`.
            kind: how the tests are run.
            reference: a program known to pass; fixes which checks have to run.
            module: the name under which test files import the program.
            files: more files in the workspace, as untrusted as the program.
            limits: bounds of each run.
        """
        request = checking.CheckRequest(
            program, tests, kind, reference, module, files or {}, limits or Limits()
        )
        return self._checker.check(request)

    def check_many(self, requests: Iterable[checking.CheckRequest]) -> Iterator[TestVerdict]:
        """Check on all workers; verdicts in order."""
        with ThreadPoolExecutor(self._workers) as threads:
            yield from threads.map(self._checker.check, requests)

    def close(self) -> None:
        """End every worker and remove every trace."""
        self.backend.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def open_sandbox(
    tier: str = "auto", *, workers: int = 1, python: str = sys.executable, where: str = ""
) -> Sandbox:
    """Open a sandbox and prove it by a short hostile self-test.

    Args:
        tier: `auto` (bubblewrap, else Landlock, else refuse), or a `Tier`.
        workers: jobs at a time.
        python: the interpreter that runs Python jobs.
        where: the image for `docker`.

    Raises:
        UsageError: `docker` without an image.
        SandboxRefused: the tier does not work here, with the reason and the fix.
    """
    if tier == "docker":
        from rulewright.sandbox.container import Container

        return Sandbox(Container(where), workers, "docker, as asked")
    from rulewright.sandbox import tiers

    pool = tiers.choose(tier, python, workers)
    asked = "as asked" if tier != "auto" else "; ".join(("first that works", *pool.passed_over))
    return Sandbox(pool, workers, f"{asked}; {pool.describe()}")
