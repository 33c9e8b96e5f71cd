"""A source from input files to `data/processed`: shards, deduplication, files, metadata.

Invariant: what is written depends on the inputs, the configuration and the sources that
were there before, never on the number of workers, the engine or interruptions. Another
source's copy that is worse than a new one is taken out of its files, by a journal that a
resumed run finishes.
"""

from __future__ import annotations

import dataclasses
import json
import shutil
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np

from rulewright import jsonl
from rulewright.data import dedup, keys, store
from rulewright.data.pipeline import IngestJob
from rulewright.data.schemas import SPLITS, DatasetMetadata
from rulewright.data.shards import Shard, read_summary, shard_path
from rulewright.data.sources import SOURCES
from rulewright.errors import RulewrightError, UsageError
from rulewright.languages import LANGUAGES

MADE_BY: Final = "ingest"
_NOT_KEYS: Final = frozenset({"ids", "lines", "language"})


@dataclass(frozen=True)
class Facts:
    """What is known of the inputs, for the metadata."""

    version: str
    license: str
    downloaded_at: Any
    inputs: dict[str, str]
    against: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


def begun(out: Path, name: str) -> Path:
    """Where an unfinished run of a source keeps its work."""
    return out / ".work" / name


def open_work(out: Path, name: str, identity: dict[str, Any], resume: bool, overwrite: bool) -> Path | None:
    """Claim the right to write a source.

    Args:
        out: folder of the processed data.
        name: of the source's files.
        identity: what the result depends on; an unfinished or finished run must have the same.
        resume: continue what is there.
        overwrite: throw away what is there.

    Returns:
        The folder to work in, or `None` if the same run is finished already.

    Raises:
        UsageError: there is an earlier run, with what differs and the ways out.
    """
    work, seal = begun(out, name), out / ".index" / f"{name}.json"
    wanted = json.loads(json.dumps(identity))
    if overwrite:
        shutil.rmtree(work, ignore_errors=True)
        store.metadata_path(out, name).unlink(missing_ok=True)
    is_done, is_begun = store.metadata_path(out, name).exists(), (work / "job.json").exists()
    if (is_done or is_begun) and not resume:
        raise UsageError(
            f"{out}: holds {'an unfinished' if is_begun else 'a finished'} run of {name} already",
            "continue it with --resume, replace it with --overwrite, or choose another --name or --out",
        )
    saved = work / "job.json" if is_begun else seal
    if (is_done or is_begun) and saved.exists():
        _require_same(name, json.loads(saved.read_bytes()), wanted)
    if is_done and not is_begun:
        return None
    jsonl.write_json(work / "job.json", wanted)
    return work


def close_work(out: Path, name: str) -> None:
    """Remove a finished run's work, and keep what it was asked."""
    work = begun(out, name)
    (out / ".index").mkdir(parents=True, exist_ok=True)
    (work / "job.json").replace(out / ".index" / f"{name}.json")
    shutil.rmtree(work)


def _require_same(name: str, earlier: dict[str, Any], wanted: dict[str, Any]) -> None:
    differ = sorted(key for key in earlier.keys() | wanted.keys() if earlier.get(key) != wanted.get(key))
    if differ:
        listing = "; ".join(f"{key}: was {earlier.get(key)!r}, now {wanted.get(key)!r}" for key in differ)
        raise UsageError(
            f"{name}: cannot resume, the earlier run was asked for something else ({listing})",
            "run with the earlier values, or use --overwrite",
        )


