"""Before a run: records, tokens, steps, memory by part and time; whether it fits, and why.

Reads the same configuration as `train sft`, and the data itself; imports no torch. Tokens
are counted with the checkpoint's tokenizer where it lies here, and estimated otherwise
(said so).
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from typing import Any, Final

from rulewright import console
from rulewright.data.mix import mix
from rulewright.errors import UsageError
from rulewright.generation.open import checkpoint_note
from rulewright.state.state import count_tokens
from rulewright.training.architecture import Architecture
from rulewright.training.config import SftConfig, check, style_of, weights_dtype
from rulewright.training.data import Form
from rulewright.training.memory import DEVICES, GIB, Device, Setup, Sharding, flop_per_token, parts

_SAMPLE: Final = 512
"""Records whose tokens are counted; the rest is taken to be alike."""
# Measured (docs/training.md): a step of a tiny model on one core costs this much besides its
# arithmetic, which runs at this rate.
_CPU_STEP_S: Final = 0.03
_CPU_GFLOPS: Final = 25.0
# TRL's defaults, where the configuration says nothing.
_EPOCHS: Final = 3.0
_BATCH: Final = 8


@dataclass(frozen=True)
class Plan:
    """The estimate; every field is a number or its reason."""

    model: str
    n_parameters: int
    n_trained: int
    n_records: int
    n_rows: int
    """Records that fit into `max_length_tokens`."""
    tokens_per_row: float
    counted: str
    """How tokens were counted."""
    n_tokens: int
    """Trained in all: all passes over all rows."""
    steps: int
    rows_per_step: int
    device: str
    devices: int
    memory_gib: dict[str, float]
    total_gib: float
    available_gib: float
    fits: bool
    why: str
    tokens_per_s: tuple[float, float]
    """All devices together, from and to."""
    hours: tuple[float, float]


def make(config: SftConfig, device: str, devices: int, sharding: Sharding, memory_gib: float = 0.0) -> Plan:
    """Estimate a run.

    Args:
        config: as for `train sft`.
        device: a key of `memory.DEVICES`, or `cpu`.
        devices: how many.
        sharding: how weights and optimizer are spread over them.
        memory_gib: what a device has, if it is not what the table says.
    """
    check(config)
    arch = Architecture.of_tiny(config.tiny) if config.tiny else Architecture.of(config.model)
    rows = _count(config)
    options = config.trainer
    per_device = int(options.get("per_device_train_batch_size", _BATCH))
    accumulation = int(options.get("gradient_accumulation_steps", 1))
    packed = bool(options.get("packing"))
    length = config.max_length_tokens if packed else rows.longest
    per_row = config.max_length_tokens / max(1.0, rows.mean) if packed else 1.0
    rows_per_step = max(1, round(per_device * accumulation * devices * per_row))
    steps = _steps(options, rows.n, rows_per_step)
    held, _ = weights_dtype(
        config.dtype, adapters=config.lora is not None, quantized=config.quantize != "none",
        masters=sharding != "none", fast=device != "cpu",
    )  # fmt: skip
    setup = Setup(
        arch, per_device * length, config.lora.r if config.lora else 0, config.quantize == "nf4",
        4 if config.tiny or held == "float32" else 2, sharding, devices,
        checkpointing=bool(options.get("activation_checkpointing", device != "cpu")),
        masked=packed and config.attention in ("sdpa", "eager"),
    )  # fmt: skip
    n_tokens = round(steps * rows_per_step * rows.mean)
    target = _device(device, memory_gib)
    memory = _memory(setup, device)
    total = sum(memory.values())
    rate = _rate(setup, target, devices, rows_per_step, rows.mean, round(rows.mean))
    return Plan(
        model=config.model or arch.name,
        n_parameters=arch.total,
        n_trained=setup.trained,
        n_records=rows.n_records,
        n_rows=rows.n,
        tokens_per_row=round(rows.mean, 1),
        counted=rows.how,
        n_tokens=n_tokens,
        steps=steps,
        rows_per_step=rows_per_step,
        device=target.name,
        devices=devices,
        memory_gib={name: round(value, 2) for name, value in memory.items()},
        total_gib=round(total, 1) if total >= 1 else round(total, 3),
        available_gib=target.memory_gib,
        fits=total <= target.memory_gib,
        why=_why(memory, target, setup),
        tokens_per_s=(round(rate[0]), round(rate[1])),
        hours=(round(n_tokens / rate[1] / 3600, 3), round(n_tokens / rate[0] / 3600, 3)),
    )


def is_small(config: SftConfig) -> bool:
    """Whether a CPU is where this model is trained: under 50 M parameters."""
    if config.tiny is not None:
        return True
    return Architecture.of(config.model).total < 50_000_000


@dataclass(frozen=True)
class _Rows:
    n_records: int
    n: int
    mean: float
    longest: int
    how: str


def _count(config: SftConfig) -> _Rows:
    records = mix(config.mix, config.seed, config.limit or None, config.mix_policy)
    noted = checkpoint_note(config.model).get("prompt_style") if config.model else None
    form = Form(config.task, style_of(config, noted), config.think)
    count, how = _counter(config)
    lengths = []
    n_sampled = 0
    for record in islice(records, _SAMPLE):
        n_sampled += 1
        answer = form.answer(record)
        if isinstance(answer, str):
            text = "".join(message["content"] for message in form.prompt(record))
            # Role marks and end tokens of the chat template.
            lengths.append(count(text) + count(answer) + (4 if config.tiny else 12))
    kept = [n for n in lengths if n <= config.max_length_tokens or not config.drop_long]
    if not kept:
        raise UsageError(
            f"none of {n_sampled} sampled records fits into {config.max_length_tokens} tokens",
            "raise max_length_tokens, or name other records",
        )
    kept = [min(n, config.max_length_tokens) for n in kept]
    n = round(len(records) * len(kept) / n_sampled)
    return _Rows(len(records), n, sum(kept) / len(kept), max(kept), how)


def _counter(config: SftConfig) -> tuple[Callable[[str], int], str]:
    """A way to count tokens, and its name."""
    if config.tiny is not None:
        from rulewright.training.tiny import PIECES

        pieces = re.compile(PIECES)
        # A small vocabulary cuts names into pieces of about three letters.
        return (
            lambda text: sum(-(-len(piece) // 3) if piece.isalpha() else 1 for piece in pieces.findall(text)),
            "estimated (its tokenizer is not made yet)",
        )
    path = Path(config.model) / "tokenizer.json"
    if path.is_file():
        try:
            from tokenizers import Tokenizer
        except ImportError:
            return count_tokens, "estimated, at the upper side (tokenizers is not installed)"
        tokenizer = Tokenizer.from_file(str(path))
        return (lambda text: len(tokenizer.encode(text).ids)), f"counted on {_SAMPLE} records"
    return count_tokens, "estimated, at the upper side (no tokenizer here)"


def _steps(options: dict[str, Any], n_rows: int, rows_per_step: int) -> int:
    if int(options.get("max_steps", -1)) > 0:
        return int(options["max_steps"])
    return max(1, round(n_rows / rows_per_step * float(options.get("num_train_epochs", _EPOCHS))))


def _device(name: str, memory_gib: float) -> Device:
    if name == "cpu":
        return Device("CPU", memory_gib or _free_memory_gib(), 0.0)
    device = DEVICES[name]
    return Device(device.name, memory_gib or device.memory_gib, device.tflops, device.use)


def _free_memory_gib() -> float:
    """Memory that this machine could give, by /proc/meminfo; 0 where that is unknown."""
    path = Path("/proc/meminfo")
    if not path.exists():
        return 0.0
    found = re.search(r"MemAvailable:\s+(\d+) kB", path.read_text(encoding="ascii"))
    return round(int(found.group(1)) * 1024 / GIB, 1) if found else 0.0


def _memory(setup: Setup, device: str) -> dict[str, float]:
    memory = parts(setup)
    if device == "cpu":
        # Python with torch, transformers and TRL, measured.
        memory["context and fragmentation"] = 0.6
    return memory


def _rate(
    setup: Setup, device: Device, devices: int, rows_per_step: int, mean: float, length: int
) -> tuple[float, float]:
    """Tokens a second of all devices, from and to."""
    flop = flop_per_token(setup, length)
    if device.tflops:
        low, high = device.use
        return devices * low * device.tflops * 1e12 / flop, devices * high * device.tflops * 1e12 / flop
    tokens = rows_per_step * mean
    seconds = _CPU_STEP_S + tokens / devices * flop / (_CPU_GFLOPS * 1e9)
    return tokens / seconds / 1.5, tokens / seconds


def _why(memory: dict[str, float], device: Device, setup: Setup) -> str:
    total = sum(memory.values())
    if total <= device.memory_gib:
        return f"{total:.1f} of {device.memory_gib:.1f} GiB"
    largest = max(memory, key=lambda name: memory[name])
    advice = []
    if not setup.lora_r:
        advice.append("train adapters (`lora`)")
    elif not setup.quantized:
        advice.append("`quantize: nf4`, or shard the weights (--sharding fsdp)")
    if largest in ("saved activations", "one layer or the head at work", "mask of packed rows"):
        advice.insert(0, "a smaller batch or max_length_tokens")
    if setup.sharding == "none" and setup.devices > 1 and not setup.quantized:
        advice.append("--sharding zero3")
    return (
        f"{total:.1f} GiB needed, {device.memory_gib:.1f} there; most is {largest} "
        f"({memory[largest]:.1f} GiB): {'; '.join(advice) or 'a larger device'}"
    )


def show(plan: Plan) -> None:
    """The plan for a person."""
    console.say(
        f"{plan.model}: {plan.n_parameters / 1e6:,.2f} M parameters, {plan.n_trained / 1e6:,.2f} M trained"
    )
    console.say(
        f"data: {plan.n_rows:,} of {plan.n_records:,} records fit, "
        f"{plan.tokens_per_row:,.0f} tokens each ({plan.counted})"
    )
    console.say(f"steps: {plan.steps:,} of {plan.rows_per_step:,} rows, {plan.n_tokens:,} tokens in all")
    rows = [[name, f"{value:.2f}"] for name, value in plan.memory_gib.items()]
    console.say(console.table(["memory", "GiB a device"], [*rows, ["total", f"{plan.total_gib:.2f}"]]))
    low, high = plan.hours
    console.say(
        f"time: {_duration(low)} to {_duration(high)} on {plan.devices} × {plan.device} "
        f"({plan.tokens_per_s[0]:,.0f} to {plan.tokens_per_s[1]:,.0f} tokens/s, estimated)"
    )
    console.say(f"{'fits' if plan.fits else 'DOES NOT FIT'}: {plan.why}")


def _duration(hours: float) -> str:
    return f"{hours:.1f} h" if hours >= 1 else f"{max(1, round(hours * 60))} min"


def to_json(plan: Plan) -> dict[str, Any]:
    value: dict[str, Any] = json.loads(json.dumps(asdict(plan)))
    return value
