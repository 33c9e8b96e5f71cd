"""CanItEdit end to end: questions, answers, execution, scores.

Pass means the strict verdict (which a program cannot forge) on the code that our extraction finds. The
official status, on the official extraction, is also reported.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from functools import cache
from sys import executable
from typing import Any, Final

from rulewright import console
from rulewright.actions import render_response
from rulewright.data.splits import draw
from rulewright.engine import Judged
from rulewright.errors import MissingDependency
from rulewright.evaluation import tables
from rulewright.evaluation.canitedit import data, protocol, summary
from rulewright.evaluation.canitedit.data import Kind, Problem
from rulewright.evaluation.canitedit.execute import Execution, Executor, coverage_installed
from rulewright.evaluation.harness import Answer, GoldGenerator, Item, Row
from rulewright.evaluation.measures import CANITEDIT
from rulewright.evaluation.settings import CanItEditConfig
from rulewright.evaluation.similarity import diff_size
from rulewright.evaluation.tracks import TwoTracks
from rulewright.generation import Generator, Prompt, Sampling
from rulewright.mining import mine
from rulewright.prompts import Style, action_prompt, fence
from rulewright.sandbox.runner import open_sandbox
from rulewright.verdict import INVALID, Verdict

_UNTRIED: Final = INVALID | {Verdict.NO_MATCH, Verdict.NO_CHANGE, Verdict.INFRA}


class CanItEdit(TwoTracks[CanItEditConfig]):
    """`rulewright eval canitedit`."""

    measures = CANITEDIT
    tasks: dict[str, tuple[Problem, Kind]]
    executor: Executor
    data_digest: str
    sandbox_tier: str
    prompt: protocol.PromptKind = "chat"

    def __init__(self, config: CanItEditConfig) -> None:
        super().__init__(config)
        self.inputs = [config.input] if config.input else []
        if config.gold:
            self.facts = {"model": f"gold-{config.gold}", "style": "full"}
            self.sampling = Sampling(n=1)
        elif config.track == "text" and config.prompt == "base":
            self.sampling = config.sampling(config.n, protocol.BASE_STOPS)

    def open(self, stack: ExitStack) -> None:
        config = self.config
        problems = data.load(config.input, config.revision)
        self.data_digest = data.digest(problems)
        chosen = draw(problems, config.limit, lambda problem: f"{config.seed}:{problem.id}")
        kinds = data.KINDS if config.kinds == "both" else (config.kinds,)
        self.tasks = {f"{p.id}_{kind}": (p, kind) for p in chosen for kind in kinds}
        python = config.python or executable
        if config.coverage and not coverage_installed(python):
            raise MissingDependency("coverage", "ExcessCode (or use --no-coverage)", "eval")
        sandbox = stack.enter_context(open_sandbox(config.sandbox, workers=config.workers, python=python))
        console.decided("sandbox", sandbox.tier, sandbox.reason)
        self.sandbox_tier = sandbox.tier
        self.executor = Executor(sandbox, config.wall_s, config.coverage, python)
        lacking = [missing for p in chosen if (missing := self.executor.missing_modules(p))]
        if lacking:
            names = ", ".join(sorted({name for missing in lacking for name in missing}))
            console.say(
                f"{len(lacking)} of {len(chosen)} problems need missing modules ({names}): counted "
                "as infra; install them, or name an interpreter that has them with --python"
            )
        self.open_engine(stack)

    def program(self, task: str) -> str:
        return self.tasks[task][0].before

    def items(self, style: Style) -> list[Item]:
        """Every problem with every instruction, as the model is asked."""
        self.style = style
        if self.config.prompt == "auto":
            self.prompt = "ours" if style == "compact" else "chat"
        else:
            self.prompt = self.config.prompt
        found = []
        for task, (problem, kind) in self.tasks.items():
            said, code = problem.instruction(kind), problem.before
            prompt: Prompt = (
                action_prompt(said, code, "python", style=style)
                if self.config.track == "actions"
                else protocol.prompt_for(self.prompt, code, said, style)
            )
            meta = {
                "benchmark": CANITEDIT.name, "group": str(problem.id), "problem": problem.id, "kind": kind,
                "change_kind": problem.change_kind, "in_place": problem.id in data.CHANGE_IN_PLACE,
                "family": problem.change_kind or "unknown", "language": "python", "source": "canitedit",
            }  # fmt: skip
            found.append(Item(task, prompt, meta))
        return found

    def generator(self) -> Generator:
        """The model; or the reference, or the input: on the action track what the miner finds."""
        if not self.config.gold:
            return super().generator()

        @cache
        def answer(problem: Problem) -> str:
            wanted = problem.after if self.config.gold == "after" else problem.before
            if self.config.track == "text":
                return f"{fence(wanted, 'py')}\n"
            action = mine(problem.before, wanted, "python").action
            return render_response(action) if action else ""

        return GoldGenerator(self.items("full"), lambda task: answer(self.tasks[task][0]))

    def score(self, answers: Sequence[Answer]) -> Iterator[Row]:
        """Score one task's answers on all sandbox workers; rows in their order."""
        with ThreadPoolExecutor(self.config.workers) as threads:
            yield from threads.map(self._score, answers, self.applied(answers))

    def _score(self, answer: Answer, judged: Judged | None) -> Row:
        problem, _ = self.tasks[answer.item.task]
        if judged is not None:
            return self._score_action(judged, problem)
        found = protocol.ours(self.prompt, answer.text, problem.before, self.style)
        theirs = protocol.official(self.prompt, answer.text)
        official = self.executor.run(problem, theirs)
        row = {
            "extraction": found.case,
            "same_extraction": found.code is not None and found.code.strip("\n") == theirs.strip("\n"),
        }
        if found.code is None:
            reason = "truncated" if answer.completion.finish_reason == "length" else found.case
            # A problem that cannot run here says nothing, whatever was answered.
            verdict = Verdict.INFRA if official.verdict is Verdict.INFRA else Verdict.NO_ACTION
            return {**row, **_scores(official, None, verdict, f"no code: {reason}", problem, None)}
        ours = official if row["same_extraction"] else self.executor.run(problem, found.code)
        return {**row, **_scores(official, ours, ours.verdict, ours.detail, problem, found.code)}

    def _score_action(self, judged: Judged, problem: Problem) -> Row:
        outcome = judged.outcome
        about = {"action_verdict": outcome.verdict.value, **tables.about(outcome, judged.action)}
        if outcome.post is None or outcome.verdict in _UNTRIED:
            missing = self.executor.missing_modules(problem)
            verdict = Verdict.INFRA if missing else outcome.verdict
            return {**about, **_scores(None, None, verdict, outcome.detail, problem, None)}
        done = self.executor.run(problem, outcome.post)
        return {**about, **_scores(done, done, done.verdict, done.detail, problem, outcome.post)}

    def summary(self, rows: Sequence[Row]) -> dict[str, Any]:
        return {
            **super().summary(rows),
            "gold": self.config.gold,
            "data_digest": self.data_digest,
            "known_data": self.data_digest == data.KNOWN_DIGEST,
            "sandbox_tier": self.sandbox_tier,
            **summary.summarize(rows, self.config.seed),
        }

    def report(self, result: dict[str, Any]) -> Iterator[str]:
        return summary.report(result)


def _scores(
    official: Execution | None,
    ours: Execution | None,
    verdict: Verdict,
    detail: str,
    problem: Problem,
    code: str | None,
) -> Row:
    passed = ours is not None and ours.strict_passed
    changed = diff_size(problem.before, code) if code is not None else None
    reference = max(1, diff_size(problem.before, problem.after))
    return {
        "verdict": verdict.value,
        "detail": detail,
        "passed": float(passed),
        "official": official.official if official else "infra" if verdict is Verdict.INFRA else "none",
        "official_passed": float(official is not None and official.official_passed),
        "excess": official.excess if official else None,
        "missing": list(official.missing) if official and official.missing is not None else None,
        "changed_lines": changed,
        "diff_ratio": round(changed / reference, 6) if passed and changed is not None else None,
        "run_seconds": ours.seconds if ours else None,
    }
