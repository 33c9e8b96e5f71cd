"""Actions that a source brings along: executed before they enter a data set.

Invariant: a record whose action passed `with_action` gives its `post` by it, judged in a worker
process with a deadline, and the result is that of the pinned ast-grep command line.
"""

from __future__ import annotations

from functools import lru_cache

from rulewright.actions import Action, Rejection, parse_action, render_action
from rulewright.data.drafts import Drop
from rulewright.data.schemas import NormalizedRecord
from rulewright.engine import Engine, Request, cli
from rulewright.verdict import RuleFailed, Verdict

_DEADLINE_S = 5.0


@lru_cache(maxsize=1)
def _engine() -> Engine:
    """One worker for this process; it ends with it."""
    return Engine(workers=1, deadline_s=_DEADLINE_S)


def with_action(record: NormalizedRecord, raw: str) -> NormalizedRecord | Drop:
    """The record with an action that gives its `post`, in the wire form; else a `Drop`, `action_VERDICT`."""
    action = parse_action(raw, record.language)
    if isinstance(action, Rejection):
        return Drop(f"action_{action.verdict.value}", action.detail)
    outcome = _engine().judge(Request(action, record.pre, record.language, record.post))
    if outcome.verdict is not Verdict.OK:
        return Drop(f"action_{outcome.verdict.value}", outcome.detail)
    metadata = record.metadata.model_copy(update={"action": render_action(action)})
    return record.model_copy(update={"metadata": metadata})


def execute(action: Action, code: str) -> str | Drop:
    """What an action makes of a text, or why it makes nothing of it.

    Every rule is run by the pinned ast-grep itself, and the engine must agree to the byte; the
    text that is given back is tidied, as everywhere in the pipeline.
    """
    text = code
    for number, rule in enumerate(action.rules):
        try:
            text = cli.update([(rule, action.id_of(number))], action.language, text)
        except RuleFailed as failure:
            return Drop(f"action_{failure.verdict.value}", str(failure))
    if text == code:
        return Drop("action_no_match", "ast-grep changes nothing")
    exact = _engine().judge(Request(action, code, action.language, exact=True))
    if exact.post != text:
        return Drop("not_reproduced", f"ast-grep and the engine differ ({exact.verdict}: {exact.detail})")
    tidied = _engine().judge(Request(action, code, action.language))
    return tidied.post if tidied.post is not None else Drop("not_reproduced", tidied.detail)


def matches(action: Action, code: str) -> bool:
    """Whether any rule of an action changes a text."""
    outcome = _engine().judge(Request(action, code, action.language, exact=True))
    return outcome.post is not None and outcome.post != code


def message_of(action: Action, message: str, code: str) -> str:
    """A rule's message with its variables filled in from the first match, as ast-grep says it."""
    try:
        scanned = cli.scan({**action.rules[0], "message": message}, action.language, code, action.id_of(0))
    except RuleFailed:
        return message
    return scanned.message or message
