"""Log-probabilities of labels, computed only at positions that have a label.

TRL scores every position of a batch on a CPU, prompts and padding included, in float32
where gradients are summed, and computes all logits a second time for the gradient. Here
the positions that have a label are gathered first, and the gradient is taken from the
logits while they are there.

Invariant: values and gradients are those of TRL's own head, up to rounding. What this
head cannot express (scaled or capped logits, mixtures of experts, a gradient of the
entropy) is left to TRL's; and what that one cannot, to the model itself (`agrees`).
"""

# ruff: noqa: N803, N806  (tensors carry shape suffixes: N labels, V vocabulary, D width)
from __future__ import annotations

import types
from collections.abc import Callable
from typing import Any, Final

import torch
from torch.nn import functional

from rulewright import console
from rulewright.generation.cpu import product_dtype

ROWS: Final = 256
"""Labels at once: their logits stay in the processor's cache, and products are large enough."""
_PLAIN: Final = {
    "final_logit_softcapping": None, "logit_scale": 1.0, "output_multiplier": 1.0,
    "lm_head_multiplier": 1.0, "logits_scaling": 1.0, "output_router_logits": False,
}  # fmt: skip
_Grads = tuple[torch.Tensor | None, torch.Tensor | None, None, None, None]
_Scores = tuple[torch.Tensor, torch.Tensor, torch.Tensor]
"""Log-probability, entropy and hit of each label."""
_Args = tuple[Any, ...]
_Options = dict[str, Any]


def suits(model: Any) -> bool:
    """Whether a causal language model's logits are just hidden states times the head's weight."""
    config = model.config.get_text_config()
    head = model.get_output_embeddings()
    return (
        all(getattr(config, name, None) in (None, value) for name, value in _PLAIN.items())
        and type(head) is torch.nn.Linear
        and head.bias is None
    )


def attach(model: Any, temperature: float = 1.0) -> bool:
    """Answer `model(..., labels=…, fused_lm_head=True)` from here, in place of TRL's own head.

    Args:
        model: a causal language model that TRL's `add_fused_lm_head` has been called for.
        temperature: logits are divided by it.

    Returns:
        Whether that was done; otherwise the model is as it was.
    """
    if not suits(model):
        return False

    def hidden(self: Any, args: _Args, options: _Options) -> torch.Tensor:
        if not args and _pads_right(options):
            # Behind a causal mask nothing sees what stands to its right: without a mask of its own
            # attention takes its fast way, and what padding computes has no label.
            options["attention_mask"] = None
        found: torch.Tensor = self.base_model(*args, **options).last_hidden_state
        return found

    def score(self: Any, hidden_ND: torch.Tensor, labels_N: torch.Tensor) -> _Scores:
        weight_VD = self.get_output_embeddings().weight
        scores: _Scores = _LabelScores.apply(
            hidden_ND, weight_VD, labels_N, temperature, product_dtype(hidden_ND)
        )
        return scores

    _answer(model, hidden, score)
    return True


def correct(model: Any, temperature: float = 1.0) -> None:
    """Have a model score labels by its own logits, where the head that it was given computes others."""
    if not agrees(model, temperature):
        kind = model.config.model_type
        console.decided("head", "the model's own", f"TRL's computes other logits than {kind} does")
        attach_own(model, temperature)


