"""Train a policy: the run that `train srl` and `train grpo` share, from its configuration to its result.

Torch is imported when there is something to train.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path

from rulewright.engine import Engine
from rulewright.runs import RunDir
from rulewright.training import job
from rulewright.training.policy_config import PolicyConfig, Tasks


def train_on(
    command: str, config: PolicyConfig, inputs: Sequence[Path], tasks: Callable[[Engine, ExitStack], Tasks]
) -> job.Result:
    """Train a policy, or continue, or confirm: what `train srl` and `train grpo` share.

    Args:
        command: of `rulewright train`.
        config: prepared.
        inputs: files that must not have changed.
        tasks: makes what is trained and evaluated on; what has to be closed goes onto the stack.
    """

    def arguments(run: RunDir) -> object:
        from rulewright.training.policy import trainer_arguments

        return trainer_arguments(config, run)

    result = job.settled(command, config, inputs, arguments)
    if result is not None:
        return result
    with ExitStack() as stack:
        engine = stack.enter_context(Engine(workers=config.workers, deadline_s=config.deadline_s))
        made = tasks(engine, stack)
        job.require_libraries()
        from rulewright.training.policy import run_policy

        return run_policy(config, made, inputs)
