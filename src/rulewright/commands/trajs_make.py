"""Raw teacher trajectories → verified steps for SRL.

Keeps the episodes that reached the target (or passed the tests), executes each of their actions again,
removes duplicates, limits the steps per task and the shares of literal and memorized rules, and splits by
the task's group. metadata.json lists the inputs and the dropped steps, groups.json the split of each
group.
"""

from __future__ import annotations

from rulewright import console
from rulewright.srl.settings import TrajsConfig as Config


def run(config: Config) -> int:
    """Read, verify, write, sum up."""
    from rulewright.srl import job

    summary = job.make(config)
    if config.json_output:
        console.emit_json(summary)
        return 0
    for split, n in summary["steps"].items():
        counts = summary["counts"][split]
        console.say(
            f"{config.out / split}.jsonl: {n:,} verified steps of {summary['tasks'][split]:,} tasks, "
            f"{counts['general']:,} general, {counts['memorized']:,} memorized, "
            f"{counts['with_siblings']:,} with siblings; tiers: "
            + (", ".join(f"{tier} {k:,}" for tier, k in counts["tiers"].items()) or "none")
        )
    where = ", ".join(f"{split} {k:,}" for split, k in sorted(summary["groups"].items()))
    console.say(f"groups of verified steps: {where} (each one's split: {config.out / 'groups.json'})")
    for split, n in summary["steps"].items():
        if not n:
            console.say(f"note: no step in {split}, because no verified step has a group of that split")
    for reason, n in summary["dropped"].items():
        console.say(f"  dropped {n:,}: {reason}")
    return 0
