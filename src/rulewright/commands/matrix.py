"""Compare training methods: each starts from one checkpoint, runs with several seeds, and is measured
alike.

Reads the finished job of `demo` (its data and its Stage 1). Trains and measures every method of the
configuration in a separate folder, and writes one page that compares each method with the baseline,
paired, with intervals. If it is killed, run it again and it continues; the page shows the results so far.
"""

from __future__ import annotations

import statistics
from collections import Counter
from pathlib import Path
from typing import Annotated, Any, Literal

import tyro
from pydantic import Field

from rulewright import console, matrix, shipped
from rulewright.config import CommandConfig, FileOnly
from rulewright.demo import Places, remove, run_stages
from rulewright.errors import UsageError, did_you_mean
from rulewright.locks import Lock
from rulewright.matrix import Measured, TrainingMethod
from rulewright.reports import methods as page
from rulewright.workers import cores


class Config(CommandConfig):
    """The methods, and what is measured of each."""

    root: Path = Path("runs/matrix")
    """Folder for everything that the methods make."""
    base: Path = Path("runs/demo")
    """The finished job that all methods start from: its data and its models."""
    configs: Path = Path("configs/smollm2")
    """Folder of the methods' configurations."""
    report: Path = Path("reports/methods.md")
    """The page."""
    device: Literal["auto", "cpu"] = "cpu"
    """`cpu`: hide GPUs from every stage; `auto`: use them."""
    threads: int = Field(default=1, ge=0)
    """CPU threads of the stages that compute with a model; 0: one per core."""
    seeds: list[int] = Field(default_factory=lambda: [1, 2, 3])
    """Seeds of the methods that train."""
    only: Annotated[list[str], tyro.conf.arg(metavar="METHOD")] = Field(default_factory=list)
    """Train and measure only these methods; the page shows all results so far."""
    baseline: str = ""
    """The method that the others are compared with; empty: the first."""
    about: str = ""
    """What is compared, for the top of the page."""
    overwrite: bool = False
    """Train and measure finished methods again: all, or those named by --only."""
    shared: FileOnly[list[str]] = Field(default_factory=list)
    """Commands whose results several methods read, as `{shared}`: run once, before them."""
    methods: FileOnly[list[TrainingMethod]] = Field(default_factory=list)
    """The ways to train."""
    measured: FileOnly[list[Measured]] = Field(default_factory=list)
    """What is measured of each."""


def run(config: Config) -> int:
    """Run what is missing, then write the page."""
    _require_sense(config)
    base, root, before = config.base.resolve(), config.root.resolve(), matrix.stands_on(config.base)
    chosen = [method for method in config.methods if not config.only or method.name in config.only]
    jobs = matrix.jobs(chosen, config.seeds)
    threads = config.threads or cores()
    configs = shipped.locate(config.configs)
    with Lock.take(config.root):
        made = root / matrix.SHARED
        if any(matrix.reads_shared(method, config.measured) for method in chosen):
            if config.overwrite:
                remove(made)
            shared = matrix.shared_stages(config.shared, base)
            run_stages(shared, Places(made, configs, Path.cwd(), threads), config.device, before)
        for number, job in enumerate(jobs, 1):
            folder = config.root / job.folder
            if config.overwrite:
                remove(folder)
            console.say(f"\nmethod {number} of {len(jobs)}: {job.method.name}, seed {job.seed}")
            reads_shared = matrix.reads_shared(job.method, config.measured)
            stands_on = before + (matrix.stands_on(made) if reads_shared else "")
            places = Places(folder, configs, Path.cwd(), threads)
            stages = matrix.stages(job, config.measured, base, root)
            run_stages(stages, places, config.device, stands_on)
            _write_page(config)
    console.emit(page.text(_write_page(config)))
    console.say(f"report: {config.report}")
    return 0


def _write_page(config: Config) -> dict[str, Any]:
    """Render what has been measured by now."""
    trained = []
    for method in config.methods:
        folders = {job.seed: config.root / job.folder for job in matrix.jobs([method], config.seeds)}
        taken = [seconds for folder in folders.values() if (seconds := matrix.training_seconds(folder))]
        measured = {seed: folder / matrix.MEASURED for seed, folder in folders.items()}
        mean = statistics.fmean(taken) if taken else None
        trained.append(page.Trained(method.name, method.about, measured, mean))
    found = page.gather(
        trained,
        [page.Wanted(one.name, one.about, one.best) for one in config.measured],
        config.baseline or config.methods[0].name,
        config.about.strip(),
    )
    page.write(found, config.report)
    return found


def _require_sense(config: Config) -> None:
    """Refuse what cannot be a matrix, before anything is trained.

    Raises:
        UsageError: no method or measurement, a name twice or unknown.
    """
    if not config.methods or not config.measured:
        raise UsageError(
            "the configuration lists no methods or no measurements",
            "run it with --config tiny/matrix or smollm2/matrix; `rulewright configs` lists others",
        )
    names = [method.name for method in config.methods]
    for kind, found in (("method", names), ("measurement", [one.name for one in config.measured])):
        twice = [name for name, n in Counter(found).items() if n > 1]
        if twice:
            raise UsageError(f"two {kind}s are called {twice[0]}", "give each a different name")
    for method in config.methods:
        if matrix.reads_shared(method, config.measured) and not config.shared:
            raise UsageError(
                f"the method '{method.name}', or a measurement, reads {{shared}}, which nothing makes",
                "list its commands under `shared:` in the configuration",
            )
    for name in [*config.only, *([config.baseline] if config.baseline else [])]:
        if name not in names:
            raise UsageError(f"no method '{name}'{did_you_mean(name, names)}", f"one of {', '.join(names)}")
