"""Validate processed data and measure it: counts, sizes, licenses, edit sizes, drops.

Checks every record. The exit code is 1 if a record is invalid, a group or commit is in two splits, or
files do not match their metadata. With --manifest, checks instead that the files that a model was trained
on are unchanged.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import tyro
from pydantic import Field

from rulewright import console, jsonl
from rulewright.config import AsJson, CommandConfig
from rulewright.workers import cores


class Config(CommandConfig):
    """Options of `rulewright stats`."""

    folder: tyro.conf.Positional[Path] = Path("data/processed")
    """Folder with train, dev, test and the metadata files."""
    out: Path = Path("reports/datasets")
    """Folder for the report: summary.md, summary.json, plots, one card per source."""
    manifest: Path | None = None
    """A model's run/result.json (or a manifest file): check that its training data are unchanged."""

    workers: int = Field(default=0, ge=0)
    """Processes; 0: one per core."""
    json_output: AsJson = False
    """Print the figures as one JSON line."""


def run(config: Config) -> int:
    """Measure, write the report, say what is wrong."""
    if config.manifest is not None:
        from rulewright.data import manifest

        differences = manifest.check(config.manifest)
        for difference in differences:
            console.say(f"problem: {difference}")
        if not differences:
            console.say(f"{config.manifest}: the training data are unchanged")
        return 1 if differences else 0
    from rulewright.data import stats
    from rulewright.reports import datasets

    found = stats.collect(config.folder, config.workers or cores())
    jsonl.write_json(config.out / "summary.json", found)
    datasets.write(config.out / "summary.json", config.out)
    if config.json_output:
        console.emit_json(found)
    else:
        console.emit(_table(found))
    for problem in found["problems"]:
        console.say(f"problem: {problem}")
    console.say(f"report: {config.out / 'summary.md'}")
    return 1 if found["problems"] else 0


def _table(found: dict[str, Any]) -> str:
    n_dropped = {
        name: sum(value["metadata"]["dropped"].values())
        for name, value in found["sources"].items()
        if value["metadata"]
    }
    n_dropped["all"] = sum(n_dropped.values())
    rows = [
        [
            name, *(f"{value['per_split'][split]:,}" for split in ("train", "dev", "test")),
            f"{value['n_invalid']:,}", f"{value['n_groups']:,}", f"{value['n_bytes'] / 1e6:,.1f} MB",
            f"{value['n_tokens'] / 1e6:,.2f}", f"{n_dropped.get(name, 0):,}",
        ]
        for name, value in {**found["sources"], "all": found["total"]}.items()
    ]  # fmt: skip
    headers = ["source", "train", "dev", "test", "invalid", "groups", "size", "M tokens", "dropped"]
    return console.table(headers, rows)
