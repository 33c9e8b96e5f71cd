"""Run a teacher over tasks and write its raw trajectories, every proposal executed.

A task is a record, or a JSONL line with instruction, pre and language. Each episode is on disk
when it ends, and is not run again: a killed run, or one with more tasks, simply continues
(--resume, the default). One run writes a file at a time; another is refused.
`rulewright trajs make` then keeps what is verified.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from rulewright import console, jsonl
from rulewright.errors import RulewrightError, UsageError
from rulewright.locks import Lock
from rulewright.teachers.base import GoldTeacher, MinerTeacher, ModelTeacher, Teacher
from rulewright.teachers.config import TeacherConfig
from rulewright.teachers.metrics import render, tally
from rulewright.teachers.srl_teacher import Collector, Episode, EpisodeLimits, Spending, collect
from rulewright.teachers.tasks import TeacherTask, read_tasks

Config = TeacherConfig


def run(config: TeacherConfig) -> int:
    """Ask, execute, write, and sum up."""
    rejected: Counter[str] = Counter()
    tasks = list(read_tasks(config.tasks, rejected, config.limit, config.seed))
    if rejected:
        console.say("not tasks: " + ", ".join(f"{reason} {n:,}" for reason, n in rejected.most_common()))
    _require_different_samples(config)
    _say_unverifiable(tasks)
    if config.dry_run:
        return _estimate(config, tasks)
    out = config.output()
    counts: Counter[str] = Counter()
    with ExitStack() as stack:
        stack.enter_context(Lock.take(out))
        _begin(config, out)
        collector = _collector(config, tasks, stack)
        spending = _spending(config)
        episodes = collect(collector, tasks, out, config.samples, config.batch_size, spending)
        with console.progress("episodes", len(tasks) * config.samples) as bar:
            for episode in episodes:
                _count(counts, episode)
                rate = 100 * counts["solved"] / max(1, counts["episodes"])
                spent: dict[str, object] = {}
                if spending.tokens_in:
                    spent["tokens"] = f"{spending.tokens_in + spending.tokens_out:,}"
                if spending.usd:
                    spent["$"] = f"{spending.usd:.2f}"
                bar.advance(solved=f"{rate:.1f} %", **spent)
    if spending.why_stop:
        console.say(f"stopped: {spending.why_stop}; run the same command again with a higher limit to go on")
    return _finish(config, counts)


def _say_unverifiable(tasks: Sequence[TeacherTask]) -> None:
    """Say before anything is paid for what can never become a verified step."""
    n = sum(task.target is None and task.tests is None for task in tasks)
    if n:
        console.say(
            f"note: {n:,} of {len(tasks):,} tasks have neither a target (`post`) nor `tests`: whatever a "
            "teacher answers, `trajs make` drops it as nothing_to_check_against"
        )


def _require_different_samples(config: TeacherConfig) -> None:
    if config.samples == 1:
        return
    if config.teacher in ("miner", "gold"):
        raise UsageError(
            f"--samples {config.samples}: the {config.teacher} teacher gives one answer to a task",
            "leave out --samples",
        )
    if config.temperature == 0:
        raise UsageError(
            f"--samples {config.samples} at temperature 0 asks for the same answer {config.samples} times",
            "add --temperature 0.8, or leave out --samples",
        )


def _begin(config: TeacherConfig, out: Path) -> None:
    """Make way for the output file, or say that there is one."""
    if config.overwrite:
        out.unlink(missing_ok=True)
    elif not config.resume and out.exists():
        raise UsageError(
            f"{out}: holds episodes already",
            "continue with --resume, replace them with --overwrite, or --name",
        )


def _collector(config: TeacherConfig, tasks: Sequence[TeacherTask], stack: ExitStack) -> Collector:
    from rulewright.engine import Engine

    sandbox = None
    if any(task.tests for task in tasks):
        from rulewright.sandbox.runner import open_sandbox

        sandbox = stack.enter_context(open_sandbox())
    engine = stack.enter_context(Engine(workers=config.workers, deadline_s=config.deadline_s))
    limits = EpisodeLimits(config.max_steps, config.attempts)
    return Collector(_teacher(config, stack), engine, limits, config.seed, sandbox)


def _teacher(config: TeacherConfig, stack: ExitStack) -> Teacher:
    match config.teacher:
        case "miner":
            return MinerTeacher(config.deadline_s)
        case "gold":
            return GoldTeacher()
        case "endpoint" if not config.base_url and not config.generator.base_url:
            raise UsageError("the endpoint teacher has no --base-url", "e.g. http://127.0.0.1:8000/v1")
    from rulewright.generation import Sampling, open_generator

    sampling = Sampling(
        temperature=config.temperature,
        top_p=config.top_p,
        max_new_tokens=config.max_new_tokens,
        seed=config.seed,
    )
    generator = stack.enter_context(open_generator(config.generator_config()))
    return ModelTeacher(config.teacher, generator, sampling)


def _spending(config: TeacherConfig) -> Spending:
    return Spending(
        config.max_usd, config.max_tokens, config.price_in_usd_per_mtok, config.price_out_usd_per_mtok
    )


def _count(counts: Counter[str], episode: Episode) -> None:
    if episode.failed:
        counts["failed"] += 1
        counts[f"failed: {episode.failed}"] += 1
        return
    counts["episodes"] += 1
    counts["steps"] += len(episode.rows)
    counts["solved"] += episode.rows[-1].provenance.solved is True


def _estimate(config: TeacherConfig, tasks: Sequence[TeacherTask]) -> int:
    from rulewright.prompts import action_prompt
    from rulewright.state.state import count_tokens

    prompt_tokens = sum(
        count_tokens(message["content"])
        for task in tasks
        for message in action_prompt(task.instruction, task.pre, task.language)
    )
    calls = len(tasks) * config.samples
    most_in = prompt_tokens * config.samples * config.attempts * config.max_steps
    most_out = calls * config.attempts * config.max_steps * config.max_new_tokens
    spending = _spending(config)
    spending.tokens_in, spending.tokens_out = most_in, most_out
    summary = {
        "tasks": len(tasks),
        "episodes": calls,
        "prompt_tokens_at_most": most_in,
        "completion_tokens_at_most": most_out,
        "tasks_that_nothing_verifies": sum(t.target is None and t.tests is None for t in tasks),
        "usd_at_most": round(spending.usd, 2),
    }
    if config.json_output:
        console.emit_json(summary)
    else:
        console.say(console.counted("dry run: nothing is asked", summary))
    return 0


def _finish(config: TeacherConfig, counts: Counter[str]) -> int:
    files = sorted(config.out.glob("*.jsonl"))
    tallies = tally(files)
    jsonl.write_text(config.metrics, render(tallies, files))
    summary = [
        {"teacher": teacher, "model": model, "source": source, **count.to_dict()}
        for (teacher, model, source), count in tallies.items()
    ]
    jsonl.write_json(config.metrics.with_suffix(".json"), summary)
    if config.json_output:
        console.emit_json({"out": str(config.output()), "this_run": counts, "all": summary})
    else:
        console.say(f"{counts['episodes']:,} new episodes, {counts['steps']:,} steps → {config.output()}")
        console.say(f"figures over all of {config.out}: {config.metrics}")
    if counts["failed"]:
        reasons = [key.removeprefix("failed: ") for key in counts if key.startswith("failed: ")]
        raise RulewrightError(
            f"{counts['failed']:,} episodes could not be asked ({'; '.join(sorted(reasons)[:3])})",
            "run the same command again: only these are owed",
        )
    return 0
