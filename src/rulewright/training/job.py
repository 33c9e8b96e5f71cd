"""Shared by SFT and policy training: run folder, processes, libraries.

Invariant: a folder is claimed only when the run can start, and `run/result.json` is written last. In a
run of several processes the first one decides for all. Nothing here imports torch before it is needed.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

from rulewright import console, jsonl
from rulewright.digests import file_sha256
from rulewright.errors import ConfigError, RulewrightError, UsageError, needed
from rulewright.generation.gguf import checkpoint
from rulewright.generation.open import model_digest, require_checkpoint, resolve_thinking
from rulewright.locks import Lock
from rulewright.runs import RunDir
from rulewright.training import card, checkpoints, environment, hub, models
from rulewright.training.config import SftConfig, TrainConfig

C = TypeVar("C", bound=TrainConfig)
Result = dict[str, Any]


def prepare(config: C) -> C:
    """Set threads, device and what the libraries may do; give the configuration with a checkpoint.

    That is the folder of the converted weights where a GGUF file was named.
    """
    hub = "push_to_hub" in config.trainer
    environment.prepare(config.threads, config.model, config.device, config.processes, hub)
    return config.model_copy(update={"model": checkpoint(config.model)})


def require_libraries() -> None:
    """Load torch and TRL, quietly.

    Raises:
        MissingDependency: they are not installed.
    """
    with needed("trl with torch", "training", "train"):
        import torch  # noqa: F401
        import trl  # noqa: F401
    environment.quiet()


def look(config: TrainConfig, inputs: Sequence[Path]) -> RunDir:
    """The run's folder, where this run may take it; nothing is changed yet.

    Raises:
        UsageError: no such checkpoint, or the folder holds another run.
    """
    if config.quantize != "none" and config.lora is None:
        raise ConfigError("`quantize: nf4` trains adapters only: add a `lora` section", "nothing has run yet")
    if config.model:
        require_checkpoint(config.model)
    return RunDir.look(config.out / "run", config, _stamps(config, inputs))


def _stamps(config: TrainConfig, inputs: Sequence[Path]) -> dict[str, str]:
    """What tells whether data, or the model that is started from, have changed.

    A model of the hub is known by its name only. One that lies in `out` is what the run itself replaces.
    """
    found = {str(path): file_sha256(path) for path in inputs}
    model = Path(config.model)
    if config.model and model.resolve() != config.out.resolve() and (digest := model_digest(model)):
        found[config.model] = digest
    return found


def claim(config: TrainConfig, inputs: Sequence[Path]) -> RunDir:
    """Open `out/run`, for this run alone; with `overwrite`, remove what an earlier one left.

    A policy run replaces the published model when it ends: it may be what the run starts from.
    """
    published = isinstance(config, SftConfig)
    path = config.out / "run"
    return RunDir.open(
        path, config, _stamps(config, inputs), lambda: checkpoints.clear(config.out, published)
    )


def is_done(config: TrainConfig, inputs: Sequence[Path]) -> bool:
    """Whether this run has already ended; all processes agree."""
    return environment.agree(lambda: look(config, inputs).done and not config.overwrite)


def settled(
    command: str, config: TrainConfig, inputs: Sequence[Path], arguments: Callable[[RunDir], object]
) -> Result | None:
    """The result of a run that is finished, or that `processes` do; `None` where this one is to train.

    Args:
        command: of `rulewright train`.
        config: resolved.
        inputs: files that must not have changed.
        arguments: makes TRL's configuration: the user's mistakes are found before `processes` meet them.

    Raises:
        UsageError: as `look`; for `processes` also what would end each of them at its start.
    """
    if environment.is_launched():
        return None
    run = look(config, inputs)
    if run.done and not config.overwrite:
        return confirmed(config)
    if config.processes == 1:
        return None
    require_libraries()
    if not environment.visible_cards():  # there they would start CUDA here too, and keep its memory
        arguments(run)
    if config.model:
        models.load_tokenizer(config.model, resolve_thinking(config.model, config.thinking))
    launch(["train", command], config, run.path)
    return run.result()


def confirmed(config: TrainConfig) -> Result:
    """The result of a finished run; push it to the hub again, in case that failed."""
    if not environment.is_main():
        return {}
    console.say(f"{config.out}: this run is already finished")
    with suppress(UsageError):  # killed after its last file, it left its lock
        Lock.take(config.out / "run").release()
    hub.push(config.out, config.trainer)
    return RunDir(config.out / "run").result()


def finish(config: TrainConfig, run: RunDir, result: Result) -> None:
    """What ends every training: the card, the result, and the hub where that is asked for."""
    card.write(config, result, run.facts())
    run.finish(result)
    hub.push(config.out, config.trainer)


def launch(command: list[str], config: TrainConfig, run_folder: Path) -> None:
    """Run `rulewright COMMAND` in `processes` processes under torchrun, and wait.

    On a CPU they speak gloo over the loopback interface. More than one machine, DeepSpeed
    and FSDP are the business of `accelerate launch` (docs/reference/training.md).

    Raises:
        UsageError: more processes than GPUs.
        RulewrightError: the run's result is not there, or a process failed and it is an earlier run's.
    """
    processes = config.processes
    cards = environment.visible_cards() if config.device == "auto" else []
    if 0 < len(cards) < processes:
        raise UsageError(
            f"processes: {processes}, but {len(cards)} GPU{'s' * (len(cards) > 1)}: each process takes one",
            f"processes: {len(cards)}, or device: cpu",
        )
    resolved, result = run_folder / "launch.yaml", run_folder / "result.json"
    before = result.stat().st_mtime_ns if result.exists() else None
    jsonl.write_text(resolved, config.model_dump_json(indent=1) + "\n")
    argv = [
        sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(processes),
        "-m", "rulewright", *command, "--config", str(resolved),
    ]  # fmt: skip
    env = {**os.environ, "OMP_NUM_THREADS": str(config.threads)}
    env.setdefault("GLOO_SOCKET_IFNAME", "lo")
    console.decided("processes", processes, "data parallel, started by torchrun")
    done = subprocess.run(argv, env=env, check=False)
    # An abort at exit, after everything was saved, is no failure: a new result decides.
    if not result.exists() or (done.returncode and result.stat().st_mtime_ns == before):
        raise RulewrightError(
            f"{run_folder.parent}: the training processes failed (exit code {done.returncode})",
            "the messages above say why; then continue with --resume",
        )
