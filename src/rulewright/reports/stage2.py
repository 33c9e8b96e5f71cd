"""The Stage 2 report: one page, a pure function of the files that stages saved.

Collects first (`gather`, plain JSON), then renders; nothing is measured or judged here. Missing files are
listed as missing.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from rulewright import console, jsonl
from rulewright.evaluation.measures import BENCHMARKS, OF_TASK, estimates_of
from rulewright.evaluation.tables import with_unit
from rulewright.reports import benchmarks

Json = dict[str, Any]


def gather(
    processed: Path,
    models: Sequence[Path],
    evals: Path,
    srl: Path,
    teacher: Path,
    trajectories: Path,
    pairs: Sequence[tuple[Path, Path]],
    stages: Path | None = None,
) -> Json:
    """Read all existing files.

    Args:
        processed: folder of `*.metadata.json`.
        models: checkpoint folders, in the order of the stages.
        evals: folder of evaluation runs; those of RuleBench lie in `bench` beside it.
        srl: folder of SRL's `metrics.jsonl`.
        teacher: `metrics.json` of the teacher runs.
        trajectories: `metadata.json` of the verified steps.
        pairs: evaluation runs to compare beside the usual pairs, earlier one first.
        stages: `stages.jsonl` of a demo, for its times.

    Raises:
        RulewrightError: an evaluation that no table takes; `UsageError` for a pair that is not there.
    """
    order = [path.name for path in models]
    found_models = [_model(path) for path in models if (path / "run/result.json").exists()]
    finished = sorted([*evals.glob("*/result.json"), *evals.parent.glob("bench/*/result.json")])
    runs = benchmarks.in_order([_eval(path.parent) for path in finished], order)
    reference = next((m["name"] for m in found_models if m["result"].get("task") == "edit"), "")
    found = {
        "data": [_json(path) for path in sorted(processed.glob("*.metadata.json"))],
        "models": found_models,
        "evals": runs,
        "unfinished": sorted(
            path.parent.name
            for path in evals.glob("*/rows.jsonl")
            if not (path.parent / "result.json").exists()
        ),
        "teacher": jsonl.read_json(teacher, _AGAIN) if teacher.exists() else [],
        "trajectories": _json(trajectories) if trajectories.exists() else None,
        "srl_metrics": list(jsonl.read(srl / "metrics.jsonl")) if (srl / "metrics.jsonl").exists() else [],
        "comparisons": benchmarks.comparisons(runs, pairs, reference),
        "reference": reference,
        "stages": list(jsonl.read(stages)) if stages is not None else [],
    }
    wanted = {
        "normalized records": found["data"],
        "a trained model": found["models"],
        "an evaluation": found["evals"],
        "teacher trajectories": found["teacher"],
        "verified steps": found["trajectories"],
        "an SRL run": found["srl_metrics"],
    }
    found["missing"] = [name for name, value in wanted.items() if not value]
    found["readiness"] = readiness(found)
    found["lessons"] = lessons(found)
    return found


_AGAIN: Final = "run that stage again, or move its folder away"


def _json(path: Path) -> Json:
    return jsonl.read_object(path, _AGAIN)


def _model(path: Path) -> Json:
    run = path / "run"
    metrics = run / "metrics.jsonl"
    return {
        "name": path.name,
        "path": str(path),
        "config": _json(run / "config.json"),
        "facts": _json(run / "run.json"),
        "result": _json(run / "result.json"),
        "curve": list(jsonl.read(metrics)) if metrics.exists() else [],
        "weights": sorted(p.name for p in path.glob("*.safetensors")),
    }


def _eval(path: Path) -> Json:
    result = _json(path / "result.json")
    benchmark, estimates = estimates_of(result, str(path / "result.json"))
    config = _json(path / "config.json") if (path / "config.json").exists() else {}
    run = _json(path / "run.json") if (path / "run.json").exists() else {}
    return {
        "name": path.name,
        "path": str(path),
        "benchmark": benchmark.name,
        "track": result.get("track", ""),
        "gold": result.get("gold", ""),
        "model": config.get("model") or "",
        "data": result.get("data_digest") or sorted(run.get("inputs", {}).values()),
        "headline": benchmark.decides.name,
        "value": estimates[benchmark.decides.name],
        "result": result,
    }


def readiness(found: Mapping[str, Any]) -> list[Json]:
    """The plan's checklist for GRPO (section 7), answered from the files."""
    models = {model["name"]: model for model in found["models"]}
    saved = [name for name, model in models.items() if model["weights"]]
    steps = (found["trajectories"] or {}).get("steps", {})
    grpo = [name for name in models if "grpo" in name]
    together = [
        f"{name} in {n} processes" for name in grpo if (n := models[name]["result"].get("processes", 1)) > 1
    ]
    n_executed, n_infra = executed(found)
    return [
        {
            "what": "Stage 1 and SRL checkpoints are saved with weights and a finished run",
            "ok": any("stage1" in name for name in saved) and any("srl" in name for name in saved),
            "seen": ", ".join(saved) or "none",
        },
        {
            "what": "verified trajectories are there, with their digests",
            "ok": bool(steps.get("train")) and bool((found["trajectories"] or {}).get("sha256")),
            "seen": ", ".join(f"{split} {n:,}" for split, n in steps.items()) or "none",
        },
        {
            "what": "a GRPO run on the environment reward has ended",
            "ok": bool(grpo),
            "seen": ", ".join(grpo) or "none: rulewright train grpo --config configs/tiny/grpo.yaml",
        },
        {
            "what": "engine and sandbox executed answers without a failure of their own (`infra`)",
            "ok": n_executed > 0 and n_infra == 0,
            "seen": f"{n_executed:,} answers in evaluations and rollouts, {n_infra:,} infra",
        },
        {
            "what": "a GRPO run of several processes has ended (accelerate, DeepSpeed)",
            "ok": bool(together),
            "seen": ", ".join(together)
            or "none: accelerate launch --config_file configs/accelerate/tiny_ddp.yaml -m rulewright "
            "train grpo --config configs/tiny/grpo.yaml",
        },
    ]


