"""GRPO on the environment's reward: records as tasks, the change (and tests) as reward."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final, Literal

from rulewright import console
from rulewright.config import FileOnly
from rulewright.data.mix import Mix, mix
from rulewright.engine import Engine
from rulewright.environment import EnvironmentScorer, SandboxTests, Task, TestRunner, Weights, task_of
from rulewright.errors import ConfigError, UsageError
from rulewright.training import job
from rulewright.training.config import OnRecords
from rulewright.training.policy_config import PolicyConfig, Tasks
from rulewright.training.train_policy import train_on

DEV_SEED: Final = 0


class GrpoConfig(PolicyConfig, OnRecords):
    """Configuration of `train grpo`."""

    model: str = "models/srl_stage2"
    """Checkpoint to start from."""
    out: Path = Path("models/grpo_stage3")
    """Output folder of the best checkpoint; the run's files are in run/ below."""
    reports: Path = Path("reports/grpo")
    """Metrics and curves, copied from the run."""
    tests: Literal["auto", "off"] = "auto"
    """auto: run the tests of tasks that have them, in the sandbox; off: judge by the target only."""
    weights: FileOnly[Weights] = Weights()
    """What the parts of the reward are worth."""


def records_of(config: GrpoConfig) -> tuple[Mix, Mix]:
    """The records to train and to evaluate on.

    Raises:
        ConfigError: none are named.
    """
    if not config.mix or not config.dev:
        raise ConfigError(
            "`mix` and `dev` must name records",
            "give a configuration: --config tiny/grpo shows one (nothing has run yet)",
        )
    train = mix(config.mix, config.seed, config.limit or None, config.mix_policy)
    # The same dev tasks for every seed, or seeds could not be compared.
    return train, mix(config.dev, DEV_SEED, config.eval_rows, "undersample", training=False)


def train_grpo(config: GrpoConfig) -> dict[str, Any]:
    """Run GRPO as configured; give what `result.json` holds."""
    train_mix, dev_mix = records_of(config)
    config = job.prepare(config)
    inputs = [Path(name) for name in (*train_mix.files(), *dev_mix.files())]

    def tasks(engine: Engine, stack: ExitStack) -> Tasks:
        train, dev = [task_of(record) for record in train_mix], [task_of(record) for record in dev_mix]
        if not train or not dev:
            raise UsageError(f"{len(train)} training and {len(dev)} dev records", "name files that have some")
        runner = _runner(config, [*train, *dev], stack)
        learn, watch = (EnvironmentScorer(some, engine, runner, config.weights) for some in (train, dev))
        return Tasks(learn, watch, "environment")

    return train_on("grpo", config, inputs, tasks)


def _runner(config: GrpoConfig, tasks: Sequence[Task], stack: ExitStack) -> TestRunner | None:
    n_tested = sum(bool(task.tests) for task in tasks)
    if config.tests == "off" or not n_tested:
        console.decided("tests", "none", "switched off" if config.tests == "off" else "no task has any")
        return None
    from rulewright.sandbox.runner import open_sandbox

    sandbox = stack.enter_context(open_sandbox(workers=config.workers))
    console.decided("tests", f"{n_tested} of {len(tasks)} tasks", f"in the sandbox, tier {sandbox.tier}")
    return SandboxTests(sandbox)
