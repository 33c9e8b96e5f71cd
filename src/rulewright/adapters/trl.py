"""The environment for TRL: a reward function, and an environment for `environment_factory`.

    python -m rulewright.adapters.trl data/processed/train/synth.jsonl rows.jsonl
    trl grpo --reward_funcs rulewright.adapters.trl.reward …     # docs/guide/other-trainers.md

TRL itself is not imported: it takes plain functions and classes.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rulewright import console, jsonl
from rulewright.adapters.episodes import INVALID, RuleEpisode, engine, records, task_in
from rulewright.environment import EnvironmentScorer, Weights, prompt_of, task_of
from rulewright.prompts import Style


def reward(completions: Sequence[Any], record: Sequence[str], **_: Any) -> list[float | None]:
    """What single answers earn: a reward function of `GRPOTrainer` and the like.

    Args:
        completions: texts, or messages of which the last one is the answer.
        record: the dataset's column of that name, one for each completion.
    """
    tasks = [task_in(line) for line in record]
    scorer = EnvironmentScorer(tasks, engine(), None, Weights())
    texts = [one if isinstance(one, str) else str(one[-1]["content"]) for one in completions]
    return [scored.value for scored in scorer.score(range(len(tasks)), texts, [0] * len(texts))]


class TrlEnvironment:
    """An episode of several actions: `GRPOTrainer(environment_factory=TrlEnvironment)`."""

    def __init__(self) -> None:
        self._episode: RuleEpisode | None = None

    def reset(self, record: str, **_: Any) -> None:
        """Begin the episode of a dataset row, whose prompt the model has."""
        self._episode = RuleEpisode(record)

    def apply_rule(self, answer: str) -> str:
        """
        Apply ast-grep rules to the code.

        Args:
            answer: One <action>…</action> block with the rules.

        Returns:
            What came of it, and the code as it stands now.
        """
        return self._episode.step(answer) or "the task is over" if self._episode else "there is no task"

    def get_reward(self) -> float | None:
        """What the episode earned; one without any action counts as an invalid answer."""
        return self._episode.earned if self._episode else INVALID


def write_rows(paths: Sequence[Path], out: Path, style: Style = "full") -> int:
    """Write a dataset for TRL: `prompt` (messages) and `record` (JSON) of each record; give how many."""
    rows = ({"prompt": prompt_of(task_of(one), style), "record": one.to_json()} for one in records(paths))
    return jsonl.write(out, rows)


if __name__ == "__main__":
    chosen: Style = "compact" if "--compact" in sys.argv else "full"
    names = [name for name in sys.argv[1:] if name != "--compact"]
    if len(names) < 2 or any(name.startswith("-") for name in names):
        console.say("usage: python -m rulewright.adapters.trl RECORDS.jsonl… ROWS.jsonl [--compact]")
        sys.exit(2)
    *given, target = map(Path, names)
    console.say(f"{target}: {write_rows(given, target, chosen):,} rows")
