"""Compute shared prefixes once: the rollouts of a group share a prompt and often more.

A group's rollouts repeat its prompt, and answers in one wire form repeat their beginning
too. Here every group becomes one row: the tokens that all of its rollouts share, then
what each goes on with, kept apart by an attention mask and by position numbers. The
log-probabilities are those of the plain rows, up to the last bits of floating point.

Not for models whose attention is not purely causal (sliding windows), nor for attention that takes no mask of
truth values: flash attention takes none, and `eager` would add them to the scores.
"""

# ruff: noqa: N803, N806, N815  (shape suffixes: B rollouts, G rows after packing, C completion and L packed tokens)
from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch

from rulewright.difftext import common_start
from rulewright.generation.cpu import ATTENTION
from rulewright.generation.weights import of_layers
from rulewright.training.data import IGNORED
from rulewright.training.policy_config import WORTH_JOINING


@dataclass(frozen=True)
class Packed:
    """Rows `[G, L]` in place of `B` rollouts, and where each rollout's tokens went."""

    input_ids_GL: torch.Tensor
    position_ids_GL: torch.Tensor
    labels_GL: torch.Tensor
    """Of the next token: `IGNORED` where nothing is scored."""
    attends_GL: torch.Tensor
    """`[G, 1, L, L]`, True where a token sees another."""
    source_BC: torch.Tensor
    """Index into the flattened rows of what predicts each completion token; -1: padding."""

    def spread(self, values_GL: torch.Tensor) -> torch.Tensor:
        """Values per packed token as values per completion token `[B, C]`; 0 for padding."""
        taken_BC = values_GL.reshape(-1)[self.source_BC.clamp(min=0)]
        return taken_BC.masked_fill(self.source_BC < 0, 0)


@dataclass
class _Row:
    tokens: list[int]
    positions: list[int]
    labels: list[int]
    owner: list[int]
    """Which branch a token belongs to; 0 is the trunk that all branches see."""


def can_share(model: Any) -> bool:
    """Whether a causal mask of our own gives just what the model computes by itself."""
    config = model.config.get_text_config()
    windowed = of_layers(config, "sliding_window") and getattr(config, "use_sliding_window", True)
    sloped = getattr(config, "alibi", False)  # its biases come from a mask of two dimensions
    kinds = set(getattr(config, "layer_types", None) or ["full_attention"])
    return (
        config._attn_implementation in ("sdpa", ATTENTION)
        and not windowed
        and not sloped
        and kinds == {"full_attention"}
    )


def pack(input_ids: torch.Tensor, attention_mask: torch.Tensor, n_completion: int) -> Packed | None:
    """Join rollouts of one prompt into one row each; `None` where that would save little.

    Args:
        input_ids: `[B, P + C]`, prompts padded on the left, completions on the right.
        attention_mask: the same shape; 0 is padding. A completion without a 1 is not computed.
        n_completion: `C`.
    """
    split = input_ids.shape[1] - n_completion
    ids, seen = input_ids.tolist(), attention_mask.bool().tolist()
    groups: dict[tuple[int, ...], list[tuple[int, tuple[int, ...]]]] = {}
    for row, (tokens, mask) in enumerate(zip(ids, seen, strict=True)):
        prompt = tuple(t for t, m in zip(tokens[:split], mask[:split], strict=True) if m)
        completion = tuple(t for t, m in zip(tokens[split:], mask[split:], strict=True) if m)
        groups.setdefault(prompt, []).append((row, completion))
    source = [[-1] * n_completion for _ in ids]
    rows = [_joined(prompt, members) for prompt, members in groups.items()]
    width = max(1, *(len(row.tokens) for row, _ in rows))
    if len(rows) * width > (1 - WORTH_JOINING) * input_ids.numel():
        return None
    for g, (_, places) in enumerate(rows):
        for member, at in places.items():
            source[member][: len(at)] = [g * width + place for place in at]
    return _tensors([row for row, _ in rows], width, source, input_ids.device)


def _joined(
    prompt: Sequence[int], members: Sequence[tuple[int, Sequence[int]]]
) -> tuple[_Row, dict[int, list[int]]]:
    """One row for all rollouts of a prompt; per rollout, the places that predict its tokens."""
    answers = sorted({tuple(answer) for _, answer in members if answer})
    shared = common_start(answers)
    trunk = [*prompt, *(answers[0][:shared] if answers else ())]
    # The last shared token predicts something else in every branch, so each branch begins with its own copy.
    kept = trunk[:-1]
    first = len(prompt) - 1
    labels = [IGNORED] * first + trunk[first + 1 :]
    row = _Row(list(kept), list(range(len(kept))), labels[: len(kept)], [0] * len(kept))
    places: dict[tuple[int, ...], list[int]] = {}
    for branch, answer in enumerate(answers, 1):
        start = len(row.tokens)
        rest = answer[shared:]
        tokens = [trunk[-1], *rest[:-1]] if rest else []
        row.tokens += tokens
        row.positions += range(len(kept), len(kept) + len(tokens))
        row.labels += rest
        row.owner += [branch] * len(tokens)
        places[answer] = [*range(first, first + shared), *range(start, start + len(tokens))]
    return row, {member: places[tuple(answer)] for member, answer in members if answer}


def _tensors(rows: Sequence[_Row], width: int, source: list[list[int]], device: torch.device) -> Packed:
    def filled(lists: Sequence[list[int]], value: int) -> torch.Tensor:
        return torch.tensor([row + [value] * (width - len(row)) for row in lists], device=device)

    owner_GL = filled([row.owner for row in rows], -1)
    mine_GLL = owner_GL[:, :, None] == owner_GL[:, None, :]
    trunk_GLL = (owner_GL == 0)[:, None, :]
    order_L = torch.arange(width, device=device)
    causal_LL = order_L[:, None] >= order_L[None, :]
    return Packed(
        filled([row.tokens for row in rows], 0),
        filled([row.positions for row in rows], 0),
        filled([row.labels for row in rows], IGNORED),
        ((mine_GLL | trunk_GLL) & causal_LL)[:, None],
        torch.tensor(source, device=device),
    )
