"""What training adds, over several seeds: the paired gain of evaluations over one of the start.

    python benchmarks/gain_over_seeds.py runs/eval/START runs/eval/SEED0 runs/eval/SEED1 …

The start and the seeds are run folders of one benchmark over the same tasks. Printed for each measure,
in points of a hundred: the mean gain over the seeds, its 95 % interval with groups of tasks resampled, and
with groups and seeds resampled, which says how certain the method is; then the gain of every seed.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import numpy as np

from rulewright import console
from rulewright.errors import UsageError
from rulewright.evaluation.compare import Run, read_run
from rulewright.stats import N_RESAMPLES, Floats, estimate

MEASURES: Final = ("success", "change_similarity", "valid")


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("start", type=Path)
    parser.add_argument("seeds", type=Path, nargs="+")
    args = parser.parse_args()
    start, seeds = read_run(args.start), [read_run(path) for path in args.seeds]
    console.emit(console.table(("measure", "n", "start", "gain", "tasks", "tasks and seeds", "seeds"), [
        _row(measure, start, seeds) for measure in MEASURES
    ]))  # fmt: skip
    return 0


def _row(measure: str, start: Run, seeds: Sequence[Run]) -> Sequence[object]:
    before, group_of = _by_task(start, measure)
    gains = np.array([_gains(before, _by_task(run, measure)[0], run) for run in seeds])
    groups = list(group_of.values())
    tasks = estimate(gains.mean(axis=0).tolist(), groups, rate=False)
    low, high = np.quantile(_resampled(gains, groups), [0.025, 0.975])
    return (
        measure, len(before), f"{100 * np.mean(list(before.values())):.1f}", f"{100 * gains.mean():+.2f}",
        f"[{100 * (tasks.low or 0):+.1f}, {100 * (tasks.high or 0):+.1f}]",
        f"[{100 * low:+.1f}, {100 * high:+.1f}]",
        " ".join(f"{100 * gain:+.1f}" for gain in gains.mean(axis=1)),
    )  # fmt: skip


def _by_task(run: Run, measure: str) -> tuple[dict[str, float], dict[str, str]]:
    """The mean of a measure over the answers of each task, and the group of each."""
    found: dict[str, list[float]] = {}
    groups: dict[str, str] = {}
    for row in run.rows:
        found.setdefault(row["task"], []).append(float(row[measure]))
        groups[row["task"]] = row["group"]
    return {task: sum(values) / len(values) for task, values in found.items()}, groups


def _gains(before: Mapping[str, float], after: Mapping[str, float], run: Run) -> list[float]:
    if before.keys() != after.keys():
        raise UsageError(f"{run.path}: has other tasks than the start", "evaluate both on the same tasks")
    return [after[task] - before[task] for task in before]


def _resampled(gains: Floats, groups: Sequence[str]) -> Floats:
    """Mean gains of resamples of seeds and of whole groups.

    Args:
        gains: by seed and task.
        groups: the group of each task.
    """
    rng = np.random.default_rng(0)
    members = [np.flatnonzero(np.array(groups) == name) for name in sorted(set(groups))]
    means: list[float] = []
    for _ in range(N_RESAMPLES):
        drawn = np.concatenate([members[n] for n in rng.integers(0, len(members), size=len(members))])
        means.append(float(gains[rng.integers(0, len(gains), size=len(gains))][:, drawn].mean()))
    return np.array(means)


if __name__ == "__main__":
    raise SystemExit(main())
