"""Held-out actions (Stage 1 and later): do the model's rules make the expected change?

Success means that applying the action gives the expected text, byte for byte. Success is also reported
without flagged answers (`lossy`, `degenerate`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from rulewright import console
from rulewright.data.schemas import NormalizedRecord
from rulewright.engine import Engine, Request, judge_answers
from rulewright.errors import UsageError
from rulewright.evaluation import compare, heldout, tables
from rulewright.evaluation.harness import Answer, Item, Row
from rulewright.evaluation.measures import ACTIONS, valid
from rulewright.evaluation.settings import ActionsConfig
from rulewright.prompts import Style, record_prompt
from rulewright.srl.change import change_similarity
from rulewright.verdict import NOT_ASKED_FOR, UNSOUND, Outcome, Verdict


class Actions(heldout.RecordBenchmark[ActionsConfig]):
    """`rulewright eval actions`."""

    measures = ACTIONS

    def __init__(self, config: ActionsConfig) -> None:
        super().__init__(config)
        self._first: list[Row] = []
        if config.after is not None:
            self._first = first_tries(config.after)
            self.inputs = [*self.inputs, config.after / "rows.jsonl"]

    def open(self, stack: ExitStack) -> None:
        super().open(stack)
        if self.config.after is not None:
            self._first = [row for row in self._first if row["task"] in self.records]
            self.records = {row["task"]: told(self.records[row["task"]], row) for row in self._first}
        self.engine = stack.enter_context(
            Engine(workers=self.config.workers, deadline_s=self.config.deadline_s)
        )

    def items(self, style: Style) -> list[Item]:
        return [item(record, style) for record in self.records.values()]

    def known(self) -> list[Row]:
        """With `--after`: the answers that were right at once."""
        return [row for row in self._first if row.get("success")]

    def score(self, answers: Sequence[Answer]) -> Iterator[Row]:
        tasks = [self.records[answer.item.task] for answer in answers]
        return score_all(self.engine, [answer.text for answer in answers], tasks)

    def summary(self, rows: Sequence[Row]) -> dict[str, Any]:
        return {"skipped": self.skipped, **summarize(rows, self.config.seed)}

    def report(self, result: dict[str, Any]) -> Iterator[str]:
        yield from super().report(result)
        yield console.counted("verdicts:", result["verdicts"])
        rules = result["rules_per_task"]
        if rules["n"]:
            mean, median, most = rules["mean"], rules["median"], rules["max"]
            yield f"rules per valid action: mean {mean}, median {median}, max {most}"


def item(record: NormalizedRecord, style: Style) -> Item:
    """A record as a question."""
    return Item(
        record.metadata.id, record_prompt(record, style), heldout.meta_of(record, ACTIONS), record.language
    )


def first_tries(run: Path) -> list[Row]:
    """The rows of an earlier run.

    Raises:
        UsageError: it has none, or several to a task, or is of another benchmark.
    """
    first = compare.read_run(run)
    if first.benchmark not in ("", ACTIONS.name):
        raise UsageError(f"--after {run}: is a run of '{first.benchmark}'", "name a run of `eval actions`")
    if any(row["sample"] for row in first.rows):
        raise UsageError(f"--after {run}: has several answers to a task", "name a run with --n 1")
    return first.rows


def told(record: NormalizedRecord, row: Row) -> NormalizedRecord:
    """The record for the second try: with the verdict on the first answer, if it was wrong."""
    verdict = Verdict(row["verdict"])
    if row.get("success") or verdict is Verdict.INFRA:
        return record
    if verdict in (Verdict.OK, Verdict.WRONG_RESULT):  # its detail would tell what is wanted
        verdict, detail = Verdict.WRONG_RESULT, NOT_ASKED_FOR
    else:
        detail = row["detail"]
    metadata = record.metadata.model_copy(update={"feedback": Outcome(verdict, detail).said})
    return record.model_copy(update={"metadata": metadata})


def score_all(engine: Engine, texts: Sequence[str], records: Sequence[NormalizedRecord]) -> Iterator[Row]:
    """Apply raw answers to their records; scores in their order."""
    requests = [Request(text, r.pre, r.language, r.post) for text, r in zip(texts, records, strict=True)]
    judged = judge_answers(engine, requests)
    for one, record in zip(judged, records, strict=True):
        outcome, post = one.outcome, one.outcome.post
        alike = 0.0 if post is None else round(change_similarity(record.pre, post, record.post), 6)
        yield {
            "verdict": outcome.verdict.value,
            "detail": outcome.detail,
            "success": float(post == record.post),
            "changed": float(post is not None and post != record.pre),
            "change_similarity": alike,
            **tables.about(outcome, one.action),
        }


def summarize(rows: Sequence[Row], seed: int) -> dict[str, Any]:
    """Everything the rows say, with intervals clustered by group."""
    usable = tables.counted(rows)
    acted = [row for row in usable if valid(row)]
    headline = ACTIONS.named("success", "valid", "change_similarity")
    return {
        **tables.summary(rows, ACTIONS, seed),
        "flags": {flag.value: sum(flag.value in row["flags"] for row in acted) for flag in sorted(UNSOUND)},
        "rules_per_task": tables.spread([row["n_rules"] for row in acted]),
        "rules_per_success": tables.spread([row["n_rules"] for row in usable if row["success"]]),
        "matches_per_rule": tables.spread([m for row in acted for m in row["matches_per_rule"]]),
        "by": tables.breakdown(usable, headline, seed),
    }
