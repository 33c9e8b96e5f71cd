"""The whole of `teacher run`: every task asked and executed, each episode written as it ends."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from contextlib import ExitStack
from typing import Any

from rulewright import console, jsonl, templates
from rulewright.engine import Engine
from rulewright.errors import UsageError
from rulewright.generation import open_generator
from rulewright.generation.open import require_different
from rulewright.locks import Lock
from rulewright.prompts import action_prompt
from rulewright.state.state import count_tokens
from rulewright.teachers.base import GoldTeacher, MinerTeacher, ModelTeacher, Teacher
from rulewright.teachers.config import TeacherConfig
from rulewright.teachers.metrics import tally
from rulewright.teachers.srl_teacher import Collector, Spending, collect
from rulewright.teachers.tasks import TeacherTask


def require_different_samples(config: TeacherConfig) -> None:
    """Refuse to ask for more answers than can differ.

    Raises:
        UsageError: the teacher, at this temperature, gives the same answer again.
    """
    if config.samples == 1:
        return
    if config.teacher in ("miner", "gold"):
        raise UsageError(
            f"--samples {config.samples}: the {config.teacher} teacher gives one answer per task",
            "leave out --samples",
        )
    require_different("--samples", config.samples, config.temperature)


def run(config: TeacherConfig, tasks: Sequence[TeacherTask], spending: Spending) -> Counter[str]:
    """Ask for the missing episodes; return the counts of this run. `spending` has its cost.

    Raises:
        UsageError: the output file has episodes, and neither --resume nor --overwrite is set.
    """
    out = config.output()
    counts: Counter[str] = Counter()
    with ExitStack() as stack:
        stack.enter_context(Lock.take(out))
        if not (config.overwrite or config.resume) and out.exists():
            raise UsageError(
                f"{out}: already contains episodes",
                "continue with --resume, replace them with --overwrite, or --name",
            )
        collector = _collector(config, tasks, stack)
        if config.overwrite:
            out.unlink(missing_ok=True)
        episodes = collect(collector, tasks, config, spending)
        with console.progress("episodes", len(tasks) * config.samples) as bar:
            for episode in episodes:
                if episode.failed:
                    counts["failed"] += 1
                    counts[f"failed: {episode.failed}"] += 1
                else:
                    counts["episodes"] += 1
                    counts["steps"] += len(episode.rows)
                    counts["solved"] += episode.rows[-1].provenance.solved is True
                rate = 100 * counts["solved"] / max(1, counts["episodes"])
                spent: dict[str, object] = {}
                if spending.tokens_in:
                    spent["tokens"] = f"{spending.tokens_in + spending.tokens_out:,}"
                if spending.usd:
                    spent["$"] = f"{spending.usd:.2f}"
                bar.advance(solved=f"{rate:.1f} %", **spent)
    return counts


def _collector(config: TeacherConfig, tasks: Sequence[TeacherTask], stack: ExitStack) -> Collector:
    sandbox = None
    if any(task.tests for task in tasks):
        from rulewright.sandbox.runner import open_sandbox

        sandbox = stack.enter_context(open_sandbox())
    engine = stack.enter_context(Engine(workers=config.workers, deadline_s=config.deadline_s))
    return Collector(config, _teacher(config, stack), engine, sandbox)


def _teacher(config: TeacherConfig, stack: ExitStack) -> Teacher:
    match config.teacher:
        case "miner":
            return MinerTeacher(config.deadline_s)
        case "gold":
            return GoldTeacher()
        case "endpoint" if not config.base_url and not config.generator.base_url:
            raise UsageError("the endpoint teacher has no --base-url", "e.g. http://127.0.0.1:8000/v1")
    generator = stack.enter_context(open_generator(config.generator_config()))
    return ModelTeacher(config.teacher, generator, config.sampling())


def estimate(config: TeacherConfig, tasks: Sequence[TeacherTask]) -> dict[str, Any]:
    """What asking for all of it would take at most; nothing is asked."""
    prompt_tokens = sum(
        count_tokens(message["content"])
        for task in tasks
        for message in action_prompt(task.instruction, task.pre, task.language)
    )
    calls = len(tasks) * config.samples
    most_in = prompt_tokens * config.samples * config.attempts * config.max_steps
    most_out = calls * config.attempts * config.max_steps * config.max_new_tokens
    spending = Spending(config)
    spending.tokens_in, spending.tokens_out = most_in, most_out
    return {
        "tasks": len(tasks),
        "episodes": calls,
        "prompt_tokens_at_most": most_in,
        "completion_tokens_at_most": most_out,
        "tasks_that_nothing_verifies": sum(t.target is None and t.tests is None for t in tasks),
        "usd_at_most": round(spending.usd, 2),
    }


def write_figures(config: TeacherConfig) -> list[dict[str, Any]]:
    """The figures over all raw files of the folder, written and given."""
    files = sorted(config.out.glob("*.jsonl"))
    summary = tally(files)
    page = templates.render("teachers.md.jinja", files=[file.name for file in files], rows=summary)
    jsonl.write_text(config.metrics, page)
    jsonl.write_json(config.metrics.with_suffix(".json"), summary)
    return summary
