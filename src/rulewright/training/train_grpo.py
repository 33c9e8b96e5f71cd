"""GRPO on the environment's reward: records as tasks, the change (and tests) as reward."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final, Literal

import tyro
from pydantic import Field

from rulewright import console
from rulewright.data.mix import MixEntry, Policy, mix
from rulewright.engine import Engine
from rulewright.environment import EnvironmentScorer, SandboxTests, Task, TestRunner, Weights, task_of
from rulewright.errors import ConfigError, UsageError
from rulewright.runs import RunDir
from rulewright.training import job
from rulewright.training.policy_config import PolicyConfig, Tasks

DEV_SEED: Final = 0


class GrpoConfig(PolicyConfig):
    """Configuration of `train grpo`."""

    model: str = "models/srl_stage2"
    """Checkpoint to start from."""
    out: Path = Path("models/grpo_stage3")
    """The best checkpoint goes here, the run's files into run/ below."""
    reports: Path = Path("reports/grpo")
    """Metrics and curves, copied from the run."""
    mix: tyro.conf.Fixed[tyro.conf.Suppress[list[MixEntry]]] = Field(default_factory=list)
    """Training records: path, weight, filters, for each part."""
    mix_policy: Policy = "undersample"
    """How weights become counts: `undersample`, `repeat` or `all`."""
    dev: tyro.conf.Fixed[tyro.conf.Suppress[list[MixEntry]]] = Field(default_factory=list)
    """Held-out records to evaluate on."""
    limit: int = Field(default=0, ge=0)
    """At most so many training records; 0: all."""
    tests: Literal["auto", "off"] = "auto"
    """auto: tasks that have tests are judged by them, in the sandbox; off: by their target only."""
    weights: tyro.conf.Fixed[tyro.conf.Suppress[Weights]] = Weights()
    """What the parts of the reward are worth."""


def train_grpo(config: GrpoConfig) -> dict[str, Any]:
    """Run GRPO as configured; give what `result.json` holds."""
    if not config.mix or not config.dev:
        raise ConfigError(
            "`mix` and `dev` must name records",
            "give a configuration: --config tiny/grpo shows one (nothing has run yet)",
        )
    config = job.prepare(config)
    train_mix = mix(config.mix, config.seed, config.limit or None, config.mix_policy)
    # The same dev tasks for every seed, or seeds could not be compared.
    dev_mix = mix(config.dev, DEV_SEED, config.eval_rows, "undersample", training=False)
    inputs = [
        Path(name) for part in (*train_mix.contributions, *dev_mix.contributions) for name in part.files
    ]

    def preflight(run: RunDir) -> None:
        from rulewright.training import policy

        policy.preflight(config, run)

    result = job.settled("grpo", config, inputs, preflight)
    if result is not None:
        return result
    train, dev = [task_of(record) for record in train_mix], [task_of(record) for record in dev_mix]
    if not train or not dev:
        raise UsageError(f"{len(train)} training and {len(dev)} dev records", "name files that have some")
    with ExitStack() as stack:
        engine = stack.enter_context(Engine(workers=config.workers, deadline_s=config.deadline_s))
        runner = _runner(config, [*train, *dev], stack)
        scorers = [EnvironmentScorer(tasks, engine, runner, config.weights) for tasks in (train, dev)]
        job.require_libraries()
        from rulewright.training.policy import run_policy

        return run_policy(config, Tasks(scorers[0], scorers[1], "environment"), inputs)


def _runner(config: GrpoConfig, tasks: Sequence[Task], stack: ExitStack) -> TestRunner | None:
    n_tested = sum(bool(task.tests) for task in tasks)
    if config.tests == "off" or not n_tested:
        console.decided("tests", "none", "switched off" if config.tests == "off" else "no task has any")
        return None
    from rulewright.sandbox.runner import open_sandbox

    sandbox = stack.enter_context(open_sandbox(workers=config.workers))
    console.decided("tests", f"{n_tested} of {len(tasks)} tasks", f"in the sandbox, tier {sandbox.tier}")
    return SandboxTests(sandbox)
