"""Measure processed data: valid or not, how much of what, how large the edits are.

Invariant: every line of every split file is looked at; nothing is sampled. What is wrong
is listed with its place. Figures are exact but for tokens, which are counted by a rough
rule (words and single symbols), near what code tokenizers give. Files are cut into pieces
that all processes share; at most some 40 bytes a record are held.
"""

from __future__ import annotations

import difflib
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
from pydantic import ValidationError

from rulewright import console, difftext
from rulewright.data import readers, store, windows
from rulewright.data.drafts import Drop
from rulewright.data.schemas import SPLITS, NormalizedRecord
from rulewright.data.signatures import U64, tokens, unique
from rulewright.digests import text_number
from rulewright.errors import UsageError, problems_of
from rulewright.workers import ordered_map

_KEYS: Final = ("groups", "commits", "ids")
_NOTHING: Final = np.empty(0, dtype=np.uint64)
_LISTED: Final = 50
"""Problems listed per file; all are counted."""
OPTIONAL: Final = ("commit", "repo", "path", "tests", "action", "provenance")
REQUIRED: Final = ("instruction", "pre", "post", "language", "id", "source", "license", "group")
SIZE_EDGES: Final = (1, 2, 3, 5, 10, 20, 50, 100, 1_000_000)
"""Upper bounds, in lines, of the classes of edit size."""


@dataclass
class FileStats:
    path: str
    split: str
    source: str
    n_records: int = 0
    n_invalid: int = 0
    n_bytes: int = 0
    n_tokens: int = 0
    problems: list[str] = field(default_factory=list)
    languages: Counter[str] = field(default_factory=Counter)
    licenses: Counter[str] = field(default_factory=Counter)
    tags: Counter[str] = field(default_factory=Counter)
    changed_lines: Counter[int] = field(default_factory=Counter)
    hunks: Counter[int] = field(default_factory=Counter)
    pre_chars: Counter[int] = field(default_factory=Counter)
    """Old side's length, rounded down to a multiple of 100."""
    fields: Counter[str] = field(default_factory=Counter)
    """How many records have each field that a record may lack."""
    groups: list[U64] = field(default_factory=list)
    """Keys, each array without repeats; so are the next two."""
    commits: list[U64] = field(default_factory=list)
    ids: list[U64] = field(default_factory=list)

    def add(self, part: FileStats) -> None:
        self.problems = (self.problems + part.problems)[:_LISTED]
        for name in _SUMMED:
            setattr(self, name, getattr(self, name) + getattr(part, name))


_SUMMED: Final = (
    "n_records", "n_invalid", "n_bytes", "n_tokens", "languages", "licenses", "tags", "changed_lines",
    "hunks", "pre_chars", "fields", "groups", "commits", "ids",
)  # fmt: skip


def measure(task: tuple[readers.Unit, str]) -> FileStats:
    """Measure one piece of a split file; `task` is the piece and its split."""
    unit, split = task
    stats = FileStats(unit.path, split, Path(unit.path).name.removesuffix(".jsonl"))
    stats.n_bytes = unit.end - unit.start
    keys: dict[str, list[int]] = {name: [] for name in _KEYS}
    for item in readers.items(unit):
        if isinstance(item.value, Drop):
            problem = f"{item.value.reason}: {item.value.detail}"
        else:
            try:
                record = NormalizedRecord.model_validate(item.value)
                _enter(stats, record, keys)
                source = record.metadata.source
                misplaced = source in store.EVALUATION_ONLY and split != "test"
                problem = f"a record of {source}, which is for evaluation only, in the split '{split}'"
                problem = problem if misplaced else ""
            except ValidationError as error:
                problem = problems_of(error)
        if problem:
            stats.n_invalid += 1
            if len(stats.problems) < _LISTED:
                stats.problems.append(f"{item.place}: {problem}")
    for name, values in keys.items():
        setattr(stats, name, [unique(np.array(values, dtype=np.uint64))])
    return stats


