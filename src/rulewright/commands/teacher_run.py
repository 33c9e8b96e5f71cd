"""Ask a teacher for the rules of tasks, execute every proposal, and write raw trajectories.

A task is a record, or a JSONL line with instruction, pre and language. Each episode is saved when it ends
and is not run again: run the same command again to continue a killed run or to add tasks (--resume, the
default). Only one run at a time can write a file. `rulewright trajs make` then keeps the verified steps.
"""

from __future__ import annotations

from collections import Counter

from rulewright import console
from rulewright.errors import RulewrightError, by_reason, few
from rulewright.teachers.config import TeacherConfig as Config


def run(config: Config) -> int:
    """Ask, execute, write, and sum up."""
    from rulewright.teachers import job
    from rulewright.teachers.srl_teacher import Spending
    from rulewright.teachers.tasks import read_tasks

    rejected: Counter[str] = Counter()
    tasks = list(read_tasks(config.tasks, rejected, config.limit, config.seed))
    if rejected:
        console.say("lines that are not tasks: " + by_reason(rejected))
    job.require_different_samples(config)
    # Said before anything is paid for what can never become a verified step.
    if n := sum(task.target is None and task.tests is None for task in tasks):
        console.say(
            f"note: {n:,} of {len(tasks):,} tasks have neither a target (`post`) nor `tests`: `trajs "
            "make` will drop every answer to them as nothing_to_check_against"
        )
    if config.dry_run:
        asked = job.estimate(config, tasks)
        if config.json_output:
            console.emit_json(asked)
        else:
            console.say(console.counted("dry run, no request is sent", asked))
        return 0
    spending = Spending(config)
    counts = job.run(config, tasks, spending)
    if spending.why_stop:
        console.say(
            f"stopped: {spending.why_stop}; to continue, run the same command again with a higher limit"
        )
    summary = job.write_figures(config)
    if config.json_output:
        console.emit_json({"out": str(config.output()), "this_run": counts, "all": summary})
    else:
        console.say(f"{counts['episodes']:,} new episodes, {counts['steps']:,} steps → {config.output()}")
        console.say(f"figures over all of {config.out}: {config.metrics}")
    if counts["failed"]:
        reasons = [key.removeprefix("failed: ") for key in counts if key.startswith("failed: ")]
        raise RulewrightError(
            f"{counts['failed']:,} episodes got no answer ({few(sorted(reasons), 3, '; ')})",
            "run the same command again: it asks only for these",
        )
    return 0
