"""From units of input to shards: the part of `ingest` that runs on all cores.

Invariant: a shard is a pure function of its unit and the job, so it does not matter which
process or machine makes it, or how often. Its `.keys` file is written last: where it
exists, the shard is whole, and a resumed run does not make it again.
"""

from __future__ import annotations

import errno
import importlib
import json
import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, BinaryIO, Final, Literal

import numpy as np
from pydantic import ValidationError

from rulewright import workers as processes
from rulewright.data import clean, readers, signatures
from rulewright.data.decontaminate import EvaluationIndex, Overlap
from rulewright.data.drafts import Draft, Drop
from rulewright.data.schemas import SPLITS, NormalizedRecord
from rulewright.data.sources import SOURCES, Normalize, Options
from rulewright.data.splits import Fractions, split_of
from rulewright.data.store import problems_of, reject_line
from rulewright.errors import MissingDependency, RulewrightError
from rulewright.languages import LANGUAGES

EngineName = Literal["local", "ray"]

_CANNOT_WRITE: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EACCES})
COLUMNS: Final = (
    "exact", "code", "change", "n_shingles", "group", "commits", "commit_ends", "split", "preference",
    "seeded", "ids", "lines", "language",
)  # fmt: skip


@dataclass(frozen=True)
class Job:
    """All that decides what becomes of a row; the same for every unit of a run."""

    source: str
    name: str
    """Of the output files."""
    options: Options
    rules: clean.Rules
    work: str
    fractions: Fractions
    salt: str
    against: str = ""
    """The saved `EvaluationIndex`, if any."""
    whole_rejects: bool = True


@dataclass(frozen=True)
class Shard:
    """What became of a unit."""

    number: int
    path: str
    """Of the input file."""
    n_rows: int
    n_kept: int
    dropped: Counter[str]
    flagged: Counter[str]


def shard_path(work: Path, number: int, kind: str) -> Path:
    """`kind` is `records`, `rejects`, `counts` or `keys`."""
    return work / "shards" / f"{number:07d}.{kind}"


@contextmanager
def whole(path: Path) -> Iterator[BinaryIO]:
    """A file that appears only when complete, as far as kills go.

    Unlike `jsonl.atomic` it is not forced to disk: that would cost more than the work, and
    work that a power cut damages can be done again (`--overwrite`).
    """
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with part.open("wb") as stream:
            yield stream
        part.replace(path)
    except OSError as error:
        if error.errno not in _CANNOT_WRITE:
            raise
        raise RulewrightError(
            f"{path}: cannot be written ({error.strerror or error})",
            "free some disk space, then run again with --resume: finished shards are kept",
        ) from error


def make_shard(unit: readers.Unit, job: Job) -> Shard:
    """Turn a unit into a shard, unless that is done already."""
    done = shard_path(Path(job.work), unit.number, "keys")
    if done.exists():
        return read_summary(Path(job.work), unit.number)
    return _Maker(unit, job).make()


def read_summary(work: Path, number: int) -> Shard:
    """The counts of a finished shard."""
    facts = json.loads(shard_path(work, number, "counts").read_bytes())
    return Shard(
        number,
        facts["path"],
        facts["rows"],
        facts["kept"],
        Counter(facts["dropped"]),
        Counter(facts["flagged"]),
    )


