"""The results of evaluations and trainings on the terminal, or as one JSON line."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from rulewright import console
from rulewright.errors import by_reason

if TYPE_CHECKING:
    from rulewright.evaluation.harness import Benchmark
    from rulewright.evaluation.settings import EvalConfig
    from rulewright.training.config import SftConfig
    from rulewright.training.policy_config import PolicyConfig

C = TypeVar("C", bound="EvalConfig")


def evaluated(config: C, kind: Callable[[C], Benchmark[C]]) -> int:
    """Evaluate, save, show; with several models, compare each with the first and the one before.

    Every model has a run folder of its own, as if it had been evaluated alone.
    """
    from rulewright.evaluation import compare
    from rulewright.evaluation.harness import evaluate
    from rulewright.generation import require_model

    results = []
    singles = config.each()
    if config.models and not config.rescore:
        for single in singles:  # a name that is wrong is said before the first model has run for hours
            require_model(single.generator_config())
    for single in singles:
        benchmark = kind(single)
        results.append(evaluate(benchmark))
        if not config.json_output:
            console.say_all(benchmark.report(results[-1]))
            skipped = {reason: n for reason, n in results[-1].get("skipped", {}).items() if n}
            if skipped:
                console.say(f"left out: {by_reason(skipped)}")
    comparisons = compare.in_order([Path(result["run"]) for result in results])
    if config.json_output:
        console.emit_json({"runs": results, "comparisons": comparisons} if config.models else results[0])
    else:
        for comparison in comparisons:
            console.say("")
            console.say_all(compare.report(comparison))
    return 0


def trained(config: SftConfig | PolicyConfig, result: dict[str, Any]) -> int:
    """Show what a training gave; the processes of `processes: N` stay quiet."""
    from rulewright.training import card, environment

    if not result or (environment.is_launched() and config.processes > 1):
        return 0
    if config.json_output and not environment.is_launched():
        console.emit_json(result)
    else:
        console.say(card.told(config, result))
    return 0
