"""Estimate the memory of a run on one device, by part and phase.

Phases: training (a micro-batch, forward and backward), generation (rollouts or held-out
answers), evaluation (the loss of a batch). Bytes a token are counted, not guessed: every
allocation of such a step on a CPU, with the kernels that a GPU replaces left out
(`tests/training/test_memory.py`, which fails when a release changes them). Not counted are
what a GPU adds (context, dequantized blocks, fragmentation): `OVERHEAD_GIB`. The logits of
training are never whole (TRL's fused head).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal, NamedTuple

from rulewright.training.architecture import Architecture

GIB: Final = 1 << 30
Sharding = Literal["none", "zero2", "zero3", "fsdp"]

# NF4 with double quantisation: 4 bits, and 0.127 bits of constants a weight (arXiv 2305.14314).
NF4_BYTES: Final = (4 + 0.127) / 8
# CUDA context, dequantised block, fragmentation: assumed.
OVERHEAD_GIB: Final = 2.0
# The fused head works on tiles of so many tokens and words (trl.kernels.chunked_logprob).
HEAD_TILE: Final = (4096, 32768)


class _Bytes(NamedTuple):
    """A layer's bytes a token, for each unit of hidden size, of attention's width, of the MLP's."""

    hidden: float
    attention: float
    mlp: float


class _Layer(NamedTuple):
    """What a layer needs, by what is trained and in which precision."""

    at_work: _Bytes
    """Recomputed, and its gradients."""
    saved: _Bytes
    """What it keeps where nothing is recomputed."""
    prompt: _Bytes
    """A prompt read at once, without gradients."""
    loss: _Bytes
    """The loss of a batch, without gradients and under autocast."""
    cached: int = 2
    """Bytes of a cached key or value."""


# A model with adapters generates outside of autocast, so float32 adapters make their outputs float32. Rotated
# keys come out of autocast in float32, values in bf16.
_LAYERS: Final = {
    "adapters16": _Layer(_Bytes(15.5, 8, 12), _Bytes(12.5, 8, 8), _Bytes(8, 0, 6), _Bytes(9.5, 1, 7)),
    "adapters32": _Layer(
        _Bytes(29.5, 10, 14), _Bytes(21, 9, 8), _Bytes(12.7, 0.5, 11.8), _Bytes(9.5, 1, 7)
    ),
    "adapters32 on float32": _Layer(
        _Bytes(29.5, 10, 14), _Bytes(21, 9, 8), _Bytes(17, 1, 15.5), _Bytes(13, 3, 10), cached=4
    ),
    "all16": _Layer(_Bytes(17, 10, 12), _Bytes(16, 10, 8), _Bytes(8, 0, 6), _Bytes(8, 0, 6)),
    "all32": _Layer(_Bytes(24, 10, 12), _Bytes(26, 10, 8), _Bytes(10, 6, 5), _Bytes(10, 6, 5), cached=3),
}  # fmt: skip
# Of a next token's logit: in the weights' type, in float32, and what sampling makes of it.
_LOGIT_BYTES: Final = 22
# Gemma 3 has two norms more in a layer, and all of them keep their steps in float32: bytes of hidden size,
# where adapters are trained and where all weights are.
_MORE_NORMS: Final = (8, 24)
# Without recomputation: the same layer's share beyond what it saved.
_GRADIENTS_AT_WORK: Final = _Bytes(14, 0, 4)


@dataclass(frozen=True)
class Device:
    """What a device has."""

    name: str
    memory_gib: float
    """Usable by one process."""
    tflops: float
    """bf16 dense peak; 0: a CPU."""
    gb_per_s: float = 0.0
    """Memory bandwidth."""
    link_gb_per_s: float = 20.0
    """Between two devices, each way: PCIe 4 as measured by others, or NVLink."""
    use: tuple[float, float] = (0.40, 0.70)
    """Share of the peak that training reaches, from and to."""


DEVICES: Final[dict[str, Device]] = {
    "rtx5090": Device("RTX 5090, 32 GB", 31.4, 209.5, 1792),
    "rtx4090": Device("RTX 4090, 24 GB", 23.5, 165.2, 1008),
    "a100": Device("A100, 80 GB", 79.1, 312.0, 2039, 200),
    "h100": Device("H100, 80 GB", 79.1, 989.0, 3350, 300),
    "h200": Device("H200, 141 GB", 139.8, 989.0, 4800, 300),
}


