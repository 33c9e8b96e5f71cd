"""ExcessCode, exactly as the benchmark computes it (facts of the official code at 8796791).

For a passing completion with coverage: uncovered lines over all lines of the diff between
the program before and the completion. Its docstring says median; its code takes the mean.
"""

from __future__ import annotations

import difflib
import math
import statistics
from collections.abc import Mapping, Sequence
from typing import Any, Final

from rulewright.evaluation.canitedit.data import START_TESTS

COVERAGE_RC: Final = "[report]\nexclude_also =\n    @(abc\\.)?abstractmethod\n"


def missing_lines(report: str) -> list[int] | None:
    """Uncovered lines, from the first file row of `coverage report -m`.

    A range `5-7` counts every number in it, blank lines and comments too: the official way.
    `None` where the report has no such row.
    """
    rows = iter(report.splitlines())
    for line in rows:
        if line.startswith("-----"):
            break
    row = next(rows, "").split()
    percent = next((i for i, word in enumerate(row) if word.endswith("%")), None)
    if percent is None:
        return None
    if int(row[percent].rstrip("%")) >= 100:
        return []
    missing: list[int] = []
    for part in "".join(row[percent + 1 :]).split(","):
        first, dash, last = part.partition("-")
        missing += range(int(first), int(last if dash else first) + 1)
    return missing


def diff_lines(before: str, program: str) -> int:
    """Every line of `difflib.Differ`'s comparison: unchanged, `- `, `+ ` and `? ` alike."""
    body = program.partition(START_TESTS + "\n")[0]
    return sum(1 for _ in difflib.Differ().compare(before.splitlines(), body.splitlines()))


def excess(before: str, program: str, missing: Sequence[int]) -> float:
    """ExcessCode of one passing completion, in [0, …): uncovered lines per line of the diff."""
    return len(missing) / diff_lines(before, program)


def aggregate(by_item: Mapping[str, Sequence[float]]) -> dict[str, Any]:
    """ExcessCode over items, in percent, with the official standard error.

    Args:
        by_item: the values of each item's passing completions; items without one are left out.
    """
    means = [statistics.fmean(values) for values in by_item.values() if values]
    if not means:
        return {"value": None, "se": None, "n_items": 0, "n_completions": 0, "share_with_any": None}
    flat = [value for values in by_item.values() for value in values]
    return {
        "value": round(100 * statistics.fmean(means), 6),
        "se": round(100 * statistics.pstdev(means) / math.sqrt(len(means)), 6),
        "n_items": len(means),
        "n_completions": len(flat),
        "share_with_any": round(sum(value > 0 for value in flat) / len(flat), 6),
    }
