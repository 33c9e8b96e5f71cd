"""Throughput of the sandbox beside plain subprocesses, in one run.

    python benchmarks/bench_sandbox.py [--seconds 5] [--workers 2]

Each figure is completed runs per second over the given time, `workers` at a time.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from rulewright import console
from rulewright.sandbox import Entry, Job, Sandbox, open_sandbox
from rulewright.sandbox.checking import Kind
from rulewright.sandbox.tiers import SandboxRefused

PROGRAM = "def area(w, h):\n    return w * h\n"
ASSERTS = "assert area(2, 3) == 6\nassert area(0, 3) == 0\nassert area(2, 2) == 4\n"
SUITE = """from mod import area


def test_a():
    assert area(2, 3) == 6


def test_b():
    assert area(0, 3) == 0


def test_c():
    assert area(2, 2) == 4
"""
PYTEST = ("-q", "-p", "no:cacheprovider", "test_mod.py")


def rate(one: Callable[[], object], workers: int, seconds: float) -> tuple[float, int]:
    """Runs per second, and how many there were; every run must succeed."""

    def worker(_: int) -> int:
        n = 0
        while time.monotonic() < end:
            one()
            n += 1
        return n

    one()  # warm
    start = time.monotonic()
    end = start + seconds
    with ThreadPoolExecutor(workers) as threads:
        n = sum(threads.map(worker, range(workers)))
    return n / (time.monotonic() - start), n


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--workers", type=int, default=2)
    options = parser.parse_args()
    rows: list[list[object]] = []

    def measure(what: str, one: Callable[[], object]) -> None:
        speed, n = rate(one, options.workers, options.seconds)
        rows.append([what, f"{speed:.1f}", n])

    plain(measure)
    for tier in ("bubblewrap", "landlock"):
        try:
            with open_sandbox(tier, workers=options.workers) as sandbox:
                contained(sandbox, measure)
        except SandboxRefused as refused:
            console.say(f"{tier}: {refused.message}")
    console.emit(console.table(["what", "runs/s", "n"], rows))
    load = ", ".join(f"{value:.1f}" for value in os.getloadavg())
    console.say(f"{options.workers} at a time on {len(os.sched_getaffinity(0))} processors; load {load}")


def plain(measure: Callable[[str, Callable[[], object]], None]) -> None:
    """The same work in a new interpreter each time, without any walls."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "script.py").write_text(PROGRAM + ASSERTS, encoding="utf-8")
        (folder / "mod.py").write_text(PROGRAM, encoding="utf-8")
        (folder / "test_mod.py").write_text(SUITE, encoding="utf-8")

        def run(*argv: str) -> None:
            subprocess.run([sys.executable, *argv], cwd=folder, check=True, capture_output=True)

        measure("script: python subprocess", lambda: run("script.py"))
        measure("pytest: python -m pytest subprocess", lambda: run("-m", "pytest", *PYTEST))


def contained(sandbox: Sandbox, measure: Callable[[str, Callable[[], object]], None]) -> None:
    """Runs by exit code, then checks with both verdicts."""
    script = Job({"main.py": PROGRAM + ASSERTS})
    suite = Job({"mod.py": PROGRAM, "test_mod.py": SUITE}, Entry("pytest", PYTEST))

    def passes(job: Job) -> None:
        result = sandbox.run(job)
        assert result.ok, result

    def strict(tests: str, kind: Kind) -> None:
        verdict = sandbox.check(PROGRAM, tests, kind=kind)
        assert verdict.strict, verdict

    measure(f"script: {sandbox.tier}", lambda: passes(script))
    measure(f"pytest: {sandbox.tier}", lambda: passes(suite))
    measure(f"script, both verdicts: {sandbox.tier}", lambda: strict(ASSERTS, "script"))
    measure(f"pytest, both verdicts: {sandbox.tier}", lambda: strict(SUITE, "pytest"))


if __name__ == "__main__":
    main()
