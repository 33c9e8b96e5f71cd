"""Edits whose rule depends on the code: names, arguments, constants, imports, wrappers.

Each family takes real code as the result, invents the code before it, and gives the rule from one to the
other.
"""

from __future__ import annotations

from typing import Final

from rulewright.synth.calls import (
    add_argument,
    attribute_to_call,
    call_to_attribute,
    remove_argument,
    swap_arguments,
    unwrap_call,
    wrap_call,
)
from rulewright.synth.constants import (
    change_decorator,
    change_exception,
    change_import,
    change_number,
    change_string,
    set_value,
)
from rulewright.synth.proposals import Code, Family, Proposal
from rulewright.synth.renames import (
    qualify_call,
    rename_attribute,
    rename_call,
    rename_identifier,
    rename_keyword,
    rename_method,
)
from rulewright.synth.rewrites import rewrite_expression

__all__ = ["FAMILIES", "PYTHON_ONLY", "WHEN_NAMED", "Code", "Family", "Proposal"]


FAMILIES: Final[dict[str, Family]] = {
    family.__name__.replace("_", "-"): family
    for family in (
        rename_identifier, rename_call, rename_method, rename_attribute, rename_keyword, qualify_call,
        swap_arguments, add_argument, remove_argument, wrap_call, unwrap_call, attribute_to_call,
        call_to_attribute, change_number, change_string, set_value, change_import, change_decorator,
        change_exception, rewrite_expression,
    )
}  # fmt: skip
WHEN_NAMED: Final = frozenset({"rewrite-expression"})
"""Families that are made only where they are asked for by name: they would be a mix of their own."""
PYTHON_ONLY: Final = frozenset({"rename-keyword", "change-decorator"})
