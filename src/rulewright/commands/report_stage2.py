"""Write the Stage 2 report from saved files: data, training, rewards, evaluations.

Reads only saved files, so running it twice gives the same bytes. Writes a Markdown page, a self-contained
HTML page and the figures as JSON.
"""

from __future__ import annotations

from pathlib import Path

from pydantic import Field

from rulewright import console
from rulewright.config import AsJson, CommandConfig
from rulewright.errors import ConfigError, RulewrightError, UsageError, did_you_mean
from rulewright.replacing import read_text


class Config(CommandConfig):
    """The locations of the input files."""

    processed: Path = Path("data/processed")
    """Folder of the records' metadata."""
    models: list[Path] = Field(
        default_factory=lambda: [
            Path("models/sft_stage0"),
            Path("models/sft_stage1_astgrep"),
            Path("models/srl_stage2"),
            Path("models/grpo_stage3"),
        ]
    )
    """Checkpoint folders, in order; those without a finished run are skipped."""
    evals: Path = Path("runs/eval")
    """Folder of evaluation runs."""
    srl: Path = Path("reports/srl")
    """Folder of SRL's metrics."""
    teacher: Path = Path("reports/teacher/metrics.json")
    """Figures of the teacher runs."""
    trajectories: Path = Path("data/processed/srl/metadata.json")
    """Figures of the verified steps."""
    compare: list[str] = Field(default_factory=list)
    """Additional pairs of evaluation runs to compare, as EARLIER:LATER (names under --evals); runs of one
    benchmark on the same data are always compared."""
    stages: Path | None = None
    """`stages.jsonl` of a demo, for its times."""
    notes: Path | None = None
    """A text file to include unchanged."""
    out: Path = Path("reports/training/stage2.md")
    """The Markdown page; .html and .json are written next to it."""
    json_output: AsJson = False
    """Print the figures as JSON on stdout."""


def run(config: Config) -> int:
    """Gather, render, write."""
    from rulewright.reports import pages, stage2

    notes = read_text(config.notes) if config.notes else ""
    found = stage2.gather(
        config.processed,
        config.models,
        config.evals,
        config.srl,
        config.teacher,
        config.trajectories,
        [_pair(text, config.evals) for text in config.compare],
        config.stages,
    )
    if not found["models"] and not found["evals"] and not found["data"]:
        raise RulewrightError(
            f"nothing to report: there is no finished run under {config.processed}, {config.evals} or "
            "the models",
            "run a stage first, or name the folders of its files (--processed, --models, --evals)",
        )
    paths = pages.write(found, config.out, notes)
    if config.json_output:
        console.emit_json(found)
    else:
        console.say(f"report: {', '.join(map(str, paths))}")
        if found["unfinished"]:
            console.say(f"skipped, not finished: {', '.join(found['unfinished'])}")
        if found["missing"]:
            console.say(f"missing: {', '.join(found['missing'])}")
    return 0


def _pair(text: str, evals: Path) -> tuple[Path, Path]:
    earlier, colon, later = text.partition(":")
    if not colon or not earlier or not later:
        raise ConfigError(f"--compare {text}: expected EARLIER:LATER", "two names of folders under --evals")
    for name in (earlier, later):
        if not (evals / name / "rows.jsonl").exists():
            known = sorted(path.parent.name for path in evals.glob("*/rows.jsonl"))
            raise UsageError(
                f"--compare {text}: no run '{name}' in {evals}{did_you_mean(name, known)}",
                f"runs there: {', '.join(known) or 'none'}",
            )
    return evals / earlier, evals / later
