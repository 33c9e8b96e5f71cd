"""Actions: what a model writes, as text and as data (SPEC section 5).

Text to text, pure: parsing, rendering and the canonical form. Applying an action
is the engine's business.
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

__all__ = [
    "Action",
    "Mode",
    "Rejection",
    "Response",
    "is_literal",
    "parse_action",
    "parse_response",
    "read_action",
    "render_action",
    "render_response",
    "render_rules",
]
