"""Judge a model's answers: parse them strictly, execute them in the engine's workers.

`Engine` also accepts bare rules and action texts from users; a model must write one action block.
Rewards, teachers and evaluations all use this module.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

from rulewright.actions import Action, Response, parse_response
from rulewright.engine.pool import Engine
from rulewright.engine.wire import Request
from rulewright.verdict import Outcome


class Judged(NamedTuple):
    """One answer: its parts and its outcome."""

    response: Response | None
    """`None` where there is no single valid action; then the outcome says why."""
    outcome: Outcome

    @property
    def action(self) -> Action | None:
        """What was executed."""
        return self.response.action if self.response else None


def judge_answers(engine: Engine, requests: Sequence[Request]) -> list[Judged]:
    """Judge raw answers, the `action` of each request, in order."""
    parsed = [parse_response(str(request.action), request.language) for request in requests]
    outcomes = engine.judge_many(
        replace(request, action=answer.action)
        for request, answer in zip(requests, parsed, strict=True)
        if isinstance(answer, Response)
    )
    return [
        Judged(answer, next(outcomes))
        if isinstance(answer, Response)
        else Judged(None, Outcome(answer.verdict, answer.detail))
        for answer in parsed
    ]
