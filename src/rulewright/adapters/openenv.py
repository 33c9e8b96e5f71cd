"""The environment for OpenEnv 0.10: in process, or served over HTTP and WebSocket.

    RULEWRIGHT_RECORDS=data/processed/dev/synth.jsonl uvicorn --factory rulewright.adapters.openenv:app

docs/guide/other-trainers.md shows a client. `reset(index=…)` chooses the task; without, they follow in order.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from openenv.core.env_server.http_server import create_fastapi_app
from openenv.core.env_server.interfaces import Environment
from openenv.core.env_server.types import Action, Observation, State

from rulewright.adapters.episodes import RuleEpisode, records
from rulewright.errors import UsageError

VARIABLE = "RULEWRIGHT_RECORDS"
"""Files of records to serve, separated by `:`."""


class RuleAction(Action):
    """What a model answered, raw."""

    answer: str


class RuleObservation(Observation):
    """The outcome; `reward` is the reward of this action, `None` if our own machinery failed."""

    prompt: str = ""
    """The messages to answer, as one text; at the start only."""
    said: str = ""
    """What came of the action, and how the code stands."""


class OpenEnvEnvironment(Environment[RuleAction, RuleObservation, State]):
    """Episodes on records.

    Args:
        lines: the records, each one line of JSON.
    """

    SUPPORTS_CONCURRENT_SESSIONS = True

    def __init__(self, lines: Sequence[str]) -> None:
        super().__init__()
        self._lines = lines
        self._next = 0
        self._episode: RuleEpisode | None = None
        self._id: str | None = None

    def reset(
        self, seed: int | None = None, episode_id: str | None = None, index: int | None = None, **_: Any
    ) -> RuleObservation:
        """Begin the episode of the record at `index`, or of the next one."""
        place = self._next if index is None else index
        self._next = place + 1
        self._episode, self._id = RuleEpisode(self._lines[place % len(self._lines)]), episode_id
        return RuleObservation(prompt="\n\n".join(one["content"] for one in self._episode.prompt))

    def step(self, action: RuleAction, timeout_s: float | None = None, **_: Any) -> RuleObservation:
        """Try an answer."""
        if self._episode is None:
            raise RuntimeError("no episode: reset() first")
        before = self._episode.earned if self._episode.n_steps else 0.0
        said, after = self._episode.step(action.answer), self._episode.earned
        reward = None if after is None or before is None else after - before
        return RuleObservation(said=said, reward=reward, done=self._episode.done)

    @property
    def state(self) -> State:
        """How many actions were tried."""
        return State(episode_id=self._id, step_count=self._episode.n_steps if self._episode else 0)


def app() -> Any:
    """The server of the files that the variable names.

    Raises:
        UsageError: it names none.
    """
    paths = [Path(name) for name in os.environ.get(VARIABLE, "").split(":") if name]
    if not paths:
        raise UsageError(f"{VARIABLE} is not set", f"{VARIABLE}=data/processed/dev/synth.jsonl")
    lines = [record.to_json() for record in records(paths)]
    return create_fastapi_app(lambda: OpenEnvEnvironment(lines), RuleAction, RuleObservation)