@dataclass(frozen=True)
class Setup:
    """What is trained, and how."""

    architecture: Architecture
    tokens: int
    """Of one micro-batch on one device: rows × padded length."""
    lora_r: int
    """0: all weights are trained."""
    quantized: bool
    weight_bytes: int
    """Of an unquantised weight in memory: 2 (bf16) or 4 (float32)."""
    sharding: Sharding = "none"
    devices: int = 1
    checkpointing: bool = True
    masked: bool = False
    """Whether `sdpa` gets a mask: rows are packed, or padded to one length (not with flash attention)."""
    rows: int = 1
    """That the tokens lie in; packed ones are joined into one."""
    adapter_bytes: int = 4
    """Of a trained adapter's weight in memory."""
    eager: bool = False
    """Whether attention computes all of its scores at once."""

    @property
    def trained(self) -> int:
        """Trainable parameters."""
        return self.architecture.lora(self.lora_r) if self.lora_r else self.architecture.total

    def body_bytes(self, packed: float) -> float:
        """Of the layers' weights, where one that is quantized takes `packed` bytes."""
        arch = self.architecture
        n = arch.quantizable if self.quantized else 0
        return n * packed + (arch.body - n) * self.weight_bytes

    @property
    def kind(self) -> str:
        """What is trained, in which precision: a key of the table above."""
        if not self.lora_r:
            return "all16" if self.weight_bytes == 2 else "all32"
        if self.adapter_bytes == 2:
            return "adapters16"
        return "adapters32" if self.weight_bytes == 2 else "adapters32 on float32"

    @property
    def layer(self) -> _Layer:
        """What each of its layers needs."""
        return _LAYERS[self.kind]


class Answers(NamedTuple):
    """Sequences that are generated together on one device."""

    rows: int
    prompt: int
    """Tokens of the longest prompt; the others are padded to it."""
    completion: int
    """Tokens of the longest answer."""


def resident(setup: Setup) -> dict[str, float]:
    """GiB on each device that are there all the time, by part."""
    arch = setup.architecture
    weights_split = setup.devices if setup.sharding in ("zero3", "fsdp") else 1
    state_split = setup.devices if setup.sharding != "none" else 1
    body = setup.body_bytes(NF4_BYTES)
    edge = (arch.embeddings + arch.other) * setup.weight_bytes
    found = {
        "layers' weights": body / weights_split,
        "embeddings and head": edge / weights_split,
        "gradients and optimizer": setup.trained * _state_bytes(setup) / state_split,
    }
    return _gib(found) | {"context and fragmentation": OVERHEAD_GIB}


def training(setup: Setup) -> dict[str, float]:
    """GiB that a micro-batch adds, forward and backward, by part."""
    arch = setup.architecture
    saved = _saved_bytes(setup)
    # When all weights are trained, a layer's input is given back as its gradients appear.
    kept = saved if setup.lora_r else max(0.0, saved - arch.body * setup.weight_bytes)
    found = {
        "saved activations": kept,
        "one layer or the head at work": max(_layer_bytes(setup), _head_bytes(setup, saved - kept)),
    }
    if setup.masked:
        found["attention mask"] = _mask_bytes(setup)
    return _gib(found | _gathered(setup))


def parts(setup: Setup) -> dict[str, float]:
    """GiB on each device while training, by part.

    Figures of a 14B model stand in docs/reference/training.md.
    """
    return resident(setup) | training(setup)


def generation(setup: Setup, answers: Answers) -> dict[str, float]:
    """GiB that generating with transformers adds, by part.

    Keys and values grow to the whole length; the prompts are read at once, one layer at
    work; a next token joins one layer's keys anew and is drawn from all its logits.
    """
    arch, layer = setup.architecture, setup.layer
    cached = answers.rows * arch.kv_bytes(answers.prompt + answers.completion, layer.cached)
    at_prompt = answers.rows * arch.kv_bytes(answers.prompt, layer.cached)
    work = answers.rows * answers.prompt * (_per_token(setup, layer.prompt) + answers.prompt)
    work += _score_bytes(setup, answers.rows, answers.prompt)
    joined = cached / arch.layers / 2 + _LOGIT_BYTES * answers.rows * arch.vocabulary
    # Autocast keeps a bf16 copy of every weight that is trained until the forward pass ends.
    copies = 2.0 * (arch.body + arch.head) if setup.kind == "all32" else 0.0
    found = {
        "keys and values": cached,
        "prompts or next tokens at work": max(at_prompt + work - cached, joined) + copies,
    }
    return _gib(found | _gathered(setup))


