"""Raw teacher trajectories → verified steps for SRL.

Keeps the episodes that reached the target (or passed the tests), executes each of their
actions again, removes duplicates, caps each task, bounds the shares of literal and memorized
rules, and splits by the task's group. metadata.json says what it was made from and what was
left out; groups.json, where each group went.
"""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Annotated, Any

import tyro
from pydantic import Field

from rulewright import console, jsonl
from rulewright.config import CommandConfig
from rulewright.errors import UsageError
from rulewright.runs import file_sha256, git_state, versions


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
    tiers: tuple[str, ...] = ("train", "literal", "untiered")
    """Tiers of mined actions to keep (docs/reference/mining.md); untiered: steps of other teachers.
    `reject` is kept only where it is named."""
    literal_share: float = Field(default=1.0, ge=0, le=1)
    """At most this share of a split's steps of tier `literal`: the miner doubts that they hold elsewhere."""
    memorized_share: float = Field(default=0.1, ge=0, le=1)
    """At most this share of a split's steps whose rules mostly repeat code, whatever their tier
    (docs/guide/teachers.md)."""
    records: Path | None = None
    """Also write the training steps as records to this file: SFT on the same steps, the control."""
    repairs: bool = False
    """With --records: give a step that a retry made twice, without and with what the retry was told."""
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

    if config.repairs and config.records is None:
        raise UsageError("--repairs is about records, and none are written", "add --records FILE")
    if not config.overwrite and (config.out / "metadata.json").exists():
        raise UsageError(f"{config.out}: holds a result already", "use --overwrite, or another --out")
    paths = raw_files(config.raw)
    manifest = _manifest(config, paths)
    filters = make_trajs.Filters(
        config.max_per_task,
        config.max_rule_chars,
        config.max_steps,
        config.allow_flags,
        frozenset(config.tiers),
        config.literal_share,
        config.memorized_share,
    )
    unread: Counter[str] = Counter()
    with Engine(workers=config.workers, deadline_s=config.deadline_s) as engine:
        found = make_trajs.sift(make_trajs.read_episodes(paths, unread), engine, filters)
    dropped = found.dropped + unread
    parts = {
        split: make_trajs.limit_shares(steps, filters, dropped)
        for split, steps in make_trajs.by_split(found.steps, dropped).items()
    }
    make_trajs.require_steps(parts, dropped, paths)
    for split, steps in parts.items():
        jsonl.write(config.out / f"{split}.jsonl", (step.model_dump(mode="json") for step in steps))
    if config.records is not None:
        jsonl.write(
            config.records, (r.to_json() for r in make_trajs.as_records(parts["train"], config.repairs))
        )
    groups = make_trajs.groups_of(found.steps)
    jsonl.write_json(config.out / "groups.json", groups)
    summary = {
        "episodes_in": found.n_episodes,
        "steps_in": found.n_rows + unread.total(),
        "steps": {split: len(steps) for split, steps in parts.items()},
        "tasks": {split: len({s.task_id for s in steps}) for split, steps in parts.items()},
        "groups": dict(Counter(group["split"] for group in groups.values())),
        "sources": dict(Counter(s.provenance.source for steps in parts.values() for s in steps)),
        "teachers": dict(Counter(s.provenance.teacher for steps in parts.values() for s in steps)),
        "counts": {split: make_trajs.counts_of(steps) for split, steps in parts.items()},
        "dropped": dict(dropped.most_common()),
        "sha256": {split: file_sha256(config.out / f"{split}.jsonl") for split in parts},
        "manifest": manifest,
    }
    jsonl.write_json(config.out / "metadata.json", summary)
    _show(config, summary)
    return 0


def _manifest(config: TrajsConfig, paths: list[Path]) -> dict[str, Any]:
    """What the result was made from: raw files by digest, tools by version, the configuration."""
    return {
        "raw": {str(path): {"sha256": file_sha256(path), "bytes": path.stat().st_size} for path in paths},
        "versions": versions(),
        "git": git_state(),
        "config": json.loads(config.model_dump_json(exclude={"workers", "overwrite", "json_output"})),
    }


def raw_files(given: list[Path]) -> list[Path]:
    """The files meant by files and folders.

    Raises:
        UsageError: one is absent, or a folder has no file.
    """
    paths: list[Path] = []
    for path in given:
        if not path.exists():
            raise UsageError(f"{path}: no such file or folder", "run `rulewright teacher run` first")
        inside = sorted(path.glob("*.jsonl")) if path.is_dir() else [path]
        if not inside:
            raise UsageError(f"{path}: no *.jsonl in it", "run `rulewright teacher run` first")
        paths += inside
    return paths


def _show(config: TrajsConfig, summary: dict[str, Any]) -> None:
    if config.json_output:
        console.emit_json(summary)
        return
    for split, n in summary["steps"].items():
        counts = summary["counts"][split]
        console.say(
            f"{config.out / split}.jsonl: {n:,} verified steps of {summary['tasks'][split]:,} tasks, "
            f"{counts['general']:,} general, {counts['memorized']:,} memorized, "
            f"{counts['with_siblings']:,} with siblings; tiers: "
            + (", ".join(f"{tier} {k:,}" for tier, k in counts["tiers"].items()) or "none")
        )
    where = ", ".join(f"{split} {k:,}" for split, k in sorted(summary["groups"].items()))
    console.say(f"groups of verified steps: {where} (each one's split: {config.out / 'groups.json'})")
    for split, n in summary["steps"].items():
        if not n:
            console.say(f"note: no step in {split}: no group of a verified step belongs there")
    for reason, n in summary["dropped"].items():
        console.say(f"  dropped {n:,}: {reason}")
