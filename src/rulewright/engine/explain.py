"""Reasons in words that a model or a person can repair a rule from."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from rulewright.actions.suggest import did_you_mean
from rulewright.languages import Language


def undefined(name: str, part: str, known: Iterable[str]) -> str:
    """A variable that nothing defines."""
    names = sorted(known)
    defined = f" (defined: {', '.join('$' + n for n in names[:8])})" if names else " (no variable is defined)"
    return f"undefined variable `${name}` in `{part}`{defined}{did_you_mean(name, names)}"


def missing_kinds(rule: Mapping[str, Any], language: Language) -> str:
    """A rule that could match nodes of any kind, which `scan` refuses."""
    return "the rule must say which node kinds it matches: add a `kind`, or a pattern that is complete code"


def binding_error(error: Exception, config: Mapping[str, Any], language: Language) -> str:
    """Put ast-grep's chain of causes into one line: the last cause, which is the point."""
    text = str(error).partition("Stack backtrace:")[0]
    head, _, chain = text.partition("Caused by:")
    causes = re.findall(r"^ +\d+: (.*(?:\n {7,}.*)*)", chain, re.MULTILINE)
    last = causes[-1] if causes else (chain.strip() or head.strip())
    return re.sub(r"\s+", " ", last).strip()
