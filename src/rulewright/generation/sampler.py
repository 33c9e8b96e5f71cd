"""Choosing tokens from logits with a random stream per row, and stop strings.

Imported only where torch already is. Shape suffixes: B rows of the batch, U logits that rows
share, V vocabulary, T new tokens, K blocks of the vocabulary, S words of a block.
"""

# ruff: noqa: N803, N806  (tensors carry shape suffixes)
from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import torch
from torch.nn import functional
from transformers import LogitsProcessor, StoppingCriteria

_BLOCK: Final = 128
"""Words of the vocabulary that are summed before one of them is looked for."""
_DRAWN: Final = 64
"""Random numbers that a row's stream gives at once."""


class TokenChooser:
    """Chooses the next token of each row, greedily or by lot.

    A row's lot is one uniform number a token, looked up in the cumulated probabilities; it
    comes from the row's own stream, so what a row draws does not depend on its neighbors.

    Args:
        temperature: 0 is greedy.
        top_p: nucleus, in (0, 1].
        seeds: one for each row.
    """

    def __init__(self, temperature: float, top_p: float, seeds: Sequence[int]) -> None:
        self._temperature, self._top_p = temperature, top_p
        self._streams = [torch.Generator().manual_seed(seed) for seed in seeds] if temperature > 0 else []
        self._drawn: list[list[float]] = [[] for _ in seeds]
        self._used = [0] * len(seeds)

    def choose(
        self, logits_UV: torch.Tensor, rows: Sequence[int], source: Sequence[int] | None = None
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Tokens [B], and their log-probabilities under the model's own distribution [B].

        Args:
            logits_UV: of the next token.
            rows: which of the seeds' rows each token is for.
            source: which of the logits it is chosen from; without it, row by row.
        """
        logits_UV = logits_UV.float()
        source_B = torch.arange(len(rows)) if source is None else torch.tensor(source)
        source_B = source_B.to(logits_UV.device)
        most_U1 = logits_UV.amax(-1, keepdim=True)
        if self._temperature > 0:
            weights_UV = self._nucleus(((logits_UV - most_U1) / self._temperature).exp_())
            lots_B = torch.tensor([self._lot(row) for row in rows], dtype=torch.float64)
            tokens_B = draw(weights_UV, lots_B.to(logits_UV.device), source_B)
        else:
            tokens_B = first_most(logits_UV, most_U1)[source_B]
        log_sum_U1 = (logits_UV - most_U1).exp_().sum(-1, keepdim=True).log_() + most_U1
        return tokens_B, logits_UV[source_B, tokens_B] - log_sum_U1[source_B, 0]

    def _lot(self, row: int) -> float:
        at = self._used[row]
        self._used[row] += 1
        if at % _DRAWN == 0:
            self._drawn[row] = torch.rand(
                _DRAWN, generator=self._streams[row], dtype=torch.float64
            ).tolist()  # fmt: skip
        return self._drawn[row][at % _DRAWN]

    def _nucleus(self, weights_BV: torch.Tensor) -> torch.Tensor:
        """Rule out what lies beyond the smallest set of tokens with mass `top_p`."""
        if self._top_p >= 1:
            return weights_BV
        ordered_BV, index_BV = weights_BV.sort(dim=-1, descending=True)
        mass_BV = ordered_BV.cumsum(-1)
        # A token stays if what stands before it has not reached the mass yet: one always stays.
        beyond_BV = mass_BV - ordered_BV >= self._top_p * mass_BV[:, -1:]
        beyond_BV[:, 0] = False
        return torch.empty_like(weights_BV).scatter_(1, index_BV, ordered_BV.masked_fill(beyond_BV, 0.0))


def _blocks(values_BV: torch.Tensor, fill: float) -> torch.Tensor:
    """[B, V] as [B, K, S], the last block filled up."""
    missing = -values_BV.shape[1] % _BLOCK
    padded = functional.pad(values_BV, (0, missing), value=fill) if missing else values_BV
    return padded.view(len(values_BV), -1, _BLOCK)


def first_most(logits_BV: torch.Tensor, most_B1: torch.Tensor) -> torch.Tensor:
    """The first word with the largest logit; block by block, which is several times faster than `argmax`."""
    blocks_BKS = _blocks(logits_BV, -torch.inf)
    block_B = (blocks_BKS.amax(-1) == most_B1).byte().argmax(-1)
    inside_BS = blocks_BKS[torch.arange(len(block_B), device=block_B.device), block_B]
    return block_B * _BLOCK + (inside_BS == most_B1).byte().argmax(-1)


def draw(weights_UV: torch.Tensor, lots_B: torch.Tensor, source_B: torch.Tensor) -> torch.Tensor:
    """The words [B] at which the cumulated weights pass each lot's share of their sum.

    Args:
        weights_UV: of the words, not negative.
        lots_B: each in [0, 1).
        source_B: whose weights a lot is drawn from.
    """
    blocks_UKS = _blocks(weights_UV, 0.0)
    upto_BK = blocks_UKS.sum(-1, dtype=torch.float64).cumsum(-1)[source_B]
    wanted_B1 = (lots_B * upto_BK[:, -1])[:, None]
    last = upto_BK.shape[1] - 1
    block_B1 = torch.searchsorted(upto_BK, wanted_B1, right=True).clamp_(max=last)
    before_B1 = upto_BK.gather(1, (block_B1 - 1).clamp(min=0)).masked_fill(block_B1 == 0, 0.0)
    inside_BS = blocks_UKS[source_B, block_B1.squeeze(1)]
    upto_BS = inside_BS.double().cumsum(-1)
    # Rounding must neither pass the block's end nor stop at a word of no weight.
    at_B = torch.searchsorted(upto_BS, wanted_B1 - before_B1, right=True).squeeze(1)
    heaviest_B = inside_BS.argmax(-1)
    at_B = torch.where(at_B < _BLOCK, at_B, heaviest_B)
    return block_B1.squeeze(1) * _BLOCK + at_B


class Sampler(LogitsProcessor):
    """A `TokenChooser` for `generate`: leaves the chosen token alone, and keeps the log-probabilities."""

    def __init__(self, chooser: TokenChooser, n_rows: int) -> None:
        self._chooser, self._rows = chooser, range(n_rows)
        self._chosen_logprobs_B: list[torch.Tensor] = []

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        tokens_B, logprobs_B = self._chooser.choose(scores, self._rows)
        self._chosen_logprobs_B.append(logprobs_B)
        return torch.full_like(scores, -torch.inf).scatter_(1, tokens_B[:, None], 0.0)

    def logprobs(self) -> torch.Tensor:
        """Log-probabilities of the chosen tokens at temperature 1, [B, T]."""
        return torch.stack(self._chosen_logprobs_B, dim=1).cpu()


class StopStrings(StoppingCriteria):
    """Ends a row once its new text holds one of the strings."""

    def __init__(self, tokenizer: Any, stop: Sequence[str], prompt_width: int = 0) -> None:
        self._tokenizer, self._stop, self._width = tokenizer, stop, prompt_width
        # A token is at least one byte, so this many last tokens cover the longest string.
        self._window = max(len(mark.encode()) for mark in stop) + 1

    def __call__(self, input_ids: torch.Tensor, scores: Any, **_: Any) -> torch.Tensor:
        start = max(self._width, input_ids.shape[1] - self._window)
        found = [self.ends(row) for row in input_ids[:, start:].tolist()]
        return torch.tensor(found, device=input_ids.device)

    def ends(self, tokens: list[int]) -> bool:
        """Whether the last of these new tokens complete a stop string."""
        tail = self._tokenizer.decode(tokens[-self._window :], skip_special_tokens=True)
        return any(mark in tail for mark in self._stop)