def evaluation(setup: Setup) -> dict[str, float]:
    """GiB that the loss of a batch adds where nothing is trained, by part."""
    tokens, words = HEAD_TILE
    work = setup.tokens * _per_token(setup, setup.layer.loss)
    work += _score_bytes(setup, setup.rows, setup.tokens // setup.rows)
    copies = 2.0 * setup.architecture.body if setup.kind == "all32" else 0.0
    found = {"one layer or the head at work": max(work, 2.0 * min(tokens, setup.tokens) * words) + copies}
    if setup.masked:
        found["attention mask"] = _mask_bytes(setup)
    return _gib(found | _gathered(setup))


def _gib(found: dict[str, float]) -> dict[str, float]:
    return {name: value / GIB for name, value in found.items()}


def _gathered(setup: Setup) -> dict[str, float]:
    """One layer whole, where weights are sharded."""
    if setup.sharding not in ("zero3", "fsdp") or setup.devices == 1:
        return {}
    arch = setup.architecture
    return {"gathered layer": arch.body / arch.layers * setup.weight_bytes}


def _state_bytes(setup: Setup) -> int:
    """Of a trained parameter: adapter weight, gradient, and Adam's two moments, all of its own type.

    Weights that are trained themselves are counted with the layers. Sharded, the trained
    ones are updated in float32 (ZeRO: 16 bytes a parameter, arXiv 1910.02054).
    """
    if setup.sharding != "none":
        return 16 if setup.lora_r else 16 - setup.weight_bytes
    if not setup.lora_r:
        return 3 * setup.weight_bytes
    return 4 * setup.adapter_bytes


def _per_token(setup: Setup, each: _Bytes) -> float:
    arch = setup.architecture
    attention = (arch.heads + arch.kv_heads) * arch.head_dim
    # Of each copy for an expert: what goes in, what comes out, and that weighted.
    copies = 3.0 * setup.weight_bytes * arch.hidden * (arch.counted.routed if arch.counted else 0)
    return each.hidden * arch.hidden + each.attention * attention + each.mlp * arch.mlp + copies


def _saved_bytes(setup: Setup) -> float:
    """With checkpointing each layer keeps its input, in the weights' type; without, all its intermediates."""
    arch = setup.architecture
    per_token = setup.weight_bytes * arch.hidden
    if not setup.checkpointing:
        per_token = round(_per_token(setup, setup.layer.saved)) + _more_norms(setup)
    scores = 0.0 if setup.checkpointing else _score_bytes(setup, setup.rows, setup.tokens // setup.rows)
    return arch.layers * (float(setup.tokens * per_token) + scores)


def _score_bytes(setup: Setup, rows: int, length: int) -> float:
    """Of eager attention's scores in one layer: before and after capping, masking and softmax."""
    if not setup.eager:
        return 0.0
    return (4.0 + 2 * setup.weight_bytes) * setup.architecture.heads * rows * length**2


def _layer_bytes(setup: Setup) -> float:
    """One layer's intermediates, recomputed, and their gradients; autocast's bf16 copies of its weights."""
    each = setup.layer.at_work if setup.checkpointing else _GRADIENTS_AT_WORK
    copies = 2 * setup.architecture.body / setup.architecture.layers if setup.weight_bytes == 4 else 0
    again = _more_norms(setup) if setup.checkpointing else 0
    scores = _score_bytes(setup, setup.rows, setup.tokens // setup.rows) if setup.checkpointing else 0.0
    return setup.tokens * (_per_token(setup, each) + again) + copies + scores


def _more_norms(setup: Setup) -> int:
    arch = setup.architecture
    return _MORE_NORMS[not setup.lora_r] * arch.hidden if arch.family == "gemma3" else 0


def _head_bytes(setup: Setup, given_back: float) -> float:
    """A tile of logits and the last layer's output; where it is trained, the head's gradient in float32.

    The head works before any layer has a gradient: what those will need, and what is
    counted as given back by then, is taken off.
    """
    arch = setup.architecture
    tokens, words = HEAD_TILE
    tile = 2 * min(tokens, setup.tokens) * words
    work = tile + 12.0 * arch.hidden * setup.tokens
    if setup.lora_r:
        return work
    return work + 4 * arch.head + given_back - setup.weight_bytes * arch.body


def _mask_bytes(setup: Setup) -> float:
    """Of `sdpa`: which token of a row sees which, as truth value and number; keys, values for every head."""
    arch = setup.architecture
    repeated = 4 * (arch.heads - arch.kv_heads) * arch.head_dim
    return 3.0 * setup.tokens**2 / setup.rows + repeated * setup.tokens


def flop_per_token(setup: Setup, length: int) -> float:
    """FLOP to train one token in sequences of `length`, with recomputation.

    A frozen weight costs 6 (forward, recomputed forward, gradient of the input), a trained
    one 8; attention's score matrices 4.5 times their forward pass (causal: half of L×L; with
    a mask all of it, and L is the whole micro-batch).
    """
    arch = setup.architecture
    per_weight = 6 if setup.lora_r else 8
    if not setup.checkpointing:
        per_weight -= 2
    passes = 4.5 if setup.checkpointing else 3.5
    seen = 2 * setup.tokens / setup.rows if setup.masked else length
    return per_weight * (arch.met + arch.head) + passes * 2 * seen * arch.heads * arch.head_dim * arch.layers
