"""Raw teacher trajectories → verified steps for SRL.

Keeps the episodes that reached the target (or passed the tests), executes each of their
actions again, removes duplicates, caps each task, and splits by the task's group.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Annotated, Any

import tyro
from pydantic import Field

from rulewright import console, jsonl
from rulewright.config import CommandConfig
from rulewright.errors import UsageError
from rulewright.runs import file_sha256


class TrajsConfig(CommandConfig):
    """Which raw files, what is kept, where it goes."""

    raw: list[Path] = Field(default_factory=lambda: [Path("trajectories/raw/teacher")])
    """Raw files, or folders of them (their *.jsonl)."""
    out: Path = Path("data/processed/srl")
    """Folder of train.jsonl and dev.jsonl."""
    max_per_task: int = Field(default=4, ge=1)
    """Episodes kept of one task."""
    max_rule_chars: int = Field(default=2000, ge=1)
    """Longest action kept, as JSON."""
    max_steps: int = Field(default=8, ge=1)
    """Longest episode kept."""
    allow_flags: bool = False
    """Keep actions judged lossy or degenerate although their result is right."""
    records: Path | None = None
    """Also write the training steps as records to this file: SFT on the same steps, the control."""
    workers: int = Field(default=2, ge=1)
    """Processes that execute actions."""
    deadline_s: float = Field(default=5.0, gt=0)
    """Longest processor time for one action."""
    overwrite: bool = True
    """Replace the earlier result; it is a pure function of the raw files."""
    json_output: Annotated[bool, tyro.conf.arg(name="json")] = False
    """Summary as JSON on stdout."""


Config = TrajsConfig


def run(config: TrajsConfig) -> int:
    """Read, verify, write, sum up."""
    from rulewright.engine import Engine
    from rulewright.srl import make_trajs

    if not config.overwrite and (config.out / "metadata.json").exists():
        raise UsageError(f"{config.out}: holds a result already", "use --overwrite, or another --out")
    paths = raw_files(config.raw)
    filters = make_trajs.Filters(
        config.max_per_task, config.max_rule_chars, config.max_steps, config.allow_flags
    )
    unread: Counter[str] = Counter()
    with Engine(workers=config.workers, deadline_s=config.deadline_s) as engine:
        found = make_trajs.sift(make_trajs.read_episodes(paths, unread), engine, filters)
    dropped = found.dropped + unread
    parts = make_trajs.by_split(found.steps, dropped)
    make_trajs.require_steps(parts, dropped, paths)
    for split, steps in parts.items():
        jsonl.write(config.out / f"{split}.jsonl", (step.model_dump(mode="json") for step in steps))
    if config.records is not None:
        jsonl.write(config.records, (r.to_json() for r in make_trajs.as_records(parts["train"])))
    summary = {
        "episodes_in": found.n_episodes,
        "steps_in": found.n_rows + unread.total(),
        "steps": {split: len(steps) for split, steps in parts.items()},
        "tasks": {split: len({s.task_id for s in steps}) for split, steps in parts.items()},
        "sources": dict(Counter(s.provenance.source for steps in parts.values() for s in steps)),
        "teachers": dict(Counter(s.provenance.teacher for steps in parts.values() for s in steps)),
        "dropped": dict(dropped.most_common()),
        "sha256": {split: file_sha256(config.out / f"{split}.jsonl") for split in parts},
    }
    jsonl.write_json(config.out / "metadata.json", summary)
    _show(config, summary)
    return 0


def raw_files(given: list[Path]) -> list[Path]:
    """The files meant by files and folders.

    Raises:
        UsageError: one is absent, or a folder has no file.
    """
    paths: list[Path] = []
    for path in given:
        inside = sorted(path.glob("*.jsonl")) if path.is_dir() else [jsonl.require_file(path)]
        if not inside:
            raise UsageError(f"{path}: no *.jsonl in it", "run `rulewright teacher run` first")
        paths += inside
    return paths


def _show(config: TrajsConfig, summary: dict[str, Any]) -> None:
    if config.json_output:
        console.emit_json(summary)
        return
    for split, n in summary["steps"].items():
        console.say(f"{config.out / split}.jsonl: {n:,} verified steps of {summary['tasks'][split]:,} tasks")
    for reason, n in summary["dropped"].items():
        console.say(f"  dropped {n:,}: {reason}")
