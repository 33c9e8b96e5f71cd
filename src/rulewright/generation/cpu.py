"""Make a transformer fast on a CPU: number format, attention, linear layers.

Invariant: nothing here changes what a model computes, up to rounding in the format that
it is asked to multiply in.
"""

# ruff: noqa: N803, N806  (tensors carry shape suffixes)
# B rows, Q queries, K keys, H heads, G key-value heads, R heads of one key-value head, D width of a head
from __future__ import annotations

import copy
import functools
import math
import random
from collections.abc import Sequence
from typing import Any, Final

import torch
from torch import nn

ATTENTION: Final = "rulewright_cpu"
"""Our attention's name among transformers' implementations, once `register` was called."""
_SAVED_SCORES: Final = 1 << 22
"""Attention probabilities of one layer that are kept for the gradient, at most: 8 MiB."""
ROUNDED_AWAY: Final = 0.3
"""From here on an adapter stays beside the weights: merged, too little of what was trained would be left."""
_Grads = tuple[torch.Tensor, torch.Tensor, torch.Tensor, None, None]


@functools.cache
def multiplies_bf16() -> bool:
    """Whether this processor multiplies bfloat16 faster than float32.

    x86 needs AVX512-BF16 or AMX. PyTorch has fast kernels for Arm's bfloat16 on Linux only
    (through the Arm Compute Library), so a Mac stays with float32.
    """
    able = torch.cpu.get_capabilities()
    if not torch.backends.mkldnn.is_available():
        return False
    if able.get("architecture") in ("x86_64", "x86"):
        return bool(able.get("avx512_bf16") or able.get("amx_bf16"))
    return bool(able.get("bf16")) and not torch.backends.mps.is_built()


def settle_adapters(model: Any) -> None:
    """Make plain layers of those with LoRA, in place; a model without adapters stays as it is.

    Where rounding allows it (`rounded_away`), an adapter is merged into the weights: one product in
    place of three for every linear layer of every token.
    """
    if not getattr(model, "_hf_peft_config_loaded", False):
        return
    from peft.tuners.tuners_utils import BaseTunerLayer

    layers = {name: layer for name, layer in model.named_modules() if isinstance(layer, BaseTunerLayer)}
    if all(map(is_plain_lora, layers.values())):
        _settle(model, layers, model.dtype)
    else:
        # The inner one of two around the tensors of one module comes first.
        for name, layer in reversed(layers.items()):
            layer.merge()
            model.set_submodule(name, layer.get_base_layer())
    model._hf_peft_config_loaded = False


def rounded_away(layers: Sequence[Any], dtype: torch.dtype) -> float:
    """How much of what LoRA layers change would be lost if they were merged in a format.

    In bfloat16 a change smaller than 1/512 of its weight is rounded away; those of a short or
    careful training mostly are. Looks at no more than 16 layers.

    Returns:
        The root mean square of what is missing or too much, as a share of that of the change:
        0 where nothing is lost, near 1 where nothing is left.
    """
    if dtype == torch.float32:
        return 0.0
    lost = total = 0.0
    for layer in random.Random(0).sample(layers, min(16, len(layers))):
        weight, delta = layer.get_base_layer().weight.detach().float(), _delta(layer)
        if delta is not None:
            merged = (weight + delta).to(dtype).float() - weight.to(dtype).float()
            lost += float((merged - delta).square().sum())
            total += float(delta.square().sum())
    return math.sqrt(lost / total) if total else 0.0


class AdaptedLinear(nn.Module):
    """A linear layer with an adapter beside its weights: `[x, x A^T] [W, B]^T + bias`.

    One product, rounded once: what is added to an output that is rounded already is rounded away
    just as what is added to a weight.
    """

    def __init__(self, base: nn.Linear, down_RI: torch.Tensor, up_OR: torch.Tensor) -> None:
        super().__init__()
        self.in_features, self.out_features = base.in_features, base.out_features
        self.down = _linear(down_RI, None)
        self.wide = _linear(torch.cat([base.weight, up_OR], dim=1), base.bias)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        out: torch.Tensor = self.wide(torch.cat([x, self.down(x)], dim=-1))
        return out


