"""The fast modules for CPUs against the plain ones: same values, same gradients, up to bf16's rounding."""

# ruff: noqa: N806  (tensors carry shape suffixes: B rows, L positions, H heads, G key-value heads, D width)
from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

pytest.importorskip("trl")
import torch
from peft import LoraConfig, get_peft_model
from transformers import LlamaConfig, LlamaForCausalLM
from trl.trainer.utils import add_fused_lm_head

from rulewright.generation import cpu
from rulewright.training import fast


def small(dtype: Any = torch.float32) -> Any:
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=400, hidden_size=96, intermediate_size=128, num_hidden_layers=3, num_attention_heads=6,
        num_key_value_heads=2, head_dim=16, tie_word_embeddings=True, initializer_range=0.15,
    )  # fmt: skip
    return LlamaForCausalLM(config).to(dtype)


def adapted(dtype: Any, **changes: Any) -> Any:
    base = small(torch.bfloat16).to(dtype)  # the same weights, whatever the format
    add_fused_lm_head(base, outputs=("log_probs", "entropy", "is_top1"))
    torch.manual_seed(1)
    options = {
        "r": 8,
        "lora_alpha": 16,
        "target_modules": "all-linear",
        "init_lora_weights": False,
        **changes,
    }
    model = get_peft_model(base, LoraConfig(**options))
    for name, weight in model.named_parameters():
        if weight.requires_grad:
            assert weight.dtype == torch.float32, name
            weight.data *= 0.2
    return model.train()


def trainer(model: Any, bf16: bool = True) -> Any:
    """What `speed_up` looks at of a trainer."""
    args = SimpleNamespace(device=torch.device("cpu"), bf16=bf16, deepspeed_plugin=None, fsdp=None)
    return SimpleNamespace(model=model, args=args, is_fsdp_enabled=False)


def batch(padded: bool) -> dict[str, Any]:
    generator = torch.Generator().manual_seed(2)
    ids_BL = torch.randint(0, 400, (4, 40), generator=generator)
    labels_BL, mask_BL = ids_BL.clone(), torch.ones_like(ids_BL)
    labels_BL[:, :12] = -100
    if padded:
        labels_BL[1, 30:] = -100
        mask_BL[1, 30:] = 0
    return {"input_ids": ids_BL, "attention_mask": mask_BL, "labels": labels_BL}


def step(model: Any, padded: bool = True, autocast: bool = True) -> tuple[float, list[Any]]:
    with torch.autocast("cpu", torch.bfloat16, enabled=autocast):
        out = model(**batch(padded), fused_lm_head=True, use_cache=False)
    out.loss.backward()
    grads = [p.grad.clone() for p in model.parameters() if p.grad is not None]
    model.zero_grad()
    return float(out.loss.detach()), grads


def distance(grads: list[Any], exact: list[Any]) -> float:
    assert len(grads) == len(exact) > 0
    return sum(float((a - b).norm() / b.norm()) for a, b in zip(grads, exact, strict=True)) / len(exact)


@pytest.mark.parametrize("padded", [False, True])
def test_a_step_on_adapters_is_the_plain_one_up_to_rounding(padded: bool) -> None:
    exact_loss, exact = step(adapted(torch.float32), padded, autocast=False)
    plain_loss, plain = step(adapted(torch.bfloat16), padded)
    model = adapted(torch.bfloat16)
    fast.speed_up(trainer(model))
    assert fast.quicken_adapters(model) == 21
    assert model.config._attn_implementation == cpu.ATTENTION
    loss, grads = step(model, padded)
    assert all(grad.dtype == torch.float32 for grad in grads)
    assert abs(loss - exact_loss) < 2 * abs(plain_loss - exact_loss) + 2e-3
    assert distance(grads, exact) < 1.2 * distance(plain, exact) + 1e-3


def test_a_step_on_all_weights_is_the_plain_one_up_to_rounding() -> None:
    def made() -> Any:
        model = small().train()
        add_fused_lm_head(model, outputs=("log_probs", "entropy", "is_top1"))
        return model

    exact_loss, exact = step(made(), autocast=False)
    plain_loss, plain = step(made())
    model = made()
    fast.speed_up(trainer(model))
    loss, grads = step(model)
    assert abs(loss - exact_loss) < 2 * abs(plain_loss - exact_loss) + 2e-3
    assert distance(grads, exact) < 1.2 * distance(plain, exact) + 1e-3


