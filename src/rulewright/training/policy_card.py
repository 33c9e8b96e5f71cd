"""The README of a checkpoint trained on rewards, a pure function of the run's files."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from rulewright import jsonl
from rulewright.training.card import fill

if TYPE_CHECKING:
    from rulewright.training.policy import PolicyConfig


def write(config: PolicyConfig, result: Mapping[str, Any], facts: Mapping[str, Any]) -> None:
    """Render `README.md` beside the weights."""
    jsonl.write_text(config.out / "README.md", render(config, result, facts))


def render(config: PolicyConfig, result: Mapping[str, Any], facts: Mapping[str, Any]) -> str:
    """Fill the template with what was asked, done and measured."""
    return fill("policy_card.md.jinja", config=config, result=result, facts=facts, selected=selected(result))


def selected(result: Mapping[str, Any]) -> str:
    """How the published step was chosen, and whether it is any better than the start."""
    selection = result["selection"]
    said = (
        "the last one"
        if selection["keep"] == "last"
        else f"the best of {selection['n_candidates']} by dev reward, on the same {result['n_dev']} tasks"
    )
    if selection["beats_start"]:
        return said
    if result["best_step"] == 0:
        return f"{said}: the start itself, which no step beat"
    return f"{said}; it is no better than the start (keep: start would have published the start)"
