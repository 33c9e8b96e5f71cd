"""Measure how well mined rules reproduce edits, generalize, and avoid over-matching.

Four questions, always together, because each alone can be gamed: does the action give `post` exactly;
does a rule learned from one place change the others (leave one out); does a rule learned from one example
of a fixer do another example (transfer); how often does it match where nothing should change
(over-match). docs/reference/mining.md defines each.
"""

from __future__ import annotations

import time
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from rulewright import console, engine, jsonl
from rulewright.actions import render_action
from rulewright.actions.action import Action
from rulewright.difftext import splice
from rulewright.engine.apply import trace
from rulewright.evaluation.measures import MINING, group_of
from rulewright.evaluation.settings import MiningConfig
from rulewright.mining.inputs import EditRow, order
from rulewright.mining.judge import background
from rulewright.mining.learn.corpus import TASK_LIMIT_S
from rulewright.mining.learn.generalize import Example, PreparedExample, claim, generalize
from rulewright.mining.learn.mine import Mined, mine, no_rules
from rulewright.runs import RunDir
from rulewright.stats import Estimate, estimate, quantile
from rulewright.workers import ordered_map

MAX_SITES: Final = 3
MAX_GROUP: Final = 8

Row = dict[str, Any]


@dataclass(frozen=True)
class Hidden:
    """One edit with the files that the miner may see and those that it may not."""

    edit: EditRow
    known: tuple[str, ...]
    unseen: tuple[str, ...]
    options: MiningConfig


def evaluate(edits: Sequence[EditRow], run: RunDir, options: MiningConfig) -> dict[str, Any]:
    """Mine every edit, measure, and give the summary; rows go to `rows.jsonl` as they come."""
    rows = {row["id"]: row for row in run.rows()}
    owed = [edit for edit in edits if edit.id not in rows]

    def failed(task: Hidden, reason: str) -> Row:
        return _row(task, no_rules(reason), TASK_LIMIT_S)

    with run.appender() as appender, console.progress("mine", len(owed)) as bar:
        tasks = _tasks(edits, owed, options)
        for row in ordered_map(_measure, tasks, options.workers, limit_s=TASK_LIMIT_S, failed=failed):
            appender.append(row)
            rows[row["id"]] = row
            bar.advance(found=sum(r["n_rules"] > 0 for r in rows.values()))
    ordered = [rows[edit.id] for edit in edits]
    predictions = list(transfer(edits, options))
    jsonl.write(run.path / "transfer.jsonl", predictions)
    return summarize(ordered, predictions, options.seed)


def _tasks(edits: Sequence[EditRow], owed: Sequence[EditRow], options: MiningConfig) -> Iterator[Hidden]:
    """Pair each edit with files of its source, drawn by hash, the two sets disjoint."""
    by_source: dict[tuple[str, str], list[tuple[int, EditRow]]] = defaultdict(list)
    for edit in edits:
        by_source[edit.source, edit.language].append((order(options.seed, edit.id), edit))
    for others in by_source.values():
        others.sort(key=lambda pair: pair[0])
    for edit in owed:
        files: dict[str, None] = {}
        for _, other in by_source[edit.source, edit.language]:
            if len(files) >= options.n_known + options.n_background:
                break
            # The rule should change a file of the same fixer or the same path, too.
            kin = (edit.group and edit.group == other.group) or (edit.path and edit.path == other.path)
            if other.id != edit.id and not kin and other.pre not in (edit.pre, edit.post):
                files[other.pre] = None
        names = list(files)
        share = round(len(names) * options.n_known / max(1, options.n_known + options.n_background))
        share = max(share, min(1, options.n_known))
        yield Hidden(edit, tuple(names[:share]), tuple(names[share:]), options)


def _measure(task: Hidden) -> Row:
    edit = task.edit
    start = time.process_time()
    mined = mine(edit.pre, edit.post, edit.language, task.options.budget_s, edit.instruction, task.known)
    return _row(task, mined, time.process_time() - start)


