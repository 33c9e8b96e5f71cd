"""A change made by hand → the few general rules that make it together. Nothing is written here.

A change may be of several files and of several unlike parts: `cover` finds the rules, `trust` holds
them to what the change shows and grades them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from rulewright import difftext
from rulewright.actions.action import Rule
from rulewright.engine.parsing import parse
from rulewright.errors import RulewrightError
from rulewright.languages import Language
from rulewright.mining.by_hand import doubts, replay
from rulewright.mining.by_hand.diffs import Change
from rulewright.mining.by_hand.learned import ChangedNames, LearnedRule, LearnedRules
from rulewright.mining.by_hand.trust import ImportedNames, action_of, graded_rules
from rulewright.mining.learn import cover
from rulewright.mining.learn.grading import TIERS
from rulewright.mining.learn.mine import why_refused


def learn(changes: Sequence[Change], budget_s: float) -> LearnedRules:
    """Find the smallest set of general rules that make a change.

    Args:
        changes: by file.
        budget_s: nominal seconds a file.

    Raises:
        RulewrightError: no rule was found for any of it; the reasons.
    """
    if not changes:
        raise RulewrightError("the change is empty: there is nothing to learn from", "change a file by hand")
    given, changes = changes, [_with_same_end(change) for change in changes]
    rules: list[LearnedRule] = []
    problems: list[str] = []
    names_of: dict[Language, ChangedNames] = {}
    for language in dict.fromkeys(change.language for change in changes):
        mine = [change for change in changes if change.language == language]
        refused = {change.path: _why_refused(change) for change in mine}
        problems += [why for why in refused.values() if why]
        fit = [change for change in mine if not refused[change.path]]
        names = ImportedNames.of(fit, language)
        texts = [
            cover.ChangedFile(c.pre, names.post_with_old_imports.get(c.path, c.post), c.seen) for c in fit
        ]
        found = cover.covering_rules([one for one in texts if one.pre != one.post], language, budget_s)
        usable = [one for one in found if one.tier != "reject"]
        found = without_needless(usable or found, replay.Missing(fit, language))
        graded = graded_rules(found, fit, names, language)
        rules += graded
        imported = frozenset(one.name for one in names.come)
        defined = doubts.defined_names([one.rule for one in found], fit, language)
        removed = frozenset(one.name for one in names.gone) - imported
        names_of[language] = ChangedNames(imported, defined, removed)
        action = action_of(graded)
        problems += [
            line
            for c in fit
            for line in replay.missing_parts(action, c, by_binding=c.path in names.post_with_old_imports)
        ]
    problems += [
        f"{one.path}:{len(difftext.rows(one.pre))}: the end of the file"
        for one, same in zip(given, changes, strict=True)
        if one is not same
    ]
    if not rules:
        raise RulewrightError(
            "no rule found for any part of the change: " + "; ".join(problems[:8]),
            "the reason stands after each file; one kind of change at a time is learned best",
        )
    return LearnedRules(tuple(rules), tuple(problems), tuple(changes), names_of)


def _with_same_end(change: Change) -> Change:
    """A change that leaves the newline at the end of the file as it was: no rule could be about that."""
    pre, post = change.pre, change.post
    if not pre or not post or pre.endswith("\n") == post.endswith("\n"):
        return change
    return replace(change, post=post[:-1] if post.endswith("\n") else post + "\n")


def _why_refused(change: Change) -> str:
    """Why nothing can be learned from a file, with the place; empty where something can."""
    why = why_refused(change.pre, change.post, change.language)
    if why:
        return f"{change.path}: {why}"
    before, after = (parse(text, change.language) for text in (change.pre, change.post))
    if not after.is_worse_than(before):
        return ""
    return f"{change.path}:{after.first_line}: a syntax error after the change"


def without_needless(
    found: Sequence[cover.GradedRule], n_missing: Callable[[Sequence[Rule]], int]
) -> list[cover.GradedRule]:
    """Leave out rules, the least trusted first, without which as much of the change is made.

    Args:
        found: the rules.
        n_missing: counts the parts of the change that some of them do not make.
    """
    kept = list(found)
    missing = n_missing([one.rule for one in kept])
    for one in sorted(found, key=lambda one: -TIERS.index(one.tier)):
        fewer = [other for other in kept if other is not one]
        if fewer and (now := n_missing([other.rule for other in fewer])) <= missing:
            kept, missing = fewer, now
    return kept
