"""Shared by all adapters: a record as an episode with a cumulative reward; one engine per process.

Invariant: an episode earns the reward of `rulewright.environment`, `None` if our own machinery failed,
and the reward of an invalid answer if there was no answer.
"""

from __future__ import annotations

import atexit
import threading
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import lru_cache
from itertools import chain
from pathlib import Path
from typing import Final

from rulewright.data import store
from rulewright.data.schemas import NormalizedRecord
from rulewright.engine import Engine
from rulewright.environment import Environment, Task, Weights, task_of
from rulewright.errors import UsageError

MAX_STEPS: Final = 3
"""Actions of one episode."""
INVALID: Final = Weights().invalid
one_at_a_time: Final = threading.Lock()
"""To be held while the engine judges: OpenEnv plays every session in a thread of its own."""


@lru_cache(maxsize=1)
def engine() -> Engine:
    """The engine of this process, with one worker; it ends with the process."""
    made = Engine(workers=1)
    atexit.register(made.close)
    return made


def records(paths: Sequence[Path]) -> Iterator[NormalizedRecord]:
    """The records of files; fails as `data.store.load` does, and where there is none."""
    found = chain.from_iterable(map(store.load, paths))
    first = next(found, None)
    if first is None:
        raise UsageError(f"{', '.join(map(str, paths))}: no record", "name files of data/processed")
    yield first
    yield from found


def task_in(record: str) -> Task:
    """The task that a record poses, given as one line of JSON."""
    return task_of(NormalizedRecord.model_validate_json(record))


class RuleEpisode:
    """Actions on one task, one after another, until it is done.

    Args:
        record: one line of JSON.
        max_steps: actions at most.
    """

    def __init__(self, record: str, max_steps: int = MAX_STEPS) -> None:
        self._environment = Environment(engine())
        task = task_in(record)
        self.prompt = self._environment.reset(replace(task, max_steps=max_steps))
        self.n_steps = 0
        self.done = False
        self._earned: float | None = 0.0

    def step(self, answer: str) -> str:
        """Try an answer; return its outcome and the current code. After the end of the episode, nothing."""
        if self.done:
            return ""
        with one_at_a_time:
            made = self._environment.step(answer)
        self.n_steps += 1
        self.done = made.done
        self._earned = None if made.reward is None or self._earned is None else self._earned + made.reward
        return f"{made.observation or made.reason.value}\n\n{self._environment.snapshot().code}"

    @property
    def earned(self) -> float | None:
        """What the episode earned so far; `None`: could not be judged, which is our fault."""
        return self._earned if self.n_steps else INVALID
