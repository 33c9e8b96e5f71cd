"""CanItEdit end to end: questions, answers, execution, scores.

Pass means the strict judge (the program cannot forge it) on the code that our extraction
finds; the official status, on what the official extraction finds, stands beside it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from sys import executable
from threading import Lock
from typing import Any, Final

from rulewright import console
from rulewright.actions import render_response
from rulewright.engine import Engine, Request, judge_answers
from rulewright.errors import MissingDependency
from rulewright.evaluation.canitedit import data, protocol, summary
from rulewright.evaluation.canitedit.data import Kind, Problem
from rulewright.evaluation.canitedit.execute import Executed, Executor, coverage_installed
from rulewright.evaluation.harness import Answer, Item, Row, claim, run_items
from rulewright.evaluation.heldout import choose
from rulewright.evaluation.settings import CanItEditConfig
from rulewright.evaluation.similarity import diff_size
from rulewright.generation import Completion, Generator, Prompt, Sampling
from rulewright.generation.base import Base
from rulewright.languages import Language
from rulewright.mining import mine
from rulewright.prompts import Style, action_prompt, fence
from rulewright.sandbox.runner import open_sandbox
from rulewright.verdict import INVALID, Outcome, Verdict

_UNTRIED: Final = INVALID | {Verdict.NO_MATCH, Verdict.NO_CHANGE, Verdict.INFRA}


def evaluate(config: CanItEditConfig) -> dict[str, Any]:
    """Run or continue the benchmark; give the content of `result.json`."""
    inputs = [config.input] if config.input else []
    facts = {"model": f"gold-{config.gold}", "style": "full"} if config.gold else None
    # Read first: a file that is none must leave the run's folder unclaimed.
    given = data.load(config.input, config.revision) if config.input else None
    run = claim(config, _name(config), inputs, facts)
    if run.done and not config.rescore:
        return run.result()
    problems = given if given is not None else data.load(config.input, config.revision)
    found = data.digest(problems)
    chosen = choose(problems, lambda problem: str(problem.id), config.limit, config.seed)
    python = config.python or executable
    if config.coverage and not coverage_installed(python):
        raise MissingDependency("coverage", "ExcessCode (or use --no-coverage)", "eval")
    with ExitStack() as stack:
        sandbox = stack.enter_context(open_sandbox(config.sandbox, workers=config.workers, python=python))
        console.decided("sandbox", sandbox.tier, sandbox.reason)
        executor = Executor(sandbox, config.wall_s, config.coverage, python)
        _say_missing(chosen, executor)
        bench = _Bench(config, chosen, executor, stack)
        rows = run_items(
            config,
            run,
            bench.items,
            bench.score,
            _sampling(config),
            lambda r: bool(r.get("passed")),
            bench.gold(),
        )
        result = {
            "benchmark": "canitedit",
            "run": str(run.path),
            "track": config.track,
            "gold": config.gold,
            "data_digest": found,
            "known_data": found == data.KNOWN_DIGEST,
            "sandbox_tier": sandbox.tier,
            **summary.summarize(rows, config.seed),
        }
    run.finish(result)
    return result


def _name(config: CanItEditConfig) -> str:
    return "canitedit" if config.track == "text" else "canitedit_actions"


def _sampling(config: CanItEditConfig) -> Sampling:
    if config.gold:
        return Sampling(n=1)
    stops = protocol.BASE_STOPS if config.track == "text" and config.prompt == "base" else ()
    return config.sampling(stops)


def _say_missing(problems: Sequence[Problem], executor: Executor) -> None:
    lacking = {p.id: missing for p in problems if (missing := executor.missing_modules(p))}
    if lacking:
        names = ", ".join(sorted({name for missing in lacking.values() for name in missing}))
        console.say(
            f"{len(lacking)} of {len(problems)} problems need modules that are absent ({names}): "
            "counted as infra; install them, or name an interpreter that has them with --python"
        )


class _Bench:
    """Questions and scores of one run."""

    def __init__(
        self, config: CanItEditConfig, problems: Sequence[Problem], executor: Executor, stack: ExitStack
    ) -> None:
        self._config, self._problems, self._executor = config, problems, executor
        self._by_task = {task_key(p, kind): (p, kind) for p in problems for kind in self._kinds()}
        self._style: Style = "full"
        self._prompt: protocol.PromptKind = "chat"
        self._mined: dict[int, str] = {}
        self._lock = Lock()
        self._engine = stack.enter_context(Engine()) if config.track == "actions" else None

    def _kinds(self) -> tuple[Kind, ...]:
        return data.KINDS if self._config.kinds == "both" else (self._config.kinds,)

    def items(self, style: Style) -> list[Item]:
        """Every problem with every instruction, as the model is asked."""
        self._style = style
        if self._config.prompt == "auto":
            self._prompt = "ours" if style == "compact" else "chat"
        else:
            self._prompt = self._config.prompt
        return [
            Item(task, self._ask(problem, kind), _meta(problem, kind))
            for task, (problem, kind) in self._by_task.items()
        ]

    def _ask(self, problem: Problem, kind: Kind) -> Prompt:
        instruction = problem.instruction(kind)
        if self._config.track == "actions":
            return action_prompt(instruction, problem.before, "python", style=self._style)
        return protocol.prompt_for(self._prompt, problem.before, instruction, self._style)

    def gold(self) -> Callable[[], Generator] | None:
        """In place of the model: the reference or the input; on the action track what the miner finds."""
        if not self._config.gold:
            return None
        pairs = zip(self.items("full"), self._by_task.values(), strict=True)
        return lambda: GoldGenerator(
            {item.digest: self._gold_answer(problem) for item, (problem, _) in pairs}
        )

    def _gold_answer(self, problem: Problem) -> str:
        wanted = problem.after if self._config.gold == "after" else problem.before
        if self._config.track == "text":
            return f"{fence(wanted, 'py')}\n"
        if problem.id not in self._mined:
            action = mine(problem.before, wanted, "python").action
            self._mined[problem.id] = render_response(action) if action else ""
        return self._mined[problem.id]

    def score(self, answers: Sequence[Answer]) -> Iterator[Row]:
        """Score one task's answers on all sandbox workers; rows in their order."""
        with ThreadPoolExecutor(self._config.workers) as threads:
            yield from threads.map(self._score, answers)

    def _score(self, answer: Answer) -> Row:
        problem, _ = self._by_task[answer.item.task]
        if self._engine is None:
            return self._score_text(answer, problem)
        # One engine, one caller at a time; the time goes into running tests.
        with self._lock:
            [(_, outcome)] = judge_answers(self._engine, [Request(answer.text, problem.before, "python")])
        return self._score_action(outcome, problem)

    def _score_text(self, answer: Answer, problem: Problem) -> Row:
        found = protocol.ours(self._prompt, answer.text, problem.before, self._style)
        theirs = protocol.official(self._prompt, answer.text)
        official = self._executor.run(problem, theirs)
        row = {
            "extraction": found.case,
            "same_extraction": found.code is not None and _same(found.code, theirs),
        }
        if found.code is None:
            reason = "truncated" if answer.finish_reason == "length" else found.case
            # A problem that cannot run here says nothing, whatever was answered.
            verdict = Verdict.INFRA if official.verdict is Verdict.INFRA else Verdict.NO_ACTION
            return {**row, **_scores(official, None, verdict, f"no code: {reason}", problem, None)}
        ours = official if row["same_extraction"] else self._executor.run(problem, found.code)
        return {**row, **_scores(official, ours, ours.verdict, ours.detail, problem, found.code)}

    def _score_action(self, outcome: Outcome, problem: Problem) -> Row:
        about = _about(outcome)
        if outcome.post is None or outcome.verdict in _UNTRIED:
            missing = self._executor.missing_modules(problem)
            verdict = Verdict.INFRA if missing else outcome.verdict
            return {**about, **_scores(None, None, verdict, outcome.detail, problem, None)}
        done = self._executor.run(problem, outcome.post)
        return {**about, **_scores(done, done, done.verdict, done.detail, problem, outcome.post)}


