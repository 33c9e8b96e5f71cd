"""Mine the files of one commit together: for each file, the rules that it shares with others.

Invariant: the action of a file was judged by the engine and gives its new text exactly, and each of its
rules is used in at least two files. Files without such rules get nothing here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from rulewright import engine
from rulewright.actions.action import Action
from rulewright.mining.judge import background
from rulewright.mining.learn import cover
from rulewright.mining.learn.cover import GradedRule
from rulewright.mining.learn.generalize import Example
from rulewright.mining.learn.grading import Tier, measure
from rulewright.mining.learn.mine import Mined, why_refused, with_import_guards
from rulewright.mining.learn.search import MAX_RULES

FEWEST: Final = 2
"""Fewest files in which a rule must be right to count as shared."""


def mine_commit(
    examples: Sequence[Example], known: Sequence[Sequence[str]], budget_s: float
) -> list[Mined | None]:
    """The action of each file of a commit, `None` where shared rules do not give its new text.

    Args:
        examples: the files.
        known: for each file, other files of the repository, in which a rule should find little.
        budget_s: nominal seconds a file.
    """
    found: list[Mined | None] = [None] * len(examples)
    for language in dict.fromkeys(one.language for one in examples):
        numbers = [
            number
            for number, one in enumerate(examples)
            if one.language == language and not why_refused(one.pre, one.post, language)
        ]
        if len(numbers) < FEWEST:
            continue
        # Rules must not change a line that the commit keeps.
        texts = [
            cover.ChangedFile(one.pre, one.post, frozenset(range(1, one.pre.count("\n") + 2)))
            for one in (examples[number] for number in numbers)
        ]
        rules = [one for one in cover.covering_rules(texts, language, budget_s) if one.tier != "reject"]
        used = {number: own for number in numbers if (own := _used(examples[number], rules))}
        while few := [number for number, own in used.items() if any(_support(n, used) < FEWEST for n in own)]:
            for number in few:
                del used[number]
        for number, own in used.items():
            support = min(_support(n, used) for n in own)
            found[number] = _mined(examples[number], [rules[n] for n in own], support, known[number])
    return found


def _used(example: Example, rules: Sequence[GradedRule]) -> list[int]:
    """The numbers of the rules that a file needs; empty if the rules do not give its new text."""
    if not rules:
        return []
    action = Action(example.language, tuple(one.rule for one in rules), mode="rule")
    outcome = engine.apply(action, example.pre)
    if outcome.post != example.post:
        return []
    own = [number for number, n in enumerate(outcome.matches_per_rule) if n]
    return own if len(own) <= MAX_RULES else []


def _support(rule: int, used: dict[int, list[int]]) -> int:
    """In how many files a rule is used."""
    return sum(rule in own for own in used.values())


def _mined(example: Example, rules: Sequence[GradedRule], support: int, known: Sequence[str]) -> Mined | None:
    """The verified action of a file, with its figures and the tier of its least trusted rule."""
    steps = [one.candidate for one in rules]
    plain = Action(example.language, tuple(one.rule for one in rules), mode="rule")
    action, outcome = with_import_guards(plain, example.pre, example.post)
    if outcome.post != example.post:
        return None
    figures = measure(action, steps, outcome, outcome.n_matches, "", 0)
    figures = replace(figures, support=support)
    if known:
        figures = replace(figures, matches_elsewhere=background.count(action, known))
    tier: Tier = "train"
    reason = f"shared by {support} files of its commit"
    for one in rules:
        if one.tier != "train":
            tier, reason = one.tier, one.reason
    if figures.lossy or figures.degenerate:
        tier, reason = "reject", "lossy or degenerate"
    elif tier == "train" and background.is_too_many(figures.matches_elsewhere or 0, len(known)):
        tier, reason = (
            "literal",
            f"too general: matches {figures.matches_elsewhere} other places of the repository",
        )
    return Mined(action, tier, reason, tuple(step.shape for step in steps), outcome.states, figures)
