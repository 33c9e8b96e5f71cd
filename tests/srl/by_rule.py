"""Policy training on tasks whose reward is any function of row and text, with a tiny model."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from rulewright.prompts import Message, Style
from rulewright.runs import RunDir
from rulewright.srl.scoring import Scored
from rulewright.training.policy import open_trainer, trainer_arguments
from rulewright.training.policy_config import PolicyConfig, Tasks
from rulewright.verdict import Verdict

pytest.importorskip("trl")


from rulewright.training.grpo import PolicyTrainer

Rule = Callable[[int, str], float | None]


class ByRule:
    """Tasks whose reward is any function of row and text."""

    def __init__(self, n: int, rule: Rule) -> None:
        self._n, self._rule = n, rule
        self.seen: list[int] = []

    def __len__(self) -> int:
        return self._n

    def prompt(self, row: int, style: Style) -> list[Message]:
        return [{"role": "user", "content": f"task {row} " + "1" * (row % 5)}]

    def group(self, row: int) -> str:
        return str(row)

    def reference(self, row: int) -> str:
        return f"reference {row}"

    def score(self, rows: Sequence[int], texts: Sequence[str], n_tokens: Sequence[int]) -> list[Scored]:
        self.seen += rows
        values = [self._rule(row, text) for row, text in zip(rows, texts, strict=True)]
        return [
            Scored(None, Verdict.INFRA, False)
            if value is None
            else Scored(value, Verdict.OK, value > 0.5, {"add_x": value})
            for value in values
        ]


def letters(row: int, text: str) -> float:
    """Something that a random model can learn: write letters."""
    return sum(c.isalpha() for c in text) / max(1, len(text))


def capitals(row: int, text: str) -> float:
    """The same, of capital letters: few of what a random model writes, whatever its tokens are."""
    return sum(c.isupper() for c in text) / max(1, len(text))


def odd_only(row: int, text: str) -> float:
    return letters(row, text) if row % 2 else 0.5


def settings(checkpoint: Path, out: Path, **changes: Any) -> PolicyConfig:
    trainer = {
        "per_device_train_batch_size": 8,
        "num_generations": 4,
        "max_completion_length": 6,
        "mask_truncated_completions": False,
        "max_steps": 4,
        "learning_rate": 1e-2,
        "lr_scheduler_type": "constant",
        "bf16": False,  # gradients are compared exactly
        "save_steps": 2,
        **changes.pop("trainer", {}),
    }
    values: dict[str, Any] = {"eval_rows": 4, "eval_every_steps": 2, **changes}
    return PolicyConfig(
        model=str(checkpoint), out=out / "model", reports=out / "reports", trainer=trainer, **values
    )


def open_policy(config: PolicyConfig, scorer: ByRule) -> PolicyTrainer:
    run = RunDir(config.out / "run")
    return open_trainer(config, Tasks(scorer, scorer, "test"), trainer_arguments(config, run))


def rows_of(trainer: PolicyTrainer, rows: Sequence[int]) -> list[dict[str, Any]]:
    return [dict(trainer.train_dataset[row]) for row in rows for _ in range(trainer.num_generations)]
