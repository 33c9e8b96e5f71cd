"""Measure the rule miner on pre/post sets: does it reproduce, generalize, and keep out of the way.

DATA are .jsonl files or folders with id, source, language, instruction, pre, post, and group (for
transfer). Writes runs/eval/mining/: rows.jsonl with the rules found, transfer.jsonl, result.json.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import tyro
from pydantic import Field

from rulewright import console
from rulewright.config import CommandConfig


class Config(CommandConfig):
    """`rulewright eval mining`."""

    data: tyro.conf.Positional[tuple[Path, ...]]
    """Files or folders of edits."""
    name: str = "mining"
    """Name of the run."""
    out: Path | None = None
    """Run folder; default runs/eval/NAME."""
    limit: int = Field(default=0, ge=0)
    """At most so many edits, drawn by hash; whole groups are not kept together. 0: all."""
    budget_s: float = Field(default=2.0, gt=0)
    """Nominal seconds per edit (counted in rule evaluations)."""
    n_background: int = Field(default=100, ge=0)
    """Files of the same source and language in which over-match is counted."""
    n_known: int = Field(default=40, ge=0)
    """Other files of the source that the miner may look at when it grades a rule."""
    seed: int = 0
    """Of the draws and of the resampling."""
    jobs: int = Field(default=1, ge=1)
    """Processes."""
    resume: bool = True
    """Continue a run of the same configuration; a finished one is only shown."""
    overwrite: bool = False
    """Replace what is in the run folder."""
    json_output: Annotated[bool, tyro.conf.arg(name="json")] = False
    """Result as JSON on stdout."""


def run(config: Config) -> int:
    """Evaluate, save, show."""
    from rulewright.errors import UsageError
    from rulewright.evaluation import mining
    from rulewright.locks import Lock
    from rulewright.mining import inputs
    from rulewright.runs import RunDir

    if not config.data:
        raise UsageError("no data named", "rulewright eval mining FILE.jsonl …")
    loaded = inputs.Stream(config.data)
    edits = list(loaded)
    if config.limit:
        edits = sorted(edits, key=lambda e: inputs.order(config.seed, e.id))[: config.limit]
    if not edits:
        raise UsageError(
            f"no edit in {', '.join(map(str, config.data))}", f"rows left out: {dict(loaded.excluded)}"
        )
    path = config.out or Path("runs/eval") / config.name
    folder = RunDir.open(
        path,
        config,
        resume=config.resume,
        overwrite=config.overwrite,
        seed=config.seed,
        inputs=loaded.files,
        lock=Lock.take(path),
    )
    if not folder.done:
        options = mining.Options(
            config.budget_s, config.seed, config.n_background, config.n_known, config.jobs
        )
        result = mining.evaluate(edits, folder, options)
        result["excluded"] = dict(sorted(loaded.excluded.items()))
        folder.finish(result)
    result = folder.result()
    if config.json_output:
        console.emit_json(result)
    else:
        mining.show(result)
        console.say(f"rules: {path / 'rows.jsonl'}")
    return 0
