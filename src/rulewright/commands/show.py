"""Show one record, trajectory step or evaluation row: instruction, rule, diff, verdict, reward.

Executes the action again and shows the result next to what the file says. `rulewright show FILE:LINE`
shows that line, `FILE` the first.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import tyro
from pydantic import Field

from rulewright import console, difftext, jsonl
from rulewright.actions import Action, render_action, render_rules
from rulewright.config import AsJson, CommandConfig
from rulewright.errors import UsageError
from rulewright.replacing import read_text
from rulewright.verdict import Outcome

if TYPE_CHECKING:
    from rulewright.reports.lines import Shown


class Config(CommandConfig):
    """What to show."""

    file: tyro.conf.Positional[str]
    """FILE or FILE:LINE: records, trajectory steps, or rows of an evaluation."""
    action: Path | None = None
    """Judge this action (a rule file, an action's JSON or a raw answer) instead of the line's own."""
    deadline_s: float = Field(default=10.0, gt=0)
    """CPU seconds for executing it."""
    json_output: AsJson = False
    """Print JSON on stdout."""


def run(config: Config) -> int:
    """Read the line, execute its action, print."""
    from rulewright.engine import Engine
    from rulewright.reports import lines

    placed = re.fullmatch(r"(.+):(\d+)", config.file)
    is_placed = placed is not None and not Path(config.file).exists()
    path, line = (Path(placed[1]), int(placed[2])) if placed and is_placed else (Path(config.file), 1)
    item = lines.read_line(_row(path, line), path, line)
    answer = read_text(config.action) if config.action else None
    with Engine(workers=1, deadline_s=config.deadline_s) as engine:
        outcome, action = lines.judge(item, engine, answer)
        tried = lines.elsewhere(item, action, outcome, engine)
    rewards = lines.rewards(item, action, outcome, tried)
    if config.json_output:
        console.emit_json({
            "kind": item.kind, "instruction": item.instruction, "language": item.language,
            "pre": item.pre, "wanted": item.wanted,
            "action": json.loads(render_action(action)) if action else None,
            "verdict": outcome.verdict if outcome else None, "detail": outcome.detail if outcome else "",
            "post": outcome.post if outcome else None, "n_matches": outcome.n_matches if outcome else 0,
            "rewards": rewards, "said": dict(item.said),
        })  # fmt: skip
    else:
        console.emit(_as_text(item, action, outcome, rewards))
    return 0


def _row(path: Path, number: int) -> dict[str, Any]:
    last = 0
    for line in jsonl.read_lines(path):
        last = line.number
        if line.number == number or (number == 1 and line.number >= 1):
            return line.object_of(path)
    if not last:
        raise UsageError(f"{path}: the file is empty", "name a file with one record or step per line")
    raise UsageError(f"{path}:{number}: no such line; the last line is {last}", "lines count from 1")


def _as_text(item: Shown, action: Action | None, outcome: Outcome | None, rewards: Mapping[str, Any]) -> str:
    parts = [f"{item.kind}, {item.language}", "", f"instruction: {console.clean(item.instruction)}"]
    if action is not None:
        parts += ["", "rule:", _indent(render_rules(action))]
    if outcome is None:
        parts += ["", "no action; the wanted change:", _indent(difftext.shown(item.pre, item.wanted))]
    else:
        parts += ["", "diff:", _indent(difftext.shown(item.pre, outcome.post) or "(nothing changes)")]
        parts += ["", f"verdict: {outcome.verdict}" + (f" ({outcome.detail})" if outcome.detail else "")]
        parts.append(f"rules {outcome.n_rules}, places {outcome.n_matches}")
    for name, values in rewards.items():
        said = "  ".join(f"{key} {value:.3f}" for key, value in values.items() if value is not None)
        parts.append(f"reward, {name}: {said}")
    parts += ["", "the file says:"]
    parts += [f"  {key}: {json.dumps(value, ensure_ascii=False)[:160]}" for key, value in item.said.items()]
    return console.clean("\n".join(parts))


def _indent(text: str) -> str:
    return "\n".join(f"  {line}" for line in text.rstrip("\n").splitlines())
