"""Render the Stage 2 figures as Markdown and as one self-contained HTML page."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from rulewright import jsonl, templates
from rulewright.reports import benchmarks, stage2

_COLORS: Final = ("#2f6690", "#c8553d", "#588157", "#7b5ea7")


def write(found: dict[str, Any], out: Path, notes: str = "") -> list[Path]:
    """Render `out` (.md), the page beside it (.html), and the gathered figures (.json)."""
    page, figures = out.with_suffix(".html"), out.with_suffix(".json")
    shown = _view(found, notes)
    jsonl.write_text(out, templates.render("stage2.md.jinja", **shown))
    jsonl.write_text(page, templates.render("stage2.html.jinja", **shown, curves=curves(found)))
    jsonl.write_json(figures, found)
    return [out, page, figures]


def _view(found: Mapping[str, Any], notes: str) -> dict[str, Any]:
    """What the templates show: tables as (head, rows), the rest as it was gathered."""
    return {
        **found,
        "notes": notes,
        "results": (stage2.RESULT_HEAD, stage2.results(found)),
        "trained": (stage2.SFT_HEAD, stage2.sft_results(found)),
        "policy": (stage2.POLICY_HEAD, stage2.policy_results(found)),
        "families": _families(found),
        "sources": (
            ("source", "records", "train", "dev", "test", "rows read", "dropped", "license"),
            [_source(item) for item in found["data"]],
        ),
        "runs": (
            stage2.RUN_HEAD,
            [_run(model) for model in found["models"] if "before" not in model["result"]],
        ),
        "policies": (
            ("checkpoint", "from", "reward", "tasks", "steps", "prompts", "best step", "options", "time"),
            [_policy(model) for model in found["models"] if "before" in model["result"]],
        ),
        "made_with": _made_with(found),
        "canitedit": benchmarks.canitedit(found["evals"]),
        "regression": (benchmarks.REGRESSION_HEAD, benchmarks.regression(found)),
        "mining": benchmarks.mining(found["evals"]),
        "comparison": (benchmarks.DIFFERENCE_HEAD, benchmarks.differences(found)),
        "times": (
            ("stage", "command", "wall s", "cpu s"),
            [
                [s["name"], f"rulewright {s['command']}", s["seconds"], s["cpu_seconds"]]
                for s in found["stages"]
            ],
        ),
        "seconds": round(sum(s["seconds"] for s in found["stages"])),
    }


def _made_with(found: Mapping[str, Any]) -> str:
    """Commit, machine and versions of the last training run; empty before there is one."""
    if not found["models"]:
        return ""
    facts = found["models"][-1]["facts"]
    commit = facts["git"]["commit"] or "unknown"
    changed = " (with local changes)" if facts["git"]["dirty"] else ""
    versions = ", ".join(f"{name} {version}" for name, version in facts["versions"].items())
    return f"Commit {commit}{changed}; {facts['machine']['system']}; {versions}."


def _source(item: Mapping[str, Any]) -> list[str]:
    splits = item["splits"]
    dropped = sorted(item["dropped"].items(), key=lambda pair: -pair[1])
    listing = ", ".join(f"{reason} {n:,}" for reason, n in dropped[:4]) + (", …" if len(dropped) > 4 else "")
    counts = [f"{splits.get(split, 0):,}" for split in ("train", "dev", "test")]
    return [
        item["source"], f"{item['num_records']:,}", *counts,
        f"{item['rows_in']:,}", listing or "–", item["license"],
    ]  # fmt: skip


def _run(model: Mapping[str, Any]) -> list[str]:
    result, config = model["result"], model["config"]
    return [
        model["name"],
        f"{result['n_parameters'] / 1e6:,.2f} M",
        f"{result['data']['n_rows']:,} rows",
        f"{result['steps']:,}",
        str(result["batch_size"]),
        _options(config["trainer"]),
        str(result["train_loss"]),
        "–" if result["dev_loss"] is None else str(result["dev_loss"]),
        f"{result['seconds']:.0f} s",
    ]


def _policy(model: Mapping[str, Any]) -> list[str]:
    result = model["result"]
    return [
        model["name"], stage2.place(result["model"]), result["reward"], f"{result['n_train']:,}",
        f"{result['steps']:,}", f"{result['prompts']:,}", str(result["best_step"]),
        _options(model["config"]["trainer"]), f"{result['seconds']:.0f} s",
    ]  # fmt: skip


def _options(trainer: Mapping[str, Any]) -> str:
    shown = (
        "learning_rate",
        "lr_scheduler_type",
        "num_train_epochs",
        "max_steps",
        "num_generations",
        "temperature",
    )
    return ", ".join(f"{key} {trainer[key]}" for key in shown if key in trainer) or "defaults"


def _families(found: Mapping[str, Any]) -> tuple[Sequence[str], list[list[str]]]:
    """Families by run: the headline of each."""
    runs = [r for r in found["evals"] if r["result"].get("by", {}).get("family")]
    names = sorted({name for run in runs for name in run["result"]["by"]["family"]})
    rows = []
    for name in names:
        row = [name]
        for run in runs:
            value = run["result"]["by"]["family"].get(name)
            rate = value and value[run["headline"]]
            row.append(f"{100 * rate['value']:.0f} % (n {rate['n']})" if rate and rate["n"] else "–")
        rows.append(row)
    return ("family", *(run["name"] for run in runs)), rows


def curves(found: Mapping[str, Any]) -> list[dict[str, str]]:
    """SVG pictures: title and markup of each."""
    drawn = []
    for model in found["models"]:
        rows, result = model["curve"], model["result"]
        if "before" in result:
            continue
        key = "dev_exact" if result["task"] == "edit" else "dev_success"
        series = [
            ("training loss", [(r["step"], r["loss"]) for r in rows if "loss" in r], 0),
            (
                f"{key.removeprefix('dev_')}, held-out",
                [(r["step"], r[key]) for r in rows if r.get(key) is not None],
                1,
            ),
        ]
        drawn.append({"title": model["name"], "svg": _svg(series, ("loss", "rate"))})
    train = [row for row in found["srl_metrics"] if row.get("kind") == "train"]
    dev = [row for row in found["srl_metrics"] if row.get("kind") == "dev"]
    if dev:
        series = [
            (
                "train, sampled",
                [(r["step"], r["unfiltered/reward"]) for r in train if "unfiltered/reward" in r],
                0,
            )
        ]
        for mode in ("greedy", "sampled"):
            points = [(r["step"], r["mean_reward"]) for r in dev if r["mode"] == mode]
            series.append((f"dev, {mode}", points, 0))
        drawn.append({"title": "SRL: mean reward", "svg": _svg(series, ("reward", ""))})
    return drawn


Series = tuple[str, Sequence[tuple[float, float]], int]


def _svg(series: Sequence[Series], labels: tuple[str, str]) -> str:
    """A small line chart; a series with axis 1 is drawn against the right-hand scale."""
    import matplotlib
    from matplotlib.figure import Figure

    with matplotlib.rc_context({"svg.hashsalt": "rulewright", "font.size": 9}):
        figure = Figure(figsize=(5.2, 2.9), layout="constrained")
        left = figure.add_subplot()
        axes = [left, left.twinx() if any(axis for _, _, axis in series) else left]
        for (name, points, axis), color in zip(series, _COLORS, strict=False):
            if points:
                xs, ys = zip(*points, strict=True)
                mark = "o" if len(points) <= 30 else ""
                axes[axis].plot(xs, ys, label=name, color=color, marker=mark, markersize=3, linewidth=1.2)
        left.set_xlabel("optimizer step")
        left.set_ylabel(labels[0])
        if axes[1] is not left:
            axes[1].set_ylabel(labels[1])
            axes[1].set_ylim(0, 1)
        figure.legend(loc="outside upper center", ncols=3, frameon=False, fontsize=8)
        out = io.StringIO()
        figure.savefig(out, format="svg", metadata={"Date": None})
    return out.getvalue()[out.getvalue().index("<svg") :]
