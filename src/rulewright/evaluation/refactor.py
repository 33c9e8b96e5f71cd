"""Aider's refactor-benchmark: make a method a top-level function, in files of tens of kilobytes.

Users download the folder themselves (Apache-2.0; seven of its files are GPL-3). Each task is a folder:
`X.py`, `X_test.py`, `.docs/instructions.md`. The tests are read, not run.
"""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final, NamedTuple

from rulewright import console
from rulewright.data.splits import draw
from rulewright.errors import UsageError
from rulewright.evaluation import tables
from rulewright.evaluation.harness import Answer, Item, Row
from rulewright.evaluation.measures import REFACTOR
from rulewright.evaluation.refactor_check import READY
from rulewright.evaluation.settings import RefactorConfig
from rulewright.evaluation.similarity import diff_size
from rulewright.evaluation.tracks import TwoTracks
from rulewright.prompts import Style, action_prompt, edit_prompt, extract_edit
from rulewright.verdict import Verdict

_CHECK_S: Final = 600
"""Wall-clock seconds for a checker, which limits its own processor time."""
_CONSTANTS: Final = ("method", "method_children", "class_name", "class_children")


class Method(NamedTuple):
    """One file and the method that should leave its class."""

    name: str
    path: Path
    code: str
    instruction: str
    method: str
    method_nodes: int
    class_name: str
    class_nodes: int


class Refactor(TwoTracks[RefactorConfig]):
    """`rulewright eval refactor`."""

    measures = REFACTOR

    def __init__(self, config: RefactorConfig) -> None:
        super().__init__(config)
        tasks, self.skipped = load(config.input)
        if config.max_chars:
            self.skipped["too_long"] = sum(len(task.code) > config.max_chars for task in tasks)
            tasks = [task for task in tasks if len(task.code) <= config.max_chars]
        chosen = draw(tasks, config.limit, lambda task: f"{config.seed}:{task.name}")
        self.tasks = {task.name: task for task in chosen}
        self.inputs = [task.path for task in chosen]

    def open(self, stack: ExitStack) -> None:
        self.open_engine(stack, self.config.deadline_s)

    def program(self, task: str) -> str:
        return self.tasks[task].code

    def items(self, style: Style) -> list[Item]:
        self.style = style
        return [item(task, self.config.track, style) for task in self.tasks.values()]

    def score(self, answers: Sequence[Answer]) -> Iterator[Row]:
        for answer, judged in zip(answers, self.applied(answers), strict=True):
            task = self.tasks[answer.item.task]
            if judged is None:
                code = extract_edit(answer.text, task.code, self.style)
                if code is None:
                    yield _row(Verdict.NO_ACTION, "no code in the answer", task, None, {})
                else:
                    yield _judged(task, code, {"valid": True})
                continue
            outcome, about = judged.outcome, tables.about(judged.outcome, judged.action)
            if outcome.post is None or outcome.post == task.code:
                yield _row(outcome.verdict, outcome.detail, task, None, about)
            else:
                yield _judged(task, outcome.post, about)

    def summary(self, rows: Sequence[Row]) -> dict[str, Any]:
        usable = tables.counted(rows)
        rules = [row["n_rules"] for row in usable if row["valid"] and "n_rules" in row]
        changed = [row["changed_lines"] for row in usable if row["changed_lines"] is not None]
        return {
            **super().summary(rows),
            "skipped": self.skipped,
            **tables.summary(rows, REFACTOR, self.config.seed),
            "rules_per_task": tables.spread(rules),
            "changed_lines": tables.spread(changed),
        }

    def report(self, result: dict[str, Any]) -> Iterator[str]:
        yield from super().report(result)
        yield console.counted("verdicts:", result["verdicts"])


