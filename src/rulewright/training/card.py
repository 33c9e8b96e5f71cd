"""The README of a trained checkpoint, and the lines that show the result in a terminal.

A pure function of the run's files. A result with `before` and `after` is of a policy training.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from typing import Any

from rulewright import console, jsonl, templates
from rulewright.evaluation.measures import OF_TASK
from rulewright.evaluation.tables import with_unit
from rulewright.training.config import TrainConfig
from rulewright.training.policy_config import MODES

Result = Mapping[str, Any]


def write(config: TrainConfig, result: Result, facts: Mapping[str, Any]) -> None:
    """Render `README.md` beside the weights; absolute paths are cut to their names."""
    jsonl.write_text(config.out / "README.md", render(config, result, facts))


def render(config: TrainConfig, result: Result, facts: Mapping[str, Any]) -> str:
    """Fill the template with what was asked, done and measured."""
    command = shlex.join(templates.published(part) for part in shlex.split(facts["command"]))
    values = {"config": config, "result": result, "command": command}
    if "before" not in result:
        return templates.render("card.md.jinja", **values)
    return templates.render("policy_card.md.jinja", **values, selected=selected(result))


def told(config: TrainConfig, result: Result) -> str:
    """The result as text for the terminal."""
    return _of_policy(config, result) if "before" in result else _of_sft(result)


def _of_sft(result: Result) -> str:
    peak, memory = result.get("peak_gpu_gib"), ""
    if peak is not None:
        memory = f", at most {peak['allocated']:.1f} GiB of GPU memory ({peak['reserved']:.1f} reserved)"
    lines = [
        f"{result['out']}: {result['steps']:,} steps, training loss {result['train_loss']}, "
        f"dev loss {result['dev_loss']}, {result['seconds']:.0f} s{memory}"
    ]
    found = result["evaluation"]
    if found is not None:
        first = {row["step"]: row for row in result["curve"]}.get(0)
        name = OF_TASK[result["task"]].decides.name
        value = found["metrics"][name]
        line = f"{name}: {with_unit(value)} of {value['n']} held-out records"
        lines.append(line + (f"; before training {100 * first[f'dev_{name}']:.1f} %" if first else ""))
        if result.get("cut_answers"):
            lines.append(
                f"{result['cut_answers']} of {value['n']} answers were cut: raise --eval-max-new-tokens"
            )
    return "\n".join(lines)


def _of_policy(config: TrainConfig, result: Result) -> str:
    rows = []
    for mode in MODES:
        before, after, gain = result["before"][mode], result["after"][mode], result["gain"][mode]
        rows.append(
            [
                mode,
                f"{before['mean_reward']:.3f}",
                f"{after['mean_reward']:.3f}",
                f"{gain['difference']:+.3f} [{gain['low']:+.3f}, {gain['high']:+.3f}]",
                f"{before['success_rate']:.3f}",
                f"{after['success_rate']:.3f}",
                after["n"],
            ]
        )
    table = console.table(
        ["dev", "reward before", "after", "gain (95 %)", "success before", "after", "n"], rows
    )
    chosen = selected(result)
    return f"{table}\nmodel: {config.out}; step {result['best_step']} of {result['steps']}, {chosen}"


def selected(result: Result) -> str:
    """How the published step was chosen, and whether it is any better than the start."""
    selection = result["selection"]
    said = (
        "the last one"
        if selection["keep"] == "last"
        else f"the best of {selection['n_candidates']} by dev reward, on the same {result['n_dev']} tasks"
    )
    if selection["beats_start"]:
        return said
    if result["best_step"] == 0:
        return f"{said}: the start itself, which no step beat"
    return f"{said}; it is no better than the start (keep: start would have published the start)"