def executed(found: Mapping[str, Any]) -> tuple[int, int]:
    """Answers executed by evaluations and in SRL's rollouts, and how many of them failed through us."""
    verdicts: Counter[str] = Counter()
    for run in found["evals"]:
        verdicts.update(run["result"].get("verdicts", {}))
    rows = [row for row in found["srl_metrics"] if "sampling/rollouts" in row]
    n_rollouts = sum(int(row["sampling/rollouts"]) for row in rows)
    failed = sum(row["sampling/rollouts"] * row.get("unfiltered/infra_rate", 0.0) for row in rows)
    return sum(verdicts.values()) + n_rollouts, verdicts["infra"] + round(failed)


def lessons(found: Mapping[str, Any]) -> list[str]:
    """What the figures say is weakest, for the next stage; no opinions."""
    said = []
    for run in found["evals"]:
        if run["benchmark"] not in ("actions", "edits"):
            continue
        families = run["result"].get("by", {}).get("family", {})
        low = sorted(
            (values[run["headline"]]["value"], name, values[run["headline"]]["n"])
            for name, values in families.items()
            if values[run["headline"]]["n"] >= 5
        )[:3]
        if low:
            listing = ", ".join(f"{name} {100 * value:.0f} % (n {n})" for value, name, n in low)
            said.append(f"{run['name']}: the weakest families are {listing}.")
        failed = {k: v for k, v in run["result"].get("verdicts", {}).items() if k != "ok"}
        worst = sorted(failed.items(), key=lambda item: -item[1])[:3]
        if worst:
            listing = ", ".join(f"{name} {n}" for name, n in worst)
            said.append(f"{run['name']}: what fails, fails by {listing}.")
    train = [row for row in found["srl_metrics"] if row.get("kind") == "train"]
    kept = [row["sampling/kept_rate"] for row in train if "sampling/kept_rate" in row]
    if kept:
        said.append(
            f"SRL kept {100 * kept[0]:.0f} % of the groups at the first step and {100 * kept[-1]:.0f} % "
            "at the last: what is left without differences teaches nothing more."
        )
    return said


