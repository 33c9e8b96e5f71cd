"""Curves of a policy run: a picture that is a function of `metrics.jsonl` alone."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from rulewright import jsonl

_PARTS: Final = ("s_field", "s_str", "s_effect", "s_code", "tests")


def plot(metrics: Path, target: Path, title: str) -> Path:
    """Draw reward, success, components and sampling over the steps of a run.

    Args:
        metrics: lines with `kind` train or dev, and `step`.
        target: a PNG file, replaced when complete.
        title: above the panels.
    """
    from matplotlib.figure import Figure

    rows = list(jsonl.read(metrics))
    train = [row for row in rows if row.get("kind") == "train"]
    dev = [row for row in rows if row.get("kind") == "dev"]
    figure = Figure(figsize=(10, 6.5), layout="constrained")
    figure.suptitle(title)
    reward, success, parts, sampling = figure.subplots(2, 2).flat

    _line(reward, train, "unfiltered/reward", "train, sampled, before filtering", alpha=0.6)
    for mode, mark in (("greedy", "o-"), ("sampled", "s--")):
        chosen = [row for row in dev if row["mode"] == mode]
        _line(reward, chosen, "mean_reward", f"dev, {mode}{_n(chosen)}", mark)
        _line(success, chosen, "success_rate", f"dev, {mode}{_n(chosen)}", mark)
    reward.set_title("mean reward")
    _line(success, train, "unfiltered/success_rate", "train, sampled", alpha=0.6)
    _line(success, train, "unfiltered/general_rate", "train, right elsewhere too", alpha=0.6)
    success.set_title("answers with the wanted effect")
    for name in _PARTS:
        _line(parts, train, f"parts/{name}", name)
    parts.set_title("components, train")
    _line(sampling, train, "sampling/kept_rate", "groups kept")
    _line(sampling, train, "unfiltered/infra_rate", "left out (infra)")
    sampling.set_title("dynamic sampling")
    rounds = sampling.twinx()
    rounds.set_ylabel("rounds")
    _line(rounds, train, "sampling/rounds", "rounds", ":", color="tab:gray")
    for panel in (reward, success, parts, sampling):
        panel.set_xlabel("optimizer step")
        panel.grid(alpha=0.3)
        if panel.get_legend_handles_labels()[0]:
            panel.legend(fontsize=8)
    with jsonl.atomic(target) as stream:
        figure.savefig(stream, format="png", dpi=110)
    return target


def _line(
    panel: Any, rows: Sequence[dict[str, Any]], key: str, label: str, style: str = "-", **options: Any
) -> None:
    points = [(row["step"], row[key]) for row in rows if row.get(key) is not None]
    if points:
        panel.plot(*zip(*points, strict=True), style, label=label, markersize=4, **options)


def _n(rows: Sequence[dict[str, Any]]) -> str:
    return f" (n = {rows[-1]['n']})" if rows else ""
