"""Describe in words what rules do: the generated thought that precedes an action."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from rulewright.actions.action import Action
from rulewright.actions.visit import template_of


def describe_action(action: Action) -> str:
    """One sentence a rule, in order."""
    return " ".join(describe_rule(rule) for rule in action.rules)


def describe_rule(rule: Mapping[str, Any]) -> str:
    """One line on what a rule does, from its own text.

    >>> describe_rule({"rule": {"pattern": "$A == None"}, "fix": "$A is None"})
    'Rewrite `$A == None` to `$A is None`.'
    """
    body, fix = rule.get("rule", {}), template_of(rule.get("fix", ""))
    pattern = body.get("pattern") if isinstance(body, dict) else None
    if isinstance(pattern, dict):
        pattern = pattern.get("context")
    short = isinstance(pattern, str) and len(pattern) + len(fix) <= 120
    if short and "\n" not in f"{pattern}{fix}":
        return f"Rewrite `{pattern}` to `{fix}`." if fix else f"Remove `{pattern}`."
    what = body.get("kind") if isinstance(body, dict) else None
    if isinstance(what, str):
        return f"Rewrite the matching {what.replace('_', ' ')}."
    keys = sorted(body) if isinstance(body, dict) else []
    return f"Rewrite what matches {', '.join(keys)}." if keys else json.dumps(rule)[:80]
