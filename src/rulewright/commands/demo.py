"""The whole pipeline, small, on a CPU: real code → records → Stage 0 → Stage 1 → SRL → report.

Runs the commands listed in the configuration one after another, each as you could type it.
A killed demo continues where it was; ends by printing the table of results.
"""

from __future__ import annotations

import shutil
import time
from pathlib import Path
from typing import Literal

import tyro
from pydantic import Field

from rulewright import console
from rulewright.config import CommandConfig
from rulewright.demo import Places, Stage, run_stages
from rulewright.errors import UsageError


class DemoConfig(CommandConfig):
    """The job."""

    root: Path = Path("runs/demo")
    """Folder of everything that the demo makes, but for the report."""
    configs: Path = Path("configs/tiny")
    """Folder of the stages' configurations."""
    report: Path = Path("reports/training/stage2.md")
    """Where the last stage writes its page."""
    device: Literal["auto", "cpu"] = "cpu"
    """`cpu`: hide GPUs from every stage; `auto`: let them be used."""
    overwrite: bool = False
    """Start anew instead of continuing."""
    stages: tyro.conf.Fixed[tyro.conf.Suppress[list[Stage]]] = Field(default_factory=list)
    """The commands, in order; they run in `root`."""


Config = DemoConfig


def run(config: DemoConfig) -> int:
    """Run the stages, print the results."""
    if not config.stages:
        raise UsageError("the demo has no stages", "run it with --config configs/tiny/demo.yaml")
    if config.overwrite and config.root.exists():
        shutil.rmtree(config.root)
    started = time.monotonic()
    rows = run_stages(config.stages, Places(config.root, config.configs, Path.cwd()), config.device)
    console.say()
    console.say(console.table(["stage", "wall s", "cpu s"], [
        [row["name"], row["seconds"], row["cpu_seconds"]] for row in rows
    ]))  # fmt: skip
    total = sum(row["seconds"] for row in rows)
    console.say(f"all stages: {total:.0f} s; this call: {time.monotonic() - started:.0f} s\n")
    _results(config)
    return 0


def _results(config: DemoConfig) -> None:
    summary = config.report.with_suffix(".json")
    if summary.exists():
        import json

        from rulewright.reports.stage2 import results_table

        console.emit(results_table(json.loads(summary.read_text(encoding="utf-8"))))
    page = config.report.with_suffix(".html")
    console.say(f"report: {config.report}" + (f", {page}" if page.exists() else ""))
