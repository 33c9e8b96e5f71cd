"""Ask a model for an action until one holds: several samples, each retried with the reason of its
failure.

Invariant: every answer is judged before the next round, and returned with its outcome. The caller chooses
among the answers that hold.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Final

from rulewright.actions import Action, Rejection, parse_response
from rulewright.engine import no_match
from rulewright.errors import RulewrightError
from rulewright.generation import Completion, Generator, Sampling
from rulewright.languages import Language
from rulewright.prompts import action_prompt
from rulewright.verdict import Outcome, Verdict


@dataclass(frozen=True)
class Rounds:
    """How often and how to ask.

    Args:
        samples: answers side by side, the first greedy.
        attempts: tries of each; a retry is told why the one before failed.
        temperature: of all answers but the first.
        feedback: whether retries are told the reason.
    """

    samples: int = 4
    attempts: int = 2
    temperature: float = 0.7
    max_new_tokens: int = 1024
    seed: int = 0
    feedback: bool = True


@dataclass(frozen=True)
class Tried:
    sample: int
    attempt: int
    text: str
    action: Action | None
    outcome: Outcome


@dataclass
class Cost:
    """What asking took."""

    answers: int = 0
    prompt_tokens: int = 0
    answer_tokens: int = 0
    seconds: float = 0.0

    def add(self, completions: list[Completion]) -> None:
        """Count the answers to one prompt, which is paid once."""
        self.answers += len(completions)
        self.prompt_tokens += max(one.n_prompt_tokens for one in completions)
        self.answer_tokens += sum(one.n_tokens for one in completions)


@dataclass
class Asked:
    tried: list[Tried] = field(default_factory=list)
    spent: Cost = field(default_factory=Cost)

    @property
    def good(self) -> list[Tried]:
        return [one for one in self.tried if one.outcome.ok]


Judge = Callable[[Action], Outcome]


def ask(
    generator: Generator, plan: Rounds, instruction: str, code: str, language: Language, judge: Judge
) -> Asked:
    """Ask in rounds: all samples, then again those that failed.

    Raises:
        RulewrightError: the model cannot be asked.
    """
    asked = Asked()
    owed = dict.fromkeys(range(plan.samples), "")
    start = time.monotonic()
    for attempt in range(plan.attempts):
        answers = _answers(generator, plan, instruction, code, language, attempt, owed, asked.spent)
        for sample, answer in answers:
            parsed = parse_response(answer.text, language)
            if isinstance(parsed, Rejection):
                outcome = Outcome(parsed.verdict, answer.error or parsed.detail)
                one = Tried(sample, attempt, answer.text, None, outcome)
            else:
                one = Tried(sample, attempt, answer.text, parsed.action, judge(parsed.action))
            asked.tried.append(one)
            if one.outcome.ok:
                del owed[sample]
            elif plan.feedback:
                owed[sample] = reason(one, code)
        if not owed:
            break
    asked.spent.seconds = time.monotonic() - start
    return asked


_LEAVE_OUT: Final = (
    "name another --model, or leave a parameter out that it does not take: "
    "--set generator.extra_body.NAME=null"
)


def reason(one: Tried, code: str) -> str:
    """Why a try failed, in words from which it can be repaired."""
    detail = one.outcome.detail
    if one.outcome.verdict is Verdict.NO_MATCH and one.action is not None:
        detail = no_match.explain(one.action, code) or detail
    return replace(one.outcome, detail=detail).said


def _answers(
    generator: Generator, plan: Rounds, instruction: str, code: str, language: Language,
    attempt: int, owed: dict[int, str], spent: Cost,
) -> Iterator[tuple[int, Completion]]:  # fmt: skip
    """The answer of every sample that is owed one; samples that are told the same share a prompt."""
    told: dict[tuple[str, bool], list[int]] = {}
    for sample, feedback in owed.items():
        told.setdefault((feedback, attempt == 0 and sample == 0), []).append(sample)
    found: dict[int, Completion] = {}
    # As many prompts at once as are asked equally often.
    for greedy, n in sorted({(greedy, len(samples)) for (_, greedy), samples in told.items()}, reverse=True):
        mine = [key for key, samples in told.items() if (len(samples), key[1]) == (n, greedy)]
        prompts = [
            action_prompt(instruction, code, language, feedback=feedback, style=generator.style)
            for feedback, _ in mine
        ]
        heat = 0.0 if greedy else plan.temperature
        sampling = Sampling(n, heat, 1.0, plan.max_new_tokens, plan.seed + 1000 * attempt)
        answers = generator.generate(prompts, sampling, [language] * len(prompts))
        for key, completions in zip(mine, answers, strict=True):
            spent.add(completions)
            for sample, answer in zip(told[key], completions, strict=True):
                if not answer.answered:
                    said = f"{generator.name}: {answer.error or answer.finish_reason}"
                    hint = _LEAVE_OUT if answer.finish_reason == "refused" else ""
                    raise RulewrightError(said, hint or "try again, or name another --model")
                found[sample] = answer
    yield from sorted(found.items())
