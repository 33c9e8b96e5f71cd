"""Shared by the plans of all stages: the run, its device, and the fields of an estimate."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final, Literal, NamedTuple, Self

from rulewright.generation.base import GPU_ROWS, cpu_rows
from rulewright.training.architecture import Architecture
from rulewright.training.config import weights_dtype
from rulewright.training.duration import Machine, Range
from rulewright.training.lengths import Lengths
from rulewright.training.memory import GIB, Answers, Setup, Sharding

Stage = Literal["sft", "srl", "grpo"]
Phases = dict[str, dict[str, float]]
"""GiB that each phase adds to what is there all the time, by part."""

# Phases of generation: what memory does not suffice for is halved, and goes on, where weights are whole.
HALVED: Final = ("rollouts", "answers")

# TRL's and our own default of `per_device_train_batch_size`.
BATCH: Final = 8
# TRL's and transformers' default of `num_train_epochs`.
_EPOCHS: Final = 3.0


class Data(NamedTuple):
    """Lengths of the records to train on, and of those held out."""

    train: Lengths
    dev: Lengths
    n_dev: int
    """Held-out records that are evaluated."""
    tested_rate: float = 0.0
    """Share of the training tasks whose tests are run on every answer."""


class Forecast(NamedTuple):
    """What a run does, and how long each part takes in all."""

    steps: int
    rows_per_step: int
    n_tokens: int
    """Trained, without padding."""
    seconds: dict[str, Range]
    """By part of the run; `training` is one of them."""
    notes: list[str]


@dataclass(frozen=True)
class PlannedRun(ABC):
    """One configured run: its data, its device, and everything derived from them."""

    config: Any
    data: Data
    machine: Machine
    architecture: Architecture
    sharding: Sharding
    ask_at_once: int = 1 << 30
    """Held-out answers that are generated together, at most: memory does not suffice for more."""

    @property
    def sharded(self) -> bool:
        """Whether no device holds all weights."""
        return self.sharding in ("fsdp", "zero3") and self.machine.devices > 1

    @abstractmethod
    def setup(self) -> Setup:
        """The largest micro-batch in training."""

    @abstractmethod
    def phases(self) -> Phases:
        """GiB that each phase adds."""

    @property
    @abstractmethod
    def longest(self) -> int:
        """Tokens of the longest text that is trained on."""

    @abstractmethod
    def forecast(self) -> Forecast:
        """Steps, tokens and seconds."""

    @abstractmethod
    def halved(self, phase: str) -> tuple[Self, int] | None:
        """With half as many sequences generated together, and how many; `None` where it is one already."""

    @abstractmethod
    def knobs(self, phase: str) -> Iterator[tuple[str, Self]]:
        """Single changes that make a phase smaller, the mildest first."""

    def refused(self) -> str:
        """Why `train` will not start, regardless of memory; empty if it will."""
        return ""

    def option(self, name: str, default: Any) -> Any:
        """A trainer option as configured, or what the run takes instead."""
        return self.config.trainer.get(name, default)

    def batches(self) -> tuple[int, int]:
        """Rows of a micro-batch on one device, and micro-batches of a step."""
        rows = int(self.option("per_device_train_batch_size", BATCH))
        return rows, int(self.option("gradient_accumulation_steps", 1))

    def epochs(self) -> float:
        """Passes over the data, where `max_steps` does not say more."""
        return float(self.option("num_train_epochs", _EPOCHS))

    def asking(self, step: Setup, usual: Answers, most: Answers, n: int) -> Range:
        """Seconds for so many answers, batch after batch, of the usual length to the longest."""
        machine = self.machine
        ends = Range(machine.generation_s(step, usual).low, machine.generation_s(step, most).high)
        return ends.times(math.ceil(n / max(1, most.rows)))

    def recomputes(self) -> bool:
        """Whether a layer's intermediates are computed again in the backward pass."""
        for name in ("activation_checkpointing", "gradient_checkpointing"):
            if self.option(name, None) is not None:
                return bool(self.option(name, None))
        return not self.machine.is_cpu

    def micro_batch(self, tokens: int, rows: int, masked: bool) -> Setup:
        """A micro-batch of this run."""
        config = self.config
        four_bits = config.quantize == "nf4"
        held, _ = weights_dtype(
            config.dtype, adapters=config.lora is not None, quantized=four_bits,
            masters=self.sharding != "none", fast=self.machine.fast_bf16,
        )  # fmt: skip
        return Setup(
            self.architecture, tokens, config.lora.r if config.lora else 0, four_bits,
            4 if held == "float32" else 2, self.sharding, self.machine.devices,
            checkpointing=self.recomputes(), masked=masked, rows=rows,
            eager=config.attention == "eager" or self.architecture.is_eager,
        )  # fmt: skip

    def own_rows(self, n_tokens: int) -> int:
        """Sequences that our own loop generates together; 0 where `generate` of transformers does it."""
        arch = self.architecture
        if not self.machine.is_cpu or self.config.quantize != "none" or not arch.attends_plainly:
            return 0
        return cpu_rows(arch.kv_bytes(n_tokens, 2 if self.machine.fast_bf16 else 4))

    def answers_at_once(self, n_tokens: int, least: int = 0) -> int:
        """Held-out answers that are generated together.

        Args:
            n_tokens: of prompt and answer.
            least: that a GPU answers at once.
        """
        rows = self.own_rows(n_tokens) or max(GPU_ROWS, least)
        return min(rows, max(1, self.data.n_dev), self.ask_at_once)

    def copied(self, step: Setup) -> dict[str, float]:
        """GiB that answering takes beside a model in training on a CPU: its weights once more, packed.

        `generation.cpu` makes that copy in the type that is multiplied, with the adapters merged. Of
        weights in float32 that are all trained, `memory.generation` counts one as autocast's.
        """
        arch = self.architecture
        if not self.own_rows(1) or step.kind == "all32":
            return {}
        each = 2 if self.machine.fast_bf16 else step.weight_bytes
        edge = 0 if each == step.weight_bytes else arch.embeddings
        return {"copy to answer with": each * (arch.body + edge) / GIB}

    def changed(self, **fields: Any) -> Self:
        """This run with other values of its configuration."""
        return replace(self, config=self.config.model_copy(update=fields))

    def with_options(self, options: Mapping[str, Any]) -> tuple[str, Self]:
        """This run with other trainer options, and how the user would write them."""
        text = ", ".join(f"trainer.{key}: {str(value).lower()}" for key, value in options.items())
        return text, self.changed(trainer={**self.config.trainer, **options})

    def smaller_batches(self) -> Iterator[tuple[str, Self]]:
        """Micro-batches of half the rows, and of half of that, …"""
        rows, accumulated = self.batches()
        while rows % 2 == 0:
            rows, accumulated = rows // 2, accumulated * 2
            yield self.with_options(
                {"per_device_train_batch_size": rows, "gradient_accumulation_steps": accumulated}
            )