class GoldGenerator(Base):
    """Gives prepared answers, by the digest of the prompt."""

    name = "gold"
    style: Style = "full"

    def __init__(self, texts: Mapping[str, str]) -> None:
        self._texts = texts

    def stream(
        self, prompts: Sequence[Prompt], sampling: Sampling, languages: Sequence[Language] | None = None
    ) -> Iterator[tuple[int, list[Completion]]]:
        for i, prompt in enumerate(prompts):
            text = self._texts[Item("", prompt).digest]
            yield i, [Completion(text, 0, "stop")] * sampling.n


def task_key(problem: Problem, kind: Kind) -> str:
    return f"{problem.id}_{kind}"


def _meta(problem: Problem, kind: Kind) -> dict[str, Any]:
    return {
        "group": str(problem.id),
        "problem": problem.id,
        "kind": kind,
        "change_kind": problem.change_kind,
        "in_place": problem.id in data.CHANGE_IN_PLACE,
        "family": problem.change_kind or "unknown",
        "language": "python",
        "source": "canitedit",
    }


def _about(outcome: Outcome) -> Row:
    return {
        "action_verdict": outcome.verdict.value,
        "valid": outcome.verdict not in INVALID,
        "n_rules": outcome.n_rules,
        "n_matches": outcome.n_matches,
        "matches_per_rule": list(outcome.matches_per_rule),
        "flags": sorted(flag.value for flag in outcome.flags),
        "tidied": outcome.tidied,
    }


def _scores(
    official: Executed | None,
    ours: Executed | None,
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


def _same(ours: str, theirs: str) -> bool:
    """Whether two programs are the same but for newlines at their ends."""
    return ours.strip("\n") == theirs.strip("\n")
