"""Estimate the time of training and generation as a range: arithmetic, memory traffic, launches.

GPU figures are assumed, and marked as such: no GPU has been timed with this code. CPU figures are
measured for two seconds if torch is installed, otherwise assumed. This process does not import torch.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NamedTuple, Self

from rulewright.training.memory import GIB, Answers, Device, Setup, flop_per_token

# torchtune's README, Llama-3.1-8B on an RTX 4090, packed 2,048, compiled: QLoRA 2,413 tokens/s, LoRA 3,083.
QLORA: Final = 2413 / 3083
# Of memory bandwidth, that generating reaches: assumed.
_TRAFFIC: Final = (0.9, 0.6)
# A decoding step of transformers launches some 30 kernels a layer from Python, twice as many with adapters:
# seconds a layer, assumed.
_LAUNCH_S: Final = (0.3e-3, 0.8e-3)
_LAUNCH_ADAPTER_S: Final = (0.6e-3, 1.5e-3)
# Of a server's card, that its weights may take: the rest is for keys and values.
_SERVED_SHARE: Final = 0.7
# NF4: a weight is read, written in bf16 and read again, for every decoding step of more than one row.
_DEQUANTIZED_BYTES: Final = (4 + 0.127) / 8 + 2 + 2
# Measured (docs/reference/training.md): a step of a tiny model on one core costs this much besides its
# arithmetic, which runs at this rate.
_TINY_STEP_S: Final = 0.03
_TINY_GFLOPS: Final = 25.0
# A thread of a recent x86 core, in float32 and in bf16 without instructions for it: stated.
_STATED_GFLOPS: Final = 40.0
# Of the rate of one large product, that a whole step reaches on a CPU.
_CPU_USE: Final = (0.35, 0.8)
_CPU_GB_PER_S: Final = 10.0
_CPU_LAUNCH_S: Final = (0.2e-3, 1e-3)
_PROBE_S: Final = 2.0
_MULTIPLY: Final = Path(__file__).with_name("multiply.py")


class Range(NamedTuple):
    """From and to."""

    low: float
    high: float

    def __add__(self, other: object) -> Range:
        if not isinstance(other, Range):
            return NotImplemented
        return Range(self.low + other.low, self.high + other.high)

    def times(self, factor: float) -> Range:
        return Range(self.low * factor, self.high * factor)


@dataclass(frozen=True)
class Cpu:
    """What this machine's threads multiply, GFLOP a second."""

    float32: float
    bfloat16: float
    measured: bool

    @property
    def how(self) -> str:
        """For people."""
        source = "measured here" if self.measured else "stated, not measured"
        return f"{self.float32:,.0f} GFLOP/s in float32, {self.bfloat16:,.0f} in bf16 ({source})"

    @classmethod
    def stated(cls, threads: int) -> Self:
        return cls(_STATED_GFLOPS * threads, _STATED_GFLOPS * threads, measured=False)

    @classmethod
    def probe(cls, hidden: int, mlp: int, threads: int) -> Self:
        """Multiply matrices of a model's size for two seconds, in a process of its own."""
        command = [sys.executable, str(_MULTIPLY), "512", str(hidden), str(mlp), str(threads), str(_PROBE_S)]
        environ = {**os.environ, "OMP_NUM_THREADS": str(threads), "CUDA_VISIBLE_DEVICES": ""}
        try:
            done = subprocess.run(
                command, capture_output=True, text=True, timeout=60, check=True, env=environ
            )
            found = json.loads(done.stdout)
        except (OSError, ValueError, subprocess.SubprocessError):
            return cls.stated(threads)
        return cls(found["float32"], found["bfloat16"], measured=True)


