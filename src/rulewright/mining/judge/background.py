"""Count what a rule would change in other files of the repository, where it should find little.

A file that lacks a word of the rule is not even parsed.
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
"""A rule that matches more places in other files is too general to learn from."""
CAP: Final = 1_000

PER_FILES: Final = 100
"""The number of files to which `TOO_MANY` refers."""


def allowed(n_files: int) -> int:
    """How many places a rule may match in a number of other files.

    >>> allowed(100), allowed(40), allowed(5)
    (5, 2, 1)
    """
    return max(1, round(TOO_MANY * n_files / PER_FILES))


def is_too_many(places: int, n_files: int) -> bool:
    """Whether a rule that matches so many places in a sample of files probably matches too many in all.

    A small sample shows less than its share as often as more, so the limit is one place lower.

    >>> is_too_many(2, 40), is_too_many(1, 40), is_too_many(1, 5)
    (True, False, False)
    """
    return places > max(1, allowed(n_files) - 1)


def count(action: Action, files: Sequence[str], cap: int = CAP) -> int:
    """How many places the rules of an action, each by itself, would change in files; at most `cap`."""
    total = 0
    for rule in action.rules:
        wanted = literals.needs(rule["rule"], action.language)
        for text in files:
            if literals.may_match(text, wanted):
                done = ran(rule, action.language, text, _parsed(text, action.language).root())
                edits = done.edits if done is not None else ()
                total += sum(edit.text != text[edit.start : edit.end] for edit in edits)
                if total >= cap:
                    return cap
    return total


@lru_cache(maxsize=256)
def _parsed(text: str, language: Language) -> SgRoot:
    return SgRoot(text, language)
