"""Measure the rule miner on edits: do its rules reproduce them, generalize, and match too much?

DATA are .jsonl files or folders with id, source, language, instruction, pre, post, and group (for
transfer). Writes runs/eval/mining/: rows.jsonl with the mined rules, transfer.jsonl, result.json.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rulewright import console
from rulewright.errors import UsageError, by_reason
from rulewright.evaluation.settings import MiningConfig as Config


def run(config: Config) -> int:
    """Evaluate, save, show."""
    from rulewright.engine import check_version
    from rulewright.evaluation import mining
    from rulewright.mining import inputs
    from rulewright.runs import RunDir

    if not config.data:
        raise UsageError("no data file is named", "rulewright eval mining FILE.jsonl …")
    loaded = inputs.Stream(config.data)
    edits = list(loaded)
    if config.limit:
        edits = sorted(edits, key=lambda e: inputs.order(config.seed, e.id))[: config.limit]
    if not edits:
        raise UsageError(
            f"no edit in {', '.join(map(str, config.data))}", f"rows left out: {by_reason(loaded.excluded)}"
        )
    check_version()
    folder = RunDir.open(config.out or Path("runs/eval") / config.name, config, loaded.stamps())
    if folder.done:
        console.say(f"{folder.path}: this run is already finished")
    else:
        result = mining.evaluate(edits, folder, config)
        result["excluded"] = dict(sorted(loaded.excluded.items()))
        folder.finish(result)
    result = folder.result()
    if config.json_output:
        console.emit_json(result)
    else:
        _show(result)
        if result["excluded"]:
            console.say(f"left out: {by_reason(result['excluded'])}")
        console.say(f"rules: {folder.path / 'rows.jsonl'}")
    return 0


def _show(result: Mapping[str, Any]) -> None:
    """The table for the user."""
    lines = []
    for name, value in result["estimates"].items():
        low, high = value["low"], value["high"]
        interval = f"{low:.3f} – {high:.3f}" if low is not None else ""
        mean = "–" if value["value"] is None else f"{value['value']:.3f}"
        lines.append([name, mean, interval, value["n"]])
    console.emit(console.table(["measure", "value", "95 % interval", "n"], lines))
    console.emit(f"tiers: {json.dumps(result['tiers'])}")
    if result["reasons"]:
        console.emit(f"nothing found: {json.dumps(result['reasons'], ensure_ascii=False)}")