def finish(job: IngestJob, out: Path, n_units: int, facts: Facts, threshold: float) -> DatasetMetadata:
    """Make the shards of a job into the files of a source.

    Raises:
        RulewrightError: no record is left.
    """
    work = Path(job.work)
    shards = [read_summary(work, number) for number in range(n_units)]
    plan = _plan(job, out, shards, threshold)
    reasons = sum((shard.dropped for shard in shards), Counter[str]())
    n_rows = sum(shard.n_rows for shard in shards)
    first = 0
    with store.Writer(out, job.name) as writer:
        with jsonl.atomic(store.rejects_path(out, job.name)) as rejects:
            for shard in shards:
                _copy(shard_path(work, shard.number, "rejects"), rejects)
                reasons += _write_shard(job, shard, first, plan, writer, rejects)
                first += shard.n_kept
        if not writer.splits.total() and not SOURCES[job.source].tasks_only:
            raise _nothing_left(job, out, reasons, n_rows)
    for name, ids in plan.superseded.items():
        _supersede(out, name, ids, plan.before[name])
    keys.save_some(index_path(out, job.name), plan.new, plan.reason == 0)
    metadata = DatasetMetadata(
        source=job.name,
        version=facts.version,
        license=facts.license,
        downloaded_at=facts.downloaded_at,
        sha256=store.digest_of(out, job.name),
        num_records=writer.splits.total(),
        rows_in=n_rows,
        splits={name: writer.splits[name] for name in SPLITS},
        languages=dict(sorted(writer.languages.items())),
        dropped=dict(sorted(reasons.items())),
        inputs=facts.inputs,
        flagged=dict(sorted(sum((shard.flagged for shard in shards), Counter[str]()).items())),
        compared_with=plan.compared_with,
        against=facts.against,
        notes=facts.notes,
        made_by=MADE_BY,
    )
    store.write_metadata(out, metadata)
    return metadata


def _nothing_left(job: IngestJob, out: Path, reasons: Counter[str], n_rows: int) -> RulewrightError:
    error = store.empty(job.name, reasons, n_rows)
    error.hint = f"no record was written; every row with its reason: {store.rejects_path(out, job.name)}"
    if reasons["license"] > n_rows / 2:
        error.hint = "state the license with --license if you know it, or allow more with --allow-licenses"
    elif reasons["language"] > n_rows / 2:
        error.hint = (
            "the rows name no language, and no path that tells it: say it once with --language python"
        )
    elif SOURCES[job.source].note:
        error.hint = SOURCES[job.source].note
    return error


@dataclass(frozen=True)
class _Plan:
    """What deduplication decided, for the new edits in their order, and for other sources."""

    new: keys.Columns
    reason: Any
    """`[n]` of the new edits; 0 if kept."""
    told: Callable[[int], str]
    """The id and source of the better copy of a new edit that is dropped."""
    superseded: dict[str, dict[str, str]] = field(default_factory=dict)
    """Source to {id of its edit: id and source of the better copy}."""
    before: dict[str, int] = field(default_factory=dict)
    """Source to how many of its edits had been superseded earlier."""
    compared_with: dict[str, str] = field(default_factory=dict)


def _plan(job: IngestJob, out: Path, shards: list[Shard], threshold: float) -> _Plan:
    """Decide what to keep, and write the decision on other sources to a journal first."""
    work = Path(job.work)
    own = [shard_path(work, shard.number, "keys") for shard in shards]
    n = sum(shard.n_kept for shard in shards)
    if SOURCES[job.source].evaluation_only:
        return _Plan(keys.gather(own, work), np.zeros(n, dtype=np.uint8), lambda _: "")
    others = [name for name in store.sources_in(out) if name != job.name and _was_ingested(out, name)]
    columns = keys.gather([*(_index(out, name) for name in others), *own], work)
    sizes = [len(_load_index(out, name)["ids"]) for name in others]
    settled, names = sum(sizes), [*others, job.name]
    owners = np.repeat(np.arange(len(names), dtype=np.uint32), [*sizes, n])
    known = {name: column for name, column in columns.items() if name not in _NOT_KEYS}
    decision = dedup.choose(dedup.Keys(source=owners, **known), threshold, settled, work)

    def told(i: int) -> str:
        better = int(decision.because[i])
        return f"{columns['ids'][better].decode()} of {names[owners[better]]}" if better >= 0 else ""

    superseded: dict[str, dict[str, str]] = {}
    for i in np.flatnonzero(decision.reason[:settled]):
        superseded.setdefault(names[owners[i]], {})[columns["ids"][i].decode()] = told(int(i))
    plan = _Plan(
        new=_from(columns, settled),
        reason=decision.reason[settled:],
        told=lambda i: told(settled + i),
        superseded=superseded,
        before={name: _dropped_of(out, name) for name in superseded},
        compared_with={name: _sha256_of(out, name) for name in others},
    )
    return _journalled(work, plan)


def _from(columns: keys.Columns, first: int) -> keys.Columns:
    """The columns of all edits from one on."""
    n_commits = int(columns["commit_ends"][first - 1]) if first else 0
    later = {name: column[first:] for name, column in columns.items()}
    ends = columns["commit_ends"][first:] - n_commits
    return {**later, "commits": columns["commits"][n_commits:], "commit_ends": ends}


