"""Sampling as a logits processor with a random stream per row, and stop strings.

Imported only where torch already is. Shape suffixes: B rows of the batch, V vocabulary,
T new tokens.
"""

# ruff: noqa: N803, N806  (tensors carry shape suffixes)
from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from transformers import LogitsProcessor, StoppingCriteria


class Sampler(LogitsProcessor):
    """Turns greedy decoding into sampling, row by row, and keeps the log-probabilities.

    Taking the maximum of `logits / T + Gumbel noise` draws from `softmax(logits / T)`
    exactly (Gumbel 1954; Maddison et al. 2014), and the noise of a row comes from its own
    generator: what a row draws does not depend on its neighbours.
    """

    def __init__(self, temperature: float, top_p: float, seeds: Sequence[int]) -> None:
        self._temperature, self._top_p, self._seeds = temperature, top_p, seeds
        self._chosen_logprobs_B: list[torch.Tensor] = []
        # Made at the first step: a model spread over GPUs gives its logits on the last of them.
        self._generators: list[torch.Generator] = []

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        logits_BV = scores.float()
        noised_BV = logits_BV
        if self._temperature > 0:
            noised_BV = self._nucleus(logits_BV / self._temperature) + self._gumbel(logits_BV)
        chosen_B1 = noised_BV.argmax(dim=-1, keepdim=True)
        self._chosen_logprobs_B.append(logits_BV.log_softmax(-1).gather(1, chosen_B1).squeeze(1))
        return noised_BV

    def _nucleus(self, logits_BV: torch.Tensor) -> torch.Tensor:
        """Rule out what lies beyond the smallest set of tokens with mass `top_p`."""
        if self._top_p >= 1:
            return logits_BV
        ordered_BV, index_BV = logits_BV.sort(dim=-1, descending=True)
        mass_BV = ordered_BV.softmax(-1).cumsum(-1)
        # A token stays if what stands before it has not reached the mass yet: one always stays.
        beyond_BV = torch.cat([torch.zeros_like(mass_BV[:, :1]), mass_BV[:, :-1]], dim=-1) >= self._top_p
        ordered_BV = ordered_BV.masked_fill(beyond_BV, -torch.inf)
        return torch.empty_like(logits_BV).scatter_(1, index_BV, ordered_BV)

    def _gumbel(self, logits_BV: torch.Tensor) -> torch.Tensor:
        if not self._generators:
            device = logits_BV.device
            self._generators = [torch.Generator(device).manual_seed(seed) for seed in self._seeds]
        exponential_BV = torch.empty_like(logits_BV)
        for row_V, generator in zip(exponential_BV, self._generators, strict=True):
            row_V.exponential_(generator=generator)
        return -exponential_BV.clamp_min_(torch.finfo(torch.float32).tiny).log()

    def logprobs(self) -> torch.Tensor:
        """Log-probabilities of the chosen tokens at temperature 1, [B, T]."""
        return torch.stack(self._chosen_logprobs_B, dim=1).cpu()


class StopStrings(StoppingCriteria):
    """Ends a row once its new text holds one of the strings."""

    def __init__(self, tokenizer: Any, stop: Sequence[str], prompt_width: int) -> None:
        self._tokenizer, self._stop, self._width = tokenizer, stop, prompt_width
        # A token is at least one byte, so this many last tokens cover the longest string.
        self._window = max(len(mark.encode()) for mark in stop) + 1

    def __call__(self, input_ids: torch.Tensor, scores: Any, **_: Any) -> torch.Tensor:
        start = max(self._width, input_ids.shape[1] - self._window)
        tails = self._tokenizer.batch_decode(input_ids[:, start:], skip_special_tokens=True)
        found = [any(mark in tail for mark in self._stop) for tail in tails]
        return torch.tensor(found, device=input_ids.device)
