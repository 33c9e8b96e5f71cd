"""Benchmarks of two tracks: the model writes the whole program, or rules that are applied to it."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from contextlib import ExitStack
from typing import Any, TypeVar

from rulewright.engine import Engine, Judged, Request, judge_answers
from rulewright.evaluation import tables
from rulewright.evaluation.harness import Answer, Benchmark, Row
from rulewright.evaluation.settings import CanItEditConfig, RefactorConfig
from rulewright.prompts import Style

Config = TypeVar("Config", CanItEditConfig, RefactorConfig)


class TwoTracks(Benchmark[Config]):
    """A benchmark that runs or checks the Python program that an answer comes to."""

    engine: Engine | None = None
    """Applies rules; `None` on the track of text."""
    style: Style = "full"

    @property
    def run_name(self) -> str:
        return self.measures.name + ("_actions" if self.config.track == "actions" else "")

    @property
    def judges(self) -> bool:
        return self.config.track == "actions"

    @abstractmethod
    def program(self, task: str) -> str:
        """What is to be edited."""

    def open_engine(self, stack: ExitStack, deadline_s: float = 5.0) -> None:
        if self.config.track == "actions":
            self.engine = stack.enter_context(Engine(deadline_s=deadline_s))

    def applied(self, answers: Sequence[Answer]) -> Sequence[Judged | None]:
        """What came of each answer's rules; `None` for each on the track of text."""
        if self.engine is None:
            return [None] * len(answers)
        asked = [Request(answer.text, self.program(answer.item.task), "python") for answer in answers]
        return judge_answers(self.engine, asked)

    def summary(self, rows: Sequence[Row]) -> dict[str, Any]:
        """The track, and the tasks that the official check alone lets pass."""
        usable = tables.counted(rows)
        false = sorted({r["task"] for r in usable if r["official_passed"] and not r["passed"]})
        return {"track": self.config.track, "false_passes": false}