def load(folder: Path) -> tuple[list[Method], dict[str, int]]:
    """Read every task folder; what is none is counted.

    Raises:
        UsageError: no such folder, or no task in it.
    """
    if not folder.is_dir():
        raise UsageError(
            f"{folder}: no such folder",
            "git clone https://github.com/Aider-AI/refactor-benchmark, and name it",
        )
    roots = [folder, folder / "refactor-benchmark"]
    found = sorted({path.parent.parent for root in roots for path in root.glob("*/.docs/instructions.md")})
    tasks, skipped = [], {"not_a_task": 0}
    for path in found:
        task = _task(path)
        if task is None:
            skipped["not_a_task"] += 1
        else:
            tasks.append(task)
    if not tasks:
        raise UsageError(
            f"{folder}: contains no task", "expected folders with X.py, X_test.py and .docs/instructions.md"
        )
    return tasks, skipped


def _task(folder: Path) -> Method | None:
    tests = sorted(folder.glob("*_test.py"))
    if len(tests) != 1:
        return None
    source = tests[0].with_name(tests[0].name.removesuffix("_test.py") + ".py")
    try:
        # The names that a test file assigns constants to: what it checks, without running it.
        facts: dict[str, Any] = {
            node.targets[0].id: node.value.value
            for node in ast.walk(ast.parse(tests[0].read_text(encoding="utf-8")))
            if isinstance(node, ast.Assign)
            and isinstance(node.targets[0], ast.Name)
            and isinstance(node.value, ast.Constant)
        }
        code = source.read_text(encoding="utf-8").replace("\r\n", "\n")
        instruction = (folder / ".docs" / "instructions.md").read_text(encoding="utf-8").strip()
    except (OSError, SyntaxError, ValueError):
        return None
    if any(name not in facts for name in _CONSTANTS):
        return None
    return Method(folder.name, source, code, instruction, *(facts[name] for name in _CONSTANTS))


def item(task: Method, track: str, style: Style) -> Item:
    """A task as a question."""
    ask = edit_prompt if track == "text" else action_prompt
    meta = {
        "benchmark": REFACTOR.name,
        "group": task.path.name,
        "source": "refactor-benchmark",
        "language": "python",
        "family": "method to function",
        "chars": len(task.code),
    }
    return Item(task.name, ask(task.instruction, task.code, "python", style=style), meta)


def _judged(task: Method, code: str, about: Row) -> Row:
    found = run_check(task, code)
    if isinstance(found, str):
        return _row(Verdict.INFRA, found, task, code, about)
    verdict = Verdict.TESTS_FAILED if found["parses"] else Verdict.SYNTAX_ERROR
    row = _row(Verdict.OK if found["strict"] else verdict, found["strict_reason"], task, code, about)
    return {**row, "official_passed": float(found["official"])}


def _row(verdict: Verdict, detail: str, task: Method, code: str | None, about: Row) -> Row:
    return {
        "verdict": verdict.value,
        "detail": detail,
        "passed": float(verdict is Verdict.OK),
        "official_passed": 0.0,
        "changed_lines": diff_size(task.code, code) if code is not None else None,
        "valid": False,
        **about,
    }


def run_check(task: Method, code: str) -> dict[str, Any] | str:
    """Check an edited file in a process of its own; text: why the checker itself failed."""
    fields = ("method", "method_nodes", "class_name", "class_nodes")
    question = json.dumps({"code": code, **{name: getattr(task, name) for name in fields}})
    try:
        done = subprocess.run(
            [sys.executable, "-m", "rulewright.evaluation.refactor_check"],
            input=question,
            capture_output=True,
            text=True,
            timeout=_CHECK_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"the checker did not run: {error}"
    last = done.stderr.strip().rpartition("\n")[2] or f"exit {done.returncode}"
    if not done.stdout.startswith(READY):
        return f"the checker did not start: {last}"
    if done.returncode != 0:
        failed = {"parses": False, "official": False, "strict": False}
        return {**failed, "strict_reason": f"the parser gave up ({last})"}
    answer: dict[str, Any] = json.loads(done.stdout.removeprefix(READY))
    return answer