class _Maker:
    def __init__(self, unit: readers.Unit, job: Job) -> None:
        self._unit, self._job = unit, job
        self._source = SOURCES[job.source]
        self._normalize = _normalizer(self._source.normalize)
        self._against = _evaluation(job.against) if job.against else None
        self._columns: dict[str, list[Any]] = {name: [] for name in COLUMNS}
        self._dropped: Counter[str] = Counter()
        self._flagged: Counter[str] = Counter()
        self._n_rows = 0

    def make(self) -> Shard:
        work, number = Path(self._job.work), self._unit.number
        with (
            whole(shard_path(work, number, "records")) as records,
            whole(shard_path(work, number, "rejects")) as rejects,
        ):
            for item in readers.items(self._unit):
                self._n_rows += 1
                for result in self._results(item):
                    if isinstance(result, Drop):
                        self._dropped[result.reason] += 1
                        row = item.value if isinstance(item.value, dict) else None
                        line = reject_line(
                            result.reason, item.place, row if self._job.whole_rejects else None, result.detail
                        )
                        rejects.write(line.encode() + b"\n")
                    else:
                        records.write(result.to_json().encode() + b"\n")
                        self._enter(result, item.place)
        shard = Shard(
            number, self._unit.path, self._n_rows, len(self._columns["ids"]), self._dropped, self._flagged
        )
        counts = {
            "path": shard.path, "rows": shard.n_rows, "kept": shard.n_kept,
            "dropped": shard.dropped, "flagged": shard.flagged,
        }  # fmt: skip
        with whole(shard_path(work, number, "counts")) as stream:
            stream.write(json.dumps(counts).encode())
        save_columns(shard_path(work, number, "keys"), arrays(self._columns))
        return shard

    def _results(self, item: readers.Item) -> Iterator[NormalizedRecord | Drop]:
        row = item.value
        if isinstance(row, Drop):
            yield row
            return
        lacking = _lacking(self._source.layouts, row)
        if lacking:
            yield Drop("missing_columns", lacking)
            return
        for draft in self._normalize(row, self._job.options):
            yield self._checked(draft)

    def _checked(self, draft: Draft | Drop) -> NormalizedRecord | Drop:
        if isinstance(draft, Drop):
            return draft
        try:
            record = clean.clean(draft, self._job.name, self._job.rules)
        except ValidationError as error:
            return Drop("invalid", problems_of(error))
        if isinstance(record, Drop):
            return record
        if "parse_errors" in record.tags:
            self._flagged["parse_errors"] += 1
        if self._against is None:
            return record
        found = self._against.check(record.instruction, record.pre, record.post)
        match found:
            case Drop():
                return found
            case Overlap(problem, n_runs):
                self._flagged["overlap_13gram"] += 1
                marked = record.metadata.model_copy(
                    update={"overlap": {"problem": problem, "n_runs": n_runs}}
                )
                return record.model_copy(
                    update={"metadata": marked, "tags": [*record.tags, "overlap_13gram"]}
                )
            case None:
                return record

    def _enter(self, record: NormalizedRecord, place: str) -> None:
        where: Any = split_of(record.metadata.group, self._job.salt, self._job.fractions)
        if self._source.evaluation_only:
            where = "test"
        columns = self._columns
        key_columns(columns, record, self._source.rank, self._source.seeded, SPLITS.index(where))
        columns["lines"].append(int(place.rsplit(":", 1)[-1]))
        columns["language"].append(LANGUAGES.index(record.language))


def key_columns(
    columns: dict[str, list[Any]], record: NormalizedRecord, rank: int, seeded: bool, split: int
) -> None:
    """Enter what deduplication needs to know of a record."""
    code, n_shingles = signatures.code_signature(record.pre, record.post)
    columns["exact"].append(signatures.exact_key(record.pre, record.post))
    columns["code"].append(code)
    columns["change"].append(signatures.change_signature(record.pre, record.post))
    columns["n_shingles"].append(n_shingles)
    columns["group"].append(signatures.text_key(record.metadata.group))
    commits = (record.metadata.commit or "").split(",")
    columns["commits"].extend(signatures.text_key(commit) for commit in commits if commit)
    columns["commit_ends"].append(len(columns["commits"]))
    columns["split"].append(split)
    columns["preference"].append(preference(record, rank))
    columns["seeded"].append(seeded)
    columns["ids"].append(record.metadata.id)


def preference(record: NormalizedRecord, rank: int) -> int:
    """The lower, the better a copy is: known licence, own instruction, better source."""
    unknown = record.metadata.license == "unknown"
    made_up = "instruction_fallback" in record.tags
    return (unknown * 2 + made_up) * 100 + rank


