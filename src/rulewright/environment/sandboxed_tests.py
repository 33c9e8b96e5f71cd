"""The tests of tasks, run in the sandbox, each once."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING

from rulewright.digests import text_sha256
from rulewright.environment.task import Task, TestRun
from rulewright.verdict import Verdict

if TYPE_CHECKING:
    from rulewright.sandbox.runner import Sandbox


class SandboxTests:
    """Tests by `rulewright.sandbox`, judged strictly (a `TestRunner`).

    What is asked twice is run once, the rest on all workers of the sandbox: what a program came
    to is remembered, a hundred bytes each. What failed through our fault is tried again next time.

    Args:
        sandbox: open.
    """

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox
        self._known: dict[str, TestRun] = {}

    def __call__(self, programs: Sequence[tuple[str, Task]]) -> list[TestRun]:
        from rulewright.sandbox.checking import CheckRequest

        keys = [text_sha256(json.dumps([program, task.tests, task.target])) for program, task in programs]
        owed = {key: pair for key, pair in zip(keys, programs, strict=True) if key not in self._known}
        checks = [
            CheckRequest(program, task.tests or "", reference=task.target) for program, task in owed.values()
        ]
        fresh: dict[str, TestRun] = {}
        for (key, (program, task)), verdict in zip(
            owed.items(), self._sandbox.check_many(checks), strict=True
        ):
            passed = None if verdict.verdict is Verdict.INFRA else bool(verdict.strict)
            # What the wanted program itself holds cannot be a forgery.
            fresh[key] = TestRun(passed, bool(verdict.flags) and program != task.target)
        self._known |= {key: run for key, run in fresh.items() if run.passed is not None}
        return [self._known.get(key) or fresh[key] for key in keys]
