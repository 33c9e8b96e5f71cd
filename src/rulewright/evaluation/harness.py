"""The loop that all model evaluations share: ask, score, keep, resume.

Invariant: `rows.jsonl` holds one row per (task, sample) whose prompt is today's prompt,
with the raw answer in it; so a killed run asks only for what is missing, and scoring can
be done again without a model. Rows of a finished run are in task order.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from rulewright import console, jsonl
from rulewright.errors import RulewrightError, UsageError
from rulewright.evaluation.measures import Row as Row
from rulewright.evaluation.settings import EvalConfig
from rulewright.generation import (
    Completion,
    Generator,
    Prompt,
    Sampling,
    checkpoint_facts,
    open_generator,
    require_model,
)
from rulewright.generation.open import as_style
from rulewright.languages import Language
from rulewright.locks import Lock
from rulewright.prompts import Style, digest
from rulewright.runs import RunDir
from rulewright.verdict import Verdict

GENERATOR_FILE: Final = "generator.json"


@dataclass(frozen=True)
class Item:
    """One question: its key, its prompt, and what is known of the task."""

    task: str
    prompt: Prompt
    meta: Mapping[str, Any] = field(default_factory=dict)
    """Put into the task's rows as it is: group, source, language, family, tags, …"""
    language: Language | None = None
    """Of the action that is asked for; `None` where something else is."""

    @property
    def digest(self) -> str:
        if isinstance(self.prompt, str):
            return digest([{"role": "user", "content": self.prompt}])
        return digest(list(self.prompt))


@dataclass(frozen=True)
class Answer:
    """One saved or fresh answer, ready to be scored."""

    item: Item
    sample: int
    text: str
    finish_reason: str
    reasoning: str = ""


Score = Callable[[Sequence[Answer]], Iterable[Row]]
"""Scores in the order of the answers; each holds at least `verdict` and `detail`."""


def claim(config: EvalConfig, benchmark: str, inputs: Sequence[Path], facts: Row | None = None) -> RunDir:
    """Open the run folder; refuse to mix it with another configuration or a retrained checkpoint.

    Args:
        config: of the command.
        benchmark: part of the default name.
        inputs: files that must not change on resume.
        facts: what names the model; by default those of the configured one.
    """
    if facts is None and not config.rescore:
        require_model(config.generator_config())
    path = config.run_folder(benchmark)
    run = RunDir.open(
        path,
        config.identity(),
        resume=config.resume,
        overwrite=config.overwrite,
        seed=config.seed,
        inputs=inputs,
        lock=Lock.take(path),
    )
    facts = checkpoint_facts(config.generator_config()) if facts is None else facts
    saved = path / GENERATOR_FILE
    if saved.exists() and run.rows():
        earlier = json.loads(saved.read_text(encoding="utf-8"))
        if not config.rescore and earlier.get("digest") != facts.get("digest"):
            raise UsageError(
                f"{path}: its answers are of another checkpoint: {facts['model']} has changed since",
                "use --overwrite, or --name for another run",
            )
    else:
        jsonl.write_json(saved, facts)
    return run


def run_items(
    config: EvalConfig,
    run: RunDir,
    make_items: Callable[[Style], list[Item]],
    score: Score,
    sampling: Sampling,
    ok: Callable[[Row], bool],
    open_model: Callable[[], Generator] | None = None,
) -> list[Row]:
    """Bring the run's rows up to date and give them, in order of task and sample.

    Args:
        config: of the command.
        run: its folder, claimed.
        make_items: the questions, in the prompt style of the model.
        score: judges answers.
        sampling: `n` samples per task.
        ok: for the progress line.
        open_model: in place of the configured model (gold answers).

    Raises:
        RulewrightError: some answers could not be had; what was answered is kept.
    """
    items = make_items(_style(run))
    rows = _usable_rows(run, items, sampling.n)
    if config.rescore:
        (run.path / "result.json").unlink(missing_ok=True)
        rows = _rescored(rows, items, score)
        _write(run, rows, items)
    owed = [item for item in items if any((item.task, k) not in rows for k in range(sampling.n))]
    if owed and config.rescore:
        raise RulewrightError(
            f"{run.path}: {len(owed)} of {len(items)} tasks have no saved answer",
            "run without --rescore first",
        )
    if owed:
        opened = open_model() if open_model else open_generator(config.generator_config())
        with opened as generator, run.appender() as out:
            failures = _ask(generator, owed, sampling, score, rows, out, ok)
        if failures:
            raise RulewrightError(
                f"{run.path}: {len(failures)} of {len(items)} tasks were not answered (last: {failures[-1]})",
                "what was answered is kept; run the same command again for the rest",
            )
    return _write(run, rows, items)


def _style(run: RunDir) -> Style:
    facts = json.loads((run.path / GENERATOR_FILE).read_text(encoding="utf-8"))
    return as_style(facts.get("style"))


