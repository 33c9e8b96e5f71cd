"""The whole of `trajs make`: raw files → verified steps, their records and groups, and a summary."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

from rulewright import jsonl
from rulewright.data.mix import resolve
from rulewright.digests import file_sha256
from rulewright.engine import Engine
from rulewright.errors import UsageError
from rulewright.runs import git_state, versions
from rulewright.srl.make_trajs import (
    as_records,
    by_split,
    counts_of,
    groups_of,
    limit_shares,
    read_episodes,
    require_steps,
    sift,
)
from rulewright.srl.settings import TrajsConfig


def make(config: TrajsConfig) -> dict[str, Any]:
    """Read, verify and write; give the summary.

    Raises:
        UsageError: there are no raw files, or a result stands there that may not be replaced.
        RulewrightError: no step is left to train on.
    """
    if config.repairs and config.records is None:
        raise UsageError("--repairs needs --records", "add --records FILE")
    if not config.overwrite and (config.out / "metadata.json").exists():
        raise UsageError(f"{config.out}: already contains a result", "use --overwrite, or another --out")
    paths = [
        path for given in config.raw for path in resolve(str(given), "run `rulewright teacher run` first")
    ]
    manifest = {  # what the result is made from
        "raw": {str(path): {"sha256": file_sha256(path), "bytes": path.stat().st_size} for path in paths},
        "versions": versions(),
        "git": git_state(),
        "config": json.loads(config.model_dump_json(exclude={"workers", "overwrite", "json_output"})),
    }
    unread: Counter[str] = Counter()
    with Engine(workers=config.workers, deadline_s=config.deadline_s) as engine:
        found = sift(read_episodes(paths, unread), engine, config)
    dropped = found.dropped + unread
    parts = {
        split: limit_shares(steps, config, dropped) for split, steps in by_split(found.steps, dropped).items()
    }
    require_steps(parts, dropped, paths)
    for split, steps in parts.items():
        jsonl.write(config.out / f"{split}.jsonl", (step.model_dump(mode="json") for step in steps))
    if config.records is not None:
        jsonl.write(config.records, (r.to_json() for r in as_records(parts["train"], config.repairs)))
    groups = groups_of(found.steps)
    jsonl.write_json(config.out / "groups.json", groups)
    summary = {
        "episodes_in": found.n_episodes,
        "steps_in": found.n_rows + unread.total(),
        "steps": {split: len(steps) for split, steps in parts.items()},
        "tasks": {split: len({s.task_id for s in steps}) for split, steps in parts.items()},
        "groups": dict(Counter(group["split"] for group in groups.values())),
        "sources": dict(Counter(s.provenance.source for steps in parts.values() for s in steps)),
        "teachers": dict(Counter(s.provenance.teacher for steps in parts.values() for s in steps)),
        "counts": {split: counts_of(steps) for split, steps in parts.items()},
        "dropped": dict(dropped.most_common()),
        "sha256": {split: file_sha256(config.out / f"{split}.jsonl") for split in parts},
        "manifest": manifest,
    }
    jsonl.write_json(config.out / "metadata.json", summary)
    return summary
