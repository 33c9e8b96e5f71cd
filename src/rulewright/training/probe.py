"""Held-out questions to a model in training, answered by generation and really checked.

The scores are those of `rulewright.evaluation`: exact match for edits; for actions the
rule is applied, and the result must be the wanted text.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final

from rulewright import jsonl
from rulewright.data.schemas import NormalizedRecord
from rulewright.engine import Engine, judge_answers
from rulewright.evaluation import actions, edits
from rulewright.evaluation.harness import Row
from rulewright.generation.base import Completion, Sampling
from rulewright.generation.local import LocalGenerator
from rulewright.prompts import Style
from rulewright.runs import RunDir
from rulewright.training.config import SftConfig, Task

# A mid-training curve needs fewer answers than the final measurement.
_CURVE_SHARE: Final = 4


class Prober:
    """Asks held-out questions during and after training, in the main process.

    Args:
        config: of the run.
        style: of the prompts.
        records: the questions; none where weights are sharded over processes.
        run: where rows and curve go.
        model: gives the plain model that is being trained.
        tokenizer: its tokenizer.
    """

    def __init__(
        self,
        config: SftConfig,
        style: Style,
        records: Sequence[NormalizedRecord],
        run: RunDir,
        model: Callable[[], Any],
        tokenizer: Any,
    ) -> None:
        self._config, self._style, self._records = config, style, records
        self._run, self._model, self._tokenizer = run, model, tokenizer

    def curve(self, step: int) -> None:
        """A point of the learning curve, into `metrics.jsonl`."""
        if self._records:
            share = self._records[: max(1, len(self._records) // _CURVE_SHARE)]
            values = headline(self._ask(share), self._config.task)
            dev = {f"dev_{key}": value for key, value in values.items()}
            self._run.log(step=step, n_asked=len(share), **dev)

    def final(self) -> dict[str, Any] | None:
        """All held-out answers, scored; the rows go to `rows.jsonl`."""
        if not self._records:
            return None
        rows = self._ask(self._records)
        jsonl.write(self._run.path / "rows.jsonl", rows)
        if self._config.task == "edit":
            return edits.summarize(rows, self._records, self._config.seed)
        return actions.summarize(rows, self._config.seed)

    def _ask(self, records: Sequence[NormalizedRecord]) -> list[Row]:
        limit = self._config.eval_max_new_tokens
        return ask(self._model(), self._tokenizer, records, self._config.task, self._style, limit)


def ask(
    model: Any,
    tokenizer: Any,
    records: Sequence[NormalizedRecord],
    task: Task,
    style: Style,
    max_new_tokens: int,
    batch_size: int = 0,
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
        judged = judge_answers(engine, requests)
    return [actions.score_outcome(one, record) for one, record in zip(judged, records, strict=True)]


def headline(rows: Sequence[Row], task: Task) -> dict[str, float]:
    """The means that a learning curve shows."""
    names = ("exact", "change_similarity") if task == "edit" else ("success", "change_similarity")
    values = {name: round(sum(row.get(name, 0.0) for row in rows) / max(1, len(rows)), 4) for name in names}
    if task == "action":
        valid = sum(bool(actions.METRICS["valid"](row)) for row in rows)
        values["valid"] = round(valid / max(1, len(rows)), 4)
    return values
