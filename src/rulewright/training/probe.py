"""Held-out questions to a model in training, answered by generation and really checked.

The scores are those of `rulewright.evaluation`: exact match for edits; for actions the
rule is applied, and the result must be the wanted text.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from rulewright.data.schemas import NormalizedRecord
from rulewright.engine import Engine
from rulewright.evaluation import actions, edits
from rulewright.evaluation.harness import Row
from rulewright.generation.base import Completion, Sampling
from rulewright.generation.local import LocalGenerator
from rulewright.prompts import Style
from rulewright.training.config import Task


def ask(
    model: Any,
    tokenizer: Any,
    records: Sequence[NormalizedRecord],
    task: Task,
    style: Style,
    max_new_tokens: int,
    batch_size: int = 32,
) -> list[Row]:
    """Answer greedily and score; one row a record, in order."""
    generator = LocalGenerator(model, tokenizer, style, "in training", batch_size)
    items = edits.item if task == "edit" else actions.item
    asked = [items(record, style) for record in records]
    sampling = Sampling(max_new_tokens=max_new_tokens)
    answers = [found[0] for found in generator.generate([item.prompt for item in asked], sampling)]
    scores = _edit_scores(answers, records, style) if task == "edit" else _action_scores(answers, records)
    return [
        {
            "task": item.task,
            "sample": 0,
            "prompt_digest": item.digest,
            "text": answer.text,
            "finish_reason": answer.finish_reason,
            "n_tokens": answer.n_tokens,
            "n_prompt_tokens": answer.n_prompt_tokens,
            **item.meta,
            **score,
        }
        for item, answer, score in zip(asked, answers, scores, strict=True)
    ]


def _edit_scores(
    answers: Sequence[Completion], records: Sequence[NormalizedRecord], style: Style
) -> Iterable[Row]:
    return [
        edits.score_edit(answer.text, record, style) for answer, record in zip(answers, records, strict=True)
    ]


def _action_scores(answers: Sequence[Completion], records: Sequence[NormalizedRecord]) -> Iterable[Row]:
    with Engine(workers=1) as engine:
        requests = [actions.request(a.text, record) for a, record in zip(answers, records, strict=True)]
        outcomes = list(engine.judge_many(requests))
    return [actions.score_outcome(o, record) for o, record in zip(outcomes, records, strict=True)]


def headline(rows: Sequence[Row], task: Task) -> dict[str, float]:
    """The means that a learning curve shows."""
    names = ("exact", "change_similarity") if task == "edit" else ("success", "change_similarity")
    values = {name: round(sum(row.get(name, 0.0) for row in rows) / max(1, len(rows)), 4) for name in names}
    if task == "action":
        valid = [actions.METRICS["valid"](row) for row in rows]
        values["valid"] = round(sum(map(float, valid)) / max(1, len(rows)), 4)
    return values


def repeat_input(records: Sequence[NormalizedRecord]) -> dict[str, float]:
    """What giving the code back unchanged would score: the floor for edits."""
    rows = [edits.score_edit(record.pre, record, "compact") for record in records]
    return headline(rows, "edit")