def _row(task: Hidden, mined: Mined, cpu_s: float) -> Row:
    edit = task.edit
    figures = mined.figures
    row: Row = {
        "benchmark": MINING.name,
        "id": edit.id, "source": edit.source, "group": edit.group, "language": edit.language,
        "tier": mined.tier, "reason": mined.reason, "n_rules": figures.n_rules, "shapes": list(mined.shapes),
        "n_vars": figures.n_vars, "n_chars": figures.n_chars, "bits": round(figures.bits, 1),
        "confidence": figures.confidence, "sites": figures.sites,
        "lossy": figures.lossy, "degenerate": figures.degenerate, "overlap": figures.instruction_overlap,
        "known_matches": figures.matches_elsewhere, "cpu_s": round(cpu_s, 4), "work": figures.work,
    }  # fmt: skip
    if mined.action is not None:
        row["strict"] = engine.apply(mined.action, edit.pre, exact=True).post == edit.post
        row["elsewhere"] = background.count(mined.action, task.unseen) if task.unseen else None
        row["n_elsewhere_files"] = len(task.unseen)
        row["loo"] = {kind: dict(n) for kind, n in leave_one_out(mined, edit, task.options).items()}
        row["action"] = render_action(mined.action)
    return row


def leave_one_out(mined: Mined, edit: EditRow, options: MiningConfig) -> dict[str, Counter[str]]:
    """Learn from the changed places but one (`all`), and from one alone (`one`); apply to the original.

    The places not learned from stand as done already, so they speak neither for nor against.
    Counts `exact`, `under` (some places right, none wrong), `wrong` and `none` over at
    most `MAX_SITES` places; empty where one rule did not change two places or more.
    """
    if mined.action is None or len(mined.action.rules) != 1:
        return {}
    steps = trace(mined.action, edit.pre).steps
    sites = [e for step in steps for e in step.edits if e.text != edit.pre[e.start : e.end]]
    if len(sites) < 2:
        return {}
    chosen = sorted(range(len(sites)), key=lambda i: order(options.seed, edit.id, str(i)))[:MAX_SITES]
    found: dict[str, Counter[str]] = {"all": Counter(), "one": Counter()}
    for number in chosen:
        for kind in found:
            done = [(s.start, s.end, s.text) for i, s in enumerate(sites) if (i == number) == (kind == "all")]
            learned = mine(splice(edit.pre, done), edit.post, edit.language, options.budget_s)
            became = "none"
            if learned.action is not None:
                made = engine.apply(learned.action, edit.pre).post
                under = made is not None and _is_part(edit.pre, sites, made)
                became = "exact" if made == edit.post else "under" if under else "wrong"
            found[kind][became] += 1
    return found


def _is_part(text: str, sites: Sequence[Any], made: str) -> bool:
    """Whether `made` is the text with some of the sites changed, and nothing else."""
    positions = {0}
    at = 0
    for site in sites:
        gap = text[at : site.start]
        ways = (text[site.start : site.end], site.text)
        after = {p + len(gap) for p in positions if made.startswith(gap, p)}
        positions = {p + len(way) for p in after for way in ways if made.startswith(way, p)}
        at = site.end
    return any(made[p:] == text[at:] for p in positions)


def transfer(edits: Sequence[EditRow], options: MiningConfig) -> Iterator[Row]:
    """Predict each example of a fixer from another one, and from all the others together."""
    fit = list(groups(edits, options.seed).values())
    tasks = ((group, options) for group in fit)

    def failed(task: tuple[list[EditRow], MiningConfig], reason: str) -> list[Row]:
        return [{"kind": "failed", "group": _name(task[0]), "reason": reason}]

    with console.progress("transfer", len(fit)) as bar:
        for rows in ordered_map(_predict, tasks, options.workers, limit_s=TASK_LIMIT_S, failed=failed):
            yield from rows
            bar.advance()


def groups(edits: Sequence[EditRow], seed: int) -> dict[tuple[str, str, str], list[EditRow]]:
    """Examples of one fixer by source, group, language: two at least, `MAX_GROUP` at most, by hash."""
    found: dict[tuple[str, str, str], list[EditRow]] = defaultdict(list)
    for edit in edits:
        if edit.group:
            found[edit.source, edit.group, edit.language].append(edit)
    return {
        key: sorted(group, key=lambda edit: order(seed, edit.id))[:MAX_GROUP]
        for key, group in sorted(found.items())
        if len(group) > 1
    }


def _name(group: Sequence[EditRow]) -> str:
    return f"{group[0].source}:{group[0].group}"


