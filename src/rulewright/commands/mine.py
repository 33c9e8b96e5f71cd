"""Turn edits into verified ast-grep rules, without a model.

INPUT is processed data (data/processed), any .jsonl with pre and post, or a git repository. Writes
OUT/{train,dev,test}/mined_SOURCE.jsonl, in which every action reproduces its edit exactly, and a report
of the rules by support. With --from-diff, learns rules from one change made by hand and lists the other
places in the files of INPUT that they would change, sure or possible; --write changes the sure places
only.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rulewright import console
from rulewright.commands.offers import Wish
from rulewright.errors import UsageError
from rulewright.mining.settings import MineConfig as Config


def run(config: Config) -> int:
    """Mine; give the exit code."""
    if config.from_diff:
        from rulewright.commands.like import like

        wish = Wish(
            config.write, only=config.only, interactive=config.interactive, as_json=config.json_output
        )
        return like(
            config.from_diff,
            [Path(one) for one in config.inputs],
            wish,
            config.save,
            budget_s=config.budget_s,
        )
    needed = [f"--{name}" for name in ("write", "only", "interactive", "save") if getattr(config, name)]
    if needed:
        raise UsageError(f"{needed[0]} needs --from-diff", "name a diff, or use `rulewright edit --like`")
    from rulewright.mining import dataset

    plan = dataset.plan(config)
    folder = plan.claim()
    if folder.done:
        console.say(f"{folder.path}: this run is already finished")
    else:
        dataset.run(plan, folder)
    if config.json_output:
        console.emit_json(folder.result())
    else:
        _say(folder.result(), config.report / f"{plan.name}.md")
    return 0


def _say(summary: Mapping[str, Any], page: Path) -> None:
    n, found = summary["edits"], summary["found"]
    rows = [["edits", n], ["with rules", found], ["with one rule", summary["one_rule"]]]
    rows += [[f"tier {tier}", count] for tier, count in summary["tiers"].items()]
    rows += [["rules shared by several edits", summary["shared_rules"]]]
    console.say(console.table(["mined", "n"], rows))
    for reason, count in {**summary["excluded"], **summary["reasons"]}.items():
        console.say(f"  not mined: {reason} ({count:,})")
    for source, splits in summary["written"].items():
        console.say(f"  {source}: " + ", ".join(f"{split} {count:,}" for split, count in splits.items()))
    console.say(f"report: {page}")
