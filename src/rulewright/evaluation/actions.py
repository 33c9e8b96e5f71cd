"""Held-out actions (Stage 1 and later): do the model's rules make the wanted change?

Success is the wanted text, byte for byte, after applying the action. Flags (`lossy`,
`degenerate`) are reported with it and without it: they do not decide.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from typing import Any, Final

from rulewright import console
from rulewright.actions import is_literal
from rulewright.data.schemas import NormalizedRecord
from rulewright.engine import Engine, Judged, Request, judge_answers
from rulewright.evaluation import heldout, tables
from rulewright.evaluation.harness import Answer, Item, Row, claim, run_items
from rulewright.evaluation.measures import ACTIONS
from rulewright.evaluation.settings import ActionsConfig
from rulewright.prompts import Style, action_prompt
from rulewright.srl.change import change_similarity
from rulewright.verdict import INVALID, UNSOUND

_INVALID: Final = {verdict.value for verdict in INVALID}

METRICS: Final = ACTIONS.reads()


def evaluate(config: ActionsConfig) -> dict[str, Any]:
    """Run or continue the evaluation; give the content of `result.json`."""
    paths = heldout.expand(config.input)
    run = claim(config, "actions", paths)
    if run.done and not config.rescore:
        return run.result()

    def keep(record: NormalizedRecord) -> str | None:
        no_action = config.with_action and record.metadata.action is None
        return "no_action" if no_action else config.leaves_out(record)

    data = heldout.load(paths, run.path / "rejects.jsonl", keep, config.limit, config.seed)
    records = {record.metadata.id: record for record in data.records}
    with ExitStack() as stack:
        engine = stack.enter_context(Engine(workers=config.workers, deadline_s=config.deadline_s))

        def items(style: Style) -> list[Item]:
            return [item(record, style) for record in data.records]

        def score(answers: Sequence[Answer]) -> Iterator[Row]:
            tasks = [records[answer.item.task] for answer in answers]
            requests = [request(answer.text, task) for answer, task in zip(answers, tasks, strict=True)]
            judged = judge_answers(engine, requests)
            return (score_outcome(one, record) for one, record in zip(judged, tasks, strict=True))

        rows = run_items(config, run, items, score, config.sampling(), lambda row: bool(row.get("success")))
    result = {
        "benchmark": "actions",
        "run": str(run.path),
        "skipped": data.skipped,
        **summarize(rows, config.seed),
    }
    run.finish(result)
    return result


def item(record: NormalizedRecord, style: Style) -> Item:
    """A record as a question."""
    prompt = action_prompt(record.instruction, record.pre, record.language, record.state, style=style)
    return Item(record.metadata.id, prompt, heldout.meta_of(record), record.language)


def request(text: str, record: NormalizedRecord) -> Request:
    """A raw answer as a question to the engine."""
    return Request(text, record.pre, record.language, record.post)


def score_outcome(judged: Judged, record: NormalizedRecord) -> Row:
    """What applying came to, as a row's part."""
    outcome, post = judged.outcome, judged.outcome.post
    return {
        "verdict": outcome.verdict.value,
        "detail": outcome.detail,
        "success": float(post == record.post),
        "changed": float(post is not None and post != record.pre),
        "change_similarity": 0.0
        if post is None
        else round(change_similarity(record.pre, post, record.post), 6),
        "n_rules": outcome.n_rules,
        "n_matches": outcome.n_matches,
        "matches_per_rule": list(outcome.matches_per_rule),
        "flags": sorted(flag.value for flag in outcome.flags),
        "tidied": outcome.tidied,
        "literal": float(judged.response is not None and is_literal(judged.response.action)),
    }


def summarize(rows: Sequence[Row], seed: int) -> dict[str, Any]:
    """Everything the rows say, with intervals clustered by group."""
    usable = tables.counted(rows)
    valid = [row for row in usable if row["verdict"] not in _INVALID]
    won = [row for row in usable if row["success"]]
    headline = ACTIONS.reads("success", "valid", "change_similarity")
    return {
        "n_tasks": len({row["task"] for row in usable}),
        "n_samples": len(usable),
        "n_infra": len(rows) - len(usable),
        "metrics": tables.estimates(usable, METRICS, seed, ACTIONS.unbounded),
        "pass_at": tables.pass_at(usable, lambda row: row["success"] == 1, seed),
        "verdicts": tables.verdicts(rows),
        "flags": {flag.value: sum(flag.value in row["flags"] for row in valid) for flag in sorted(UNSOUND)},
        "rules_per_task": tables.spread([row["n_rules"] for row in valid]),
        "rules_per_success": tables.spread([row["n_rules"] for row in won]),
        "matches_per_rule": tables.spread([m for row in valid for m in row["matches_per_rule"]]),
        "by": tables.breakdown(usable, headline, seed),
        "cost": tables.cost(usable),
    }


def show(result: dict[str, Any]) -> None:
    """The result for a person."""
    tables.show(f"{result['run']}: {result['n_tasks']} tasks", result["metrics"], ACTIONS)
    console.summary("verdicts:", result["verdicts"])
    rules = result["rules_per_task"]
    if rules["n"]:
        console.say(
            f"rules per valid action: mean {rules['mean']}, median {rules['median']}, max {rules['max']}"
        )
