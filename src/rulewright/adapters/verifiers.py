"""The environment for verifiers 0.4 (`vf-eval`, prime-rl): a taskset, and an env that plays its episodes.

verifiers finds a plugin by the name of a top-level module, so a module of yours names this one:

    from rulewright.adapters.verifiers import RuleEnv, RuleTaskset
    __all__ = ["RuleEnv", "RuleTaskset"]

docs/guide/other-trainers.md has the command. If our own machinery fails to judge an answer, the episode
fails, and verifiers tries it again.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import verifiers.v1 as vf
from pydantic import Field

from rulewright.adapters.episodes import RuleEpisode, records
from rulewright.environment import prompt_of, task_of
from rulewright.errors import RulewrightError
from rulewright.prompts import Style

__all__ = ["RuleEnv", "RuleTaskset"]


class RuleTasksetConfig(vf.TasksetConfig):
    """Where the tasks are."""

    records: list[Path] = Field(default_factory=list)
    """Files of records (`data/processed/…/*.jsonl`)."""
    style: Style = "full"
    """How the model was taught to be asked."""


class RuleData(vf.TaskData):
    """A task as it travels: what the model is asked, and the record that judges."""

    record: str
    """One line of JSON."""


class RuleTask(vf.Task[RuleData, vf.State, vf.TaskConfig]):
    """One record as a task; the env pays for the episode."""


class RuleTaskset(vf.Taskset[RuleTask, RuleTasksetConfig]):
    """The records of files."""

    def load(self) -> Iterator[RuleTask]:
        for record in records(self.config.records):
            # A compact prompt is the user's message alone.
            *system, user = (one["content"] for one in prompt_of(task_of(record), self.config.style))
            data = RuleData(
                id=record.metadata.id, system_prompt="\n\n".join(system) or None, prompt=user,
                record=record.to_json(),
            )  # fmt: skip
            yield RuleTask(data, self.config.task)


class RuleEnvConfig(vf.EnvConfig):
    """One agent: the model that writes rules."""

    # It only chats: a local process is enough.
    writer: vf.AgentConfig = vf.AgentConfig(harness={"id": "null"}, runtime={"type": "subprocess"})


class RuleEnv(vf.Env[RuleEnvConfig]):
    """Asks for an action, tries it, and reports the outcome, until the task is done."""

    async def run(self, task: Any, agents: Any) -> None:
        episode = RuleEpisode(task.data.record)
        async with agents.writer.interaction(task) as chat:
            segment = await chat.turn()
            while not segment.terminated:
                said = episode.step(segment.last_reply)
                if episode.done:
                    break
                segment = await chat.turn(said)
        if episode.earned is None:
            raise RulewrightError("an answer could not be judged", "verifiers tries the episode again")
        chat.trace.record_reward("earned", episode.earned, 1.0)
        chat.trace.record_metric("n_actions", float(episode.n_steps))
