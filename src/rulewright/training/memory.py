"""How much memory a training step needs on one device, part by part, and how long it takes.

Estimates, each with its formula; measured anchors and what they miss stand in
docs/training.md. Activations are recomputed in the backward pass (checkpointing), the
logits are never whole (TRL's fused head).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

from rulewright.training.architecture import Architecture

GIB: Final = 1 << 30
Sharding = Literal["none", "zero2", "zero3", "fsdp"]

# NF4 with double quantisation: 4 bits, and 0.127 bits of constants a weight (arXiv 2305.14314).
_NF4_BYTES: Final = (4 + 0.127) / 8
# CUDA context, dequantised block, fragmentation.
_OVERHEAD_GIB: Final = 2.0


@dataclass(frozen=True)
class Device:
    """What a device has."""

    name: str
    memory_gib: float
    """Usable by one process."""
    tflops: float
    """bf16 dense peak."""
    use: tuple[float, float] = (0.40, 0.70)
    """Share of the peak that training reaches, from and to."""


DEVICES: Final[dict[str, Device]] = {
    "rtx5090": Device("RTX 5090, 32 GB", 31.4, 209.5),
    "rtx4090": Device("RTX 4090, 24 GB", 23.5, 165.2),
    "a100": Device("A100, 80 GB", 79.1, 312.0),
    "h100": Device("H100, 80 GB", 79.1, 989.0),
    "h200": Device("H200, 141 GB", 139.8, 989.0),
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

    @property
    def trained(self) -> int:
        """Trainable parameters."""
        return self.architecture.lora(self.lora_r) if self.lora_r else self.architecture.total


def parts(setup: Setup) -> dict[str, float]:
    """GiB on each device, by part.

    Figures of a 14B model agree with docs/training.md (QLoRA: 13.9, 15.8, 19.6, 27.3 GiB at
    2k, 4k, 8k, 16k tokens).
    """
    arch = setup.architecture
    weights_split = setup.devices if setup.sharding in ("zero3", "fsdp") else 1
    state_split = setup.devices if setup.sharding != "none" else 1
    body = arch.body * (_NF4_BYTES if setup.quantized else setup.weight_bytes)
    edge = arch.embeddings * setup.weight_bytes
    found = {
        "layers' weights": body / weights_split,
        "embeddings and head": edge / weights_split,
        "gradients and optimizer": _state_bytes(setup) / state_split,
        "saved activations": _saved_bytes(setup),
        "one layer at work": _layer_bytes(setup),
    }
    if weights_split > 1:
        found["gathered layer"] = arch.body / arch.layers * setup.weight_bytes
    return {name: value / GIB for name, value in found.items()} | {"context and fragmentation": _OVERHEAD_GIB}


def _state_bytes(setup: Setup) -> float:
    """Adapter weights, gradients, and Adam's two float32 moments.

    Adapters are bf16 on a quantised base (TRL casts them) and counted so elsewhere too; when
    all weights are trained, they are counted with the layers.
    """
    per_parameter = 2 + 2 + 8 if setup.lora_r else setup.weight_bytes + 8
    return setup.trained * per_parameter


def _saved_bytes(setup: Setup) -> float:
    """With checkpointing each layer keeps its input (bf16); without, all its intermediates."""
    arch = setup.architecture
    per_token = 2 * arch.hidden if setup.checkpointing else _elements_per_token(arch) * 2
    return arch.layers * setup.tokens * per_token


def _layer_bytes(setup: Setup) -> float:
    """One layer's intermediates, recomputed, and their gradients."""
    return setup.tokens * _elements_per_token(setup.architecture) * 2 * 2


def _elements_per_token(arch: Architecture) -> int:
    """About 12 vectors of hidden size (residuals, norms in float32, q, k, v, o), 5 of MLP size."""
    return 12 * arch.hidden + 5 * arch.mlp


def flop_per_token(setup: Setup, length: int) -> float:
    """FLOP to train one token in sequences of `length`, with recomputation.

    A frozen weight costs 6 (forward, recomputed forward, gradient of the input), a trained
    one 8; attention's score matrices 4.5 times their forward pass (causal: half of L×L).
    """
    arch = setup.architecture
    per_weight = 6 if setup.lora_r else 8
    if not setup.checkpointing:
        per_weight -= 2
    passes = 4.5 if setup.checkpointing else 3.5
    return (
        per_weight * (arch.body + arch.head) + passes * 2 * length * arch.heads * arch.head_dim * arch.layers
    )
