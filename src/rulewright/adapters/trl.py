"""The environment for TRL: a reward function, and an environment for `environment_factory`.

    python -m rulewright.adapters.trl data/processed/train/synth.jsonl rows.jsonl
    trl grpo --reward_funcs rulewright.adapters.trl.reward …     # docs/guide/other-trainers.md

TRL itself is not imported: it takes plain functions and classes.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from rulewright import console, jsonl
from rulewright.adapters.episodes import INVALID, RuleEpisode, engine, one_at_a_time, records, task_in
from rulewright.environment import EnvironmentScorer, Weights, prompt_of, task_of
from rulewright.errors import RulewrightError
from rulewright.prompts import Style

# Templates without tools take what came of a call for the next message of the user.
_RESULTS_AS_MESSAGES: Final = (
    "{%- set told = namespace(messages=[]) -%}"
    "{%- for message in messages -%}"
    "{%- if message.role == 'tool' -%}"
    "{%- set told.messages = told.messages + [{'role': 'user', 'content': message.content}] -%}"
    "{%- elif message.tool_calls -%}"
    "{%- set calls = message.tool_calls | tojson -%}"
    "{%- set told.messages = told.messages + [{'role': 'assistant', 'content': calls}] -%}"
    "{%- else -%}"
    "{%- set told.messages = told.messages + [message] -%}"
    "{%- endif -%}"
    "{%- endfor -%}"
    "{%- set messages = told.messages -%}"
)


def reward(completions: Sequence[Any], record: Sequence[str], **_: Any) -> list[float | None]:
    """What single answers earn: a reward function of `GRPOTrainer` and the like.

    Args:
        completions: texts, or messages of which the last one is the answer.
        record: the dataset's column of that name, one for each completion.
    """
    tasks = [task_in(line) for line in record]
    scorer = EnvironmentScorer(tasks, engine(), None, Weights())
    texts = [one if isinstance(one, str) else str(one[-1]["content"]) for one in completions]
    with one_at_a_time:
        return [scored.value for scored in scorer.score(range(len(tasks)), texts, [0] * len(texts))]


class TrlEnvironment:
    """An episode of several actions: `GRPOTrainer(environment_factory=TrlEnvironment)`.

    The model must call tools, or its tokenizer be `answering`.
    """

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
            The outcome, and the current code.
        """
        return self._episode.step(answer) or "the task is over" if self._episode else "there is no task"

    def get_reward(self) -> float | None:
        """What the episode earned; one without any action counts as an invalid answer."""
        return self._episode.earned if self._episode else INVALID


def answering(tokenizer: Any) -> Any:
    """Let a chat model that writes `<action>` blocks, and calls no tools, act in `TrlEnvironment`.

    An answer with a block in it is read as a call of `apply_rule`, its outcome becomes the next user
    message, and an answer without one ends the episode.

    Args:
        tokenizer: of transformers; its `chat_template` and `response_template` are replaced.
    """
    asked = [{"role": "user", "content": "?"}]
    without, with_head = (
        tokenizer.apply_chat_template(asked, tokenize=False, add_generation_prompt=head)
        for head in (False, True)
    )
    end = rf"{re.escape(tokenizer.eos_token)}|$"
    call = {"name": "apply_rule", "arguments": {"answer": "{content}"}}
    tokenizer.chat_template = _RESULTS_AS_MESSAGES + tokenizer.chat_template
    tokenizer.response_template = {
        "defaults": {"role": "assistant"},
        "start_anchor": with_head.removeprefix(without),
        "fields": {
            "tool_calls": {
                "open_pattern": r"(?=[\s\S]*<action>)",
                "close_pattern": end,
                "repeats": True,
                "transform": {"type": "function", "function": call},
            },
            "content": {"close_pattern": end},
        },
    }
    return tokenizer


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
    try:
        console.say(f"{target}: {write_rows(given, target, chosen):,} rows")
    except RulewrightError as error:
        console.say(f"error: {error}")
        sys.exit(error.exit_code)
