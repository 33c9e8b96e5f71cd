"""The head that scores labels only, against TRL's and against the plain loss."""

# ruff: noqa: N806  (tensors carry shape suffixes: B rows, L positions)
from __future__ import annotations

import copy
from typing import Any

import pytest

pytest.importorskip("trl")
import torch
from transformers import LlamaConfig, LlamaForCausalLM, ModernBertDecoderConfig, ModernBertDecoderForCausalLM
from trl.trainer.utils import add_fused_lm_head

from rulewright.training import head

FIELDS = ("loss", "log_probs", "entropy", "is_top1", "label_mask")


def small(tied: bool = True, **changes: Any) -> Any:
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=600, hidden_size=48, intermediate_size=96, num_hidden_layers=2, num_attention_heads=6,
        num_key_value_heads=2, tie_word_embeddings=tied, initializer_range=0.2, **changes,
    )  # fmt: skip
    return LlamaForCausalLM(config)


def batch() -> dict[str, Any]:
    generator = torch.Generator().manual_seed(1)
    ids_BL = torch.randint(0, 600, (5, 90), generator=generator)
    labels_BL = ids_BL.clone()
    labels_BL[:, :20] = -100
    labels_BL[0] = -100
    labels_BL[1, 60:] = -100
    mask_BL = torch.ones_like(ids_BL)
    mask_BL[1, 60:] = 0
    return {"input_ids": ids_BL, "attention_mask": mask_BL, "labels": labels_BL}


def both(model: Any, temperature: float = 1.0) -> tuple[Any, Any]:
    theirs, ours = model, copy.deepcopy(model)
    for one in (theirs, ours):
        add_fused_lm_head(one, temperature=temperature, outputs=("log_probs", "entropy", "is_top1"))
    assert head.attach(ours, temperature)
    return theirs, ours


def scored(model: Any, autocast: bool = False, **options: Any) -> tuple[Any, list[Any]]:
    """Outputs, and gradients of a loss that weighs every token differently."""
    with torch.autocast("cpu", torch.bfloat16, enabled=autocast):
        out = model(**batch(), fused_lm_head=True, **options)
    weights = torch.linspace(-1, 1, out.log_probs.numel()).view_as(out.log_probs)
    (out.log_probs * weights).sum().backward()
    return out, [p.grad for p in model.parameters() if p.grad is not None]


def modernbert() -> Any:
    """It has more layers between its last hidden states and the head."""
    torch.manual_seed(0)
    config = ModernBertDecoderConfig(
        vocab_size=600, hidden_size=48, intermediate_size=96, num_hidden_layers=2, num_attention_heads=6,
        initializer_range=0.2, pad_token_id=0, bos_token_id=1, cls_token_id=1, eos_token_id=2, sep_token_id=2,
    )  # fmt: skip
    model = ModernBertDecoderForCausalLM(config)
    torch.nn.init.normal_(model.decoder.weight, std=0.3)
    return model


def test_a_head_that_is_not_the_model_s_own_is_replaced(capsys: pytest.CaptureFixture[str]) -> None:
    model, plain = modernbert(), small()
    for one in (model, plain):
        add_fused_lm_head(one, temperature=0.7, outputs=("log_probs", "entropy", "is_top1"))
        head.correct(one, 0.7)
    assert capsys.readouterr().err.count("head: the model's own") == 1
    out, gradients = scored(model)
    given = batch()
    labels_BL = given.pop("labels")[:, 1:]
    logits_BLV = model(**given).logits[:, :-1] / 0.7
    wanted_BL = logits_BLV.log_softmax(-1).gather(2, labels_BL.clamp(min=0)[..., None]).squeeze(2)
    assert torch.allclose(out.log_probs, wanted_BL.masked_fill(labels_BL < 0, 0), atol=1e-5)
    losses = torch.nn.functional.cross_entropy(
        logits_BLV.flatten(0, 1), labels_BL.flatten(), ignore_index=-100
    )
    assert torch.allclose(out.loss, losses, atol=1e-5)
    entropies_BL = torch.distributions.Categorical(logits=logits_BLV).entropy().masked_fill(labels_BL < 0, 0)
    assert torch.allclose(out.entropy, entropies_BL, atol=1e-4)
    assert len(gradients) == len(list(model.parameters()))


