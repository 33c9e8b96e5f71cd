"""Ask a model held-out questions during training, and check its answers by executing them.

The scores are those of `rulewright.evaluation`: exact match for edits; for actions the
rule is applied, and the result must be the wanted text.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from rulewright import jsonl
from rulewright.data.schemas import NormalizedRecord
from rulewright.engine import Engine
from rulewright.evaluation import actions, edits, measures
from rulewright.evaluation.harness import Answer, Row
from rulewright.generation.base import Sampling
from rulewright.generation.local import LocalGenerator
from rulewright.prompts import Style
from rulewright.runs import RunDir
from rulewright.stats import paired
from rulewright.training.config import CURVE_SHARE, SftConfig, Task

BEFORE: Final = "before.jsonl"


class Prober:
    """Asks held-out questions during and after training, in the main process.

    Args:
        config: of the run.
        style: of the prompts.
        records: the questions; none where weights are sharded over processes.
        run: where rows and curve go.
        model: gives the plain model that is being trained.
        tokenizer: its tokenizer.
        max_new_tokens: longest answer.
        tell: sends figures to trackers.
    """

    def __init__(
        self,
        config: SftConfig,
        style: Style,
        records: Sequence[NormalizedRecord],
        run: RunDir,
        model: Callable[[], Any],
        tokenizer: Any,
        max_new_tokens: int,
        tell: Callable[[Mapping[str, float]], None],
    ) -> None:
        self._max_new_tokens, self._tell = max_new_tokens, tell
        self._config, self._style, self._records = config, style, records
        self._run, self._model, self._tokenizer = run, model, tokenizer

    def before(self) -> None:
        """Ask all questions before the first step; the rows go to `before.jsonl`."""
        if self._records:
            rows = self._ask(self._records)
            jsonl.write(self._run.path / BEFORE, rows)
            self._note(0, rows)

    def curve(self, step: int) -> dict[str, float]:
        """A point of the learning curve, into `metrics.jsonl` and to the trackers."""
        if not self._records:
            return {}
        share = self._records[: max(1, len(self._records) // CURVE_SHARE)]
        return self._note(step, self._ask(share))

    def _note(self, step: int, rows: Sequence[Row]) -> dict[str, float]:
        values = headline(rows, self._config.task)
        dev = {f"dev_{key}": value for key, value in values.items()}
        self._run.log(step=step, n_asked=len(rows), **dev)
        self._tell(dev)
        return values

    def final(self, step: int) -> dict[str, Any]:
        """All held-out answers after training: the evaluation, how many were cut, the paired gain.

        The rows go to `rows.jsonl`.
        """
        if not self._records:
            return {"evaluation": None, "cut_answers": None, "gain": None}
        rows = self._ask(self._records)
        jsonl.write(self._run.path / "rows.jsonl", rows)
        seed = self._config.seed
        summary = (
            edits.summarize(rows, self._records, seed)
            if self._config.task == "edit"
            else actions.summarize(rows, seed)
        )
        self._tell({f"final_{key}": value for key, value in headline(rows, self._config.task).items()})
        n_cut = sum(row["finish_reason"] == "length" for row in rows)
        return {"evaluation": summary, "cut_answers": n_cut, "gain": self._gain(rows)}

    def _gain(self, after: Sequence[Row]) -> dict[str, Any] | None:
        """Difference of the headline metric to before training, paired by question."""
        path = self._run.path / BEFORE
        name = measures.OF_TASK[self._config.task].decides.name
        before = {row["task"]: row for row in jsonl.read(path)} if path.exists() else {}
        pairs = [(before[row["task"]], row) for row in after if row["task"] in before]
        pairs = [(old, new) for old, new in pairs if name in old and name in new]
        if not pairs:
            return None
        values = [[float(row[name]) for row in side] for side in zip(*pairs, strict=True)]
        groups = [new["group"] for _, new in pairs]
        return {"metric": name, **paired(values[0], values[1], groups, self._config.seed).to_dict()}

    def _ask(self, records: Sequence[NormalizedRecord]) -> list[Row]:
        """Answer greedily and score; one row a record, in order."""
        task, style = self._config.task, self._style
        generator = LocalGenerator(self._model(), self._tokenizer, style, "in training")
        asked = [(edits if task == "edit" else actions).item(record, style) for record in records]
        sampling = Sampling(max_new_tokens=self._max_new_tokens)
        found = generator.generate([item.prompt for item in asked], sampling)
        answers = [Answer(item, 0, one) for item, (one,) in zip(asked, found, strict=True)]
        texts = [answer.text for answer in answers]
        if task == "edit":
            scores = [edits.score_edit(text, r, style) for text, r in zip(texts, records, strict=True)]
        else:
            with Engine(workers=1) as engine:
                scores = list(actions.score_all(engine, texts, records))
        return [{**answer.row(), **score} for answer, score in zip(answers, scores, strict=True)]


def headline(rows: Sequence[Row], task: Task) -> dict[str, float]:
    """The means that a learning curve shows."""
    names = (measures.OF_TASK[task].decides.name, "change_similarity")
    values = {name: round(sum(row.get(name, 0.0) for row in rows) / max(1, len(rows)), 4) for name in names}
    if task == "action":
        valid = sum(bool(measures.valid(row)) for row in rows)
        values["valid"] = round(valid / max(1, len(rows)), 4)
    return values
