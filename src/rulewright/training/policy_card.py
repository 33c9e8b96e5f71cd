"""The README of a checkpoint trained on rewards, a pure function of the run's files."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import resources
from typing import TYPE_CHECKING, Any

from rulewright import jsonl

if TYPE_CHECKING:
    from rulewright.training.policy import PolicyConfig


def write(config: PolicyConfig, result: Mapping[str, Any], facts: Mapping[str, Any]) -> None:
    """Render `README.md` beside the weights."""
    jsonl.write_text(config.out / "README.md", render(config, result, facts))


def render(config: PolicyConfig, result: Mapping[str, Any], facts: Mapping[str, Any]) -> str:
    """Fill the template with what was asked, done and measured."""
    import jinja2

    text = (resources.files("rulewright.training") / "policy_card.md.jinja").read_text(encoding="utf-8")
    environment = jinja2.Environment(
        undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True
    )
    return environment.from_string(text).render(config=config, result=result, facts=facts)
