"""Judgement beyond "it applied": loss, degeneracy, syntax, and the wanted result."""

from __future__ import annotations

from dataclasses import replace

from rulewright.actions.action import Action
from rulewright.engine import checks
from rulewright.engine.apply import Trace, outcome_of, trace
from rulewright.verdict import Outcome, Verdict

# Which judgement gives the verdict where several are true.
ORDER = (Verdict.DEGENERATE, Verdict.SYNTAX_ERROR, Verdict.LOSSY, Verdict.WRONG_RESULT)


def judge(action: Action, code: str, expected: str | None = None, *, exact: bool = False) -> Outcome:
    """Apply an action and judge what it did.

    Args:
        action: rules, applied one after another.
        code: the text before.
        expected: the wanted text; `None` where none is known.
        exact: leave out the tidy step.

    Returns:
        `ok` only where every judgement holds; `flags` has all that failed.
    """
    done = trace(action, code, exact=exact)
    return judge_trace(done, code, expected)


def judge_trace(done: Trace, code: str, expected: str | None) -> Outcome:
    """Judge what applying an action showed."""
    outcome = outcome_of(done, code)
    if outcome.verdict is not Verdict.OK:
        return outcome
    assert outcome.post is not None
    reasons = {
        Verdict.DEGENERATE: checks.degenerate(done.steps),
        Verdict.SYNTAX_ERROR: checks.syntax(done.steps),
        Verdict.LOSSY: checks.lossy(done.steps),
        Verdict.WRONG_RESULT: checks.wrong(outcome.post, expected),
    }
    flags = frozenset(verdict for verdict, reason in reasons.items() if reason)
    for verdict in ORDER:
        if verdict in flags:
            return replace(outcome, verdict=verdict, detail=reasons[verdict], flags=flags)
    return outcome