def agrees(model: Any, temperature: float = 1.0) -> bool:
    """Whether the head that training asks computes what the model does, to which it is only similar.

    TRL's multiplies hidden states by the head's weight, and knows of some models what else they do. Others
    have more layers before the head (ModernBERT), or a cap of another name (xLSTM, RecurrentGemma).

    Args:
        model: a causal language model that TRL's `add_fused_lm_head` has been called for, on one device.
        temperature: of both.
    """
    device = model.get_input_embeddings().weight.device
    ids_1L = torch.arange(2, 12, device=device)[None]
    inputs = {"input_ids": ids_1L, "attention_mask": torch.ones_like(ids_1L), "use_cache": False}
    was_training = model.training
    model.eval()
    try:
        with torch.no_grad():
            logits_1LV = model(**inputs).logits[:, :-1].float() / temperature
            scored_1L = model(**inputs, labels=ids_1L, fused_lm_head=True).log_probs
    except AttributeError:  # no layers without a head are found in it (Llama 4)
        return False
    finally:
        model.train(was_training)
    wanted_1L = logits_1LV.log_softmax(-1).gather(2, ids_1L[:, 1:, None].to(logits_1LV.device)).squeeze(2)
    gap = (scored_1L.to(wanted_1L.device) - wanted_1L).abs().max()
    return not gap > 0.01 + 0.02 * logits_1LV.abs().max()  # what is no number is told by others


def attach_own(model: Any, temperature: float = 1.0) -> None:
    """Answer `model(..., labels=…, fused_lm_head=True)` from the model's own logits, at all positions."""
    original = model.forward

    def logits(self: Any, args: _Args, options: _Options) -> torch.Tensor:
        found: torch.Tensor = original(*args, **options).logits
        return found

    def score(self: Any, logits_NV: torch.Tensor, labels_N: torch.Tensor) -> _Scores:
        found_NV = (logits_NV.float() / temperature).log_softmax(-1)
        chosen_N = found_NV.gather(1, labels_N[:, None]).squeeze(1)
        with torch.no_grad():
            entropy_N = -torch.linalg.vecdot(found_NV.exp(), found_NV)
            return chosen_N, entropy_N, (chosen_N == found_NV.amax(-1)).float()

    _answer(model, logits, score)


def _answer(
    model: Any,
    states: Callable[[Any, _Args, _Options], torch.Tensor],
    score: Callable[[Any, torch.Tensor, torch.Tensor], _Scores],
) -> None:
    """Answer `model(..., labels=…, fused_lm_head=True)` by the states before each label, and their scores."""
    original = model.forward

    def forward(self: Any, *args: Any, fused_lm_head: bool = False, **options: Any) -> Any:
        if not fused_lm_head:
            return original(*args, **options)
        labels_BL, shifted_BL = options.pop("labels", None), options.pop("shift_labels", None)
        n_items = options.pop("num_items_in_batch", None)
        states_BLX = states(self, args, {**options, "use_cache": False})
        if shifted_BL is None:
            states_BLX, labels_BL = states_BLX[:, :-1], labels_BL[:, 1:]
        else:
            labels_BL = shifted_BL
        mask_BL = labels_BL != -100
        return _output(mask_BL, score(self, states_BLX[mask_BL], labels_BL[mask_BL]), n_items)

    forward.__wrapped__ = type(model).forward  # type: ignore[attr-defined]  # `generate` reads the signature
    model.forward = types.MethodType(forward, model)


def _output(mask_BL: torch.Tensor, scores: _Scores, n_items: Any) -> Any:
    """Log-probabilities, entropies and hits of the labels in the form that TRL's trainers take."""
    from trl.trainer.utils import FusedCausalLMOutput

    logprobs_N, entropy_N, top1_N = scores

    def spread(values_N: torch.Tensor) -> torch.Tensor:
        return values_N.new_zeros(mask_BL.shape).masked_scatter(mask_BL, values_N)

    total = mask_BL.sum().clamp(min=1) if n_items is None else n_items
    logprobs_BL = spread(logprobs_N)
    return FusedCausalLMOutput(
        loss=-logprobs_BL.sum() / total,
        log_probs=logprobs_BL,
        entropy=spread(entropy_N),
        is_top1=spread(top1_N),
        label_mask=mask_BL,
    )


def _pads_right(options: dict[str, Any]) -> bool:
    mask_BL = options.get("attention_mask")
    if mask_BL is None or mask_BL.ndim != 2 or options.get("position_ids") is not None:
        return False
    return bool((mask_BL[:, 1:] <= mask_BL[:, :-1]).all())


