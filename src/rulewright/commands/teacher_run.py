"""Run a teacher over tasks and write its raw trajectories, every proposal executed.

A task is a record, or a JSONL line with instruction, pre and language. Each episode is on disk
when it ends, and is not run again: a killed run, or one with more tasks, simply continues
(--resume, the default). One run writes a file at a time; another is refused.
`rulewright trajs make` then keeps what is verified.
"""

from __future__ import annotations

from collections import Counter

from rulewright import console
from rulewright.errors import RulewrightError, by_reason, few
from rulewright.teachers.config import TeacherConfig

Config = TeacherConfig


def run(config: TeacherConfig) -> int:
    """Ask, execute, write, and sum up."""
    from rulewright.teachers import job
    from rulewright.teachers.tasks import read_tasks

    rejected: Counter[str] = Counter()
    tasks = list(read_tasks(config.tasks, rejected, config.limit, config.seed))
    if rejected:
        console.say("not tasks: " + by_reason(rejected))
    job.require_different_samples(config)
    # Said before anything is paid for what can never become a verified step.
    if n := sum(task.target is None and task.tests is None for task in tasks):
        console.say(
            f"note: {n:,} of {len(tasks):,} tasks have neither a target (`post`) nor `tests`: whatever a "
            "teacher answers, `trajs make` drops it as nothing_to_check_against"
        )
    if config.dry_run:
        asked = job.estimate(config, tasks)
        if config.json_output:
            console.emit_json(asked)
        else:
            console.say(console.counted("dry run: nothing is asked", asked))
        return 0
    spending = job.spending_of(config)
    counts = job.run(config, tasks, spending)
    if spending.why_stop:
        console.say(f"stopped: {spending.why_stop}; run the same command again with a higher limit to go on")
    summary = job.write_figures(config)
    if config.json_output:
        console.emit_json({"out": str(config.output()), "this_run": counts, "all": summary})
    else:
        console.say(f"{counts['episodes']:,} new episodes, {counts['steps']:,} steps → {config.output()}")
        console.say(f"figures over all of {config.out}: {config.metrics}")
    if counts["failed"]:
        reasons = [key.removeprefix("failed: ") for key in counts if key.startswith("failed: ")]
        raise RulewrightError(
            f"{counts['failed']:,} episodes could not be asked ({few(sorted(reasons), 3, '; ')})",
            "run the same command again: only these are owed",
        )
    return 0
