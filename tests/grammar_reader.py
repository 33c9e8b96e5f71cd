"""What the grammar of answers takes, byte by byte, as xgrammar reads it."""

from __future__ import annotations

import random

import pytest

from rulewright.engine.grammar import action_grammar
from rulewright.languages import Language


class Reader:
    """A grammar over bytes; a test that makes one is skipped where the package is not installed."""

    def __init__(self, language: Language) -> None:
        xgrammar = pytest.importorskip("xgrammar", reason="pip install 'rulewright[grammar]'")
        info = xgrammar.TokenizerInfo([bytes([i]) for i in range(256)], vocab_size=256)
        grammar = xgrammar.Grammar.from_ebnf(action_grammar(language))
        self._xgrammar = xgrammar
        self._compiled = xgrammar.GrammarCompiler(info).compile_grammar(grammar)

    def taken(self, text: str) -> int:
        """How many bytes of a text an answer may begin with."""
        matcher = self._xgrammar.GrammarMatcher(self._compiled, terminate_without_stop_token=True)
        raw = text.encode()
        return next((i for i, byte in enumerate(raw) if not matcher.accept_token(byte)), len(raw))

    def walk(self, rng: random.Random, most: int) -> str | None:
        """An answer at random; `None` where it grew too long."""
        matcher = self._xgrammar.GrammarMatcher(self._compiled, terminate_without_stop_token=True)
        mask = self._xgrammar.allocate_token_bitmask(1, 256)
        written = bytearray()
        while not matcher.is_terminated():
            matcher.fill_next_token_bitmask(mask)
            words = mask[0].tolist()
            allowed = [i for i in range(256) if words[i // 32] >> (i % 32) & 1]
            # Now and then what ends a text, so that answers end.
            ends = [i for i in allowed if i in b'\\"}<']
            byte = rng.choice(ends if ends and rng.random() < 0.3 else allowed)
            assert matcher.accept_token(byte)
            written.append(byte)
            if len(written) > most:
                return None
        return written.decode("utf-8", "replace")
