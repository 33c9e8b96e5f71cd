"""The contract of the adapters: scripted episodes earn what the environment itself pays."""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import json
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from rulewright.actions import Action, render_action, render_response
from rulewright.adapters import episodes, trl
from rulewright.data.schemas import NormalizedRecord, RecordMetadata, record_id
from rulewright.environment import Environment, EnvironmentScorer, Weights, task_of

PRE = "def f(x, y):\n    if x == None:\n        return y == None\n    return x\n"
POST = "def f(x, y):\n    if x is None:\n        return y is None\n    return x\n"
RULES = {
    "general": ("$X == None", "$X is None"),
    "first": ("x == None", "x is None"),
    "second": ("y == None", "y is None"),
    "wide": ("$X == $Y", "$X is $Y"),
    "negated": ("$X == None", "$X is not None"),
    "nothing": ("zzz", "z"),
    "unbound": ("$X == None", "$Z is None"),
}
ANSWERS = {
    name: render_response(Action("python", ({"rule": {"pattern": pattern}, "fix": fix},)))
    for name, (pattern, fix) in RULES.items()
} | {"prose": "I would use `is`.", "empty": ""}
SCRIPTS = (
    ("general",), ("first", "second"), ("second", "first"), ("nothing", "general"),
    ("prose", "first", "second"),
    ("wide",), ("negated",), ("prose", "empty", "nothing"), ("first", "nothing", "second"),
    ("unbound", "general", "first"),
)  # fmt: skip


def record(**elsewhere: object) -> str:
    gold = Action("python", ({"rule": {"pattern": "$X == None"}, "fix": "$X is None"},))
    made = NormalizedRecord(
        instruction="Use `is None`.", pre=PRE, post=POST, language="python",
        metadata=RecordMetadata(
            id=record_id("i", PRE, POST, "python"), source="own", license="mit", group="g",
            action=render_action(gold), **elsewhere,
        ),
    )  # fmt: skip
    return made.to_json()


RECORDS = (
    record(),
    record(siblings=[{"pre": "a == None\n", "post": "a is None\n"}], negatives=["a == 1\n"]),
)
EPISODES = [(line, [ANSWERS[name] for name in script]) for line in RECORDS for script in SCRIPTS]


def wanted(line: str, answers: list[str]) -> float:
    """What the environment itself pays for an episode."""
    environment = Environment(episodes.engine())
    environment.reset(replace(episodes.task_in(line), max_steps=episodes.MAX_STEPS))
    total = 0.0
    for answer in answers:
        step = environment.step(answer)
        assert step.reward is not None
        total += step.reward
        if step.done:
            break
    return total


def by_trl(line: str, answers: list[str]) -> float | None:
    environment = trl.TrlEnvironment()
    environment.reset(record=line, prompt="not looked at")
    for answer in answers:
        assert environment.apply_rule(answer)
    return environment.get_reward()


class Scripted:
    """A model that answers by script, where verifiers has an agent: an interaction, and its trace."""

    def __init__(self, answers: list[str]) -> None:
        self._answers = iter(answers)
        self.rewards: dict[str, float] = {}
        self.trace = self

    @contextlib.asynccontextmanager
    async def interaction(self, task: object) -> AsyncIterator[Scripted]:
        yield self

    async def turn(self, message: str = "") -> SimpleNamespace:
        reply = next(self._answers, None)
        return SimpleNamespace(terminated=reply is None, last_reply=reply)

    def record_reward(self, name: str, value: float, weight: float) -> None:
        self.rewards[name] = value * weight

    def record_metric(self, name: str, value: float) -> None:
        assert value > 0


def by_verifiers(line: str, answers: list[str]) -> float | None:
    pytest.importorskip("verifiers", reason="the extra `verifiers` is not installed")
    module = importlib.import_module("rulewright.adapters.verifiers")
    writer = Scripted(answers)
    task = module.RuleTask(module.RuleData(prompt="p", record=line))
    asyncio.run(module.RuleEnv.run(None, task, SimpleNamespace(writer=writer)))
    return writer.rewards["earned"]


def by_openenv(line: str, answers: list[str]) -> float | None:
    pytest.importorskip("openenv", reason="the extra `openenv` is not installed")
    module = importlib.import_module("rulewright.adapters.openenv")
    environment = module.OpenEnvEnvironment([line])
    observation = environment.reset()
    assert PRE in observation.prompt
    total = 0.0
    for answer in answers:
        observation = environment.step(module.RuleAction(answer=answer))
        total += observation.reward or 0.0
        if observation.done:
            break
    return total


@pytest.mark.parametrize("play", [by_trl, by_verifiers, by_openenv])
def test_twenty_scripted_episodes_earn_the_same(play: Callable[[str, list[str]], float | None]) -> None:
    assert len(EPISODES) == 20
    earned = [play(line, answers) for line, answers in EPISODES]
    assert earned == pytest.approx([wanted(line, answers) for line, answers in EPISODES])
    assert len(set(earned)) > 8, "the episodes differ"


def test_episodes_in_threads_of_their_own_earn_the_same() -> None:
    with ThreadPoolExecutor(8) as threads:
        earned = list(threads.map(lambda one: by_trl(*one), EPISODES * 5))
    assert earned == pytest.approx([wanted(line, answers) for line, answers in EPISODES] * 5)


def test_trls_reward_function_pays_single_answers() -> None:
    texts = list(ANSWERS.values())
    for line in RECORDS:
        task = episodes.task_in(line)
        scorer = EnvironmentScorer([task], episodes.engine(), None, Weights())
        expected = [scored.value for scored in scorer.score([0] * len(texts), texts, [0] * len(texts))]
        columns: dict[str, Any] = {
            "record": [line] * len(texts),
            "prompts": [[]] * len(texts),
            "trainer_state": None,
        }
        assert trl.reward(texts, **columns) == expected
        messages = [[{"role": "assistant", "content": text}] for text in texts]
        assert trl.reward(messages, **columns) == expected


def test_an_episode_without_an_answer_earns_what_an_invalid_one_does() -> None:
    environment = trl.TrlEnvironment()
    environment.reset(record=RECORDS[0])
    assert environment.get_reward() == Weights().invalid
    assert "is None" in environment.apply_rule(ANSWERS["general"])
    assert environment.apply_rule(ANSWERS["general"]) == "the task is over"
    assert environment.get_reward() == wanted(RECORDS[0], [ANSWERS["general"]])


def test_dataset_rows_hold_the_prompt_and_nothing_of_what_judges(tmp_path: Path) -> None:
    (tmp_path / "records.jsonl").write_text(RECORDS[1] + "\n", encoding="utf-8")
    assert trl.write_rows([tmp_path / "records.jsonl"], tmp_path / "rows.jsonl") == 1
    row = json.loads((tmp_path / "rows.jsonl").read_text(encoding="utf-8"))
    assert PRE in row["prompt"][-1]["content"] and "a == None" not in json.dumps(row["prompt"])
    assert task_of(NormalizedRecord.model_validate_json(row["record"])) == episodes.task_in(RECORDS[1])


@pytest.mark.parametrize("text", [None, "", "not JSON\n"])
def test_files_without_a_record_are_named_in_one_line(tmp_path: Path, text: str | None) -> None:
    given, out = tmp_path / "records.jsonl", tmp_path / "rows.jsonl"
    if text is not None:
        given.write_text(text)
    command = [sys.executable, "-m", "rulewright.adapters.trl", str(given), str(out)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode in (1, 2) and done.stderr.startswith(f"error: {given}")
    assert "hint: " in done.stderr and not out.exists()
