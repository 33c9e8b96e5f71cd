"""Several processes on this machine, for `processes: N`.

The command starts itself again under torchrun with the resolved configuration. On a CPU
they speak gloo over the loopback interface. More than one machine, DeepSpeed and FSDP
are `accelerate launch`'s business (docs/reference/training.md).
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from pydantic import BaseModel

from rulewright import console, jsonl
from rulewright.errors import RulewrightError, UsageError
from rulewright.training import environment


def run(
    command: list[str], config: BaseModel, processes: int, threads: int, run_folder: Path, device: str
) -> None:
    """Run `rulewright COMMAND` in so many processes, and wait.

    Args:
        command: e.g. `["train", "sft"]`.
        config: resolved; handed over as a file in the run folder.
        processes: how many.
        threads: CPU threads of each.
        run_folder: where the file, and the run's `result.json`, lie.
        device: `auto` or `cpu`.

    Raises:
        UsageError: more processes than GPUs.
        RulewrightError: the run's result is not there, or a process failed and it is an earlier run's.
    """
    cards = environment.visible_cards() if device == "auto" else []
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
    env = {**os.environ, "OMP_NUM_THREADS": str(threads)}
    env.setdefault("GLOO_SOCKET_IFNAME", "lo")
    console.decided("processes", processes, "data parallel, started by torchrun")
    done = subprocess.run(argv, env=env, check=False)
    # An abort at exit, after everything was saved, is no failure: a new result decides.
    if not result.exists() or (done.returncode and result.stat().st_mtime_ns == before):
        raise RulewrightError(
            f"{run_folder.parent}: the training processes failed (exit code {done.returncode})",
            "the reason stands above; then continue with --resume",
        )