def _predict(task: tuple[list[EditRow], MiningConfig]) -> list[Row]:
    group, options = task
    name = _name(group)
    rows: list[Row] = []
    for one in group:
        mined = mine(one.pre, one.post, one.language, options.budget_s)
        for other in group:
            if other is not one:
                fires = mined.action is not None and transferable(mined)
                became = fate(mined.action if fires else None, other)
                rows.append({"kind": "one", "group": name, "from": [one.id], "to": other.id, "fate": became,
                             "tier": mined.tier})  # fmt: skip
    if len(group) < 3:
        return rows
    prepared = [PreparedExample(Example(e.pre, e.post, e.language, e.id), options.budget_s) for e in group]
    for number, other in enumerate(group):
        rest = [p for i, p in enumerate(prepared) if i != number]
        action = claim(generalize(rest), rest)
        n_rules = len(action.rules) if action else 0
        rows.append({"kind": "many", "group": name, "from": [p.example.id for p in rest], "to": other.id,
                     "fate": fate(action, other), "n_rules": n_rules})  # fmt: skip
    return rows


def transferable(mined: Mined) -> bool:
    """Whether a rule from one example claims to hold for others: its tier says so."""
    return mined.tier == "train" and mined.figures.n_rules == 1


def fate(action: Action | None, edit: EditRow) -> str:
    """What a claim does to an example: `abstained`, `refused`, `silent`, `exact` or `wrong`."""
    if action is None:
        return "abstained"
    outcome = engine.judge(action, edit.pre)
    if outcome.unsound:  # `apply` does not write it: it is no claim either
        return "refused"
    if outcome.post is None or outcome.post == edit.pre:
        return "silent"
    return "exact" if outcome.post == edit.post else "wrong"


def summarize(rows: Sequence[Row], predictions: Sequence[Row], seed: int) -> dict[str, Any]:
    """The table: each rate with its n and 95 % interval under `estimates`."""
    estimates: dict[str, Estimate] = {}

    def rate(name: str, values: Sequence[float], groups: Sequence[str], is_rate: bool = True) -> None:
        estimates[name] = estimate(values, groups, seed, is_rate)

    groups = [group_of(row) for row in rows]
    for measure in MINING.all:
        rate(measure.name, [float(measure.read(row) or 0) for row in rows], groups)
    found = [row for row in rows if row["n_rules"]]
    rate("lossy_rate", [float(r["lossy"]) for r in found], [r["id"] for r in found])
    seen = [r for r in found if r["tier"] == "train" and r["elsewhere"] is not None]
    rate(
        "overmatch_rate",
        [float(r["elsewhere"] > background.TOO_MANY) for r in seen],
        [r["source"] for r in seen],
    )
    sited = [r for r in found if r["loo"]]
    for kind, label in (("all", "loo"), ("one", "from_one_place")):
        for word in ("exact", "under", "wrong", "none"):
            values = [r["loo"][kind].get(word, 0) / sum(r["loo"][kind].values()) for r in sited]
            rate(f"{label}_{word}_rate", values, [r["id"] for r in sited])
    for kind, label in (("one", "1"), ("many", "k")):
        of_kind = [p for p in predictions if p["kind"] == kind]
        fired = [p for p in of_kind if p["fate"] in ("exact", "wrong")]
        rate(
            f"transfer_{label}_exact_rate",
            [float(p["fate"] == "exact") for p in of_kind],
            [p["group"] for p in of_kind],
        )
        rate(
            f"transfer_{label}_precision",
            [float(p["fate"] == "exact") for p in fired],
            [p["group"] for p in fired],
        )
    rate("cpu_s_mean", [r["cpu_s"] for r in rows], groups, False)
    cpu = sorted(r["cpu_s"] for r in rows)
    result: dict[str, Any] = {"benchmark": "mining", "n": len(rows)}
    result |= {name: round(value.value, 4) if value.n else None for name, value in estimates.items()}
    result["cpu_s_p99"] = quantile(cpu, 0.99) if cpu else None
    result["n_transfer_failed"] = sum(p["kind"] == "failed" for p in predictions)
    result["n_found"], result["n_loo"], result["n_overmatch"] = len(found), len(sited), len(seen)
    result["reasons"] = dict(Counter(r["reason"] for r in rows if not r["n_rules"]).most_common())
    result["tiers"] = dict(sorted(Counter(r["tier"] for r in rows).items()))
    result["shapes"] = dict(Counter("+".join(r["shapes"]) for r in rows if r["n_rules"] == 1).most_common())
    result["estimates"] = {name: value.to_dict() for name, value in estimates.items()}
    return result
