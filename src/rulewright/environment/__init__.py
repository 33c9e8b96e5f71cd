"""The environment of GRPO: a task, an answer, its outcome, and its reward.

No torch, no trainer: adapters to other frameworks stand on this.
"""

from __future__ import annotations

from rulewright.environment.episode import Environment, EnvironmentScorer, StepResult
from rulewright.environment.executing import Snapshot, execute
from rulewright.environment.reward import MARGIN, Executed, Weights, score
from rulewright.environment.sandboxed_tests import SandboxTests
from rulewright.environment.task import Task, TestRun, TestRunner, Tests, action_tokens, prompt_of, task_of

__all__ = [
    "MARGIN", "Environment", "EnvironmentScorer", "Executed", "SandboxTests", "Snapshot", "StepResult",
    "Task", "TestRun", "TestRunner", "Tests", "Weights", "action_tokens", "execute", "prompt_of", "score",
    "task_of",
]  # fmt: skip