def _usable_rows(run: RunDir, items: Sequence[Item], n: int) -> dict[tuple[str, int], Row]:
    """Rows whose task and prompt are still asked; others are left out, and said."""
    digests = {item.task: item.digest for item in items}
    found = run.rows()
    rows = {
        (row["task"], row["sample"]): row
        for row in found
        if digests.get(row["task"]) == row["prompt_digest"] and row["sample"] < n
    }
    if stale := len(found) - len(rows):
        console.say(f"{run.path}: {stale} saved answers are to other prompts than today's, and left out")
    if rows:
        console.say(f"{run.path}: {len(rows)} of {len(items) * n} answers are there already")
    return rows


def _ask(
    generator: Generator,
    owed: Sequence[Item],
    sampling: Sampling,
    score: Score,
    rows: dict[tuple[str, int], Row],
    out: jsonl.Appender,
    ok: Callable[[Row], bool],
) -> list[str]:
    """Ask, score and append; give the reasons of what could not be had."""
    failures: list[str] = []
    n_ok = n_scored = 0
    with console.progress("tasks", len(owed)) as bar:
        languages = [item.language for item in owed if item.language is not None]
        asked = generator.stream(
            [item.prompt for item in owed], sampling, languages if len(languages) == len(owed) else None
        )
        for index, completions in asked:
            item = owed[index]
            got = [
                (k, completion)
                for k, completion in enumerate(completions)
                if completion.finish_reason != "error" and (item.task, k) not in rows
            ]
            failures += [c.error for c in completions if c.finish_reason == "error"][:1]
            for row in _score(item, got, score):
                rows[(item.task, row["sample"])] = row
                out.append(row)
                n_ok, n_scored = n_ok + ok(row), n_scored + 1
            bar.advance(ok=f"{100 * n_ok / max(1, n_scored):.1f} %", failed=len(failures))
    return failures


def _score(item: Item, got: Sequence[tuple[int, Completion]], score: Score) -> list[Row]:
    answers = [Answer(item, k, c.text, c.finish_reason, c.reasoning) for k, c in got]
    # What the server refused is our fault, never the model's; it is a row with that verdict.
    judged = iter(score([a for a, (_, c) in zip(answers, got, strict=True) if c.finish_reason != "refused"]))
    rows = []
    for answer, (_, completion) in zip(answers, got, strict=True):
        refused = completion.finish_reason == "refused"
        scores = _infra(completion.error) if refused else next(judged)
        rows.append({**_base(answer, completion), **scores})
    return rows


def _infra(detail: str) -> Row:
    return {"verdict": Verdict.INFRA.value, "detail": detail}


def _base(answer: Answer, completion: Completion) -> Row:
    row: Row = {
        "task": answer.item.task,
        "sample": answer.sample,
        "prompt_digest": answer.item.digest,
        "text": completion.text,
        "finish_reason": completion.finish_reason,
        "n_tokens": completion.n_tokens,
        "n_prompt_tokens": completion.n_prompt_tokens,
        "seconds": completion.seconds,
    }
    if completion.reasoning:
        row["reasoning"] = completion.reasoning
    if completion.logprob is not None:
        row["logprob"] = completion.logprob
    return {**row, **answer.item.meta}


_ANSWER_FIELDS: Final = (
    "task", "sample", "prompt_digest", "text", "finish_reason", "n_tokens", "n_prompt_tokens",
    "seconds", "reasoning", "logprob",
)  # fmt: skip


def _rescored(
    rows: Mapping[tuple[str, int], Row], items: Sequence[Item], score: Score
) -> dict[tuple[str, int], Row]:
    """Score saved answers again; what the server refused stays as it is."""
    by_task = {item.task: item for item in items}
    fresh: dict[tuple[str, int], Row] = {}
    with console.progress("rescore", len(rows)) as bar:
        for key, row in rows.items():
            item = by_task[row["task"]]
            kept: Row = {name: row[name] for name in _ANSWER_FIELDS if name in row}
            if row["finish_reason"] == "refused":
                scores = _infra(str(row.get("detail", "")))
            else:
                answer = Answer(
                    item, row["sample"], row["text"], row["finish_reason"], row.get("reasoning", "")
                )
                scores = next(iter(score([answer])))
            fresh[key] = {**kept, **item.meta, **scores}
            bar.advance()
    return fresh


def _write(run: RunDir, rows: Mapping[tuple[str, int], Row], items: Sequence[Item]) -> list[Row]:
    """Put the rows in order of task and sample, in the file too."""
    order = {item.task: i for i, item in enumerate(items)}
    ordered = [rows[key] for key in sorted(rows, key=lambda key: (order[key[0]], key[1]))]
    jsonl.write(run.path / "rows.jsonl", ordered)
    return ordered
