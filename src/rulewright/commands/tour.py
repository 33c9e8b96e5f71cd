"""One edit, the rule learned from it, where else it fits, three near misses, and rewards.

Uses no model and downloads nothing: the rule miner, the engine and the rewards run here, on a small
example from the package. It takes seconds.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, Literal

from rulewright import console, difftext
from rulewright.actions import Action, render_action
from rulewright.config import AsJson, CommandConfig
from rulewright.verdict import Outcome, Verdict

if TYPE_CHECKING:
    from rulewright.mining import Mined
    from rulewright.tour import Tour, TourAnswer

_SRL: Final = {
    "alike": ("add_field", "add_string"),
    "effect": ("add_gate",),
    "elsewhere": ("add_generality",),
}
_GRPO: Final = {
    "change": ("add_code", "add_floor"),
    "rest": ("add_cap", "add_no_change", "add_invalid", "add_rules", "add_tokens"),
    "elsewhere": ("add_generality",),
}
_NEXT: Final = (
    ("edit --like change.diff src", "a change of yours, made by hand once: everywhere else"),
    ("doctor", "what this machine can do"),
    ("demo --config tiny/demo", "a model learns to write such rules, from nothing, on this machine"),
    ("demo --config smollm2/demo", "the same with a small pretrained model (93 MB)"),
    ("configs", "the configurations, up to Qwen3-14B"),
)


class Config(CommandConfig):
    """How to show it."""

    json_output: AsJson = False
    """Print everything that was computed as one JSON object on stdout."""


def run(config: Config) -> int:
    """Compute, then show; 1 if the learned rule is not right everywhere."""
    from rulewright import tour

    example = tour.read()
    mined, answers = tour.compute(example)
    if config.json_output:
        console.emit_json(_as_json(example, mined, answers))
    else:
        for line in _page(example, mined, answers):
            console.emit(line)
    return 0 if answers[0].grpo.success else 1


def _page(example: Tour, mined: Mined, answers: Sequence[TourAnswer]) -> Iterator[str]:
    learned, *misses = answers
    yield from _head(1, f"An edit, made by hand: {example.instruction}")
    yield from _diff(example.path, example.pre, example.post)
    yield from _head(2, "The rule that the miner learns from it, without a model")
    yield from _indented(_rule(learned.action))
    n = learned.outcome.n_matches
    tier = f"tier {mined.tier}: {mined.reason}"
    yield console.wrap(f"verdict {_verdict(learned.outcome)}: {n} place, the wanted code; {tier}", "  ")
    yield from _head(3, "What else it changes")
    yield from _elsewhere(example, learned)
    yield from _head(4, f"{len(misses)} near misses, executed: similar text is not the same effect")
    for miss in misses:
        yield from _miss(example, miss)
    yield from _head(5, "What each answer earns, by part")
    yield from _rewards(answers)
    yield from _head(6, "What next")
    for command, about in _NEXT:
        yield console.paint(f"  rulewright {command}", "bold", sys.stdout)
        yield console.wrap(about, "      ")


def _elsewhere(example: Tour, learned: TourAnswer) -> Iterator[str]:
    for place, outcome in zip(example.elsewhere, learned.elsewhere, strict=True):
        if outcome.post is None or outcome.post == place.code:
            wanted = "as it should" if place.wanted is None else "though it should"
            yield f"  {place.path}: nothing changes, {wanted}"
        else:
            yield from _diff(place.path, place.code, outcome.post)
    n = sum(outcome.n_matches for outcome in learned.elsewhere)
    yield f"  {n} more places" + (", each as wanted" if learned.grpo.success else "; not all as wanted")


def _miss(example: Tour, miss: TourAnswer) -> Iterator[str]:
    from rulewright.engine import no_match

    rule = miss.action.rules[0]
    pattern, fix = (" ".join(str(part).split()) for part in (rule["rule"]["pattern"], rule["fix"]))
    yield f"  {console.paint(miss.name, 'bold', sys.stdout)}: {pattern}  →  {fix}"
    if miss.outcome.verdict is Verdict.NO_MATCH:
        why = console.clean(no_match.explain(miss.action, example.pre))
    else:
        why = console.clean(miss.outcome.detail) or "exactly the wanted code in this place"
    yield console.wrap(f"{_verdict(miss.outcome)}: {why}", "    ")
    wrong = [
        place.path
        for place, outcome in zip(example.elsewhere, miss.elsewhere, strict=True)
        if (outcome.post if outcome.post is not None else place.code) != (place.wanted or place.code)
    ]
    yield console.wrap(f"elsewhere: {'wrong in ' + ', '.join(wrong) if wrong else 'as wanted'}", "    ")


def _rewards(answers: Sequence[TourAnswer]) -> Iterator[str]:
    yield console.wrap(
        "SRL: how like the teacher's rule it is, bounded by what it does here and elsewhere", "  "
    )
    rows = [[a.name, *_amounts(a.srl.parts, _SRL), _amount(a.srl.value)] for a in answers]
    yield from _indented(console.table(["answer", *_SRL, "reward"], rows))
    yield ""
    yield console.wrap("GRPO: what it does, to this code and to code that it has not seen", "  ")
    rows = [
        [a.name, *_amounts(a.grpo.parts, _GRPO), _amount(a.grpo.value), "yes" if a.grpo.success else "no"]
        for a in answers
    ]
    yield from _indented(console.table(["answer", *_GRPO, "reward", "correct"], rows))


def _amounts(parts: Mapping[str, float], columns: Mapping[str, Sequence[str]]) -> list[str]:
    return [_amount(sum(parts.get(part, 0.0) for part in names)) for names in columns.values()]


def _amount(value: float | None) -> str:
    return "–" if value is None else f"{value + 0.0:.2f}"


def _head(number: int, title: str) -> Iterator[str]:
    if number > 1:
        yield ""
    for line in console.wrap(title, f"{number}  ", "   ").splitlines():
        yield console.paint(line, "title", sys.stdout)


def _verdict(outcome: Outcome) -> str:
    style: Literal["good", "bad"] = "good" if outcome.verdict is Verdict.OK else "bad"
    return console.paint(str(outcome.verdict), style, sys.stdout)


def _rule(action: Action) -> str:
    return str(json.loads(render_action(action, "yaml"))["action"]["rule_yaml"]).rstrip("\n")


def _diff(path: str, before: str, after: str) -> Iterator[str]:
    yield f"  {path}"
    for line in difftext.unified(before, after):
        if line.startswith(("---", "+++", "@@")):
            continue
        text = f"  {line}"
        match line[:1]:
            case "+":
                yield console.paint(text, "good", sys.stdout)
            case "-":
                yield console.paint(text, "bad", sys.stdout)
            case _:
                yield text


def _indented(text: str) -> list[str]:
    return [f"  {line}" for line in text.splitlines()]


def _as_json(example: Tour, mined: Mined, answers: Sequence[TourAnswer]) -> dict[str, Any]:
    return {
        "instruction": example.instruction,
        "pre": example.pre,
        "post": example.post,
        "rule": _rule(answers[0].action),
        "tier": mined.tier,
        "answers": [
            {
                "name": a.name,
                "rule": _rule(a.action),
                "verdict": a.outcome.verdict,
                "detail": a.outcome.detail,
                "elsewhere": {
                    place.path: {"verdict": outcome.verdict, "places": outcome.n_matches}
                    for place, outcome in zip(example.elsewhere, a.elsewhere, strict=True)
                },
                "srl": {"value": a.srl.value, **a.srl.parts},
                "grpo": {"value": a.grpo.value, "success": a.grpo.success, **a.grpo.parts},
            }
            for a in answers
        ],
    }
