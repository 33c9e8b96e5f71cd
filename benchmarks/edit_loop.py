r"""How often `edit "sentence"` finds the wanted change: in one try, with feedback, with votes.

    python benchmarks/edit_loop.py --model runs/demo/models/srl_stage2 \
        --input runs/demo/data/processed/test/synth.jsonl --out runs/edit_loop.jsonl

Tasks are held-out records of a tag (by default families that were never trained on), chosen by hash. The loop
does not know what is wanted; success is exactly the record's text. Each task is written when it is done, and
a run that was stopped continues. About 15 answers a task: minutes for 60 tasks on two idle cores.
"""

from __future__ import annotations

import argparse
import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from rulewright import console, jsonl
from rulewright.asking import Asked, Rounds, Tried, ask
from rulewright.data.schemas import NormalizedRecord
from rulewright.data.splits import draw
from rulewright.engine import Engine, Request
from rulewright.generation import Generator, GeneratorConfig, open_generator
from rulewright.stats import estimate, paired

WAYS: Final = {
    "one try": "the greedy answer",
    "tries": "the greedy answer, then new ones until one holds, not told why",
    "feedback": "the same, told why the one before failed",
    "votes": "several answers at once; what most that hold do",
    "loop": "votes, after those that failed were told why (what `edit` does)",
    "any": "of the several answers at once any one is right: what choosing could reach",
}


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", default="")
    parser.add_argument("--base-url", default="")
    parser.add_argument("--input", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--tag", default="held-out-template")
    parser.add_argument("--limit", type=int, default=60)
    parser.add_argument("--samples", type=int, default=4)
    parser.add_argument("--attempts", type=int, default=3)
    parser.add_argument("--max-new-tokens", type=int, default=256)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    tasks = records(given.input, given.tag, given.limit, given.seed)
    done = {row["id"]: row for row in jsonl.read(given.out)} if given.out.is_file() else {}
    spec = GeneratorConfig(model=given.model, base_url=given.base_url)
    owed = [task for task in tasks if task.metadata.id not in done]
    plan = Rounds(given.samples, given.attempts, max_new_tokens=given.max_new_tokens, seed=given.seed)
    if owed:
        with (
            open_generator(spec) as generator, Engine() as engine, jsonl.Appender(given.out) as rows,
            console.progress("tasks", len(owed)) as bar,
        ):  # fmt: skip
            for task in owed:
                row = measured(generator, engine, plan, task)
                done[task.metadata.id] = row
                rows.append(row)
                bar.advance()
    show([done[task.metadata.id] for task in tasks])
    return 0


def records(path: Path, tag: str, limit: int, seed: int) -> list[NormalizedRecord]:
    """The tasks: records of a tag, chosen by hash."""
    found = [NormalizedRecord.model_validate(line.value) for line in jsonl.read_lines(path)]
    tagged = [one for one in found if tag in one.tags or not tag]
    return draw(tagged, limit, lambda one: f"{seed}:{one.metadata.id}")


def measured(generator: Generator, engine: Engine, plan: Rounds, task: NormalizedRecord) -> dict[str, Any]:
    """One task in every way; samples are shared between ways where they are the same."""

    def run(how: Rounds) -> Asked:
        return ask(
            generator, how, task.instruction, task.pre, task.language,
            lambda action: engine.judge(Request(action, task.pre, task.language)),
        )  # fmt: skip

    def right(post: str | None) -> bool:
        return post == task.post

    asked = run(plan)
    untold = run(Rounds(1, plan.attempts, plan.temperature, plan.max_new_tokens, plan.seed, feedback=False))
    at_once = [one for one in asked.tried if one.attempt == 0]
    alone = [one for one in asked.tried if one.sample == 0]
    return {
        "id": task.metadata.id, "group": task.metadata.group,
        "one try": right(_post(alone[:1])), "tries": right(_post(untold.tried)),
        "feedback": right(_post(alone)),
        "votes": right(most_voted(at_once)), "loop": right(most_voted(asked.tried)),
        "any": any(one.outcome.ok and right(one.outcome.post) for one in at_once),
        "held": [sum(one.outcome.ok for one in part) for part in (at_once, asked.tried)],
        "verdicts": Counter(str(one.outcome.verdict) for one in asked.tried),
        "answers": [asked.spent.answers, untold.spent.answers],
        "tokens": [asked.spent.answer_tokens, untold.spent.answer_tokens],
    }  # fmt: skip


def _post(tried: Sequence[Tried]) -> str | None:
    """What the first answer that holds does."""
    return next((one.outcome.post for one in tried if one.outcome.ok), None)


def most_voted(tried: Sequence[Tried]) -> str | None:
    """What most of the answers that hold do; the earliest of several."""
    votes = Counter(one.outcome.post for one in tried if one.outcome.ok)
    return max(votes, key=lambda post: votes[post]) if votes else None


def show(rows: Sequence[dict[str, Any]]) -> None:
    """The table, and what each way gains over one try, paired."""
    groups = [row["group"] for row in rows]

    values = {way: [float(row[way]) for row in rows] for way in WAYS}
    lines = []
    for way, about in WAYS.items():
        found = estimate(values[way], groups)
        ends = (
            ""
            if found.low is None or found.high is None
            else f" [{100 * found.low:.1f}, {100 * found.high:.1f}]"
        )
        gain = "" if way == "one try" else _gain(values["one try"], values[way], groups)
        lines.append([way, f"{100 * found.value:.1f}{ends}", gain, about])
    console.emit(console.table(["way", f"% right, n {len(rows)}", "over one try", "what it is"], lines))
    console.emit(json.dumps({"verdicts": sum((Counter(row["verdicts"]) for row in rows), Counter())}))


def _gain(one: list[float], other: list[float], groups: list[str]) -> str:
    found = paired(one, other, groups)
    return f"{100 * found.difference:+.1f} [{100 * found.low:+.1f}, {100 * found.high:+.1f}]"


if __name__ == "__main__":
    raise SystemExit(main())
