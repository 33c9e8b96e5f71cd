"""Count the tokens of prompts and answers of all records, before training.

Every record is counted: the first ones with the checkpoint's tokenizer if it is local, the others (or
all) estimated from their characters; the result says which. No torch.
"""

from __future__ import annotations

import math
import re
from array import array
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NamedTuple

from rulewright.prompts import Message
from rulewright.state.state import count_tokens
from rulewright.training.config import TinyConfig

# Characters that are counted before the rest is estimated: about ten seconds of one core.
_COUNTED_CHARS: Final = 20_000_000
# Role marks, end tokens and an empty thought of a chat template, at the upper side.
_TEMPLATE: Final = 20
_TEMPLATE_TINY: Final = 4


def beyond_positions(longest: int, positions: int | None) -> str:
    """What to expect of texts longer than a model was made for, in tokens; empty if none is."""
    if not positions or longest <= positions:
        return ""
    return (
        f"texts of up to {longest:,} tokens, but the model was made for {positions:,} "
        "(max_position_embeddings): expect worse results beyond that length"
    )


class Length(NamedTuple):
    """Tokens of one record."""

    prompt: int
    answer: int


@dataclass(frozen=True)
class Lengths:
    """Tokens of the records that are left to train on."""

    n_records: int
    rows: Sequence[Length]
    counted: str
    """How, for people."""
    exact: bool
    """Whether every row was counted by the model's own tokenizer."""

    @property
    def n(self) -> int:
        return len(self.rows)

    @property
    def mean(self) -> float:
        """Of prompt and answer together."""
        return self.mean_prompt + self.mean_answer

    @property
    def mean_prompt(self) -> float:
        return sum(row.prompt for row in self.rows) / max(1, self.n)

    @property
    def mean_answer(self) -> float:
        return sum(row.answer for row in self.rows) / max(1, self.n)

    @property
    def longest(self) -> int:
        return max((row.prompt + row.answer for row in self.rows), default=0)

    @property
    def longest_prompt(self) -> int:
        return max((row.prompt for row in self.rows), default=0)

    @property
    def longest_answer(self) -> int:
        return max((row.answer for row in self.rows), default=0)

    def prompt_at(self, share: float) -> int:
        """The prompt length that this share of the rows does not exceed, e.g. 0.9."""
        ordered = array("l", sorted(row.prompt for row in self.rows))
        return ordered[min(len(ordered) - 1, math.ceil(share * len(ordered)) - 1)] if ordered else 0


class Meter:
    """Counts tokens of texts; after enough of them, estimates.

    Args:
        model: checkpoint folder whose tokenizer counts.
        tiny: the tokenizer of a new tiny model does not exist yet, and is imitated.
        budget: characters that are counted before the rest is estimated.
    """

    def __init__(self, model: str, tiny: TinyConfig | None, budget: int = _COUNTED_CHARS) -> None:
        self._count, self._how, self._real = _counter(model, tiny)
        self.template = _TEMPLATE_TINY if tiny is not None else _TEMPLATE
        self._budget = budget
        self._chars = self._tokens = 0
        self._n = self._n_estimated = 0

    def __call__(self, text: str) -> int:
        """Tokens of a text."""
        self._n += 1
        if self._chars >= self._budget:
            self._n_estimated += 1
            return math.ceil(len(text) * self._tokens / self._chars)
        n = self._count(text)
        self._chars += len(text)
        self._tokens += n
        return n

    def row(self, prompt: Iterable[Message], answer: str) -> Length:
        """Tokens of a prompt with its template, and of an answer."""
        text = "".join(message["content"] for message in prompt)
        return Length(self(text) + self.template, self(answer))

    @property
    def how(self) -> str:
        if not self._n_estimated:
            return f"{self._how} on all"
        share = 1 - self._n_estimated / self._n
        return f"{self._how} on the first {share:.0%}, the others by their characters"

    @property
    def exact(self) -> bool:
        return self._real and not self._n_estimated


def of(rows: Iterable[Length | None], meter: Meter, max_length: int | None = None) -> Lengths:
    """Gather the rows that fit.

    Args:
        rows: one for each record; `None` for one that cannot be trained on.
        meter: what counted them.
        max_length: of prompt and answer together; what is longer is left out.
    """
    kept: list[Length] = []
    n_records = 0
    for row in rows:
        n_records += 1
        if row is not None and (max_length is None or sum(row) <= max_length):
            kept.append(row)
    return Lengths(n_records, kept, meter.how, meter.exact)


def _counter(model: str, tiny: TinyConfig | None) -> tuple[Callable[[str], int], str, bool]:
    """A way to count tokens, its name, and whether it is the model's own."""
    if tiny is not None:
        from rulewright.training.tiny import PIECES

        pieces = re.compile(PIECES)
        # A small vocabulary cuts names into pieces of about three letters.
        return (
            lambda text: sum(-(-len(piece) // 3) if piece.isalpha() else 1 for piece in pieces.findall(text)),
            "estimated (its tokenizer is not made yet)",
            False,
        )
    path = Path(model) / "tokenizer.json"
    if not path.is_file():
        return count_tokens, "estimated at the upper side (no tokenizer here)", False
    try:
        from tokenizers import Tokenizer
    except ImportError:
        return count_tokens, "estimated at the upper side (tokenizers is not installed)", False
    tokenizer = Tokenizer.from_file(str(path))
    return (lambda text: len(tokenizer.encode(text, add_special_tokens=False).ids)), "counted", True