def results(found: Mapping[str, Any]) -> list[list[str]]:
    """The table of results: run, benchmark, model, metric, value with interval, n."""
    rows = []
    for run in found["evals"]:
        unit = BENCHMARKS[run["benchmark"]].decides.unit
        rows.append(
            [
                run["name"],
                " ".join(filter(None, (run["benchmark"], run["track"]))),
                benchmarks.model_of(run),
                run["headline"],
                with_unit(run["value"], unit),
                str(run["value"]["n"]),
            ]
        )
        tries = {int(k.partition("@")[2]): v for k, v in run["result"].get("pass_at", {}).items()}
        k = max(tries, default=1)
        if k > 1 and run["benchmark"] in ("actions", "edits"):
            metric = f"{run['headline']} within {k} tries"
            rows.append(["", run["benchmark"], "", metric, with_unit(tries[k], "rate"), str(tries[k]["n"])])
        if "repeat_input" in run["result"]:
            base = run["result"]["repeat_input"][run["headline"]]
            rows.append(
                ["", run["benchmark"], "repeat the input", run["headline"], with_unit(base), str(base["n"])]
            )
    return rows


def gains(found: Mapping[str, Any]) -> list[list[str]]:
    """What differs between runs on the same tasks, paired, by the measure that decides."""
    rows = benchmarks.differences(found)
    return [row for row in rows if row[3] == "all" and row[7]]


def place(model: str) -> str:
    """A model as a page names it: a folder from here, so that no page tells where things lie on a machine.

    >>> place("Qwen/Qwen3-14B"), place(str(Path.cwd() / "models" / "base"))
    ('Qwen/Qwen3-14B', 'models/base')
    """
    return os.path.relpath(model) if Path(model).is_absolute() else model


def sft_results(found: Mapping[str, Any]) -> list[list[str]]:
    """SFT on dev, before the first step and after the last: what was learned."""
    rows = []
    for model in found["models"]:
        result = model["result"]
        if result.get("evaluation") is None or "before" in result:
            continue
        name = OF_TASK[result["task"]].decides.name
        first = next((row for row in result["curve"] if row["step"] == 0), None)
        before = f"{100 * first[f'dev_{name}']:.1f} % (n {first['n_asked']})" if first else "–"
        after = result["evaluation"]["metrics"][name]
        rows.append([model["name"], place(result["base"]), name, before, with_unit(after), str(after["n"])])
    return rows


def policy_results(found: Mapping[str, Any]) -> list[list[str]]:
    """SRL and GRPO on dev, before and after: reward and success."""
    rows = []
    for model in found["models"]:
        result = model["result"]
        if "before" not in result:
            continue
        for mode in ("greedy", "sampled"):
            before, after, gain = result["before"][mode], result["after"][mode], result["gain"][mode]
            rows.append(
                [
                    f"{model['name']} ({result['reward']}), {mode}",
                    f"{before['mean_reward']:.3f}",
                    f"{after['mean_reward']:.3f}",
                    f"{gain['difference']:+.3f} [{gain['low']:+.3f}, {gain['high']:+.3f}]",
                    f"{100 * before['success_rate']:.1f} %",
                    f"{100 * after['success_rate']:.1f} %",
                    str(after["n"]),
                ]
            )
    return rows


RESULT_HEAD: Final = ("run", "benchmark", "model", "metric", "value [95 %]", "n")
RUN_HEAD: Final = (
    "checkpoint", "parameters", "trained on", "steps", "batch", "options", "loss", "dev loss", "time",
)  # fmt: skip
SFT_HEAD: Final = ("checkpoint", "from", "metric on dev", "before training", "after [95 %]", "n")
POLICY_HEAD: Final = (
    "dev, mode", "reward before", "after", "gain [95 %]", "success before", "after", "n",
)  # fmt: skip


def results_table(found: Mapping[str, Any]) -> str:
    """The tables of results, for a terminal."""
    tables = [
        (RESULT_HEAD, results(found)),
        (SFT_HEAD, sft_results(found)),
        (POLICY_HEAD, policy_results(found)),
        (benchmarks.DIFFERENCE_HEAD, gains(found)),
        *benchmarks.canitedit(found["evals"]),
        (benchmarks.REGRESSION_HEAD, benchmarks.regression(found)),
    ]
    shown = [table for i, table in enumerate(tables) if table[1] or not i]
    return "\n\n".join(console.table(head, rows) for head, rows in shown)