@pytest.mark.parametrize("tied", [True, False])
@pytest.mark.parametrize("temperature", [1.0, 0.7])
def test_values_and_gradients_are_trls(
    tied: bool, temperature: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(head, "ROWS", 64)  # several parts, and one that is not full
    theirs, ours = both(small(tied), temperature)
    (expected, wanted), (found, got) = scored(theirs), scored(ours)
    for name in FIELDS:
        assert torch.allclose(getattr(found, name).float(), getattr(expected, name).float(), atol=2e-5), name
    assert len(got) == len(wanted) > 10
    for one, other in zip(got, wanted, strict=True):
        assert torch.allclose(one, other, rtol=1e-4, atol=1e-4 * float(other.abs().max()))


def test_the_loss_is_the_models_own() -> None:
    model = small()
    with torch.no_grad():
        expected = model(**batch()).loss
    _, ours = both(model)
    with torch.no_grad():
        assert torch.allclose(ours(**batch(), fused_lm_head=True).loss, expected, atol=1e-5)
        assert torch.allclose(
            ours(**batch(), fused_lm_head=True, num_items_in_batch=7).loss * 7,
            expected * int((batch()["labels"][:, 1:] != -100).sum()),
            rtol=1e-4,
        )
        assert ours(**batch()).logits.shape == (5, 90, 600), "without the switch, the plain model answers"


def test_labels_may_stand_where_they_are_predicted() -> None:
    theirs, ours = both(small())
    options = {**batch(), "shift_labels": batch().pop("labels").roll(-1, dims=1), "fused_lm_head": True}
    del options["labels"]
    with torch.no_grad():
        expected, found = theirs(**options), ours(**options)
    assert found.log_probs.shape == (5, 90)
    assert torch.allclose(found.log_probs, expected.log_probs, atol=2e-5)


def test_bf16_rounds_no_more_than_trl_does() -> None:
    """Distance of bf16 gradients from float32's: ours against TRL's."""
    _, exact = scored(both(small())[0])
    theirs, ours = both(small())
    wanted, got = scored(theirs, autocast=True)[1], scored(ours, autocast=True)[1]

    def distance(grads: list[Any]) -> float:
        return sum(float((a - b).norm() / b.norm()) for a, b in zip(grads, exact, strict=True)) / len(exact)

    assert distance(got) < 1.1 * distance(wanted) + 1e-3


def test_a_frozen_head_passes_the_gradient_on() -> None:
    theirs, ours = both(small(tied=False))
    for model in (theirs, ours):
        model.lm_head.weight.requires_grad_(False)
    (_, wanted), (_, got) = scored(theirs), scored(ours)
    assert ours.lm_head.weight.grad is None and len(got) == len(wanted)
    for one, other in zip(got, wanted, strict=True):
        assert torch.allclose(one, other, rtol=1e-4, atol=1e-4 * float(other.abs().max()))


def test_a_batch_without_labels_gives_a_zero_that_can_be_differentiated() -> None:
    _, ours = both(small())
    nothing = {**batch(), "labels": torch.full((5, 90), -100)}
    out = ours(**nothing, fused_lm_head=True)
    out.log_probs.sum().backward()
    assert float(out.loss.detach()) == 0
    assert not any(p.grad.any() for p in ours.parameters() if p.grad is not None)


def test_unusual_logits_are_left_to_trl() -> None:
    model = small()
    model.config.logits_scaling = 8.0
    add_fused_lm_head(model)
    forward = model.forward
    assert not head.attach(model) and model.forward == forward
    model = small()
    model.config.final_logit_softcapping = 30.0
    assert not head.suits(model)
