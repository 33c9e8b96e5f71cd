"""Mix several sources by weight and seed into one deterministic sequence.

Invariant: the sequence depends only on the files' contents, the entries, the seed, the limit and the
policy. Every line is validated before the first record is returned. Memory is one offset per record;
texts stay on disk.
"""

from __future__ import annotations

import codecs
import glob
import hashlib
import random
from array import array
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field

from rulewright import console, jsonl
from rulewright.data.schemas import NormalizedRecord
from rulewright.data.store import EVALUATION_ONLY
from rulewright.errors import UsageError

Policy = Literal["undersample", "repeat", "all"]


class MixEntry(BaseModel):
    """One part of a mix: which records, and their share of the whole."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    path: str
    """A `.jsonl` file, or a glob of such files, e.g. `data/processed/train/mined_*.jsonl`."""
    weight: float = Field(default=1.0, gt=0)
    """Share of the mix, relative to the other entries' weights."""
    tags: tuple[str, ...] = ()
    """Only records that carry all of these tags."""
    without_tags: tuple[str, ...] = ()
    """Only records without any of these tags."""
    languages: tuple[str, ...] = ()
    """Only these languages; empty: all."""
    with_action: bool = False
    """Only records that have a gold or mined action."""
    max_chars: int = Field(default=0, ge=0)
    """Only records whose `pre` and `post` together have at most so many characters; 0: no bound."""

    def takes(self, record: NormalizedRecord) -> bool:
        return (
            all(tag in record.tags for tag in self.tags)
            and not any(tag in record.tags for tag in self.without_tags)
            and (not self.languages or record.language in self.languages)
            and (not self.with_action or bool(record.metadata.action))
            and (not self.max_chars or len(record.pre) + len(record.post) <= self.max_chars)
        )


@dataclass(frozen=True)
class Contribution:
    """What one entry really gave."""

    path: str
    wanted_rate: float
    """Its weight as a share of all weights, in [0, 1]."""
    n_available: int
    n: int
    """Records it gives to one pass over the mix."""
    rate: float
    """`n` as a share of the mix, in [0, 1]."""
    n_repeated: int
    """How many of `n` are second or later copies (policy `repeat`)."""
    files: dict[str, str]
    """File to SHA-256."""


@dataclass(frozen=True)
class _Part:
    files: list[Path]
    index: array[int]
    """Flat pairs (number of the file, byte offset of the line)."""
    digests: dict[str, str]

    def __len__(self) -> int:
        return len(self.index) // 2


class Mix:
    """A deterministic sequence of records; iterate as often as needed.

    `len(mix)` is the number of records of one pass, `contributions` what each entry gave.
    """

    def __init__(
        self, entries: Sequence[MixEntry], parts: list[_Part], seed: int, limit: int | None, policy: Policy
    ) -> None:
        self._parts, self._seed = parts, seed
        self._asked = {
            "entries": [entry.model_dump(mode="json") for entry in entries],
            "seed": seed,
            "limit": limit,
            "policy": policy,
        }
        total_weight = sum(entry.weight for entry in entries)
        shares = [entry.weight / total_weight for entry in entries]
        counts = _counts([len(part) for part in parts], shares, limit, policy)
        total = sum(counts)
        self.contributions = [
            Contribution(
                path=entry.path,
                wanted_rate=share,
                n_available=len(part),
                n=n,
                rate=n / total if total else 0.0,
                n_repeated=max(0, n - len(part)),
                files=part.digests,
            )
            for entry, part, share, n in zip(entries, parts, shares, counts, strict=True)
        ]

    def __len__(self) -> int:
        return sum(part.n for part in self.contributions)

    def files(self) -> list[str]:
        """The files of all entries."""
        return [name for part in self.contributions for name in part.files]

    def __iter__(self) -> Iterator[NormalizedRecord]:
        streams = [[path.open("rb") for path in part.files] for part in self._parts]
        # Parts are interleaved at random, records shuffled within theirs.
        turns = array("B" if len(self._parts) < 256 else "L")
        for number, contribution in enumerate(self.contributions):
            turns.extend([number] * contribution.n)
        random.Random(f"{self._seed}:turns").shuffle(turns)
        draws = [_shuffled(len(part), f"{self._seed}:{i}") for i, part in enumerate(self._parts)]
        try:
            for number in turns:
                part, position = self._parts[number], next(draws[number])
                stream = streams[number][part.index[2 * position]]
                stream.seek(part.index[2 * position + 1])
                yield NormalizedRecord.model_validate_json(stream.readline().removeprefix(codecs.BOM_UTF8))
        finally:
            for opened in streams:
                for stream in opened:
                    stream.close()

    def report(self) -> str:
        """A table of what each source really contributed."""
        rows = [
            [c.path, f"{c.wanted_rate:.1%}", c.n_available, c.n, f"{c.rate:.1%}", c.n_repeated]
            for c in self.contributions
        ]
        return console.table(["source", "wanted", "available", "used", "is", "repeated"], rows)

    def manifest(self) -> dict[str, Any]:
        """What lets anyone check that a model's training data is exactly this (see `data.manifest`).

        What was asked, each file's SHA-256, a digest over the record ids in their order, and
        how many records have which license.
        """
        digest = hashlib.sha256()
        licenses: Counter[str] = Counter()
        for record in self:
            digest.update(record.metadata.id.encode() + b"\n")
            licenses[record.metadata.license] += 1
        return {
            **self._asked,
            "n_records": len(self),
            "ids_sha256": digest.hexdigest(),
            "licenses": dict(sorted(licenses.items())),
            "sources": [
                {"path": c.path, "n": c.n, "n_available": c.n_available, "files": c.files}
                for c in self.contributions
            ],
        }


