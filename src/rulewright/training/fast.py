"""Fast training steps on CPUs with bfloat16 arithmetic.

- Logits, and their gradient, only where there is a label (`head`).
- LoRA in three products a layer on what is bfloat16 already. PEFT takes every input to the
  adapters' float32 and back.
- Attention whose gradient comes from saved probabilities (`generation.cpu`).

Invariant: the loss and the gradients of the plain modules, up to bfloat16's rounding;
adapters, their gradients and the optimizer stay in float32. What does not fit (another
kind of adapter, dropout, a GPU) is left as it is.
"""

# ruff: noqa: N803, N806  (tensors carry shape suffixes: N tokens, I inputs, O outputs, R rank)
from __future__ import annotations

import types
from typing import Any

import torch
from torch.nn import functional

from rulewright.generation import cpu
from rulewright.training import environment, head

_Grads = tuple[torch.Tensor | None, None, None, torch.Tensor | None, torch.Tensor | None, None]


def speed_up(trainer: Any, temperature: float = 1.0) -> None:
    """Make the model of one of TRL's trainers fast on a CPU, and its head that of the model everywhere.

    Of shards it stays as it is.

    Args:
        trainer: just made.
        temperature: of the log-probabilities.
    """
    if environment.is_sharded(trainer):
        return
    model = trainer.model
    base = model.get_base_model() if hasattr(model, "peft_config") else model
    # The entropy's own gradient, the balance of experts, and a head in float32 are only in TRL's head.
    only_there = (
        getattr(trainer, "_entropy_bonus_enabled", False)
        or getattr(trainer, "aux_loss_enabled", False)
        or getattr(trainer.args, "cast_lm_head_to_fp32", False)
    )
    on_cpu = trainer.args.device.type == "cpu"
    if on_cpu and not only_there:
        head.attach(base, temperature)
    head.correct(base, temperature)
    if on_cpu and trainer.args.bf16:
        quicken_adapters(base)
        if base.config._attn_implementation == "sdpa":
            base.set_attn_implementation(cpu.register())


def quicken_adapters(model: torch.nn.Module) -> int:
    """Give plain LoRA layers on frozen bfloat16 weights a forward of ours; give their number."""
    quick = [layer for layer in model.modules() if _is_plain(layer)]
    for layer in quick:
        layer.forward = types.MethodType(_adapted, layer)
    return len(quick)


def _is_plain(layer: Any) -> bool:
    if not hasattr(layer, "lora_A") or not cpu.is_plain_lora(layer):
        return False
    weight = layer.get_base_layer().weight
    drops = any(isinstance(dropout, torch.nn.Dropout) for dropout in layer.lora_dropout.values())
    return not drops and weight.dtype == torch.bfloat16 and not weight.requires_grad


def _adapted(self: Any, x: torch.Tensor, *args: Any, **options: Any) -> torch.Tensor:
    active = [name for name in self.active_adapters if name in self.lora_A]
    if self.disable_adapters or self.merged or len(active) != 1 or args or options:
        plain: torch.Tensor = type(self).forward(self, x, *args, **options)
        return plain
    base, name = self.get_base_layer(), active[0]
    out: torch.Tensor = _Adapted.apply(
        x.to(base.weight.dtype), base.weight, base.bias, self.lora_A[name].weight,
        self.lora_B[name].weight, self.scaling[name],
    )  # fmt: skip
    return out


class _Adapted(torch.autograd.Function):
    """`x W^T + bias + scale * (x A^T) B^T` with W frozen; products in W's format."""

    @staticmethod
    def forward(
        ctx: Any,
        x: torch.Tensor,
        weight_OI: torch.Tensor,
        bias_O: torch.Tensor | None,
        down_RI: torch.Tensor,
        up_OR: torch.Tensor,
        scale: float,
    ) -> torch.Tensor:
        dtype = weight_OI.dtype
        x_NI = x.reshape(-1, x.shape[-1])
        a_RI, b_OR = down_RI.to(dtype), (up_OR * scale).to(dtype)
        h_NR = x_NI @ a_RI.T
        # No view is given back: some models (Gemma 3n) change what a layer gives in place.
        y = functional.linear(x, weight_OI, bias_O)
        y.view(-1, y.shape[-1]).addmm_(h_NR, b_OR.T)
        ctx.save_for_backward(x_NI, weight_OI, a_RI, b_OR, h_NR)
        ctx.scale, ctx.shape, ctx.kinds = scale, x.shape, (down_RI.dtype, up_OR.dtype)
        return y

    @staticmethod
    def backward(ctx: Any, grad: torch.Tensor) -> _Grads:  # type: ignore[override]
        x_NI, weight_OI, a_RI, b_OR, h_NR = ctx.saved_tensors
        needs_x, _, _, needs_down, needs_up, _ = ctx.needs_input_grad
        grad_NO = grad.reshape(-1, grad.shape[-1])
        grad_h_NR = grad_NO @ b_OR
        grad_x = grad_down_RI = grad_up_OR = None
        if needs_x:
            grad_x = (grad_NO @ weight_OI).addmm_(grad_h_NR, a_RI).view(ctx.shape)
        if needs_down:
            grad_down_RI = (grad_h_NR.T @ x_NI).to(ctx.kinds[0])
        if needs_up:
            grad_up_OR = (grad_NO.T @ h_NR).to(ctx.kinds[1]).mul_(ctx.scale)
        return grad_x, None, None, grad_down_RI, grad_up_OR, None