@dataclass(frozen=True)
class Machine:
    """Where a run is to take place."""

    device: Device
    devices: int = 1
    cpu: Cpu | None = None
    """Of a CPU; `None`: a tiny model, whose steps were measured."""

    @property
    def is_cpu(self) -> bool:
        return not self.device.tflops

    @property
    def fast_bf16(self) -> bool:
        """Whether bf16 is multiplied faster than float32."""
        return not self.is_cpu or (self.cpu is not None and self.cpu.bfloat16 > 1.2 * self.cpu.float32)

    def _gflops(self) -> float:
        assert self.cpu is not None
        # Weights in float32 too are multiplied in bf16 where that is faster.
        return max(self.cpu.float32, self.cpu.bfloat16)

    def training_s(self, setup: Setup, tokens: float, length: float, passes: int = 0) -> Range:
        """Seconds of one device to train on `tokens` in micro-batches as `setup` says.

        Args:
            setup: what is trained.
            tokens: padded ones too.
            length: of a sequence.
            passes: more forward passes over them, without gradients.
        """
        flop = flop_per_token(setup, round(length)) + passes * forward_flop(setup)
        if self.is_cpu:
            return self._cpu_s(tokens * flop, tokens / max(1, setup.tokens))
        low, high = self.device.use
        slower = QLORA if setup.quantized else 1.0
        seconds = tokens * flop / (self.device.tflops * 1e12 * slower)
        gathers = 0.0
        if setup.sharding in ("fsdp", "zero3") and self.devices > 1:
            # Sharded weights are gathered for the forward and for the backward pass of a micro-batch.
            weights = setup.architecture.total * min(2, setup.weight_bytes) * (1 - 1 / self.devices)
            once = 2 * weights / (self.device.link_gb_per_s * 1e9)
            gathers = tokens / max(1, setup.tokens) * once
        return Range(seconds / high + gathers, seconds / low + gathers)

    def forward_s(self, setup: Setup, tokens: float) -> Range:
        """Seconds of one device to read tokens: prompts, or rows whose loss is asked."""
        flop = tokens * forward_flop(setup)
        if self.is_cpu:
            return self._cpu_s(flop, 1)
        low, high = self.device.use
        return Range(flop / (self.device.tflops * 1e12) / high, flop / (self.device.tflops * 1e12) / low)

    def generation_s(self, setup: Setup, answers: Answers) -> Range:
        """Seconds of one device to generate with transformers: the prompts, then token by token."""
        steps = answers.completion
        prompt = self.forward_s(setup, answers.rows * answers.prompt)
        arch = setup.architecture
        moved = setup.body_bytes(_DEQUANTIZED_BYTES) + arch.head * setup.weight_bytes
        moved += answers.rows * arch.kv_bytes(answers.prompt + answers.completion // 2)
        if self.is_cpu:
            a_step = self._cpu_s(answers.rows * forward_flop(setup), 1)
            floor = moved / (_CPU_GB_PER_S * 1e9)
            launch = Range(*(arch.layers * each_s for each_s in _CPU_LAUNCH_S))
            a_step = Range(max(a_step.low + launch.low, floor), max(a_step.high + launch.high, floor))
        else:
            launches = _LAUNCH_ADAPTER_S if setup.lora_r else _LAUNCH_S
            a_step = Range(
                *(
                    max(moved / (share * self.device.gb_per_s * 1e9), arch.layers * launch_s)
                    for share, launch_s in zip(_TRAFFIC, launches, strict=True)
                )
            )
        return prompt + a_step.times(steps)

    def served_s(self, setup: Setup, answers: Answers) -> Range:
        """Seconds of a vLLM server to generate: on one card of this kind, its weights in bf16, or 8 bits.

        A server has no launches to wait for, and reads its weights as they lie.
        """
        arch = setup.architecture
        fits = 2 * arch.total <= _SERVED_SHARE * self.device.memory_gib * GIB
        moved = float(arch.body * (2 if fits or self.is_cpu else 1) + 2 * arch.head)
        moved += answers.rows * arch.kv_bytes(answers.prompt + answers.completion // 2)
        gb_per_s = _CPU_GB_PER_S if self.is_cpu else self.device.gb_per_s
        steps = Range(*(answers.completion * moved / (share * gb_per_s * 1e9) for share in _TRAFFIC))
        if self.is_cpu:
            steps = steps + self.forward_s(setup, answers.rows * answers.completion)
        return self.forward_s(setup, answers.rows * answers.prompt) + steps

    def _cpu_s(self, flop: float, steps: float) -> Range:
        if self.cpu is None:
            seconds = _TINY_STEP_S * steps + flop / (_TINY_GFLOPS * 1e9)
            return Range(seconds, 1.5 * seconds)
        low, high = _CPU_USE
        return Range(flop / (self._gflops() * 1e9) / high, flop / (self._gflops() * 1e9) / low)


def forward_flop(setup: Setup) -> float:
    """FLOP to read one token: two for each weight that it meets."""
    return 2.0 * (setup.architecture.met + setup.architecture.head)
