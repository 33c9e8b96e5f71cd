"""Local generation constrained to a grammar, token by token (xgrammar).

Invariant: what a row writes is a beginning of some answer of its grammar; where the token
limit does not cut it, it is a whole one. Log-probabilities stay those of the model's own
distribution, so answers with and without a grammar can be compared.

Imported only where torch already is. Shape suffixes: B rows, V vocabulary.
"""

# ruff: noqa: N803, N806  (tensors carry shape suffixes)
from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from rulewright.engine.grammar import action_grammar
from rulewright.errors import needed
from rulewright.generation.sampler import TokenChooser
from rulewright.languages import Language


class Grammars:
    """The compiled grammars of one tokenizer; each takes some seconds, once.

    Args:
        tokenizer: of transformers.
        n_words: width of the model's logits.
        eos: tokens that end an answer.

    Raises:
        MissingDependency: xgrammar is not installed.
    """

    def __init__(self, tokenizer: Any, n_words: int, eos: Sequence[int]) -> None:
        with needed("xgrammar", "generator.constrain", "grammar"):
            import xgrammar
        self._xgrammar = xgrammar
        info = xgrammar.TokenizerInfo.from_huggingface(
            tokenizer, vocab_size=n_words, stop_token_ids=list(eos)
        )
        self._compiler = xgrammar.GrammarCompiler(info)
        self._compiled: dict[Language, Any] = {}

    def matcher(self, language: Language) -> Any:
        """A fresh reader of one answer."""
        if language not in self._compiled:
            grammar = self._xgrammar.Grammar.from_ebnf(action_grammar(language))
            self._compiled[language] = self._compiler.compile_grammar(grammar)
        return self._xgrammar.GrammarMatcher(self._compiled[language])


class HeldChooser(TokenChooser):
    """A `TokenChooser` that takes only tokens with which an answer can go on.

    Args:
        temperature: as of `TokenChooser`.
        top_p: as of `TokenChooser`; the nucleus is of what the grammar leaves.
        seeds: one for each row.
        matchers: one for each row (`Grammars.matcher`).
    """

    def __init__(
        self, temperature: float, top_p: float, seeds: Sequence[int], matchers: Sequence[Any]
    ) -> None:
        super().__init__(temperature, top_p, seeds)
        self._matchers = matchers

    def choose(
        self, logits_UV: torch.Tensor, rows: Sequence[int], source: Sequence[int] | None = None
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """As `TokenChooser.choose`, of what the grammar allows next."""
        import xgrammar

        # Rows of one text may be held to different languages.
        logits_BV = (logits_UV if source is None else logits_UV[torch.tensor(source)]).float()
        mask_BW = xgrammar.allocate_token_bitmask(len(rows), logits_BV.shape[1])
        for i, row in enumerate(rows):
            # A row that has ended may be padded on by `generate`: anything goes.
            if not self._matchers[row].is_terminated():
                self._matchers[row].fill_next_token_bitmask(mask_BW, i)
        held_BV = logits_BV.clone()
        xgrammar.apply_token_bitmask_inplace(held_BV, mask_BW.to(held_BV.device))
        tokens_B, _ = super().choose(held_BV, rows)
        for token, row in zip(tokens_B.tolist(), rows, strict=True):
            if not self._matchers[row].is_terminated():
                self._matchers[row].accept_token(token)
        logprobs_BV = logits_BV.log_softmax(-1)
        return tokens_B, logprobs_BV.gather(1, tokens_B[:, None]).squeeze(1)
