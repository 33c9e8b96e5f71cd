"""Held-out records as tasks: read and select them, and name their groups.

A line that is no valid record is counted with its reason and written to `rejects.jsonl` in
the run folder; it never stops a run.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, TypeVar

from rulewright import jsonl
from rulewright.data.mix import resolve
from rulewright.data.schemas import NormalizedRecord
from rulewright.data.splits import draw, draw_each
from rulewright.errors import UsageError, by_reason
from rulewright.evaluation.harness import Benchmark
from rulewright.evaluation.measures import Measures
from rulewright.evaluation.settings import RecordsConfig

Config = TypeVar("Config", bound=RecordsConfig)


class RecordBenchmark(Benchmark[Config]):
    """A benchmark on held-out records."""

    records: dict[str, NormalizedRecord]
    skipped: dict[str, int]
    """Reason to count; what `--per-group` and `--limit` left out is not among them."""

    def __init__(self, config: Config) -> None:
        super().__init__(config)
        self.inputs = expand(config.input)

    def open(self, stack: ExitStack) -> None:
        config = self.config
        records, self.skipped, bad = load(self.inputs, config.leaves_out)
        if bad:
            self.files["rejects.jsonl"] = bad

        def name(record: NormalizedRecord) -> str:
            return f"{config.seed}:{record.metadata.id}"

        spread = draw_each(records, config.per_group, lambda record: record.metadata.group, name)
        chosen = draw(spread, config.limit, name)
        self.records = {record.metadata.id: record for record in chosen}


def expand(patterns: Iterable[object]) -> list[Path]:
    """Files, folders (their `*.jsonl`) and globs → files, each once.

    Raises:
        UsageError: one of them names nothing.
    """
    return list(dict.fromkeys(path for pattern in patterns for path in resolve(str(pattern))))


def load(
    paths: Sequence[Path], leaves_out: Callable[[NormalizedRecord], str | None]
) -> tuple[list[NormalizedRecord], dict[str, int], list[dict[str, Any]]]:
    """Read records; leave out those that there is a reason against, count the reasons, name bad lines."""
    records: dict[str, NormalizedRecord] = {}
    skipped: Counter[str] = Counter()
    bad: list[dict[str, Any]] = []
    for path in paths:
        for line in jsonl.read_lines(path):
            record = jsonl.validated(line, NormalizedRecord)
            if isinstance(record, str):
                skipped["invalid"] += 1
                bad.append({"file": str(path), "line": line.number, "reason": record})
            elif reason := leaves_out(record) or "":
                skipped[reason] += 1
            elif record.metadata.id in records:
                skipped["duplicate_id"] += 1
            else:
                records[record.metadata.id] = record
    if not records:
        left = by_reason(skipped) or "the files are empty"
        raise UsageError(
            f"no record to evaluate on in {', '.join(map(str, paths))} ({left})",
            "name other records with --input; those without an action need --no-with-action",
        )
    return list(records.values()), dict(skipped), bad


def meta_of(record: NormalizedRecord, benchmark: Measures) -> dict[str, Any]:
    """What rows and breakdowns know of a record."""
    return {
        "benchmark": benchmark.name,
        "group": record.metadata.group,
        "source": record.metadata.source,
        "language": record.language,
        "family": family_of(record),
        "tags": list(record.tags),
    }


def family_of(record: NormalizedRecord) -> str:
    """The kind of edit: as its generator names it, else its first tag."""
    provenance = record.metadata.provenance or {}
    for key in ("family", "template", "codemod"):
        if isinstance(provenance.get(key), str):
            return str(provenance[key])
    return record.tags[0] if record.tags else "untagged"
