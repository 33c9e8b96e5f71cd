"""Episodes of a teacher: propose, execute, judge, update the state, save.

Invariant: every proposal is executed before it is written, and every row has its outcome; rejected ones
are kept with their reason. Rows of one episode are appended together and the last one is marked, so a
killed run repeats only whole episodes. `srl.make_trajs` later selects the steps for training.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path
from typing import Any

from rulewright import difftext, jsonl
from rulewright.actions import Response, render_action
from rulewright.digests import text_sha256
from rulewright.engine import Engine, Request, judge_answers
from rulewright.errors import RulewrightError
from rulewright.sandbox.runner import Sandbox
from rulewright.state.state import HistoryItem, State
from rulewright.state.trajectory import Env, Provenance, TeacherTurn, TestCounts, TrajectoryStep
from rulewright.teachers.base import Suggestion, Teacher, Turn
from rulewright.teachers.config import TeacherConfig
from rulewright.teachers.tasks import TeacherTask
from rulewright.verdict import NOT_ASKED_FOR, Outcome, Verdict


class Spending:
    """What a run has used, by the prices and hard limits of its configuration."""

    def __init__(self, config: TeacherConfig) -> None:
        self._config = config
        self.tokens_in = self.tokens_out = 0

    @property
    def usd(self) -> float:
        prices = self._config.price_in_usd_per_mtok, self._config.price_out_usd_per_mtok
        return (self.tokens_in * prices[0] + self.tokens_out * prices[1]) / 1e6

    def add(self, rows: Iterable[TrajectoryStep]) -> None:
        for row in rows:
            self.tokens_in += int(row.provenance.usage.get("prompt_tokens", 0))
            self.tokens_out += int(row.provenance.usage.get("completion_tokens", 0))

    @property
    def why_stop(self) -> str:
        """Which limit is reached, or nothing."""
        used, most, most_usd = self.tokens_in + self.tokens_out, self._config.max_tokens, self._config.max_usd
        if most is not None and used >= most:
            return f"{used:,} tokens used, the limit is {most:,}"
        if most_usd is not None and self.usd >= most_usd:
            return f"${self.usd:.2f} spent, the limit is ${most_usd:.2f}"
        return ""


@dataclass
class Episode:
    """One task under way."""

    turn: Turn
    key: str
    rows: list[TrajectoryStep] = field(default_factory=list)
    over: bool = False
    failed: str = ""
    """Why the teacher could not be asked; such an episode is not written, but owed again."""


def episode_key(task: TeacherTask, teacher: Teacher, sample: int, config: TeacherConfig) -> str:
    """Name an episode by what decides its content; 20 hex digits."""
    said = [task.task_id, task.instruction, task.pre, task.target, task.tests]
    if task.elsewhere.held_out:
        said.append(task.elsewhere.model_dump_json())
    limits = [config.seed, config.max_steps, config.attempts]
    how = [teacher.name, teacher.model, teacher.params(), sample, *limits]
    text = json.dumps([said, how], ensure_ascii=False, sort_keys=True)
    return text_sha256(text)[:20]


class Collector:
    """Runs episodes of one teacher, a batch in step, and gives their rows."""

    def __init__(
        self, config: TeacherConfig, teacher: Teacher, engine: Engine, sandbox: Sandbox | None
    ) -> None:
        self._config, self._teacher, self._engine, self._sandbox = config, teacher, engine, sandbox
        self._failed_before: dict[str, bool] = {}
        """By task: whether its tests fail on the code as it was."""

    def start(self, task: TeacherTask, sample: int) -> Episode:
        """An episode at its beginning: the state is empty, the goal is the instruction itself."""
        turn = Turn(task, task.pre, State(), sample=sample)
        return Episode(turn, episode_key(task, self._teacher, sample, self._config))

    def run(self, episodes: Sequence[Episode]) -> Iterator[Episode]:
        """Run a batch of episodes together; yield each as soon as it ends."""
        while active := [episode for episode in episodes if not episode.over]:
            for place, proposal in self._teacher.propose([episode.turn for episode in active]):
                episode = active[place]
                request = Request(proposal.text, episode.turn.code, episode.turn.task.language)
                [(response, outcome)] = judge_answers(self._engine, [request])
                self._take(episode, proposal, response, outcome)
                if episode.over:
                    yield episode

    def _take(
        self, episode: Episode, proposal: Suggestion, response: Response | None, outcome: Outcome
    ) -> None:
        """Write one try down and decide how the episode goes on."""
        if proposal.failed:
            episode.failed, episode.over = proposal.failed, True
            return
        turn = episode.turn
        last_step = turn.step + 1 >= self._config.max_steps and not proposal.more
        solved, tests = self._solved(turn.task, outcome)
        if outcome.ok and last_step and solved is False:
            failed = Verdict.TESTS_FAILED if turn.task.target is None else Verdict.WRONG_RESULT
            outcome = replace(outcome, verdict=failed, detail=NOT_ASKED_FOR)
        row = self._row(episode, proposal, response, outcome, tests)
        retry = not outcome.ok and turn.attempt + 1 < self._config.attempts
        episode.over = bool(outcome.ok and (solved or last_step)) or (not outcome.ok and not retry)
        if episode.over:
            said = row.provenance.model_copy(update={"final": True, "solved": solved})
            row = row.model_copy(update={"provenance": said})
        episode.rows.append(row)
        if not outcome.ok:
            episode.turn = replace(turn, attempt=turn.attempt + 1, feedback=outcome.said)
            return
        assert response is not None and outcome.post is not None  # its outcome is `ok`
        item = HistoryItem(
            step=turn.step,
            action_id=action_id(response),
            summary=response.think or f"{outcome.n_rules} rules",
            outcome=f"{outcome.verdict}, {outcome.n_matches} places",
        )
        state = turn.state.merge(response.update, item)
        episode.turn = replace(
            turn, code=outcome.post, state=state, step=turn.step + 1, attempt=0, feedback=""
        )

    def _solved(self, task: TeacherTask, outcome: Outcome) -> tuple[bool | None, TestCounts]:
        """Whether the task is done; `None` where nothing tells.

        Tests tell only if they failed before: where they passed already, as those of a
        refactoring do, any change that breaks nothing would pass for the one that was asked for.
        """
        if outcome.post is None or not outcome.ok:
            return (False if task.target is not None or task.tests else None), TestCounts()
        at_target = outcome.post == task.target
        if task.tests and self._sandbox is not None:
            verdict = self._sandbox.check(outcome.post, task.tests)
            counts = TestCounts(passed=verdict.n_passed, failed=verdict.n_failed)
            if at_target or not verdict.strict or self._fails_before(task, task.tests):
                return at_target or bool(verdict.strict), counts
            return (None if task.target is None else False), counts
        return (at_target if task.target is not None else None), TestCounts()

    def _fails_before(self, task: TeacherTask, tests: str) -> bool:
        assert self._sandbox is not None
        if task.task_id not in self._failed_before:
            before = self._sandbox.check(task.pre, tests)
            self._failed_before[task.task_id] = not before.official and before.verdict is not Verdict.INFRA
        return self._failed_before[task.task_id]

    def _row(
        self,
        episode: Episode,
        proposal: Suggestion,
        response: Response | None,
        outcome: Outcome,
        tests: TestCounts,
    ) -> TrajectoryStep:
        turn, task = episode.turn, episode.turn.task
        said = TeacherTurn(action=None, raw=proposal.text)
        if response is not None:
            said = TeacherTurn(
                think=response.think,
                action=json.loads(render_action(response.action)),
                state_update=response.update.to_dict(),
                raw=proposal.text,
            )
        return TrajectoryStep(
            task_id=task.task_id,
            step=turn.step,
            language=task.language,
            instruction=task.instruction,
            pre_code=turn.code,
            state_prev=turn.state.to_dict(),
            teacher=said,
            env=Env(
                verdict=outcome.verdict,
                detail=outcome.detail or str(proposal.usage.get("reason", "")),
                diff=difftext.shown(turn.code, outcome.post),
                post_code=outcome.post,
                tests=tests,
            ),
            provenance=Provenance(
                teacher=self._teacher.name,
                model=self._teacher.model,
                params=self._teacher.params(),
                seed=self._config.seed,
                key=episode.key,
                sample=turn.sample,
                attempt=turn.attempt,
                feedback=turn.feedback,
                prompt_digest=proposal.prompt_digest,
                usage=proposal.usage,
                group=task.group,
                source=task.source,
                split=task.split,
            ),
            tests=task.tests,
            target=task.target,
            siblings=task.elsewhere.siblings,
            negatives=task.elsewhere.negatives,
        )


def action_id(response: Response) -> str:
    """Eight hex digits that name an action in a history."""
    return text_sha256(response.action.rules_json())[:8]


def finished_keys(path: Path) -> set[str]:
    """Keys of the complete episodes in a raw file; rows of an incomplete last episode are removed."""
    if not path.exists():
        return set()
    jsonl.cut_torn_line(path)
    keys: set[str] = set()
    whole_bytes = position = 0
    with path.open("rb") as stream:
        for number, raw in enumerate(stream, 1):
            position += len(raw)
            said = _said(path, number, raw)
            if said.get("final"):
                keys.add(said["key"])
                whole_bytes = position
    if whole_bytes < position:
        with path.open("r+b") as stream:
            stream.truncate(whole_bytes)
    return keys


def _said(path: Path, number: int, raw: bytes) -> dict[str, Any]:
    """The provenance of a row; empty for an empty line."""
    line = jsonl.parse(number, raw)
    said = line.object_of(path).get("provenance") if line is not None else {}
    if not isinstance(said, dict):
        raise RulewrightError(f"{path}:{number}: not a step of a trajectory", "name another output file")
    return said


def collect(
    collector: Collector, tasks: Iterable[TeacherTask], config: TeacherConfig, spending: Spending
) -> Iterator[Episode]:
    """Run every missing episode and append its rows to the output when it ends; yield each when it is saved.

    Answers come in any order; when nothing is owed any more, the file is put into the order of
    the tasks, so that an interrupted run ends with the same bytes as another.

    Args:
        collector: teacher and engine.
        tasks: in the order to run.
        config: names the raw file; whole episodes in it are not run again.
        spending: counts what is used; at its limit no further batch begins.
    """
    out = config.output()
    done = finished_keys(out)
    order: list[str] = []
    owed = _owed(collector, tasks, config.samples, done, order)
    complete = True
    with jsonl.Appender(out) as appender:
        while episodes := list(islice(owed, config.batch_size)):
            for episode in collector.run(episodes):
                complete = complete and not episode.failed
                if not episode.failed:
                    appender.append_all(row.model_dump(mode="json") for row in episode.rows)
                spending.add(episode.rows)
                yield episode
            if spending.why_stop:
                return
    if complete:
        put_in_order(out, order)


def _owed(
    collector: Collector, tasks: Iterable[TeacherTask], samples: int, done: set[str], order: list[str]
) -> Iterator[Episode]:
    """Episodes that are not done; the keys of all of them go to `order`."""
    for task in tasks:
        for sample in range(samples):
            episode = collector.start(task, sample)
            order.append(episode.key)
            if episode.key not in done:
                yield episode


def put_in_order(path: Path, keys: Sequence[str]) -> None:
    """Sort the episodes of a raw file: those of other runs first, as they lie, then by `keys`."""
    places = {key: place for place, key in enumerate(keys)}
    starts: list[tuple[int, int]] = []
    position, before = 0, ""
    with path.open("rb") as stream:
        for number, raw in enumerate(stream, 1):
            key = str(_said(path, number, raw).get("key", ""))
            if key != before or not starts:
                starts.append((places.get(key, -1), position))
            position, before = position + len(raw), key
        if starts == sorted(starts):
            return
        ends = [start for _, start in starts[1:]] + [position]
        with jsonl.atomic(path) as target:
            for (_, start), end in sorted(zip(starts, ends, strict=True)):
                stream.seek(start)
                target.write(stream.read(end - start))
