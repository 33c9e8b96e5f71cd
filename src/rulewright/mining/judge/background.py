"""Other files of the same repository: where a rule should find little to change.

Counts places, in files that the rule was not made from. A file that lacks a word which
the rule spells out is not even parsed.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Final

from ast_grep_py import SgRoot

from rulewright.actions.action import Action
from rulewright.engine import literals
from rulewright.engine.applier import ran
from rulewright.languages import Language

TOO_MANY: Final = 5
"""A rule that matches more other places than this is not one to learn from."""
CAP: Final = 1_000

PER_FILES: Final = 100
"""The number of files that `TOO_MANY` is meant for."""


def allowed(n_files: int) -> int:
    """How many places a rule may match in so many files.

    >>> allowed(100), allowed(40), allowed(5)
    (5, 2, 1)
    """
    return max(1, round(TOO_MANY * n_files / PER_FILES))


def is_too_many(places: int, n_files: int) -> bool:
    """Whether places in so many files tell of a rule that matches more than is allowed.

    A few files show less than their share as often as more: the bound is one place below it.

    >>> is_too_many(2, 40), is_too_many(1, 40), is_too_many(1, 5)
    (True, False, False)
    """
    return places > max(1, allowed(n_files) - 1)


def count(action: Action, files: Sequence[str], cap: int = CAP) -> int:
    """Places that an action would change in files, each rule by itself; at most `cap`."""
    total = 0
    for rule in action.rules:
        wanted = literals.needs(rule["rule"], action.language)
        for text in files:
            if literals.may_match(text, wanted):
                done = ran(rule, action.language, text, _parsed(text, action.language).root())
                edits = [match.edit for match in done.matches] if done is not None else []
                total += sum(edit.text != text[edit.start : edit.end] for edit in edits)
                if total >= cap:
                    return cap
    return total


@lru_cache(maxsize=256)
def _parsed(text: str, language: Language) -> SgRoot:
    return SgRoot(text, language)
