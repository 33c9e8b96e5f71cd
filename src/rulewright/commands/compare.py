"""Compare two evaluation runs on the same tasks, with uncertainty.

Reports the paired difference B − A of every headline measure, with intervals over groups. For the main
measure also: exact McNemar (one sample per task), tasks gained and lost, the smallest difference that
this size can detect, and whether B is no worse than (or equivalent to) A within a margin. Reads two run
folders, writes nothing.
"""

from __future__ import annotations

from pathlib import Path

import tyro
from pydantic import Field

from rulewright import console
from rulewright.config import AsJson, CommandConfig


class Config(CommandConfig):
    """Two run folders."""

    run_a: tyro.conf.Positional[Path]
    """The run to compare with, e.g. the untuned model's."""
    run_b: tyro.conf.Positional[Path]
    """The run to judge."""
    metric: str = ""
    """Main measure, or a numeric field of the rows; empty: the benchmark's main measure."""
    margin: float = Field(default=0.03, gt=0, lt=1)
    """Margin of the equivalence test, as a rate: 0.03 is 3 points."""
    by: list[str] = Field(default_factory=list)
    """Fields to break the difference down by; empty: those of the benchmark."""
    seed: int = 0
    """Random seed of the resampling."""
    json_output: AsJson = False
    """Print the result as JSON on stdout."""


def run(config: Config) -> int:
    """Compare and show."""
    from rulewright.evaluation import compare

    a, b = compare.read_run(config.run_a), compare.read_run(config.run_b)
    result = compare.compare(a, b, config.metric, config.margin, config.seed, config.by or None)
    if config.json_output:
        console.emit_json(result)
    else:
        console.say_all(compare.report(result))
    return 0
