"""The tests of tasks, in the sandbox."""

from __future__ import annotations

import threading
from dataclasses import replace
from typing import Any

import pytest
from tests.environment.tasks import (
    W,
    answer,
)

from rulewright.engine import Engine
from rulewright.environment import (
    EnvironmentScorer,
    SandboxTests,
    Task,
)
from rulewright.sandbox.job import Status
from rulewright.sandbox.runner import Sandbox

SUM = Task(
    "sum", "add, do not subtract", "def add(a, b):\n    return a - b\n", "python",
    "def add(a, b):\n    return a + b\n", tests="assert add(1, 2) == 3\nassert add(5, 5) == 10\n",
)  # fmt: skip
MORE = replace(
    SUM, id="more", code="def inc(a):\n    return a - 1\n", target="def inc(a):\n    return a + 1\n",
    tests="assert inc(1) == 2\n",
)  # fmt: skip
PLUS = answer({"rule": {"pattern": "$A - $B"}, "fix": "$A + $B"})
SWAPPED = answer({"rule": {"pattern": "$A - $B"}, "fix": "$B + $A"})
TIMES = answer({"rule": {"pattern": "$A - $B"}, "fix": "$A * $B"})


def test_tests_run_in_the_sandbox(engine: Engine, sandbox: Sandbox) -> None:
    scorer = EnvironmentScorer([SUM], engine, SandboxTests(sandbox), W)
    found = scorer.score([0] * 3, [PLUS, SWAPPED, TIMES], [1] * 3)
    assert [scored.success for scored in found] == [True, True, False]
    assert found[0].value == 2.0
    assert found[1].parts["add_tests"] == 0.5
    assert found[2].parts["add_tests"] == 0.0
    assert (found[2].value or 0) < (found[1].value or 0)


def test_tests_run_at_once_and_nothing_twice(
    engine: Engine, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    together = threading.Barrier(2)  # nobody passes alone: one after the other would never end
    n_runs = 0
    checked: list[str] = []
    real_run, real_check = sandbox.backend.run, sandbox.check_many

    def run(job: Any) -> Any:
        nonlocal n_runs
        n_runs += 1
        if n_runs <= 2:
            together.wait(timeout=60)
        return real_run(job)

    def check_many(requests: Any) -> Any:
        requests = list(requests)
        checked.extend(request.program for request in requests)
        return real_check(requests)

    monkeypatch.setattr(sandbox.backend, "run", run)
    monkeypatch.setattr(sandbox, "check_many", check_many)
    tests = SandboxTests(sandbox)
    scorer = EnvironmentScorer([SUM, MORE], engine, tests, W)
    rows, texts = [0] * 6 + [1] * 4, [PLUS] * 4 + [TIMES, SWAPPED] + [PLUS] * 3 + [TIMES]
    first = scorer.score(rows, texts, [1] * 10)
    # Two starts, and five programs among the ten answers; not twenty.
    assert sorted(checked) == sorted(set(checked))
    assert len(checked) == 2 + 5
    # A new answer costs its own program only: the start of the task is remembered.
    assert scorer.score(rows, texts, [1] * 10) == first
    literal = answer({"rule": {"pattern": "a - b"}, "fix": "sum([a, b])"})
    assert scorer.score([0], [literal], [1])[0].success
    assert len(checked) == 8


def test_programs_are_remembered_and_faults_of_ours_are_tried_again(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    real_check = sandbox.check_many
    checked: list[str] = []
    broken = True

    def check_many(requests: Any) -> Any:
        for request, verdict in zip(requests, real_check(requests), strict=True):
            checked.append(request.program)
            yield replace(verdict, status=Status.INFRA) if broken else verdict

    monkeypatch.setattr(sandbox, "check_many", check_many)
    tests = SandboxTests(sandbox)
    assert tests([(SUM.code, SUM)])[0].passed is None
    broken = False
    others = ["def add(a, b):\n    return 0\n", SUM.target or ""]
    for program in (SUM.code, *others, *others, SUM.code):
        tests([(program, SUM)])
    assert checked == [SUM.code, SUM.code, *others]


def test_what_the_wanted_program_holds_is_no_forgery(sandbox: Sandbox) -> None:
    target = "import sys\ndef f():\n    return 2\nif f() == 3:\n    sys.exit(1)\n"
    task = replace(
        SUM, id="exit", code=target.replace("return 2", "return 1"), target=target, tests="assert f() == 2\n"
    )
    runs = SandboxTests(sandbox)([(target, task), (target + "\n# more\n", task)])
    assert [run.passed for run in runs] == [True, True]
    assert [run.suspicious for run in runs] == [False, True]
