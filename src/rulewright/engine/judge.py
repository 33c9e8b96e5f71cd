"""Judge the result of an action: loss, degeneracy, syntax, and the expected text."""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence
from dataclasses import replace

from rulewright.actions.action import Action
from rulewright.engine import checks, cli, incremental, places
from rulewright.engine.apply import Trace, outcome_of, sum_up, trace
from rulewright.engine.parsing import parse
from rulewright.verdict import Outcome, RuleFailed, Verdict

# Which judgment gives the verdict where several are true.
ORDER = (Verdict.DEGENERATE, Verdict.SYNTAX_ERROR, Verdict.LOSSY, Verdict.WRONG_RESULT)


def judge(
    action: Action,
    code: str,
    expected: str | None = None,
    *,
    exact: bool = False,
    listed: bool = False,
    barred: Container[int] = (),
) -> Outcome:
    """Apply an action and judge its effect.

    Args:
        action: rules, applied one after another.
        code: the text before.
        expected: the expected text; `None` if unknown.
        exact: leave out the tidy step.
        listed: name the single places too.
        barred: numbers of rules that must not be tried.

    Returns:
        `ok` only where every judgment holds; `flags` has all that failed.

    Raises:
        Barred: a rule may match that must not be tried.
    """
    if not listed and incremental.pays(action, code):
        sound = incremental.judged(action, code, exact, barred)
        if sound is not None and (expected is None or sound.post == expected):
            return sound
    done = trace(action, code, exact=exact, barred=barred)
    outcome = judge_trace(done, code, expected)
    return replace(outcome, places=tuple(places.made(done))) if listed else outcome


def judge_together(actions: Sequence[Action], code: str) -> Outcome:
    """Apply rules in one pass, as `ast-grep scan -U` does with a file of several, and judge them.

    Overlapping matches are the command line's to settle; loss and degeneracy are those of each rule alone.
    """
    first = actions[0]
    try:
        post = cli.update([(one.rules[0], one.id_of(0)) for one in actions], first.language, code)
    except RuleFailed as error:
        return Outcome(error.verdict, str(error))
    steps = [step for one in actions for step in trace(one, code, exact=True).steps]
    outcome = replace(sum_up([step.effect._replace(after=post) for step in steps], code), states=(post,))
    before, after = parse(code, first.language), parse(post, first.language)
    told = f"the result has a syntax error at line {after.first_line}"
    harms = {Verdict.DEGENERATE: checks.degenerate, Verdict.LOSSY: checks.lossy}
    reasons = {flag: next(filter(None, (harm([step]) for step in steps)), "") for flag, harm in harms.items()}
    reasons[Verdict.SYNTAX_ERROR] = told if after.is_worse_than(before) else ""
    return _flagged(outcome, reasons) or outcome


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
    return _flagged(outcome, reasons) or replace(outcome, detail=checks.reindented(done.steps))


def _flagged(outcome: Outcome, reasons: Mapping[Verdict, str]) -> Outcome | None:
    """An outcome with what speaks against it; `None` where nothing does, or it changed nothing."""
    flags = frozenset(verdict for verdict, reason in reasons.items() if reason)
    verdict = next((one for one in ORDER if one in flags), None)
    if verdict is None or outcome.verdict is not Verdict.OK:
        return None
    return replace(outcome, verdict=verdict, detail=reasons[verdict], flags=flags)
