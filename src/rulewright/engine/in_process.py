"""Actions judged in the process that asks: those that are sure to end soon and well, whatever the text.

A worker process takes as much memory again and a third more processor time. So a rule of plain parts needs
none on a text of bounded size: there it can neither run for long nor bring the process down. Nor does any
rule on a text that lacks what it needs. Anything else
is for `Engine`'s workers; whether ast-grep takes the rule is not asked here.
"""

from __future__ import annotations

import json
import signal
import threading
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import lru_cache
from typing import Any, Final

from rulewright.actions import Action, visit
from rulewright.actions.action import Rule
from rulewright.engine import literals, patterns
from rulewright.engine.apply import Barred
from rulewright.engine.judge import judge
from rulewright.engine.parsing import parse
from rulewright.engine.rules import PLAIN, compile_rule, compiled
from rulewright.engine.wire import Request
from rulewright.languages import Language
from rulewright.verdict import Outcome, RuleFailed, Verdict

RULE_CHARS: Final = 2_000
"""Characters of a rule, as JSON."""
PLAIN_CHARS: Final = 500_000
"""Those of a text that a rule looks at node by node: the time grows as the text does."""
RELATED_CHARS: Final = 50_000
"""Where it looks from each node over others: the time grows as the square of their number, at most."""
REPEATED_CHARS: Final = 10_000
"""Where it compares nodes: ast-grep goes as deep as they are nested; 20,000 is too deep for it."""
_OF_RELATIONS: Final = frozenset({*visit.RELATIONS, "stopBy", "field"})


class _Late(BaseException):
    """The deadline has passed; nothing on the way takes it for a failure of its own."""


def judged(request: Request, deadline_s: float) -> Outcome | None:
    """Judge an action in this process; `None`: that is for another one.

    Args:
        request: an action on a text.
        deadline_s: processor seconds; a call of ast-grep is awaited, which ends after some more at most.
    """
    action = request.action
    if not isinstance(action, Action) or action.language != request.language:
        return None
    if threading.current_thread() is not threading.main_thread():
        return None
    code = request.code
    barred = frozenset(number for number, most in enumerate(most_chars(action)) if most < len(code))
    try:
        if any(literals.may_match(code, compiled(action)[number].needs) for number in barred):
            return None
        with _deadline(deadline_s):
            outcome = judge(
                action, code, request.expected, exact=request.exact, listed=request.listed, barred=barred
            )
    except _Late:
        return late(deadline_s)
    except (RecursionError, RuleFailed, Barred):
        return None
    finally:
        parse.cache_clear()  # the tree of a text takes a hundred times its size
    return outcome if outcome.verdict is not Verdict.CRASHED else None


def late(deadline_s: float) -> Outcome:
    """What came of an action that took too long."""
    return Outcome(Verdict.TIMEOUT, f"more than {deadline_s:g} s of processor time")


@lru_cache(maxsize=64)
def most_chars(action: Action) -> tuple[int, ...]:
    """Characters of a text up to which each rule is sure to end soon and well; 0 where it never is."""
    return tuple(_most_chars(rule, action.language) for rule in action.rules)


def _most_chars(given: Rule, language: Language) -> int:
    try:
        rule = compile_rule(given, language)
    except RuleFailed:
        return 0
    core = rule.core
    keys = PLAIN | _OF_RELATIONS | core.config.get("constraints", {}).keys() | {"rule", "constraints"}
    parts = list(visit.pairs(core.config))
    if (
        len(json.dumps(given)) > RULE_CHARS
        or rule.needs_cli
        or rule.rewriters
        or any(key not in keys for key, _ in parts)
    ):
        return 0
    if any(key == "regex" and "{" in value for key, value in parts):
        return 0  # a count may make a regex of a few characters as slow as one of thousands
    relations = [value for key, value in parts if key in visit.RELATIONS]
    if any(key in visit.RELATIONS for one in relations for key, _ in visit.pairs(one)):
        return 0
    bound = [core.config["rule"], *core.config.get("constraints", {}).values()]
    if max(sum((_bound(one, language) for one in bound), Counter[str]()).values(), default=0) > 1:
        return REPEATED_CHARS
    return RELATED_CHARS if relations or (core.fix is not None and core.fix.expands) else PLAIN_CHARS


def _bound(rule: Mapping[str, Any], language: Language) -> Counter[str]:
    """How often a node that a rule is about may be bound to each variable, and compared from then on."""
    times: Counter[str] = Counter()
    for key, value in rule.items():
        if key == "pattern":
            facts = patterns.facts(*visit.pattern_parts(value), language)
            times.update([*facts.variables, *facts.repeated])
        elif key == "any":
            either: Counter[str] = Counter()
            for one in value:
                either |= _bound(one, language)
            times += either
        elif key == "all":
            times += sum((_bound(one, language) for one in value), Counter[str]())
        elif isinstance(value, Mapping):
            times += _bound(value, language)
    return times


@contextmanager
def _deadline(seconds: float) -> Iterator[None]:
    """Raise `_Late` in the body where this process has used so much time by then."""

    def ring(*_: object) -> None:
        raise _Late

    before = signal.signal(signal.SIGPROF, ring)
    signal.setitimer(signal.ITIMER_PROF, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)
