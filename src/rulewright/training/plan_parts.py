"""What the plans of all stages share: the place of a run, and what an estimate holds."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal, NamedTuple, Self

from rulewright.training.architecture import Architecture
from rulewright.training.config import Dtype, weights_dtype
from rulewright.training.duration import Machine, Span
from rulewright.training.lengths import Lengths
from rulewright.training.memory import Setup, Sharding

Stage = Literal["sft", "srl", "grpo"]
Phases = dict[str, dict[str, float]]
"""GiB that each phase adds to what is there all the time, by part."""

# Phases of generation: what memory does not suffice for is halved, and goes on, where weights are whole.
HALVED: Final = ("rollouts", "answers")

# Where the longest answer's length is left to the run: this much beyond the longest right one.
_LONGER: Final = 1.1


@dataclass(frozen=True)
class Place:
    """Where a run is to take place, and what it trains there."""

    machine: Machine
    architecture: Architecture
    sharding: Sharding
    ask_at_once: int = 1 << 30
    """Held-out answers that are generated together, at most: memory does not suffice for more."""

    @property
    def sharded(self) -> bool:
        """Whether no device holds all weights."""
        return self.sharding in ("fsdp", "zero3") and self.machine.devices > 1


class Data(NamedTuple):
    """Lengths of the records to train on, and of those held out."""

    train: Lengths
    dev: Lengths
    n_dev: int
    """Held-out records that are evaluated."""
    tested_rate: float = 0.0
    """Share of the training tasks whose tests are run on every answer."""


class Estimate(NamedTuple):
    """What a run does, and how long each part takes in all."""

    steps: int
    rows_per_step: int
    n_tokens: int
    """Trained, without padding."""
    seconds: dict[str, Span]
    """By part of the run; `training` is one of them."""
    notes: list[str]


class Run(ABC):
    """One configured run: its data, where it takes place, and all that follows from them."""

    data: Data
    place: Place

    @abstractmethod
    def setup(self) -> Setup:
        """The largest micro-batch in training."""

    @abstractmethod
    def phases(self) -> Phases:
        """GiB that each phase adds."""

    @abstractmethod
    def estimate(self) -> Estimate:
        """Steps, tokens and seconds."""

    @abstractmethod
    def halved(self, phase: str) -> tuple[Self, int] | None:
        """With half as many sequences generated together, and how many; `None` where it is one already."""

    @abstractmethod
    def knobs(self, phase: str) -> Iterator[tuple[str, Self]]:
        """Single changes that make a phase smaller, the mildest first."""

    def refused(self) -> str:
        """Why `train` will not start, whatever the memory; empty where it will."""
        return ""


def weight_bytes(wanted: Dtype, adapters: bool, quantized: bool, place: Place) -> int:
    """Bytes of an unquantized weight in memory, as training decides it (`weights_dtype`).

    Args:
        wanted: as configured.
        adapters: whether only adapters are trained.
        quantized: whether the layers are in 4 bits.
        place: where; sharded optimizers update float32 copies of their own.
    """
    held, _ = weights_dtype(
        wanted, adapters=adapters, quantized=quantized, masters=place.sharding != "none",
        fast=place.machine.fast_bf16,
    )  # fmt: skip
    return 4 if held == "float32" else 2


def recomputes(options: Mapping[str, Any], place: Place) -> bool:
    """Whether a layer's intermediates are computed again in the backward pass."""
    for name in ("activation_checkpointing", "gradient_checkpointing"):
        if options.get(name) is not None:
            return bool(options[name])
    return not place.machine.is_cpu


def longest_answer(wanted: object, answers: Lengths) -> int:
    """Tokens that a held-out answer may have; `auto`: the longest right one and 10 % more."""
    return wanted if isinstance(wanted, int) else round(_LONGER * answers.longest_answer)


def batches(options: Mapping[str, Any], default: int) -> tuple[int, int]:
    """Rows of a micro-batch on one device, and micro-batches of a step; as configured or TRL's own."""
    rows = int(options.get("per_device_train_batch_size", default))
    return rows, int(options.get("gradient_accumulation_steps", 1))


def option_text(options: Mapping[str, Any]) -> str:
    """Trainer options as a person would write them on one line."""
    return ", ".join(f"trainer.{key}: {str(value).lower()}" for key, value in options.items())
