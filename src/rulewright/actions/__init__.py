"""Actions: what a model writes, as text and as data (docs/reference/formats.md).

Pure functions from text to text: parsing, rendering and the canonical form. The engine applies actions.
"""

from __future__ import annotations

from rulewright.actions.action import Action, Mode, Rejection
from rulewright.actions.canonical import is_literal
from rulewright.actions.codec import (
    Response,
    parse_action,
    parse_response,
    read_action,
    render_action,
    render_response,
    render_rules,
)
from rulewright.actions.words import describe_action, describe_rule

__all__ = [
    "Action",
    "Mode",
    "Rejection",
    "Response",
    "describe_action",
    "describe_rule",
    "is_literal",
    "parse_action",
    "parse_response",
    "read_action",
    "render_action",
    "render_response",
    "render_rules",
]