_TYPES: Final[dict[str, Any]] = {
    "exact": np.uint64, "code": np.uint32, "change": np.uint32, "n_shingles": np.uint32, "group": np.uint64,
    "commits": np.uint64, "commit_ends": np.int64, "split": np.uint8, "preference": np.uint32,
    "seeded": np.bool_, "ids": "S40", "lines": np.int64, "language": np.uint8,
}  # fmt: skip
_WIDTHS: Final = {"exact": 2, "code": signatures.N_PERMUTATIONS, "change": signatures.N_CHANGE_PERMUTATIONS}


def arrays(columns: dict[str, list[Any]]) -> dict[str, Any]:
    """Columns as arrays of fixed types and shapes, also where there is no row."""
    made = {}
    for name, values in columns.items():
        array = np.array(values, dtype=_TYPES[name])
        made[name] = array.reshape(-1, _WIDTHS[name]) if name in _WIDTHS else array
    return made


def save_columns(path: Path, columns: dict[str, Any]) -> None:
    """Write arrays one after another: the same arrays give the same bytes."""
    with whole(path) as stream:
        for name in COLUMNS:
            np.save(stream, columns[name], allow_pickle=False)


def load_columns(path: Path) -> dict[str, Any]:
    """Read what `save_columns` wrote."""
    with path.open("rb") as stream:
        return {name: np.load(stream, allow_pickle=False) for name in COLUMNS}


def _lacking(layouts: Iterable[frozenset[str]], row: dict[str, Any]) -> str:
    """What a row lacks of the nearest layout; empty if it has all of one."""
    lacks: list[list[str]] = [sorted(layout - row.keys()) for layout in layouts]
    if not lacks or not all(lacks):
        return ""
    nearest = min(lacks, key=len)
    return "lacks " + ", ".join(nearest)


@lru_cache(maxsize=4)
def _normalizer(name: str) -> Normalize:
    module, _, function = name.partition(":")
    found: Normalize = getattr(importlib.import_module(f"rulewright.data.sources.{module}"), function)
    return found


@lru_cache(maxsize=1)
def _evaluation(path: str) -> EvaluationIndex:
    return EvaluationIndex.load(Path(path))


def run(
    units: Iterable[readers.Unit], job: Job, workers: int, engine: EngineName = "local"
) -> Iterator[Shard]:
    """Make all shards; yield each as it is done, in order.

    Args:
        units: taken as needed, so that only a few are in memory.
        job: the same for all.
        workers: processes on this machine (`local`); 1: in this process.
        engine: `ray`: tasks on the running Ray cluster; work and inputs must lie where all
            its machines see them.

    Raises:
        RulewrightError: a worker died.
    """
    if engine == "ray":
        yield from _run_ray(units, job)
    elif workers <= 1:
        for unit in units:
            yield make_shard(unit, job)
    else:
        yield from processes.run(
            "rulewright.data.pipeline:make_shard_of", ((unit, job) for unit in units), workers
        )


def make_shard_of(task: tuple[readers.Unit, Job]) -> Shard:
    """`make_shard` for a pool, which passes one argument."""
    return make_shard(*task)


def _run_ray(units: Iterable[readers.Unit], job: Job) -> Iterator[Shard]:
    try:
        ray: Any = importlib.import_module("ray")
    except ImportError:
        raise MissingDependency("ray", "`--engine ray`", "ray") from None
    if not ray.is_initialized():
        ray.init(address=os.environ.get("RAY_ADDRESS") or None, log_to_driver=False)
    remote: Callable[..., Any] = ray.remote(make_shard).remote
    bound = 2 * max(1, int(ray.cluster_resources().get("CPU", 1)))
    waiting: list[Any] = []
    for unit in units:
        waiting.append(remote(unit, job))
        if len(waiting) > bound:
            yield ray.get(waiting.pop(0))
    while waiting:
        yield ray.get(waiting.pop(0))
