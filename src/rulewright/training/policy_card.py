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
    return fill("policy_card.md.jinja", config=config, result=result, facts=facts)