def _linear(weight_OI: torch.Tensor, bias_O: torch.Tensor | None) -> nn.Linear:
    """A frozen linear layer of these weights."""
    made = nn.Linear(1, 1, bias=False, device="meta")
    made.out_features, made.in_features = weight_OI.shape
    made.weight = nn.Parameter(weight_OI, requires_grad=False)
    made.bias = None if bias_O is None else nn.Parameter(bias_O, requires_grad=False)
    return made


class PackedLinear(nn.Module):
    """A frozen linear layer whose weights lie as the processor multiplies them.

    PyTorch lays them out anew for every product, which costs as much as the product itself
    when a batch has a few rows.
    """

    def __init__(self, weight: torch.Tensor, bias: torch.Tensor | None) -> None:
        super().__init__()
        self.out_features, self.in_features = weight.shape
        self.weight = torch.ops.mkldnn._reorder_linear_weight(weight.detach().contiguous())
        self.bias = None if bias is None else bias.detach()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        out: torch.Tensor = torch.ops.mkldnn._linear_pointwise(x, self.weight, self.bias, "none", [], "")
        return out


def pack(model: nn.Module) -> None:
    """Pack the bfloat16 linear layers of a model that only answers from now on, in place."""
    for name, layer in list(model.named_modules()):
        if type(layer) is nn.Linear and layer.weight.dtype == torch.bfloat16:
            model.set_submodule(name, PackedLinear(layer.weight, layer.bias))


def answering_twin(model: Any, dtype: torch.dtype) -> Any:
    """A model that gives the same answers as one in training, for reading only.

    It shares all tensors that already have the right format, has plain layers in place of adapted
    ones, and knows nothing of what a trainer has put around the model's forward. It answers as the
    model stood when it was made.

    Args:
        model: a causal language model, or PEFT's LoRA around one; on a CPU.
        dtype: of the twin's weights.
    """
    base = model.get_base_model() if hasattr(model, "get_base_model") else model
    tensors = [*base.parameters(), *base.buffers()]
    twin = copy.deepcopy(base, {id(tensor): tensor for tensor in tensors})
    # Trainers wrap `forward` of the instance; the class's own is what we want.
    twin.__dict__.pop("forward", None)
    adapted = {name: layer for name, layer in twin.named_modules() if hasattr(layer, "base_layer")}
    _settle(twin, adapted, dtype)
    made: dict[int, nn.Parameter] = {}  # tied weights stay tied
    for layer in twin.modules():
        for name, parameter in layer._parameters.items():
            if parameter is not None and id(parameter) not in made:
                made[id(parameter)] = nn.Parameter(parameter.detach().to(dtype), requires_grad=False)
            if parameter is not None:
                layer._parameters[name] = made[id(parameter)]
    return twin.eval()


def has_twin(model: Any) -> bool:
    """Whether `answering_twin` can express a model: plain weights, at most with plain LoRA."""
    base = model.get_base_model() if hasattr(model, "get_base_model") else model
    if getattr(base, "is_quantized", False):
        return False
    marks = ("base_layer", "original_module")
    adapted = [layer for layer in base.modules() if any(hasattr(layer, mark) for mark in marks)]
    return all(map(is_plain_lora, adapted))


def is_plain_lora(layer: Any) -> bool:
    """Whether a layer of PEFT adds `(x A^T) B^T` to a linear layer, and nothing else."""
    from peft.tuners.lora import Linear

    return (
        type(layer) is Linear
        and not layer.lora_variant
        and not any(layer.lora_bias.values())
        and type(layer.get_base_layer()) is nn.Linear
    )


