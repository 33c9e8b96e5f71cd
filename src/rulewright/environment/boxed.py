"""The tests of tasks, run in the sandbox, each once."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from rulewright.environment.task import Task, TestRun
from rulewright.verdict import Verdict

if TYPE_CHECKING:
    from rulewright.sandbox.runner import Sandbox


class SandboxTests:
    """Tests by `rulewright.sandbox`, judged strictly (a `TestRunner`).

    What is asked twice is run once, the rest on all workers of the sandbox. The program that
    a task starts from is remembered for good, others as long as there is room. What failed
    through our fault is tried again next time.

    Args:
        sandbox: open.
        room: programs remembered beside the tasks' own.
    """

    def __init__(self, sandbox: Sandbox, room: int = 20_000) -> None:
        self._sandbox, self._room = sandbox, room
        self._starts: dict[bytes, TestRun] = {}
        self._others: OrderedDict[bytes, TestRun] = OrderedDict()

    def __call__(self, programs: Sequence[tuple[str, Task]]) -> list[TestRun]:
        keys = [_key(program, task) for program, task in programs]
        found = {key: known for key in keys if (known := self._known(key)) is not None}
        owed = {key: pair for key, pair in zip(keys, programs, strict=True) if key not in found}
        for (key, (program, task)), run in zip(owed.items(), self._run(owed.values()), strict=True):
            found[key] = run
            if run.passed is not None:
                self._remember(key, run, start=program == task.code)
        return [found[key] for key in keys]

    def _run(self, owed: Iterable[tuple[str, Task]]) -> list[TestRun]:
        from rulewright.sandbox.checking import CheckRequest

        pairs = list(owed)
        checks = [CheckRequest(program, task.tests or "", reference=task.target) for program, task in pairs]
        runs = []
        for (program, task), verdict in zip(pairs, self._sandbox.check_many(checks), strict=True):
            passed = None if verdict.verdict is Verdict.INFRA else bool(verdict.strict)
            # What the wanted program itself holds cannot be a forgery.
            runs.append(TestRun(passed, bool(verdict.flags) and program != task.target))
        return runs

    def _known(self, key: bytes) -> TestRun | None:
        if key in self._others:
            self._others.move_to_end(key)
        return self._starts.get(key) or self._others.get(key)

    def _remember(self, key: bytes, run: TestRun, start: bool) -> None:
        if start:
            self._starts[key] = run
            return
        self._others[key] = run
        if len(self._others) > self._room:
            self._others.popitem(last=False)


def _key(program: str, task: Task) -> bytes:
    digest = hashlib.sha256()
    for part in (program, task.tests or "", task.target or ""):
        raw = part.encode("utf-8", "surrogatepass")
        digest.update(str(len(raw)).encode() + b":" + raw)
    return digest.digest()
