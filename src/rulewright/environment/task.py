"""A task of the environment: instruction, code, target and tests."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from rulewright.actions import Action, parse_action, render_action
from rulewright.data.schemas import NormalizedRecord, Pairs, held_out
from rulewright.languages import Language
from rulewright.prompts import Message, Style, action_prompt
from rulewright.state.state import State, count_tokens


@dataclass(frozen=True)
class Task:
    """A task, and how its answer is judged.

    Args:
        id: stable.
        instruction: what to change.
        code: as it is.
        language: of the code.
        target: the expected code, if known.
        tests: statements that follow the program in one file, where there are any.
        reference_tokens: length of a known good action, by `action_tokens`; 0 where there is none.
        held_out: more code and what it should become, itself where nothing may change: a rule
            that is too narrow or too wide fails here. It is in no prompt.
        max_steps: actions that may follow one another.
        group: what the task is not independent of.
        state: carried from earlier steps; it is part of the first prompt.
    """

    id: str
    instruction: str
    code: str
    language: Language
    target: str | None = None
    tests: str | None = None
    reference_tokens: int = 0
    held_out: Pairs = ()
    max_steps: int = 1
    group: str = ""
    state: State = field(default_factory=State)


def task_of(record: NormalizedRecord) -> Task:
    """The task that a record poses; its siblings and negatives are held out, to judge generality."""
    metadata = record.metadata
    # Its length counts as a model is taught to write it.
    action = parse_action(metadata.action, record.language) if metadata.action else None
    return Task(
        id=metadata.id,
        instruction=record.instruction,
        code=record.pre,
        language=record.language,
        target=record.post,
        tests=metadata.tests,
        reference_tokens=action_tokens(render_action(action)) if isinstance(action, Action) else 0,
        held_out=held_out(metadata.siblings, metadata.negatives),
        group=metadata.group,
        state=record.state,
    )


def prompt_of(task: Task, style: Style = "full") -> list[Message]:
    """The first prompt of a task."""
    return action_prompt(task.instruction, task.code, task.language, task.state, style=style)


def action_tokens(block: str) -> int:
    """Length of an action: of the JSON inside its block, without thinking and state update.

    Counted with no tokenizer, so that answers and references are measured alike.
    """
    return count_tokens(block)


@dataclass(frozen=True)
class Tests:
    """Whether the task's tests pass, before and after; `None`: not run."""

    __test__ = False  # not a test class for pytest

    before: bool | None = None
    after: bool | None = None
    suspicious: bool = False
    """The program holds constructs that can forge a pass."""

    @property
    def repaired(self) -> bool:
        return self.before is False and self.after is True and not self.suspicious

    @property
    def broken(self) -> bool:
        return self.before is True and self.after is False


@dataclass(frozen=True)
class TestRun:
    """A task's tests on one program."""

    __test__ = False  # not a test class for pytest

    passed: bool | None
    """`None`: could not be run, which is our fault."""
    suspicious: bool
    """The program holds constructs that can forge a pass."""


# Runs the tests of tasks on programs, as many at a time as it can; results in order.
TestRunner = Callable[[Sequence[tuple[str, Task]]], Sequence[TestRun]]
