"""What must hold before torch and the Hugging Face libraries are imported."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from rulewright.errors import RulewrightError

T = TypeVar("T")


def prepare(threads: int, model: str = "") -> None:
    """Set thread counts and keep the libraries quiet and at home.

    TRL and the hub client report usage at every start unless told not to. A model that
    is a folder or file here needs no hub at all.
    """
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    os.environ.setdefault("OMP_NUM_THREADS", str(threads))
    # TRL announces its experimental parts; we know which we use.
    os.environ.setdefault("TRL_EXPERIMENTAL_SILENCE", "1")
    if not model or Path(model).exists():
        os.environ.setdefault("HF_HUB_OFFLINE", "1")


def quiet() -> None:
    """Keep the libraries from printing into our output: progress bars, and what v6 will be like.

    Call it once torch may be imported.
    """
    from datasets import disable_progress_bars
    from transformers.utils import logging

    logging.disable_progress_bar()
    disable_progress_bars()
    warnings.filterwarnings("ignore", category=FutureWarning, module=r"(transformers|trl|peft|accelerate)\.")


def is_launched() -> bool:
    """Whether torchrun, accelerate or DeepSpeed started this process as one of several."""
    return "RANK" in os.environ and "WORLD_SIZE" in os.environ


def is_main() -> bool:
    """Whether this process is the one that writes files and talks."""
    return os.environ.get("RANK", "0") == "0"


def agree(decide: Callable[[], T]) -> T:
    """What the main process finds, in every process of the run.

    Processes that decide each for itself part as soon as a file or a sum differs, and then
    wait for each other for ever. A failure of the main process ends the others too, silently:
    it is told once. Where processes were launched, their group must exist (TRL's arguments
    open it).
    """
    if not is_launched():
        return decide()
    from accelerate.utils import broadcast_object_list

    box: list[Any] = [None, None]
    failure: RulewrightError | None = None
    if is_main():
        try:
            box[0] = decide()
        except RulewrightError as error:
            failure, box[1] = error, error.exit_code
    broadcast_object_list(box)
    if failure is not None:
        raise failure
    if box[1] is not None:
        raise SystemExit(box[1])
    value: T = box[0]
    return value


def leave() -> None:
    """Leave the group of a run's processes, where there is nothing more to do together."""
    if is_launched():
        from accelerate import PartialState

        PartialState().destroy_process_group()
