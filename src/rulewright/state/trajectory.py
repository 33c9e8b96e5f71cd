"""One step of a teacher (or student), as it is written to disk (docs/reference/formats.md)."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from rulewright.data.schemas import Sibling
from rulewright.languages import Language
from rulewright.verdict import Verdict


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)


class TestCounts(_Part):
    """How many checks passed and failed; 0 and 0 where the task has no tests."""

    passed: int = 0
    failed: int = 0


class TeacherTurn(_Part):
    """What the teacher wrote, by part."""

    think: str = ""
    action: dict[str, Any] | None
    """The object inside `<action>`; `None` where there was none to parse."""
    state_update: dict[str, Any] | None = None
    raw: str = ""
    """The whole answer as received."""


class Env(_Part):
    """What executing the action came to."""

    verdict: Verdict
    detail: str = ""
    diff: str = ""
    post_code: str | None = None
    tests: TestCounts = TestCounts()


class Provenance(_Part):
    """Who wrote the step, with what."""

    teacher: str
    """`miner`, `checkpoint` or `endpoint`."""
    model: str = ""
    params: dict[str, Any] = Field(default_factory=dict)
    seed: int | None = None
    key: str = ""
    """Names the episode: task, prompt, teacher, model, parameters and sample. Rows of one
    episode are written together, in order."""
    sample: int = 0
    """Which of several episodes of one task."""
    attempt: int = 0
    """Which try at this step; a retry saw the reason why the one before it failed."""
    feedback: str = ""
    """What a retry was told (`verdict: reason`); empty at a first try."""
    final: bool = False
    """The last row of its episode: where it is missing, the episode was cut off and is owed again."""
    solved: bool | None = None
    """On the last row: the episode reached the target or passed the tests; `None` where neither is known."""
    prompt_digest: str = ""
    usage: dict[str, Any] = Field(default_factory=dict)
    group: str = ""
    """Split group of the task, so that train and dev never share one."""
    source: str = ""
    """The data set of the task."""
    split: str = ""
    """Split that the task's file belongs to; empty where the group decides."""


class TrajectoryStep(_Part):
    """One step: the code before, the answer, its effect."""

    task_id: str
    step: int = Field(ge=0)
    language: Language
    instruction: str
    pre_code: str
    state_prev: dict[str, Any] = Field(default_factory=dict)
    teacher: TeacherTurn
    env: Env
    provenance: Provenance
    tests: str | None = None
    """Test program of the task, where it has one."""
    target: str | None = None
    """The wanted final text, where known: what `wrong_result` is judged against."""
    siblings: tuple[Sibling, ...] | None = None
    """The same change elsewhere: of the task in a raw file, of this very step in a verified one."""
    negatives: tuple[str, ...] | None = None
    """Code that must stay as it is."""
