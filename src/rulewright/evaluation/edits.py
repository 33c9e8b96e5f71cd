"""Held-out text edits (Stage 0): does the model write the expected file?

The main measure is exact match. Also reported: match up to blanks, similarity of the change, and the
score of the unchanged input.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from rulewright.data.schemas import NormalizedRecord
from rulewright.evaluation import heldout, tables
from rulewright.evaluation.harness import Answer, Item, Row
from rulewright.evaluation.measures import EDITS
from rulewright.evaluation.settings import EditsConfig
from rulewright.evaluation.similarity import changed_line_overlap, file_similarity, same_but_blanks
from rulewright.prompts import Style, edit_prompt, extract_edit
from rulewright.srl.change import change_similarity
from rulewright.verdict import Verdict


class Edits(heldout.RecordBenchmark[EditsConfig]):
    """`rulewright eval edits`."""

    measures = EDITS
    style: Style

    @property
    def judges(self) -> bool:
        return False

    def items(self, style: Style) -> list[Item]:
        self.style = style
        return [item(record, style) for record in self.records.values()]

    def score(self, answers: Sequence[Answer]) -> Iterator[Row]:
        for answer in answers:
            yield score_edit(answer.text, self.records[answer.item.task], self.style)

    def summary(self, rows: Sequence[Row]) -> dict[str, Any]:
        return {"skipped": self.skipped, **summarize(rows, self.records.values(), self.config.seed)}

    def report(self, result: dict[str, Any]) -> Iterator[str]:
        yield from super().report(result)
        baseline = result["repeat_input"]
        shown = {k: baseline[k] for k in ("exact", "change_similarity", "file_similarity")}
        yield tables.text("repeating the input:", shown, EDITS)


def item(record: NormalizedRecord, style: Style) -> Item:
    """A record as a question."""
    prompt = edit_prompt(record.instruction, record.pre, record.language, style)
    return Item(record.metadata.id, prompt, heldout.meta_of(record, EDITS))


def score_edit(text: str, record: NormalizedRecord, style: Style) -> Row:
    """Compare an answer with the expected text."""
    got = extract_edit(text, record.pre, style)
    if got is None:
        return {"verdict": Verdict.NO_ACTION.value, "detail": "no code in the answer", **_scores(record, "")}
    if got == record.post:
        verdict = Verdict.OK
    else:
        verdict = Verdict.NO_CHANGE if got == record.pre else Verdict.WRONG_RESULT
    return {"verdict": verdict.value, "detail": "", **_scores(record, got)}


def _scores(record: NormalizedRecord, got: str) -> Row:
    return {
        "exact": float(got == record.post),
        "same_but_blanks": float(same_but_blanks(record.post, got)),
        "change_similarity": round(change_similarity(record.pre, got, record.post), 6) if got else 0.0,
        "changed_line_overlap": round(changed_line_overlap(record.pre, record.post, got), 6) if got else 0.0,
        "file_similarity": round(file_similarity(record.post, got), 6),
    }


def summarize(rows: Sequence[Row], records: Iterable[NormalizedRecord], seed: int) -> dict[str, Any]:
    """Everything the rows say, and what repeating the input would score."""
    repeated = [
        {"task": r.metadata.id, "verdict": "no_change", **heldout.meta_of(r, EDITS), **_scores(r, r.pre)}
        for r in records
    ]
    headline = EDITS.named("exact", "change_similarity")
    return {
        **tables.summary(rows, EDITS, seed),
        "repeat_input": tables.estimates(repeated, EDITS.all, seed),
        "by": tables.breakdown(tables.counted(rows), headline, seed),
    }
