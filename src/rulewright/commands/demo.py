"""The whole pipeline, small, on a CPU: a model → real code → records → Stage 0 → Stage 1 → SRL → report.

Runs the commands listed in the configuration one after another; you could also type them. If the demo is
killed, run it again and it continues. At the end it prints the table of results.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Literal

from pydantic import Field

from rulewright import console, shipped
from rulewright.config import CommandConfig, FileOnly
from rulewright.demo import Places, Stage, owed, remove, run_stages
from rulewright.errors import UsageError
from rulewright.workers import cores


class Config(CommandConfig):
    """The job."""

    root: Path = Path("runs/demo")
    """Folder for everything that the demo makes, except the report."""
    configs: Path = Path("configs/tiny")
    """Folder of the stages' configurations."""
    report: Path = Path("reports/training/stage2.md")
    """Where the last stage writes its page."""
    device: Literal["auto", "cpu"] = "cpu"
    """`cpu`: hide GPUs from every stage; `auto`: use them."""
    threads: int = Field(default=1, ge=0)
    """CPU threads of the stages that compute with a model; 0: one per core."""
    about: str = ""
    """Text printed before the first stage: what will happen, what it needs, what it downloads."""
    overwrite: bool = False
    """Start from the beginning instead of continuing."""
    stages: FileOnly[list[Stage]] = Field(default_factory=list)
    """The commands, in order; they run in `root`."""


def run(config: Config) -> int:
    """Run the stages, print the results."""
    if not config.stages:
        raise UsageError(
            "no configuration is given",
            "run it with --config smollm2/demo; `rulewright configs` lists others",
        )
    if config.overwrite:
        remove(config.root)
    started = time.monotonic()
    places = Places(config.root, shipped.locate(config.configs), Path.cwd(), config.threads or cores())
    _announce(config, places)
    rows = run_stages(config.stages, places, config.device)
    console.say()
    console.say(console.table(["stage", "wall s", "cpu s"], [
        [row["name"], row["seconds"], row["cpu_seconds"]] for row in rows
    ]))  # fmt: skip
    total = sum(row["seconds"] for row in rows)
    console.say(f"all stages: {total:.0f} s; this call: {time.monotonic() - started:.0f} s\n")
    summary = config.report.with_suffix(".json")
    if summary.exists():
        import json

        from rulewright.reports.stage2 import results_table

        console.emit(results_table(json.loads(summary.read_text(encoding="utf-8"))))
    page = config.report.with_suffix(".html")
    console.say(f"report: {config.report}" + (f", {page}" if page.exists() else ""))
    return 0


def _announce(config: Config, places: Places) -> None:
    """Say what comes and about how long it takes, before anything is downloaded or computed."""
    left = owed(config.stages, places)
    if config.about and len(left) == len(config.stages):
        console.say(config.about.strip() + "\n")
    if len(left) < len(config.stages):
        console.say(f"{config.root}: {len(config.stages) - len(left)} stages are done; to be done:")
    for stage in left:
        console.say(f"  {stage.name}" + (f": about {stage.minutes:g} min" if stage.minutes else ""))
    if total := sum(stage.minutes for stage in left):
        console.say(f"about {total:.0f} min in all on two cores; {places.threads} thread(s) here")