def test_without_bf16_a_step_is_exact() -> None:
    exact_loss, exact = step(adapted(torch.float32), autocast=False)
    model = adapted(torch.float32)
    fast.speed_up(trainer(model, bf16=False))
    assert model.config._attn_implementation == "sdpa"
    loss, grads = step(model, autocast=False)
    assert loss == pytest.approx(exact_loss, abs=1e-6) and distance(grads, exact) < 1e-5


def test_an_adapter_that_is_switched_off_or_exchanged_is_so() -> None:
    model, plain = adapted(torch.bfloat16).eval(), adapted(torch.bfloat16).eval()
    for one in (model, plain):
        torch.manual_seed(3)
        one.add_adapter("other", LoraConfig(r=4, target_modules="all-linear", init_lora_weights=False))
    assert fast.quicken_adapters(model) == 21
    ids_BL = batch(False)["input_ids"]
    seen = []
    for use in ("default", "other", None):
        found = []
        for one in (plain, model):
            with torch.no_grad():
                if use is None:
                    with one.disable_adapter():
                        found.append(one(ids_BL).logits.float())
                else:
                    one.set_adapter(use)
                    found.append(one(ids_BL).logits.float())
        assert float((found[0] - found[1]).abs().mean()) < 0.03 * float(found[0].abs().mean())
        seen.append(found[1])
    assert not torch.allclose(seen[0], seen[1], atol=0.1) and not torch.allclose(seen[0], seen[2], atol=0.1)


def test_what_a_layer_gives_may_be_changed_in_place() -> None:
    """Gemma 3n scales a projection so."""
    model, plain = adapted(torch.bfloat16), adapted(torch.bfloat16)
    assert fast.quicken_adapters(model) == 21
    found = []
    for one in (plain, model):
        layer = one.get_base_model().model.layers[0].mlp.up_proj
        out = layer(torch.ones(2, 5, 96, dtype=torch.bfloat16))
        out *= 3
        out.sum().backward()
        found.append(layer.lora_A["default"].weight.grad)
    assert torch.allclose(found[0], found[1], rtol=0.05, atol=0.05 * float(found[0].abs().max()))


def test_what_does_not_fit_is_left_alone() -> None:
    for options in ({"lora_dropout": 0.1}, {"use_dora": True}, {"lora_bias": True}):
        assert fast.quicken_adapters(adapted(torch.bfloat16, **options)) == 0
    assert fast.quicken_adapters(adapted(torch.float32)) == 0, "weights that are not in bfloat16"


@pytest.mark.parametrize("kind", ["causal", "bool", "additive"])
@pytest.mark.parametrize("width", [16, 12], ids=["", "narrow values"])
def test_attention_is_sdpas(kind: str, width: int) -> None:
    torch.manual_seed(0)
    B, H, G, L, D = 3, 6, 2, 33, 16
    make = lambda heads, wide=D: torch.randn(B, L, heads, wide).transpose(1, 2)  # noqa: E731
    exact = [make(H), make(G), make(G, width)]
    seen_BLL = torch.ones(L, L, dtype=torch.bool).tril().expand(B, 1, L, L).clone()
    seen_BLL[1, :, :, :5] = torch.eye(L, dtype=torch.bool)[:, :5]
    mask = None if kind == "causal" else seen_BLL
    sdpa_mask = mask
    if kind == "additive":
        mask = torch.zeros(B, 1, L, L).masked_fill(~seen_BLL, -1e9)
    module = SimpleNamespace(num_key_value_groups=H // G)  # causal where it does not say
    weights = torch.randn(B, L, H, width)

    def result(dtype: Any, ours: bool) -> list[Any]:
        given = [x.to(dtype).requires_grad_() for x in exact]
        if ours:
            query, key, value = given
            out, _ = cpu.attention(module, query, key, value, mask)
            assert "_Attention" in repr(out.grad_fn.next_functions[0][0].next_functions[0][0])
            assert out.is_contiguous(), "some models take a view"
        else:
            key, value = (x.repeat_interleave(H // G, dim=1) for x in given[1:])
            out = torch.nn.functional.scaled_dot_product_attention(
                given[0], key, value, attn_mask=sdpa_mask, is_causal=sdpa_mask is None
            ).transpose(1, 2)
        return [out.detach().float(), *torch.autograd.grad((out.float() * weights).sum(), given)]

    wanted, plain, found = (
        result(torch.float32, False), result(torch.bfloat16, False), result(torch.bfloat16, True),
    )  # fmt: skip
    for one, other, right in zip(found, plain, wanted, strict=True):
        error, usual = (float((x.float() - right).norm() / right.norm()) for x in (one, other))
        assert error < 2 * usual + 1e-3