def _enter(stats: FileStats, record: NormalizedRecord, keys: dict[str, list[int]]) -> None:
    stats.n_records += 1
    stats.n_tokens += sum(tokens(text).size for text in (record.instruction, record.pre, record.post))
    stats.languages[record.language] += 1
    stats.licenses[record.metadata.license] += 1
    stats.tags.update(record.tags)
    n_lines, n_hunks = edit_size(record.pre, record.post)
    stats.changed_lines[n_lines] += 1
    stats.hunks[n_hunks] += 1
    stats.pre_chars[len(record.pre) // 100 * 100] += 1
    stats.fields.update(name for name in OPTIONAL if getattr(record.metadata, name) is not None)
    keys["groups"].append(text_number(record.metadata.group))
    keys["commits"].extend(map(text_number, record.metadata.commits))
    keys["ids"].append(text_number(record.metadata.id))


def edit_size(pre: str, post: str) -> tuple[int, int]:
    r"""Lines removed or added (the larger of the two, per hunk), and hunks.

    >>> edit_size("a\nb\nc\n", "a\nB\nc\nd\n")
    (2, 2)
    """
    old, new = difftext.rows(pre), difftext.rows(post)
    span = windows.changed(old, new)
    old, new = old[span.start : span.end], new[span.start : span.post_end]
    codes = difflib.SequenceMatcher(None, old, new, autojunk=len(old) > 2_000).get_opcodes()
    changes = [max(i2 - i1, j2 - j1) for tag, i1, i2, j1, j2 in codes if tag != "equal"]
    return sum(changes), max(1, len(changes))


def collect(folder: Path, workers: int = 1) -> dict[str, Any]:
    """Measure a folder of processed data.

    Returns:
        A JSON-like value; `problems` lists what is wrong (empty: all is well).

    Raises:
        UsageError: there is no data.
    """
    paths = [(path, split) for split in SPLITS for path in sorted((folder / split).glob("*.jsonl"))]
    if not paths and not store.sources_in(folder):
        raise UsageError(
            f"{folder}: no processed data (no {{train,dev,test}}/*.jsonl)",
            "write some with `rulewright ingest`, `synth` or `mine`, or name another folder",
        )
    files = [FileStats(str(path), split, path.name.removesuffix(".jsonl")) for path, split in paths]
    by_path = {stats.path: stats for stats in files}
    n_pieces = sum(-(-path.stat().st_size // readers.CHUNK_BYTES) for path, _ in paths)
    tasks = ((unit, split) for path, split in paths for unit in readers.number(readers.pieces(path)))
    with console.progress("stats", n_pieces) as bar:
        for part in ordered_map(measure, tasks, min(workers, n_pieces)):
            by_path[part.path].add(part)
            bar.advance(records=sum(f.n_records for f in files), invalid=sum(f.n_invalid for f in files))
    return _summary(folder, files)


def _summary(folder: Path, files: list[FileStats]) -> dict[str, Any]:
    sources = sorted({*store.sources_in(folder), *(f.source for f in files)})
    problems = [problem for f in files for problem in f.problems]
    hidden = sum(f.n_invalid for f in files) - len(problems)
    if hidden:
        problems.append(f"… and {hidden:,} more invalid lines")
    problems += _straddling(files)
    per_source, mined = {}, {}
    for source in sources:
        own = [f for f in files if f.source == source]
        metadata, wrong = _metadata(folder, source, own)
        problems += wrong
        per_source[source] = {**_of(own), "metadata": metadata}
        # Of mined sources the share of edits that verified rules express.
        if source.startswith("mined_") and metadata and metadata["rows_in"]:
            mined[source.removeprefix("mined_")] = {
                "n_considered": metadata["rows_in"],
                "n_expressible": metadata["num_records"],
                "rate": round(metadata["num_records"] / metadata["rows_in"], 4),
            }
    return {
        "folder": str(folder),
        "required_fields": list(REQUIRED),
        "total": _of(files),
        "splits": {split: _of([f for f in files if f.split == split]) for split in SPLITS},
        "sources": per_source,
        "mined": mined,
        "problems": problems,
        "n_invalid": sum(f.n_invalid for f in files),
    }


def _of(files: list[FileStats]) -> dict[str, Any]:

    def total(name: str) -> Counter[Any]:
        return sum((getattr(f, name) for f in files), Counter[Any]())

    lines, n_records = total("changed_lines"), sum(f.n_records for f in files)
    return {
        "n_records": n_records,
        "n_invalid": sum(f.n_invalid for f in files),
        "n_groups": int(_all(files, "groups").size),
        "n_bytes": sum(f.n_bytes for f in files),
        "gigabytes": round(sum(f.n_bytes for f in files) / 1e9, 6),
        "n_tokens": sum(f.n_tokens for f in files),
        "per_split": {split: sum(f.n_records for f in files if f.split == split) for split in SPLITS},
        "languages": dict(total("languages").most_common()),
        "licenses": dict(total("licenses").most_common()),
        "tags": dict(total("tags").most_common(20)),
        "changed_lines": quantiles(lines),
        "changed_lines_histogram": histogram(lines),
        "hunks": quantiles(total("hunks")),
        "one_hunk_rate": round(total("hunks")[1] / n_records, 4) if n_records else None,
        "pre_chars": quantiles(total("pre_chars")),
        "optional_fields": {name: total("fields")[name] for name in OPTIONAL},
    }


def _all(files: Iterable[FileStats], what: str) -> U64:
    """All keys of one kind, without repeats."""
    return unique(np.concatenate([_NOTHING, *(part for f in files for part in getattr(f, what))]))


def quantiles(counts: Counter[int]) -> dict[str, int]:
    """Median, 90th and 95th percentile and maximum of counted values.

    >>> quantiles(Counter({1: 5, 2: 4, 30: 1}))
    {'median': 1, 'p90': 2, 'p95': 30, 'max': 30}
    """
    if not counts:
        return {}
    total = counts.total()
    found = {}
    for name, share in (("median", 0.5), ("p90", 0.9), ("p95", 0.95), ("max", 1.0)):
        seen = 0
        for value in sorted(counts):
            seen += counts[value]
            if seen >= share * total - 1e-9:
                found[name] = value
                break
    return found


def histogram(counts: Counter[int]) -> dict[str, int]:
    """Counts by class of edit size.

    >>> histogram(Counter({1: 3, 4: 2}))
    {'1': 3, '4-5': 2}
    """
    found: dict[str, int] = {}
    low = 0
    for edge in SIZE_EDGES:
        n = sum(count for value, count in counts.items() if low < value <= edge)
        name = str(edge) if edge == low + 1 else f"{low + 1}-{edge}" if edge < 1_000_000 else f">{low}"
        if n:
            found[name] = n
        low = edge
    return found


def _straddling(files: list[FileStats]) -> list[str]:
    """Groups, commits and ids that are in more than one split, by count."""
    found = []
    for what in _KEYS:
        per_split = {split: _all((f for f in files if f.split == split), what) for split in SPLITS}
        for i, a in enumerate(SPLITS):
            for b in SPLITS[i + 1 :]:
                shared = np.intersect1d(per_split[a], per_split[b], assume_unique=True).size
                if shared:
                    found.append(f"{shared:,} {what} are in both {a} and {b}")
    return found


def _metadata(folder: Path, source: str, own: list[FileStats]) -> tuple[dict[str, Any] | None, list[str]]:
    metadata = store.read_metadata(folder, source)
    if metadata is None:
        return None, [
            f"{folder}/{source}.metadata.json: missing (an unfinished run, or files put there by hand)"
        ]
    problems = []
    n_records = sum(f.n_records + f.n_invalid for f in own)
    if metadata.sha256 != store.digest_of(folder, source):
        problems.append(
            f"{source}: its files are not those that {source}.metadata.json states (SHA-256 differs)"
        )
    elif metadata.num_records != n_records:
        problems.append(f"{source}: {n_records:,} records, its metadata say {metadata.num_records:,}")
    return metadata.model_dump(mode="json"), problems
