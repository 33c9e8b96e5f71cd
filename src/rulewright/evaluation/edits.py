"""Held-out text edits (Stage 0): does the model write the wanted file?

Exact match decides. Beside it: match up to blanks, similarity of the change, and what
repeating the input would score on the same tasks.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from rulewright.data.schemas import NormalizedRecord
from rulewright.evaluation import heldout, tables
from rulewright.evaluation.harness import Answer, Item, Row, claim, run_items
from rulewright.evaluation.measures import EDITS
from rulewright.evaluation.settings import EditsConfig
from rulewright.evaluation.similarity import changed_line_overlap, file_similarity, same_but_blanks
from rulewright.prompts import Style, edit_prompt, extract_edit
from rulewright.srl.change import change_similarity
from rulewright.verdict import Verdict


def evaluate(config: EditsConfig) -> dict[str, Any]:
    """Run or continue the evaluation; give the content of `result.json`."""
    paths = heldout.expand(config.input)
    run = claim(config, "edits", paths)
    if run.done and not config.rescore:
        return run.result()
    data = heldout.load(paths, run.path / "rejects.jsonl", config.leaves_out, config.limit, config.seed)
    records = {record.metadata.id: record for record in data.records}
    style: list[Style] = []

    def items(wanted: Style) -> list[Item]:
        style.append(wanted)
        return [item(record, wanted) for record in data.records]

    def score(answers: Sequence[Answer]) -> Iterator[Row]:
        return (score_edit(answer.text, records[answer.item.task], style[0]) for answer in answers)

    rows = run_items(config, run, items, score, config.sampling(), lambda row: bool(row.get("exact")))
    result = summarize(rows, data.records, config.seed)
    result = {"benchmark": "edits", "run": str(run.path), "skipped": data.skipped, **result}
    run.finish(result)
    return result


def item(record: NormalizedRecord, style: Style) -> Item:
    """A record as a question."""
    prompt = edit_prompt(record.instruction, record.pre, record.language, style)
    return Item(record.metadata.id, prompt, heldout.meta_of(record))


def score_edit(text: str, record: NormalizedRecord, style: Style) -> Row:
    """Compare an answer with the wanted text."""
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


def summarize(rows: Sequence[Row], records: Sequence[NormalizedRecord], seed: int) -> dict[str, Any]:
    """Everything the rows say, with intervals clustered by group."""
    usable = tables.counted(rows)
    repeated = [
        {"task": r.metadata.id, "verdict": "no_change", **heldout.meta_of(r), **_scores(r, r.pre)}
        for r in records
    ]
    headline = EDITS.reads("exact", "change_similarity")
    return {
        "n_tasks": len({row["task"] for row in usable}),
        "n_samples": len(usable),
        "n_infra": len(rows) - len(usable),
        "metrics": tables.estimates(usable, EDITS.reads(), seed),
        "pass_at": tables.pass_at(usable, lambda row: row["exact"] == 1, seed),
        "repeat_input": tables.estimates(repeated, EDITS.reads(), seed),
        "verdicts": tables.verdicts(rows),
        "by": tables.breakdown(usable, headline, seed),
        "cost": tables.cost(usable),
    }


def show(result: dict[str, Any]) -> None:
    """The result for a person."""
    tables.show(f"{result['run']}: {result['n_tasks']} tasks", result["metrics"], EDITS)
    baseline = result["repeat_input"]
    shown = {k: baseline[k] for k in ("exact", "change_similarity", "file_similarity")}
    tables.show("repeating the input:", shown, EDITS)