class _LabelScores(torch.autograd.Function):
    """`(hidden [N, D], weight [V, D], labels [N])` to log-probabilities, entropies and hits, each [N]."""

    @staticmethod
    def forward(
        ctx: Any,
        hidden_ND: torch.Tensor,
        weight_VD: torch.Tensor,
        labels_N: torch.Tensor,
        temperature: float,
        dtype: torch.dtype,
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        n = len(labels_N)
        multiplied_VD = weight_VD.to(dtype)
        logprobs_N, entropy_N, top1_N = (hidden_ND.new_zeros(n, dtype=torch.float32) for _ in range(3))
        needs_hidden, needs_weight = ctx.needs_input_grad[:2]
        # Of each label's own log-probability: the incoming gradient is one factor a row.
        slopes_ND = torch.empty_like(hidden_ND, dtype=dtype) if needs_hidden else None
        slopes_NV = hidden_ND.new_empty((n, len(weight_VD)), dtype=dtype) if needs_weight else None
        for start in range(0, n, ROWS):
            rows = slice(start, start + ROWS)
            # The format is chosen here, operation by operation: autocast stays out of it.
            with torch.autocast(hidden_ND.device.type, enabled=False):
                logits_RV = functional.linear(hidden_ND[rows].to(dtype), multiplied_VD).float() / temperature
                found = _scores(logits_RV, labels_N[rows, None])
                logprobs_N[rows], entropy_N[rows], top1_N[rows], probs_RV = found
                if needs_hidden or needs_weight:
                    # Derivative of each label's log-probability by the logits, in place of the probabilities.
                    slopes_RV, labels_R1 = probs_RV.neg_(), labels_N[rows, None]
                    slopes_RV.scatter_add_(1, labels_R1, torch.ones_like(labels_R1, dtype=slopes_RV.dtype))
                    rounded_RV = slopes_RV.div_(temperature).to(dtype)
                if slopes_ND is not None:
                    slopes_ND[rows] = rounded_RV @ multiplied_VD
                if slopes_NV is not None:
                    slopes_NV[rows] = rounded_RV
        ctx.save_for_backward(hidden_ND, slopes_ND, slopes_NV)
        ctx.weight_dtype = weight_VD.dtype
        ctx.mark_non_differentiable(entropy_N, top1_N)
        return logprobs_N, entropy_N, top1_N

    @staticmethod
    def backward(ctx: Any, grad_N: torch.Tensor, *_: Any) -> _Grads:  # type: ignore[override]
        hidden_ND, slopes_ND, slopes_NV = ctx.saved_tensors
        grad_hidden_ND = grad_weight_VD = None
        if slopes_ND is not None:
            grad_hidden_ND = (slopes_ND.float() * grad_N[:, None]).to(hidden_ND.dtype)
        if slopes_NV is not None:
            weighted_ND = (hidden_ND.float() * grad_N[:, None]).to(slopes_NV.dtype)
            grad_weight_VD = (slopes_NV.T @ weighted_ND).to(ctx.weight_dtype)
        return grad_hidden_ND, grad_weight_VD, None, None, None


def _scores(
    logits_NV: torch.Tensor, labels_N1: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
    """Log-probability of each label, entropy, whether the label is the most likely, and all probabilities."""
    most_N1 = logits_NV.amax(-1, keepdim=True)
    chosen_N1 = logits_NV.gather(1, labels_N1)
    probs_NV = (logits_NV - most_N1).exp_()
    sum_N1 = probs_NV.sum(-1, keepdim=True)
    log_sum_N1 = most_N1 + sum_N1.log()
    probs_NV /= sum_N1
    entropy_N = log_sum_N1.squeeze(1) - torch.linalg.vecdot(probs_NV, logits_NV)
    return (chosen_N1 - log_sum_N1).squeeze(1), entropy_N, (chosen_N1 == most_N1).squeeze(1).float(), probs_NV
