"""Does a rule describe a change, or repeat the text that it was made from?

A rule that spells out whole statements, to match them or to put them in, teaches a model to copy its
input. This is a property of the rule's form, for any teacher. The miner's tier says whether a rule is
expected to hold on other code (docs/reference/mining.md).
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from typing import Any, Final

from rulewright.actions import Rejection, parse_action, visit
from rulewright.mining.propose.candidate import LITERAL_SHAPES
from rulewright.state.trajectory import TrajectoryStep

FREE_TOKENS: Final = 12
"""Tokens that a rule may spell out without a variable: a call, an import, a comparison."""
TOKENS_A_VARIABLE: Final = 8
"""Further tokens for each variable that it captures."""
FREE_NEW_TOKENS: Final = 24
"""Tokens that a fix may spell out beyond what it replaces."""
UNTIERED: Final = "untiered"

_MATCHED: Final = frozenset({"pattern", "context", "regex"})
_FIXES: Final = frozenset({"fix", "template"})
_NOT_MATCHED: Final = frozenset({"fix", "transform", "rewriters", "metadata"})


def spelled(rule: Mapping[str, Any]) -> tuple[int, int, int]:
    """What a rule spells out: matched tokens, different variables, tokens that only its fix has.

    >>> spelled({"rule": {"pattern": "$A == None"}, "fix": "$A is None"})
    (3, 1, 1)
    """
    matched: Counter[str] = Counter()
    variables: set[str] = set()
    for text in (text for key, text in visit.texts(rule, _NOT_MATCHED) if key in _MATCHED):
        tokens = visit.words(text)
        if tokens:  # a pattern that is a variable alone says nothing
            variables |= visit.variables(text)
        matched.update(tokens)
    fixes = " ".join(text for key, text in visit.texts(rule.get("fix", ""), key="fix") if key in _FIXES)
    new = Counter(visit.words(fixes)) - matched
    return matched.total(), len(variables), new.total()


def is_memorized(rule: Mapping[str, Any]) -> bool:
    """Whether a rule mostly repeats code instead of describing a change."""
    matched, variables, new = spelled(rule)
    return matched > FREE_TOKENS + TOKENS_A_VARIABLE * variables or new > FREE_NEW_TOKENS


def tier_of(step: TrajectoryStep) -> str:
    """The miner's word on a step's action; `untiered` where nobody gave one."""
    return str(step.provenance.usage.get("tier") or UNTIERED)


def step_is_memorized(step: TrajectoryStep) -> bool:
    """Whether one rule of a step's action is memorized; no action is not."""
    if step.teacher.action is None:
        return False
    if LITERAL_SHAPES & set(step.provenance.usage.get("shapes") or ()):
        return True
    action = parse_action(json.dumps(step.teacher.action), step.language)
    return not isinstance(action, Rejection) and any(is_memorized(rule) for rule in action.rules)


def is_general(step: TrajectoryStep) -> bool:
    """Whether a step is worth learning for other code: graded `train`, or else not memorized."""
    return tier_of(step) == "train" or not step_is_memorized(step)
