"""Judge the result of an action: loss, degeneracy, syntax, and the expected text."""

from __future__ import annotations

from collections.abc import Container, Sequence
from dataclasses import replace

from rulewright.actions.action import Action
from rulewright.engine import checks, cli, patched, places
from rulewright.engine.apply import Trace, outcome_of, trace
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
    if not listed and patched.pays(action, code):
        sound = patched.judged(action, code, exact, barred)
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
    alone = [trace(one, code, exact=True) for one in actions]
    matches = tuple(outcome_of(one, code).n_matches for one in alone)
    counts = {"post": post, "n_rules": len(actions), "n_matches": sum(matches), "matches_per_rule": matches}
    if post == code:
        verdict = (
            Verdict.NO_CHANGE
            if any(step.n_found for one in alone for step in one.steps)
            else Verdict.NO_MATCH
        )
        return Outcome(verdict, "no rule changed anything", **counts)  # type: ignore[arg-type]
    flagged: dict[Verdict, str] = {}
    for one, n_matches in zip(alone, matches, strict=True):
        harms = {Verdict.DEGENERATE: checks.degenerate, Verdict.LOSSY: checks.lossy} if n_matches else {}
        flagged |= {flag: reason for flag, harm in harms.items() if (reason := harm(one.steps))}
    before, after = parse(code, first.language), parse(post, first.language)
    if after.is_worse_than(before):
        flagged[Verdict.SYNTAX_ERROR] = f"the result has a syntax error at line {after.first_line}"
    verdict = next((flag for flag in ORDER if flag in flagged), Verdict.OK)
    detail = flagged.get(verdict, "")
    return Outcome(verdict, detail, flags=frozenset(flagged), states=(post,), **counts)  # type: ignore[arg-type]


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
    return replace(outcome, detail=checks.reindented(done.steps))
