"""Execute answers, each on the current code of its episode: actions, tests, siblings and negatives."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from rulewright.actions import Action, Response, is_literal
from rulewright.data.schemas import Pairs
from rulewright.engine import Engine, Request, judge_answers
from rulewright.environment.reward import Executed, right_here
from rulewright.environment.task import Task, TestRunner, Tests, action_tokens
from rulewright.srl.elsewhere import TriedElsewhere, try_all
from rulewright.state.state import State
from rulewright.verdict import Outcome, Verdict


@dataclass(frozen=True)
class Snapshot:
    """The state of an episode, sufficient to continue from it."""

    task: Task
    code: str
    state: State = field(default_factory=State)
    n_steps: int = 0
    n_rules: int = 0
    n_tokens: int = 0
    earned: float = 0.0
    """The score of the last step that changed the code."""
    penalties: float = 0.0
    """Of the steps that changed nothing, so far."""
    elsewhere: tuple[str, ...] = ()
    """Where `task.held_out` stands after these steps; empty: where it began."""

    @property
    def held_out(self) -> Pairs:
        """Siblings and negatives as changed by the steps so far, with their expected texts."""
        texts = self.elsewhere or tuple(pre for pre, _ in self.task.held_out)
        return tuple((text, post) for text, (_, post) in zip(texts, self.task.held_out, strict=True))


def execute(
    answers: Sequence[tuple[Snapshot, str]], engine: Engine, run_tests: TestRunner | None
) -> list[Executed]:
    """Execute answers, each on the current code of its episode; actions and tests run in parallel."""
    tasks = [now.task for now, _ in answers]
    requests = [Request(text, now.code, now.task.language, now.task.target) for now, text in answers]
    judged = judge_answers(engine, requests)
    tested = _tests(tasks, [outcome for _, outcome in judged], run_tests)
    # Tried elsewhere is what is right here, or a step on the way.
    asked: dict[int, tuple[Action, Pairs]] = {}
    for place, ((now, _), (response, outcome), tests) in enumerate(zip(answers, judged, tested, strict=True)):
        step = now.task.max_steps > 1 and outcome.post not in (None, now.task.code)
        if response is not None and now.task.held_out and (step or right_here(now.task, outcome, tests)):
            asked[place] = response.action, now.held_out
    tried = try_all(engine, asked)
    return [
        _executed(now, *one, tests, tried.get(place))
        for place, ((now, _), one, tests) in enumerate(zip(answers, judged, tested, strict=True))
    ]


def _executed(
    now: Snapshot, response: Response | None, outcome: Outcome, tests: Tests, tried: TriedElsewhere | None
) -> Executed:
    if response is None:
        return Executed(outcome, now.n_tokens, now.n_rules)
    if tried is not None and tried.share is None:
        outcome = Outcome(Verdict.INFRA)
    return Executed(
        outcome,
        now.n_tokens + action_tokens(response.block),
        now.n_rules + len(response.action.rules),
        tests,
        (tried.share or 0.0) if tried else 0.0,
        is_literal(response.action),
        tried.posts if tried else now.elsewhere,
    )


def _tests(tasks: Sequence[Task], outcomes: Sequence[Outcome], run: TestRunner | None) -> list[Tests]:
    """The tests of all answers that changed anything, before and after."""
    found = [Tests()] * len(tasks)
    if run is None:
        return found
    due = [
        (i, post, task)
        for i, (task, outcome) in enumerate(zip(tasks, outcomes, strict=True))
        if task.tests and (post := outcome.post) is not None and post != task.code
    ]
    before = run([(task.code, task) for _, _, task in due])
    after = run([(post, task) for _, post, task in due])
    for (i, _, _), was, now in zip(due, before, after, strict=True):
        found[i] = Tests(was.passed, None if was.passed is None else now.passed, now.suspicious)
    return found
