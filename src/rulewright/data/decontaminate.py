"""Overlap with evaluation sets: token n-grams, normalized code, instructions.

A record is dropped if it shares a run of 20 code tokens with an evaluation problem, if more than a tenth
of its own 13-token runs are in one, if one of its sides equals one of the problem's, or if its
instruction is the problem's. A shared run of 13 tokens only sets a flag, because it is mostly
boilerplate. Matches are exact up to collisions of 64-bit hashes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Self

import numpy as np

from rulewright import jsonl
from rulewright.data import files, readers
from rulewright.data.drafts import Drop
from rulewright.data.signatures import U64, ngrams, tokens, unique
from rulewright.digests import text_number
from rulewright.errors import UsageError

FLAG_TOKENS: Final = 13
DROP_TOKENS: Final = 20
MAX_CONTAINMENT: Final = 0.1
MIN_INSTRUCTION_WORDS: Final = 8
MIN_EXACT_TOKENS: Final = 8

_CODE: Final = ("pre", "post", "before", "after", "old_contents", "new_contents", "pre_code", "post_code")
_TEXT: Final = ("instruction", "instruction_descriptive", "instruction_lazy", "subject")
_TABLES: Final = ("flag", "drop", "side", "instruction")


@dataclass(frozen=True)
class Overlap:
    """What a record shares with an evaluation problem, without being dropped for it."""

    problem: str
    n_runs: int
    """Shared runs of 13 tokens."""


class EvaluationIndex:
    """The n-grams, sides and instructions of evaluation problems, as sorted hashes."""

    def __init__(self, names: list[str], tables: Mapping[str, tuple[U64, U64]]) -> None:
        self.names = names
        self._tables = tables

    @classmethod
    def build(
        cls, paths: Sequence[Path], also: Callable[[Mapping[str, Any]], object] = lambda row: None
    ) -> Self:
        """Read evaluation sets (records, CanItEdit's rows, or any rows with such columns).

        Args:
            paths: files of rows.
            also: called with every row, for what else there is to learn from them.

        Raises:
            UsageError: a file has no column that could be an evaluation problem's.
        """
        names: list[str] = []
        found: dict[str, dict[int, int]] = {kind: {} for kind in _TABLES}
        for path in paths:
            columns = files.columns_of(path)
            if not set(columns) & set(_CODE):
                raise UsageError(
                    f"{path}: has no code column; its columns are {', '.join(columns)}",
                    f"expected at least one of {', '.join(_CODE)}",
                )
            for item in (item for unit in readers.pieces(path) for item in readers.items(unit)):
                if isinstance(row := item.value, Drop):
                    continue
                _enter(found, row, len(names))
                also(row)
                metadata = row.get("metadata")
                known = metadata if isinstance(metadata, Mapping) else {}
                name = known.get("problem_name") or row.get("full_name") or row.get("id") or known.get("id")
                names.append(f"{path.stem}:{name}" if name else item.place)
        tables = {}
        for kind, owners in found.items():
            hashes = sorted(owners)
            of = np.array([owners[one] for one in hashes], dtype=np.uint64)
            tables[kind] = np.array(hashes, dtype=np.uint64), of
        return cls(names, tables)

    def save(self, path: Path) -> None:
        arrays = {f"{kind}_{i}": array for kind, pair in self._tables.items() for i, array in enumerate(pair)}
        with jsonl.atomic(path) as stream:
            np.savez(stream, names=np.array(self.names), **arrays)  # type: ignore[arg-type]

    @classmethod
    def load(cls, path: Path) -> Self:
        with np.load(path) as held:
            tables = {kind: (held[f"{kind}_0"], held[f"{kind}_1"]) for kind in _TABLES}
            return cls([str(name) for name in held["names"]], tables)

    def check(self, instruction: str, sides: Iterable[U64]) -> Drop | Overlap | None:
        """Say whether a record overlaps a problem, and how; `sides` are tokens."""
        words = instruction.lower().split()
        if len(words) >= MIN_INSTRUCTION_WORDS:
            hit = self._find("instruction", np.array([text_number(" ".join(words))], dtype=np.uint64))
            if hit.size:
                return Drop("contaminated", f"the instruction is that of {self.names[int(hit[0])]}")
        runs = []
        for hashes in sides:
            if hashes.size >= MIN_EXACT_TOKENS:
                hit = self._find("side", ngrams(hashes, hashes.size))
                if hit.size:
                    return Drop("contaminated", f"a side equals one of {self.names[int(hit[0])]}")
            hit = self._find("drop", ngrams(hashes, DROP_TOKENS))
            if hit.size:
                return Drop("contaminated", f"{DROP_TOKENS} consecutive tokens of {self.names[int(hit[0])]}")
            runs.append(ngrams(hashes, FLAG_TOKENS))
        own = unique(np.concatenate(runs))
        hit = self._find("flag", own)
        if not hit.size:
            return None
        share = hit.size / own.size
        if share > MAX_CONTAINMENT:
            return Drop(
                "contaminated", f"{share:.0%} of its {FLAG_TOKENS}-token runs, {self.names[int(hit[0])]}"
            )
        return Overlap(self.names[int(hit[0])], int(hit.size))

    def _find(self, kind: str, hashes: U64) -> U64:
        """The numbers of the problems of those hashes that are in a table."""
        known, owners = self._tables[kind]
        if not known.size or not hashes.size:
            return np.empty(0, dtype=np.uint64)
        places = np.searchsorted(known, hashes)
        places[places == known.size] = 0
        found: U64 = owners[places[known[places] == hashes]]
        return found


def _enter(found: dict[str, dict[int, int]], row: Mapping[str, Any], owner: int) -> None:
    """Enter the hashes of a problem; each belongs to the first problem that has it."""
    for column in _CODE:
        text = row.get(column)
        if not isinstance(text, str):
            continue
        hashes = tokens(text)
        for kind, n in (("flag", FLAG_TOKENS), ("drop", DROP_TOKENS)):
            for one in unique(ngrams(hashes, n)).tolist():
                found[kind].setdefault(one, owner)
        if hashes.size >= MIN_EXACT_TOKENS:
            found["side"].setdefault(int(ngrams(hashes, hashes.size)[0]), owner)
    for column in _TEXT:
        text = row.get(column)
        if isinstance(text, str) and len(text.split()) >= MIN_INSTRUCTION_WORDS:
            found["instruction"].setdefault(text_number(" ".join(text.lower().split())), owner)
