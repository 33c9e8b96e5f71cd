"""Split a generation batch into micro-batches without unnecessary padding.

TRL pads a whole generation batch to its longest prompt and its longest completion, and
only then splits it. Here groups of like length come together, and each micro-batch loses
the columns that are padding in all of its rows. Loss and gradients of an optimizer step
stay what they were: masks, advantages and the number of loss tokens travel along, and
positions count from each row's own tokens wherever they are relative (rotary embeddings).
"""

# ruff: noqa: N806  (shape suffixes: B rollouts, P prompt and C completion tokens)
from __future__ import annotations

from itertools import chain
from typing import Any, Final

import torch

PROMPT: Final = frozenset({"prompt_ids", "prompt_mask"})
"""Tensors `[B, P]`, padded on the left."""
COMPLETION: Final = frozenset(
    {
        "completion_ids", "completion_mask", "old_per_token_logps",
        "ref_per_token_logps", "sampling_per_token_logps", "importance_sampling_ratio",
    }
)  # fmt: skip
"""Tensors `[B, C]`, padded on the right (a ratio may be `[B, 1]`)."""

Batch = dict[str, Any]


def micro_batches(batch: Batch, n: int, per_step: int, group: int) -> list[Batch]:
    """Cut a batch of whole groups into `n` trimmed micro-batches of equal size.

    Args:
        batch: tensors with `B` rows, groups together; scalars go to every micro-batch.
        n: micro-batches, a divisor of `B`.
        per_step: micro-batches of one optimizer step. Rows are sorted within a step only, or
            some steps would see long tasks alone.
        group: rollouts of one prompt.
    """
    order = _order(batch, n, per_step, group)
    size = len(order) // n
    parts = [order[start : start + size] for start in range(0, n * size, size)]
    rowed = {key for key, value in batch.items() if torch.is_tensor(value) and value.ndim}
    return [
        trimmed({key: value[rows] if key in rowed else value for key, value in batch.items()})
        for rows in parts
    ]


def trimmed(batch: Batch) -> Batch:
    """Drop what no row of a micro-batch needs.

    That is columns of padding, and the prompts of rows that count for nothing (no completion
    token is unmasked): of these one token stays, so that the row still is one.
    """
    completion_mask_BC, prompt_mask_BP = batch["completion_mask"], batch["prompt_mask"].clone()
    idle_B = ~completion_mask_BC.bool().any(dim=1)
    prompt_mask_BP[idle_B, :-1] = 0
    first = int(prompt_mask_BP.any(dim=0).int().argmax())
    width = completion_mask_BC.shape[1]
    last = max(1, int(completion_mask_BC.any(dim=0).nonzero().max()) + 1) if not bool(idle_B.all()) else 1
    made = {**batch, "prompt_mask": prompt_mask_BP}
    for key in PROMPT & made.keys():
        made[key] = made[key][:, first:]
    for key in COMPLETION & made.keys():
        if made[key].shape[1] == width:
            made[key] = made[key][:, :last]
    return made


def _order(batch: Batch, n: int, per_step: int, group: int) -> list[int]:
    """Rows in random order of their groups, then within each optimizer step the longest groups first."""
    prompts = batch["prompt_mask"].sum(dim=1).tolist()
    answers = batch["completion_mask"].sum(dim=1).tolist()
    n_rows = len(prompts)
    spans = [range(start, min(start + group, n_rows)) for start in range(0, n_rows, group)]
    shuffled = [spans[i] for i in torch.randperm(len(spans)).tolist()]
    longest = {row: max(prompts[i] + answers[i] for i in span) for span in spans for row in span}
    order = list(chain.from_iterable(shuffled))
    # Micro-batches in a row that belong to one optimizer step, wherever the batch begins.
    in_step = per_step if n % per_step == 0 else n if per_step % n == 0 else 1
    window = n_rows // n * in_step
    return list(
        chain.from_iterable(
            sorted(order[i : i + window], key=lambda row: (-longest[row], row // group, -answers[row]))
            for i in range(0, n_rows, window)
        )
    )