def _settle(model: Any, layers: dict[str, Any], dtype: torch.dtype) -> None:
    """Put plain layers in place of LoRA layers, by name, merged where rounding allows it.

    Each is taken out of `layers`: the old weights are freed one by one, or two models would need room.
    """
    merged = rounded_away(list(layers.values()), dtype) <= ROUNDED_AWAY
    for name in list(layers):
        model.set_submodule(name, _plain(layers.pop(name), dtype, merged))


def _plain(layer: Any, dtype: torch.dtype, merged: bool) -> nn.Module:
    """What a LoRA layer amounts to, with the adapter in its weights or beside them."""
    base = layer.get_base_layer()
    weight, delta = base.weight.detach(), _delta(layer)
    if merged and delta is not None:
        weight = weight.float() + delta
    plain = _linear(weight.to(dtype), None if base.bias is None else base.bias.detach().to(dtype))
    if merged or delta is None:
        return plain
    active = _active(layer)
    down_RI = torch.cat([layer.lora_A[name].weight.detach() for name in active])
    up_OR = torch.cat([layer.lora_B[name].weight.detach() * layer.scaling[name] for name in active], dim=1)
    return AdaptedLinear(plain, down_RI.to(dtype), up_OR.to(dtype))


def _active(layer: Any) -> list[str]:
    names = [] if layer.disable_adapters or layer.merged else layer.active_adapters
    return [name for name in names if name in layer.lora_A]


def _delta(layer: Any) -> torch.Tensor | None:
    """What the active adapters of a layer add to its weight, in float32."""
    deltas = [layer.get_delta_weight(name).detach().float() for name in _active(layer)]
    return sum(deltas[1:], deltas[0]) if deltas else None


def register() -> str:
    """Make our attention known to transformers; give its name."""
    from transformers.masking_utils import ALL_MASK_ATTENTION_FUNCTIONS, sdpa_mask
    from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

    ALL_ATTENTION_FUNCTIONS.register(ATTENTION, attention)
    ALL_MASK_ATTENTION_FUNCTIONS.register(ATTENTION, sdpa_mask)
    return ATTENTION


def product_dtype(factor: torch.Tensor) -> torch.dtype:
    """The format of a product: autocast's, else the factor's own."""
    kind = factor.device.type
    return torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else factor.dtype