def mix(
    entries: Sequence[MixEntry],
    seed: int = 0,
    limit: int | None = None,
    policy: Policy = "undersample",
    training: bool = True,
) -> Mix:
    """Mix records of several sources by weight.

    Args:
        entries: what to mix.
        seed: of the order and of the choice.
        limit: at most so many records in all; `None`: as many as the policy gives.
        policy: `undersample`: exact weights, no record twice (the scarcest source sets the
            size); `repeat`: exact weights, every record of the most plentiful source once,
            others repeated; `all`: every record once, weights ignored.
        training: refuse evaluation-only sources.

    Raises:
        UsageError: a path matches nothing, a line is no record (with its place), an entry has
            no record, or an evaluation-only source is named for training.
    """
    if not entries:
        raise UsageError("the mix is empty: no source is named", "give at least one entry with `path:`")
    parts = [_index(entry, training) for entry in entries]
    return Mix(entries, parts, seed, limit, policy)


MADE_BY: Final = "write it first (`rulewright ingest`, `synth`, `mine`, `teacher run`)"


def resolve(path: str, made_by: str = MADE_BY) -> list[Path]:
    """Files that an entry's path names, sorted.

    Args:
        path: of a file or folder, or a pattern.
        made_by: what to run where there are none.

    Raises:
        UsageError: none.
    """
    named = Path(path)
    if named.is_dir():
        return resolve(f"{glob.escape(path)}/*.jsonl", made_by)
    names = [path] if named.exists() else glob.glob(path, recursive=True)  # noqa: PTH207  (absolute globs)
    found = sorted(map(Path, names))
    if not found:
        near = sorted(str(p) for p in named.parent.glob("*.jsonl"))[:5] if named.parent.is_dir() else []
        hint = f"there are: {', '.join(near)}" if near else made_by
        place = "" if named.is_absolute() else f" (looked for in {Path.cwd()})"
        raise UsageError(f"{path}: no such data file{place}", hint)
    return [jsonl.require_file(file) for file in found]


def _index(entry: MixEntry, training: bool) -> _Part:
    files = resolve(entry.path)
    index: array[int] = array("Q")
    digests: dict[str, str] = {}
    for number, path in enumerate(files):
        digest, offset = hashlib.sha256(), 0
        with path.open("rb") as stream:
            for line_number, raw in enumerate(stream, start=1):
                digest.update(raw)
                line = jsonl.parse(line_number, raw)
                if line is not None and _wanted(entry, training, line, f"{path}:{line_number}"):
                    index.extend((number, offset))
                offset += len(raw)
        digests[str(path)] = digest.hexdigest()
    if not index:
        raise UsageError(
            f"{entry.path}: no record of {len(files)} file(s) meets the entry's conditions",
            "loosen `tags`, `languages`, `with_action` or `max_chars`, or leave the entry out",
        )
    return _Part(files, index, digests)


def _wanted(entry: MixEntry, training: bool, line: jsonl.Line, place: str) -> bool:
    """Whether the entry takes a line; validated here, so that no later pass meets an invalid record."""
    record = jsonl.validated(line, NormalizedRecord)
    if isinstance(record, str):
        raise UsageError(
            f"{place}: not a record: {record}",
            "`rulewright ingest` makes records of other data; `rulewright stats` lists every such line",
        )
    source = record.metadata.source
    if training and source in EVALUATION_ONLY:
        raise UsageError(
            f"{place}: the record is from {source}, which is for evaluation only",
            "name another file: its license forbids training on it",
        )
    return entry.takes(record)


def _counts(sizes: list[int], shares: list[float], limit: int | None, policy: Policy) -> list[int]:
    """How many records each part gives.

    >>> _counts([100, 10], [0.6, 0.4], None, "undersample")
    [15, 10]
    >>> _counts([100, 10], [0.6, 0.4], 10, "undersample")
    [6, 4]
    >>> _counts([60, 10], [0.6, 0.4], None, "repeat")
    [60, 40]
    """
    if policy == "all":
        total = sum(sizes)
        wanted = [size / total for size in sizes]
    else:
        most = [size / share for size, share in zip(sizes, shares, strict=True)]
        # A hair more, so that 0.4 * (10 / 0.4) is 10 and not 9.
        total = int((min(most) if policy == "undersample" else max(most)) + 1e-6)
        wanted = shares
    if limit is not None:
        total = min(total, limit)
    exact = [share * total for share in wanted]
    counts = [int(value) for value in exact]
    by_remainder = sorted(range(len(wanted)), key=lambda i: (counts[i] - exact[i], i))
    for i in by_remainder[: total - sum(counts)]:
        counts[i] += 1
    return counts


def _shuffled(n: int, seed: str) -> Iterator[int]:
    """Positions 0..n-1 in random order, again and again in new orders."""
    rng = random.Random(seed)
    order = array("Q", range(n))
    while True:
        rng.shuffle(order)
        yield from order
