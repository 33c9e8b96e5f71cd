"""Environment settings that must be made before torch and the Hugging Face libraries are imported."""

from __future__ import annotations

import ctypes
import gc
import os
import warnings
from collections.abc import Callable, Mapping
from itertools import takewhile
from pathlib import Path
from typing import Any, Final, TypeVar

from rulewright import console
from rulewright.errors import ConfigError, RulewrightError, UsageError
from rulewright.generation.notes import adapter_base

T = TypeVar("T")

PATIENCE_S: Final = 4 * 3600
"""How long a process waits for the others: one of them may tokenize, or answer held-out questions, alone."""

_VISIBLE: Final = "CUDA_VISIBLE_DEVICES"
_ONE_CARD: Final = "one process trains on one; for all: `processes`, or accelerate launch"


def prepare(
    threads: int, model: str = "", device: str = "auto", processes: int = 1, hub: bool = False
) -> None:
    """Set thread counts, choose the device, and keep the libraries quiet and at home.

    TRL and the hub client report usage at every start unless told not to. A model that
    is a folder or file here needs no hub at all; an adapter needs it for a base that is not.

    Args:
        threads: of each process.
        model: checkpoint folder or hub name.
        device: `cpu` hides the GPUs; `auto` leaves one visible where one process trains.
        processes: that this one will start.
        hub: whether the result is to be pushed there.

    Raises:
        UsageError: more processes were launched than there are GPUs.
    """
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    os.environ.setdefault("OMP_NUM_THREADS", str(threads))
    # TRL announces its experimental parts; we know which we use.
    os.environ.setdefault("TRL_EXPERIMENTAL_SILENCE", "1")
    here = Path(model).exists() and Path(adapter_base(model) or model).exists()
    if not hub and (not model or here):
        os.environ.setdefault("HF_HUB_OFFLINE", "1")
    if device == "cpu":
        os.environ[_VISIBLE] = ""
    elif processes == 1 and not is_launched():
        # With several GPUs visible, TRL's trainers refuse to work in one process. CUDA reads the
        # variable when it starts, so this must come before its first use.
        cards = visible_cards()
        if len(cards) > 1:
            os.environ[_VISIBLE] = cards[0]
            console.decided("GPU", f"{cards[0]} of {', '.join(cards)}", _ONE_CARD)
    elif is_launched() and not _is_set("ACCELERATE_USE_CPU"):
        n, cards = int(os.environ.get("LOCAL_WORLD_SIZE", "1")), visible_cards()
        if 0 < len(cards) < n:
            if not is_main():
                raise SystemExit(UsageError.exit_code)
            raise UsageError(
                f"{n} processes were launched, and each takes a GPU, but {len(cards)} can be seen",
                f"accelerate launch --num_processes {len(cards)} …, or without accelerate for a single one",
            )


def one_card(arguments: Any) -> None:
    """Let a trainer use the first GPU if several are still visible.

    That happens with GPUs that are not NVIDIA's, or if CUDA had started before.
    """
    if arguments.n_gpu > 1:
        console.decided("GPU", f"the first of {arguments.n_gpu}", _ONE_CARD)
        # As transformers' trainer does for a model that it must not replicate.
        arguments._n_gpu = 1


def visible_cards() -> list[str]:
    """The NVIDIA GPUs that CUDA would find, by the names of `CUDA_VISIBLE_DEVICES`; torch is not asked.

    With that variable set, what it lists, up to the first negative number, as CUDA reads it.
    """
    listed = os.environ.get(_VISIBLE)
    if listed is None:
        return [str(i) for i in range(count_cards())]
    names = [name.strip() for name in listed.split(",") if name.strip()]
    return list(takewhile(lambda name: not name.startswith("-"), names))


def count_cards() -> int:
    """Ask the driver's own library (NVML); without it there is no driver, and no GPU."""
    try:
        nvml = ctypes.CDLL("libnvidia-ml.so.1")
    except OSError:
        return 0
    n = ctypes.c_uint(0)
    if nvml.nvmlInit_v2() or nvml.nvmlDeviceGetCount_v2(ctypes.byref(n)):
        return len(list(Path("/proc/driver/nvidia/gpus").glob("*")))
    nvml.nvmlShutdown()
    return n.value


def shards(arguments: Any) -> str | None:
    """What cuts the weights themselves into shards: `FSDP`, `ZeRO-3`, or nothing.

    On a CPU accelerate shards nothing, but FSDP was asked for all the same.
    """
    plugin = arguments.deepspeed_plugin
    if plugin is not None and plugin.zero_stage == 3:
        return "ZeRO-3"
    return "FSDP" if arguments.fsdp or _is_set("ACCELERATE_USE_FSDP") else None


def is_sharded(trainer: Any) -> bool:
    """Whether no process of a trainer holds all weights: FSDP and ZeRO-3, not ZeRO-2."""
    return bool(trainer.is_fsdp_enabled or shards(trainer.args) == "ZeRO-3")


def keeps_masters() -> bool:
    """Whether the optimizer of this launch updates float32 copies of 16-bit weights: ZeRO and FSDP do."""
    sharding = _is_set("ACCELERATE_USE_FSDP") or _is_set("ACCELERATE_USE_DEEPSPEED")
    return sharding and os.environ.get("ACCELERATE_MIXED_PRECISION", "no") in ("bf16", "fp16")


def launched_in_bf16(options: Mapping[str, Any]) -> bool | None:
    """Whether the launch decides for bf16; `None` where the run decides.

    DeepSpeed takes the launch file's word. Without it transformers does so only where the file
    asks for more than the options, which then would not hold.

    Args:
        options: the `trainer:` mapping, which must not say otherwise.

    Raises:
        ConfigError: it does.
    """
    precision = os.environ.get("ACCELERATE_MIXED_PRECISION", "no")
    launched = precision == "bf16"
    if not launched and not _is_set("ACCELERATE_USE_DEEPSPEED"):
        return None
    if bool(options.get("bf16", launched)) != launched:
        raise ConfigError(
            f"trainer.bf16: {str(options['bf16']).lower()}, but accelerate's file has "
            f"mixed_precision: {precision}",
            "both must say the same: leave out trainer.bf16, or change mixed_precision",
        )
    return launched


def _is_set(variable: str) -> bool:
    return os.environ.get(variable, "false").lower() in ("true", "1")


def quiet() -> None:
    """Keep the progress bars and deprecation warnings of the libraries out of our output.

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
    """Let the main process decide, and give its answer to every process of the run.

    If each process decided by itself, they would diverge as soon as a file or a sum differs,
    and then wait for each other forever. If the main process fails, the others end without a
    message of their own. Where processes were launched, their group must exist (TRL's
    arguments open it).
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
            # Before the others know of it: the first of them to leave has the launcher end this process.
            console.say(error.shown())
            error.told = True
    broadcast_object_list(box)
    if failure is not None:
        raise failure
    if box[1] is not None:
        raise SystemExit(box[1])
    value: T = box[0]
    return value


def leave() -> None:
    """Leave the group of a run's processes, where there is nothing more to do together.

    The trainer must be out of scope. It holds the group, and in reference cycles: a group
    that lives until the interpreter ends has threads that can abort the process then.
    """
    if is_launched():
        from accelerate import PartialState

        PartialState().destroy_process_group()
        gc.collect()