def attention(
    module: Any,
    query_BHQD: torch.Tensor,
    key_BGKD: torch.Tensor,
    value_BGKD: torch.Tensor,
    attention_mask: torch.Tensor | None,
    dropout: float = 0.0,
    scaling: float | None = None,
    **options: Any,
) -> tuple[torch.Tensor, None]:
    """As transformers' `sdpa`; what is several times faster here as plain products is done so.

    That is a single query a row (decoding), and bfloat16 with a gradient while the scores are few.
    """
    B, H, Q, D = query_BHQD.shape
    usual = dropout == 0 and not options.get("softcap") and options.get("position_bias") is None
    scale = D**-0.5 if scaling is None else scaling
    if usual and query_BHQD.requires_grad and B * H * Q * key_BGKD.shape[2] <= _SAVED_SCORES:
        dtype = product_dtype(query_BHQD)
        if dtype == torch.bfloat16:
            causal = options.get("is_causal")
            causal = getattr(module, "is_causal", True) if causal is None else causal
            bias = _bias(attention_mask, Q, key_BGKD.shape[2], causal)
            given = (query_BHQD.to(dtype), key_BGKD.to(dtype), value_BGKD.to(dtype))
            with torch.autocast(query_BHQD.device.type, enabled=False):
                # As `sdpa` lays it out: some models (AFMoE) take a view of it.
                return _Attention.apply(*given, bias, scale).transpose(1, 2).contiguous(), None
    if Q > 1 or not usual:
        from transformers.integrations.sdpa_attention import sdpa_attention_forward

        return sdpa_attention_forward(
            module, query_BHQD, key_BGKD, value_BGKD, attention_mask, dropout, scaling, **options
        )
    G = key_BGKD.shape[1]
    scores_BGRK = query_BHQD.reshape(B, G, H // G, D) @ key_BGKD.transpose(2, 3)
    scores_BGRK = scores_BGRK.float() * scale
    if attention_mask is not None:
        if attention_mask.dtype == torch.bool:
            scores_BGRK.masked_fill_(~attention_mask, torch.finfo(torch.float32).min)
        else:
            scores_BGRK += attention_mask
    out_BGRD = scores_BGRK.softmax(-1).to(value_BGKD.dtype) @ value_BGKD
    return out_BGRD.reshape(B, 1, H, -1), None


@functools.lru_cache(maxsize=16)
def _causal(n_queries: int, n_keys: int) -> torch.Tensor:
    seen_QK = torch.ones(n_queries, n_keys, dtype=torch.bool).tril(n_keys - n_queries)
    return torch.zeros(n_queries, n_keys).masked_fill_(~seen_QK, torch.finfo(torch.float32).min)


def _bias(mask: torch.Tensor | None, n_queries: int, n_keys: int, causal: bool) -> torch.Tensor | None:
    """What is added to the scores, float32, `[…, Q, K]`."""
    if mask is None:
        return _causal(n_queries, n_keys) if causal and n_queries > 1 else None
    if mask.dtype == torch.bool:
        return torch.zeros(mask.shape).masked_fill_(~mask, torch.finfo(torch.float32).min)
    return mask.float()


class _Attention(torch.autograd.Function):
    """Attention in bfloat16 with scores and softmax in float32; keeps the probabilities."""

    @staticmethod
    def forward(
        ctx: Any,
        query_BHQD: torch.Tensor,
        key_BGKD: torch.Tensor,
        value_BGKD: torch.Tensor,
        bias: torch.Tensor | None,
        scale: float,
    ) -> torch.Tensor:
        B, H, Q, D = query_BHQD.shape
        G, K = key_BGKD.shape[1:3]
        # The heads that share a key-value head are rows of one product: M = (H / G) Q.
        query_BGMD = query_BHQD.reshape(B, G, -1, D)
        scores_BGMK = (query_BGMD.float() * scale) @ key_BGKD.float().transpose(2, 3)
        if bias is not None:
            scores_BGMK.view(B, H, Q, K).add_(bias)
        probs_BGMK = scores_BGMK.softmax(-1).to(value_BGKD.dtype)
        out_BGMD = probs_BGMK @ value_BGKD
        ctx.save_for_backward(query_BGMD, key_BGKD, value_BGKD, probs_BGMK, out_BGMD)
        ctx.scale = scale
        return out_BGMD.view(B, H, Q, -1)  # values may be narrower than keys

    @staticmethod
    def backward(ctx: Any, grad_BHQD: torch.Tensor) -> _Grads:  # type: ignore[override]
        query_BGMD, key_BGKD, value_BGKD, probs_BGMK, out_BGMD = ctx.saved_tensors
        grad_BGMD = grad_BHQD.reshape(out_BGMD.shape)
        grad_value_BGKD = probs_BGMK.transpose(2, 3) @ grad_BGMD
        mean_BGM1 = torch.linalg.vecdot(grad_BGMD.float(), out_BGMD.float()).unsqueeze(-1)
        slopes_BGMK = (grad_BGMD @ value_BGKD.transpose(2, 3)).float().sub_(mean_BGM1)
        slopes_BGMK = slopes_BGMK.mul_(probs_BGMK).mul_(ctx.scale).to(key_BGKD.dtype)
        grad_query_BHQD = (slopes_BGMK @ key_BGKD).view(*grad_BHQD.shape[:3], -1)
        return grad_query_BHQD, slopes_BGMK.transpose(2, 3) @ query_BGMD, grad_value_BGKD, None, None
