"""Compare training methods from one checkpoint, each with several seeds, measured alike.

A (method, seed) is a job of its own (`demo.run_stages`) in `ROOT/METHOD/SEED`: it trains, then every
measurement is made of its model, into `measured/NAME` there. Data that several of them read is made once
before, in `ROOT/shared`. Seeds come before methods, so an interrupted run has complete columns.
`reports.methods` renders the rows.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final, NamedTuple

from pydantic import Field

from rulewright.config import Section
from rulewright.demo import LOG, Stage, finished
from rulewright.digests import text_sha256
from rulewright.errors import UsageError

MODEL: Final = "model"
"""Where a job's training leaves its model, in the job's folder."""
SHARED: Final = "shared"
"""Folder, below the matrix's root, of what several jobs read."""
MEASURED: Final = "measured"


class TrainingMethod(Section):
    """One way to train."""

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9_-]*$")
    """Of its folder and its row."""
    about: str
    """What it does, in a few words, with its rollouts or records."""
    run: list[str] = Field(default_factory=list)
    """Command lines after `rulewright`; the last leaves the model in `model`. `{base}` is the finished
    job that all methods start from, `{shared}` the folder of what is made once for several methods,
    `{seed}` the seed; `{configs}` and `{threads}` are as in `demo`."""
    model: str = MODEL
    """What is measured; another folder where nothing is trained."""
    seeds: list[int] | None = None
    """Other seeds than the matrix's: one is enough where nothing is trained."""


class Measured(Section):
    """One measurement of every model."""

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9_-]*$")
    """Of its folder and its table."""
    about: str
    """The heading of its table."""
    run: str
    """A command line that takes `--out` (it is put into `measured/NAME`), with `{model}` and the words of a
    method's lines. Its tasks must not depend on the method's seed."""
    best: bool = False
    """A task counts as its best answer does: success within several tries."""


class SeededRun(NamedTuple):
    """A method with a seed."""

    method: TrainingMethod
    seed: int

    @property
    def folder(self) -> Path:
        """Below the matrix's root."""
        return Path(self.method.name, str(self.seed))


def reads_shared(method: TrainingMethod, measured: Sequence[Measured]) -> bool:
    """Whether a method, or a measurement of it, needs what is made once for several."""
    return any("{shared}" in line for line in (*method.run, *(one.run for one in measured)))


def jobs(methods: Sequence[TrainingMethod], seeds: Sequence[int]) -> list[SeededRun]:
    """All jobs, seed by seed; methods with seeds of their own first."""
    own = [SeededRun(method, seed) for method in methods for seed in method.seeds or ()]
    common = [SeededRun(method, seed) for seed in seeds for method in methods if method.seeds is None]
    return own + common


def stages(job: SeededRun, measured: Sequence[Measured], base: Path, root: Path) -> list[Stage]:
    """The job as commands: training first, then every measurement."""
    title = f"{job.method.name}, seed {job.seed}"
    words = {
        "base": str(base),
        "shared": str(root / SHARED),
        "seed": str(job.seed),
        "model": job.method.model.replace("{base}", str(base)),
    }
    return [
        *(Stage(name=title, run=_fill(line, words)) for line in job.method.run),
        *(
            Stage(
                name=f"{title}: {one.about}",
                run=f"{_fill(one.run, words)} --out {MEASURED}/{one.name}",
            )
            for one in measured
        ),
    ]


def shared_stages(lines: Sequence[str], base: Path) -> list[Stage]:
    return [Stage(name="data of several methods", run=_fill(line, {"base": str(base)})) for line in lines]


def _fill(line: str, words: Mapping[str, str]) -> str:
    """Put in what is known of the job; `{configs}` and `{threads}` are left for its runner."""
    for word, value in words.items():
        line = line.replace(f"{{{word}}}", shlex.quote(value))
    return line


def stands_on(base: Path) -> str:
    """A digest of the finished job that all methods start from.

    Raises:
        UsageError: there is no such job.
    """
    rows = finished(base)
    if not rows:
        raise UsageError(
            f"{base}: no finished job is here (no {LOG})",
            "run `make demo` (or `make demo-tiny`) first, or name its folder with --base",
        )
    return text_sha256("".join(str(row["digest"]) for row in rows))


def training_seconds(folder: Path) -> float:
    """What the finished training stages of a job took; 0 where there are none."""
    rows = (row for row in finished(folder) if f"--out {MEASURED}/" not in str(row["command"]))
    return sum(float(row["seconds"]) for row in rows)