def _journalled(work: Path, plan: _Plan) -> _Plan:
    """Keep the first decision on other sources: a killed run may have carried out half of it."""
    path = work / "plan.json"
    if not path.exists():
        facts = {"superseded": plan.superseded, "before": plan.before, "compared_with": plan.compared_with}
        jsonl.write_json(path, facts)
    return dataclasses.replace(plan, **json.loads(path.read_bytes()))


def _dropped_of(out: Path, name: str) -> int:
    metadata = store.read_metadata(out, name)
    return metadata.dropped.get("superseded", 0) if metadata else 0


def _sha256_of(out: Path, name: str) -> str:
    metadata = store.read_metadata(out, name)
    return metadata.sha256 if metadata else ""


def _was_ingested(out: Path, name: str) -> bool:
    metadata = store.read_metadata(out, name)
    return metadata is not None and metadata.made_by == MADE_BY and name not in store.EVALUATION_ONLY


def _write_shard(
    job: IngestJob, shard: Shard, first: int, plan: _Plan, writer: store.Writer, rejects: Any
) -> Counter[str]:
    """Write a shard's kept records to their splits and its copies to the rejects; count these."""
    work = Path(job.work)
    copies: Counter[str] = Counter()
    columns = keys.load(shard_path(work, shard.number, "keys"))
    with shard_path(work, shard.number, "records").open("rb") as stream:
        for i, line in enumerate(stream):
            code = int(plan.reason[first + i])
            if code == 0:
                language = LANGUAGES[int(columns["language"][i])]
                writer.add_line(line.rstrip(b"\n"), language, SPLITS[int(columns["split"][i])])
                continue
            reason = dedup.REASONS[code]
            copies[reason] += 1
            told = store.reject_line(
                reason,
                f"{shard.path}:{columns['lines'][i]}",
                json.loads(line) if job.whole_rejects else None,
                f"as {plan.told(first + i)}",
            )
            rejects.write(told.encode() + b"\n")
    return copies


def _copy(path: Path, target: Any) -> None:
    with path.open("rb") as stream:
        shutil.copyfileobj(stream, target, 1 << 20)


def index_path(out: Path, name: str) -> Path:
    """Where the keys of a source's records lie, for the deduplication of later sources."""
    return out / ".index" / f"{name}.keys"


def _index(out: Path, name: str) -> Path:
    path = index_path(out, name)
    if not path.exists():
        raise RulewrightError(
            f"{path}: the index of the source {name} is missing, so copies of its records cannot be found",
            f"ingest {name} again with --overwrite, or remove its files",
        )
    return path


def _load_index(out: Path, name: str) -> keys.Columns:
    return keys.load(_index(out, name))


def _supersede(out: Path, name: str, ids: dict[str, str], before: int) -> None:
    """Take another source's worse copies out of its files; doing it twice does it once."""
    for split in SPLITS:
        _rewrite(store.split_path(out, split, name), ids)
    index = _load_index(out, name)
    keep = np.fromiter((key.decode() not in ids for key in index["ids"]), np.bool_, len(index["ids"]))
    if not keep.all():
        keys.save_some(index_path(out, name), index, keep)
    metadata = store.read_metadata(out, name)
    if metadata is None:
        return
    index = _load_index(out, name)
    languages = keys.counted(index["language"], LANGUAGES)
    splits = keys.counted(index["split"], SPLITS)
    changed = metadata.model_copy(
        update={
            "sha256": store.digest_of(out, name),
            "num_records": sum(splits.values()),
            "splits": splits,
            "languages": {name: n for name, n in sorted(languages.items()) if n},
            "dropped": {**metadata.dropped, "superseded": before + len(ids)},
        }
    )
    jsonl.write(
        out / "rejects" / f"{name}.superseded.jsonl",
        [{"reason": "superseded", "place": key, "detail": f"as {better}"} for key, better in ids.items()],
    )
    store.write_metadata(out, changed)


def _rewrite(path: Path, without: dict[str, str]) -> None:
    if not path.exists():
        return
    n_kept = 0
    with path.open("rb") as stream, jsonl.atomic(path) as target:
        for line in stream:
            if json.loads(line)["metadata"]["id"] not in without:
                target.write(line)
                n_kept += 1
    if not n_kept:
        path.unlink()
