"""Rollouts of one prompt computed together: the same log-probabilities, fewer tokens."""

from __future__ import annotations

import random

import pytest

pytest.importorskip("trl")
import torch
from transformers import LlamaConfig, LlamaForCausalLM
from trl.trainer.utils import add_fused_lm_head

from rulewright.training.data import IGNORED
from rulewright.training.shared_prefix import can_share, pack

PAD = 0


@pytest.fixture(scope="module")
def model() -> LlamaForCausalLM:
    torch.manual_seed(0)
    made = LlamaForCausalLM(
        LlamaConfig(
            vocab_size=50, hidden_size=32, intermediate_size=48, num_hidden_layers=2,
            num_attention_heads=4, num_key_value_heads=2, max_position_embeddings=128,
        )
    )  # fmt: skip
    add_fused_lm_head(made, temperature=0.9, outputs=("log_probs", "entropy"))
    return made


def batch(prompts: list[list[int]], completions: list[list[int]]) -> tuple[torch.Tensor, torch.Tensor, int]:
    """Prompts padded on the left, completions on the right."""
    left, right = max(map(len, prompts)), max(map(len, completions))
    ids, mask = [], []
    for p, c in zip(prompts, completions, strict=True):
        ids.append([PAD] * (left - len(p)) + p + c + [PAD] * (right - len(c)))
        mask.append([0] * (left - len(p)) + [1] * (len(p) + len(c)) + [0] * (right - len(c)))
    return torch.tensor(ids), torch.tensor(mask), right


def plain(model: LlamaForCausalLM, ids: torch.Tensor, mask: torch.Tensor, n: int) -> torch.Tensor:
    labels = ids.masked_fill(mask == 0, IGNORED)
    labels[:, :-n] = IGNORED
    positions = (mask.cumsum(1) - 1).clamp(min=0)
    out = model(input_ids=ids, attention_mask=mask, position_ids=positions, labels=labels, fused_lm_head=True)
    return torch.stack([out.log_probs[:, -n:], out.entropy[:, -n:]])


def shared(model: LlamaForCausalLM, ids: torch.Tensor, mask: torch.Tensor, n: int) -> torch.Tensor:
    packed = pack(ids, mask, n)
    assert packed is not None
    out = model(
        input_ids=packed.input_ids_GL, attention_mask=packed.attends_GL,
        position_ids=packed.position_ids_GL, shift_labels=packed.labels_GL, fused_lm_head=True,
    )  # fmt: skip
    return torch.stack([packed.spread(out.log_probs), packed.spread(out.entropy)])


def rollouts(seed: int) -> tuple[torch.Tensor, torch.Tensor, int]:
    """Two to three groups whose answers share a beginning, some of them equal, cut or empty."""
    rng = random.Random(seed)

    def tokens(n: int) -> list[int]:
        return [rng.randrange(1, 50) for _ in range(n)]

    prompts, completions = [], []
    for _ in range(rng.randint(2, 3)):
        prompt, frame = tokens(rng.randint(1, 12)), tokens(rng.choice([0, 3, 8]))
        answers = [frame + tokens(rng.randint(1, 6)) for _ in range(4)] + [frame]
        answers.append(list(answers[0]))
        prompts += [prompt] * len(answers)
        completions += answers
    order = list(range(len(prompts)))
    rng.shuffle(order)
    return batch([prompts[i] for i in order], [completions[i] for i in order])


@pytest.mark.parametrize("seed", range(8))
def test_log_probabilities_and_entropies_are_those_of_plain_rows(model: LlamaForCausalLM, seed: int) -> None:
    ids, mask, n = rollouts(seed)
    expected = plain(model, ids, mask, n) * mask[:, -n:]
    torch.testing.assert_close(shared(model, ids, mask, n), expected, atol=1e-5, rtol=1e-5)


def test_gradients_are_those_of_plain_rows(model: LlamaForCausalLM) -> None:
    ids, mask, n = rollouts(3)
    weight = torch.randn(ids.shape[0], n, generator=torch.Generator().manual_seed(1)) * mask[:, -n:]
    found = []
    for compute in (plain, shared):
        model.zero_grad()
        (compute(model, ids, mask, n)[0] * weight).sum().backward()
        found.append([p.grad.clone() for p in model.parameters()])
    for one, other in zip(*found, strict=True):
        torch.testing.assert_close(one, other, atol=1e-5, rtol=1e-4)


def test_what_is_shared_is_computed_once() -> None:
    prompt, frame = list(range(1, 31)), list(range(31, 41))
    ids, mask, n = batch([prompt] * 4, [[*frame, i, i + 1] for i in range(41, 45)])
    packed = pack(ids, mask, n)
    assert packed is not None
    # 39 shared tokens, and in each branch a copy of the last shared one and one more.
    assert packed.input_ids_GL.shape == (1, 39 + 4 * 2)
    assert int((packed.labels_GL != IGNORED).sum()) == 10 + 4 * 2


def test_unlike_prompts_are_left_as_they_are() -> None:
    ids, mask, n = batch([list(range(i, i + 9)) for i in (1, 11, 21)], [[1, 2], [3, 4], [5, 6]])
    assert pack(ids, mask, n) is None


@pytest.mark.parametrize("attention", ["sdpa", "eager"])
def test_what_is_shared_is_what_the_attention_computes(model: LlamaForCausalLM, attention: str) -> None:
    """`eager` adds a mask of truth values to its scores: every token would see all others."""
    ids, mask, n = rollouts(3)
    model.set_attn_implementation(attention)
    try:
        if can_share(model):
            found = shared(model, ids, mask, n) - plain(model, ids, mask, n)
            assert float((found * mask[:, -n:]).detach().abs().max()) < 1e-4
        assert can_share(model) == (attention == "sdpa")
    finally:
        model.set_attn_implementation("sdpa")


def test_models_with_windows_or_flash_attention_are_left_out(model: LlamaForCausalLM) -> None:
    from transformers import FalconConfig, FalconForCausalLM, Gemma3ForCausalLM, Gemma3TextConfig

    windowed = Gemma3ForCausalLM(
        Gemma3TextConfig(
            vocab_size=20, hidden_size=16, intermediate_size=16, num_hidden_layers=2, num_attention_heads=2,
            num_key_value_heads=1, head_dim=8, sliding_window=8,
        )
    )  # fmt: skip
    assert can_share(model)
    assert not can_share(windowed)
    shape = {"vocab_size": 20, "hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
    for alibi in (False, True):
        assert can_share(FalconForCausalLM(FalconConfig(alibi=alibi, **shape))) is not alibi
