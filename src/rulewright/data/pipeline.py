"""From units of input to shards: the part of `ingest` that runs on all cores.

Invariant: a shard is a pure function of its unit and the job, whichever process or machine makes it. Its
`.keys` file is written last: if it exists, the shard is complete, and a resumed run skips it.
"""

from __future__ import annotations

import pkgutil
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from rulewright.data import clean, keys, readers, verified
from rulewright.data.decontaminate import EvaluationIndex, Overlap
from rulewright.data.drafts import Draft, Drop
from rulewright.data.schemas import SPLITS, NormalizedRecord
from rulewright.data.settings import IngestConfig
from rulewright.data.shards import Shard, read_summary, shard_path, whole, write_summary
from rulewright.data.signatures import EditTokens, tokens
from rulewright.data.sources import SOURCES, Normalize
from rulewright.data.splits import Fractions, split_of
from rulewright.data.store import reject_line
from rulewright.errors import problems_of
from rulewright.languages import LANGUAGES

_Made = tuple[NormalizedRecord, EditTokens]


@dataclass(frozen=True)
class IngestJob:
    """All that decides what becomes of a row; the same for every unit of a run."""

    config: IngestConfig
    """With what the source decides filled in."""
    work: Path
    against: Path | None = None
    """The saved `EvaluationIndex`, if any."""


def make_shard(task: tuple[readers.Unit, IngestJob]) -> Shard:
    unit, job = task
    if shard_path(job.work, unit.number, "keys").exists():
        return read_summary(job.work, unit.number)
    return _Maker(unit, job).make()


class _Maker:
    def __init__(self, unit: readers.Unit, job: IngestJob) -> None:
        self._unit, self._job = unit, job
        self._source = SOURCES[job.config.source]
        self._normalize: Normalize = pkgutil.resolve_name(f"rulewright.data.sources.{self._source.normalize}")
        self._against = _evaluation(job.against) if job.against else None
        self._columns: dict[str, list[Any]] = {name: [] for name in keys.COLUMNS}
        self._dropped: Counter[str] = Counter()
        self._flagged: Counter[str] = Counter()
        self._n_rows = 0

    def make(self) -> Shard:
        work, number = self._job.work, self._unit.number
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
                            result.reason, item.place,
                            row if self._job.config.rejects == "rows" else None, result.detail,
                        )  # fmt: skip
                        rejects.write(line.encode() + b"\n")
                    else:
                        record, edit = result
                        records.write(record.to_json().encode() + b"\n")
                        self._enter(record, edit, item.place)
        shard = Shard(
            number, self._unit.path, self._n_rows, len(self._columns["ids"]), self._dropped, self._flagged
        )
        write_summary(work, shard)
        keys.save(shard_path(work, number, "keys"), keys.arrays(self._columns))
        return shard

    def _results(self, item: readers.InputRow) -> Iterator[_Made | Drop]:
        row = item.value
        if isinstance(row, Drop):
            yield row
            return
        lacks: list[list[str]] = [sorted(layout - row.keys()) for layout in self._source.layouts]
        if lacks and all(lacks):
            nearest = min(lacks, key=len)
            yield Drop("missing_columns", f"lacks {', '.join(nearest)}")
            return
        strange = sorted(c for c in self._source.texts if not isinstance(row.get(c, ""), str | None))
        if strange:
            yield Drop("not_text", f"{strange[0]} holds {type(row[strange[0]]).__name__}, expected text")
            return
        for draft in self._normalize(row, self._job.config):
            if isinstance(draft, Draft) and not self._source.evaluation_only:
                draft = clean.cut_to_window(draft, self._job.config)
            yield self._checked(draft)

    def _checked(self, draft: Draft | Drop) -> _Made | Drop:
        if isinstance(draft, Drop):
            return draft
        try:
            record = clean.clean(draft, self._job.config)
        except ValidationError as error:
            return Drop("invalid", problems_of(error))
        if isinstance(record, Drop):
            return record
        if record.metadata.action is not None:
            record = verified.with_action(record, record.metadata.action)
            if isinstance(record, Drop):
                return record
        if "parse_errors" in record.tags:
            self._flagged["parse_errors"] += 1
        edit = EditTokens(record.pre, record.post)
        if self._against is None:
            return record, edit
        record = self._without_contaminated(record, self._against)
        found = self._against.check(record.instruction, edit.sides())
        match found:
            case Drop():
                return found
            case Overlap(problem, n_runs):
                self._flagged["overlap_13gram"] += 1
                marked = record.metadata.model_copy(
                    update={"overlap": {"problem": problem, "n_runs": n_runs}}
                )
                tags = [*record.tags, "overlap_13gram"]
                return record.model_copy(update={"metadata": marked, "tags": tags}), edit
            case None:
                return record, edit

    def _without_contaminated(self, record: NormalizedRecord, against: EvaluationIndex) -> NormalizedRecord:
        """Take out siblings and negatives that an evaluation set holds; they are counted."""

        def is_clean(*texts: str) -> bool:
            return not isinstance(against.check("", map(tokens, texts)), Drop)

        known = record.metadata
        given = (known.siblings or (), known.negatives or ())
        siblings = tuple(one for one in given[0] if is_clean(one.pre, one.post))
        negatives = tuple(text for text in given[1] if is_clean(text))
        n_out = len(given[0]) + len(given[1]) - len(siblings) - len(negatives)
        if not n_out:
            return record
        self._flagged["contaminated_sibling"] += n_out
        left = {"siblings": siblings or None, "negatives": negatives or None}
        return record.model_copy(update={"metadata": known.model_copy(update=left)})

    def _enter(self, record: NormalizedRecord, edit: EditTokens, place: str) -> None:
        config = self._job.config
        where: Any = split_of(record.metadata.group, config.salt, Fractions(*config.fractions))
        if self._source.evaluation_only:
            where = "test"
        columns = self._columns
        keys.enter(columns, record, edit, self._source.rank, self._source.seeded, SPLITS.index(where))
        columns["lines"].append(int(place.rpartition(":")[2]))
        columns["language"].append(LANGUAGES.index(record.language))


_evaluation = lru_cache(maxsize=1)(EvaluationIndex.load)
