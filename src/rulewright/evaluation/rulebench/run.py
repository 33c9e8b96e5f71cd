"""`rulewright bench rules`: execute an answer on hidden edits and on code that must not change."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from statistics import fmean
from typing import Any, Final

from rulewright.actions import Action, is_literal, parse_response, render_response
from rulewright.data.decontaminate import EvaluationIndex
from rulewright.data.drafts import Drop
from rulewright.data.signatures import tokens
from rulewright.data.splits import draw
from rulewright.engine import Engine, Request
from rulewright.errors import UsageError, by_reason
from rulewright.evaluation import heldout, tables
from rulewright.evaluation.harness import Answer, Benchmark, GoldGenerator, Item, Row
from rulewright.evaluation.measures import RULES
from rulewright.evaluation.rulebench import held_out
from rulewright.evaluation.rulebench.items import BenchItem, items_of, noops_of, rule_key, with_background
from rulewright.evaluation.settings import RulesConfig
from rulewright.generation import Generator
from rulewright.mining.inputs import Stream
from rulewright.mining.judge.background import allowed
from rulewright.mining.learn.generalize import Example, PreparedExample, claim, generalize
from rulewright.mining.learn.mine import mine
from rulewright.prompts import Style, action_prompt, fence
from rulewright.verdict import INVALID, Verdict

BY_EXAMPLE: Final = "Make the change that these examples show, everywhere it applies."
HALF: Final = 0.5


class RuleBench(Benchmark[RulesConfig]):
    """RuleBench on one track."""

    measures = RULES

    def __init__(self, config: RulesConfig) -> None:
        super().__init__(config)
        self.inputs = heldout.expand([*config.input, *config.trained_on])
        if config.miner:
            self.facts = {"model": "miner", "style": "full"}

    @property
    def run_name(self) -> str:
        return f"rules_{self.config.track}" + ("_miner" if self.config.miner else "")

    def open(self, stack: ExitStack) -> None:
        config = self.config
        if config.input:
            found = items_of(Stream(config.input), noops_of(config.input))
        else:
            found = held_out.items(config.hold_out_rate)
        self.skipped = {"contaminated": 0, "known_rule": 0, "no_sentence": 0}
        if config.trained_on:
            known: set[str] = set()
            training = heldout.expand(config.trained_on)
            index = EvaluationIndex.build(training, lambda row: known.update(_rules_of(row)))
            new = [item for item in found if item.group not in known]
            self.skipped["known_rule"] = len(found) - len(new)
            # Of what training data hold a text or the sentence.
            sides = ([tokens(t) for pair in (*i.examples, *i.siblings) for t in pair] for i in new)
            found = [i for i, s in zip(new, sides) if not isinstance(index.check(i.instruction, s), Drop)]
            self.skipped["contaminated"] = len(new) - len(found)
        if config.track != "examples":
            said = [item for item in found if item.instruction]
            self.skipped["no_sentence"] = len(found) - len(said)
            found = said
        if not found:
            raise UsageError(
                f"no items ({by_reason(self.skipped)})",
                "--input needs two edits or more of one change, with the same `source` and `group`",
            )
        whole = list(with_background(found, config.n_background))
        chosen = draw(whole, config.limit, lambda item: f"{config.seed}:{item.id}")
        self.tasks = {item.id: item for item in chosen}
        self.files["items.jsonl"] = [vars(item) | {"background": ()} for item in chosen]
        self.engine = stack.enter_context(Engine(workers=config.workers, deadline_s=config.deadline_s))

    def items(self, style: Style) -> list[Item]:
        return [question(item, self.config.track, style) for item in self.tasks.values()]

    def generator(self) -> Generator:
        if not self.config.miner:
            return super().generator()

        def answer(task: str) -> str:
            action = mined(self.tasks[task])
            return render_response(action) if action else ""

        return GoldGenerator(self.items("full"), answer)

    def score(self, answers: Sequence[Answer]) -> Iterator[Row]:
        for answer in answers:
            yield scores(self.engine, answer.text, self.tasks[answer.item.task])

    def summary(self, rows: Sequence[Row]) -> dict[str, Any]:
        usable = tables.counted(rows)
        fields = ("source", "language", "n_examples")
        return {
            "track": self.config.track,
            "gold": "miner" if self.config.miner else "",
            "skipped": self.skipped,
            **tables.summary(rows, RULES, self.config.seed),
            "by": tables.breakdown(usable, RULES.headline, self.config.seed, fields),
        }

    def report(self, result: dict[str, Any]) -> Iterator[str]:
        title = f"{result['run']}: {result['n_tasks']} items, track {result['track']}"
        yield tables.text(title, result["metrics"], RULES)


def mined(item: BenchItem) -> Action | None:
    """What several examples claim together; else the rule of one that is right on most of them."""
    prepared = [PreparedExample(Example(pre, post, item.language)) for pre, post in item.examples]
    if len(prepared) > 1 and (claimed := claim(generalize(prepared), prepared)) is not None:
        return claimed
    found = [mine(pre, post, item.language, instruction=item.instruction) for pre, post in item.examples]
    sure = sorted((one for one in found if one.action), key=lambda one: -one.figures.confidence)
    return sure[0].action if sure else None


def question(item: BenchItem, track: str, style: Style) -> Item:
    """An item as a question on one track; the code in it is that of the first example."""
    said = item.instruction if track != "examples" else BY_EXAMPLE
    if track != "sentence":
        examples = [
            f"Before:\n{fence(pre, item.language)}\nAfter:\n{fence(post, item.language)}"
            for pre, post in item.examples
        ]
        said = "\n\n".join([said, *examples])
    meta = {
        "benchmark": RULES.name,
        "group": item.group,
        "source": item.source,
        "language": item.language,
        "license": item.license,
        "n_examples": len(item.examples),
        "n_siblings": len(item.siblings),
        "n_negatives": len(item.negatives),
    }
    prompt = action_prompt(said, item.examples[0][0], item.language, style=style)
    return Item(item.id, prompt, meta, item.language)


def scores(engine: Engine, text: str, item: BenchItem) -> Row:
    """Execute an answer on everything that its item holds."""
    response = parse_response(text, item.language)
    action = getattr(response, "action", None)
    if not isinstance(action, Action):
        rejected: Any = response
        return {"verdict": rejected.verdict.value, "detail": rejected.detail, "valid": 0.0, "holds": 0.0,
                "siblings": 0.0, "own": 0.0, "literal": 0.0}  # fmt: skip
    pairs = (*item.examples, *item.siblings)
    stay = [(code, code) for _, code in item.negatives]
    asked = [Request(action, pre, item.language, post) for pre, post in (*pairs, *stay)]
    asked += [Request(action, code, item.language) for code in item.background]
    outcomes = list(engine.judge_many(asked))
    first = outcomes[0]
    ours = next((one for one in outcomes if one.verdict is Verdict.INFRA), None)
    if ours is not None:
        return {"verdict": Verdict.INFRA.value, "detail": ours.detail}
    right = [one.post == post for one, (_, post) in zip(outcomes, pairs, strict=False)]
    kept = [one.post in (None, code) for one, (code, _) in zip(outcomes[len(pairs) :], stay, strict=False)]
    places = sum(one.n_matches for one in outcomes[len(pairs) + len(stay) :])
    siblings = fmean(right[len(item.examples) :])
    invalid = first.verdict in INVALID
    row: Row = {
        "verdict": first.verdict.value,
        "detail": first.detail,
        "valid": float(not invalid),
        "own": fmean(right[: len(item.examples)]),
        "siblings": siblings,
        "holds": float(siblings >= HALF and all(kept)),
        "lossy": float(any(Verdict.LOSSY in one.flags for one in outcomes)),
        "size": len(action.rules_json()),
        "literal": float(is_literal(action)),
        "n_rules": len(action.rules),
        "flags": sorted({flag.value for one in outcomes[: len(pairs)] for flag in one.flags}),
    }
    if kept and not invalid:
        row["negatives"] = fmean(kept)
        for kind in {kind for kind, _ in item.negatives}:
            row[kind] = fmean(k for k, (other, _) in zip(kept, item.negatives, strict=True) if other == kind)
    if item.background and not invalid:
        row["fires"] = 100 * places / len(item.background)
        row["over_match"] = float(places > allowed(len(item.background)))
    return row


def _rules_of(row: Mapping[str, Any]) -> Iterator[str]:
    """The rules that a training record was made by, as `BenchItem.group` names them."""
    if isinstance(about := row.get("metadata"), dict):
        made = about.get("provenance") or {}
        yield from (rule_key(held_out.SOURCE, name) for name in made.get("templates") or ())
        yield rule_key(str(about.get("source")), str(about.get("group")))
