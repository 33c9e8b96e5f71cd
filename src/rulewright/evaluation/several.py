"""One evaluation of one model, or of several models that are then compared.

Every model has a run folder of its own, as if it had been evaluated alone; nothing is
written beside them, so a comparison can be made again from the folders.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

from rulewright import console
from rulewright.evaluation import compare
from rulewright.evaluation.settings import EvalConfig
from rulewright.generation import require_model

Config = TypeVar("Config", bound=EvalConfig)
Result = dict[str, Any]


def run(config: Config, evaluate: Callable[[Config], Result], show: Callable[[Result], None]) -> int:
    """Evaluate, save, show; with several models, compare each with the first and the one before."""
    results = []
    singles = config.each()
    if config.models and not config.rescore:
        for single in singles:  # a name that is wrong is said before the first model has run for hours
            require_model(single.generator_config())
    for single in singles:
        result = evaluate(single)
        results.append(result)
        if not config.json_output:
            show(result)
    comparisons = compare_in_order([result["run"] for result in results])
    if config.json_output:
        console.emit_json({"runs": results, "comparisons": comparisons} if config.models else results[0])
    else:
        for comparison in comparisons:
            console.say("")
            compare.show(comparison)
    return 0


def compare_in_order(paths: Sequence[str]) -> list[Result]:
    """Compare each run with the first, and with the one before it."""
    runs = [compare.read_run(Path(path)) for path in paths] if len(paths) > 1 else []
    return [compare.compare(runs[i], runs[j]) for i, j in pairs(len(runs))]


def pairs(n: int) -> list[tuple[int, int]]:
    """Places of what is compared among n runs in order, the earlier one first.

    >>> pairs(3)
    [(0, 1), (0, 2), (1, 2)]
    """
    return sorted({(i, j) for j in range(1, n) for i in (0, j - 1)}, key=lambda pair: (pair[1], pair[0]))
