"""Trainer callbacks: metrics, progress, and markers on checkpoints."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from pathlib import Path
from typing import Any, Final, NoReturn

import torch
from accelerate.utils import gather_object
from transformers import TrainerCallback

from rulewright import console, jsonl
from rulewright.errors import RulewrightError
from rulewright.runs import RunDir
from rulewright.training import environment
from rulewright.training.checkpoints import COMPLETE

_LOGGED: Final = (
    "loss",
    "eval_loss",
    "learning_rate",
    "grad_norm",
    "epoch",
    "mean_token_accuracy",
    "entropy",
    "num_tokens",
)
_GIB: Final = 1 << 30


class Metrics(TrainerCallback):
    """Every log of the trainer → a line of `metrics.jsonl`."""

    def __init__(self, run: RunDir) -> None:
        self._run = run
        self._start = time.monotonic()

    def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **_: Any) -> None:
        if not state.is_world_process_zero or logs is None:
            return
        kept = {key: logs[key] for key in _LOGGED if key in logs}
        if "eval_mean_token_accuracy" in logs:
            kept["eval_mean_token_accuracy"] = logs["eval_mean_token_accuracy"]
        if kept:
            seconds = round(time.monotonic() - self._start, 1)
            self._run.log(step=state.global_step, seconds=seconds, **kept)


class ShowProgress(TrainerCallback):
    """Optimizer steps as a progress bar, with what was last measured.

    Args:
        bar: shown by the first process.
        tokens_per_step: that are trained; 0: not known.
    """

    _SHOWN: Final = {"loss": "loss", "unfiltered/reward": "reward", "unfiltered/success_rate": "success"}

    def __init__(self, bar: console.Progress, tokens_per_step: float = 0.0) -> None:
        self._bar, self._tokens = bar, tokens_per_step
        self._start, self._first = time.monotonic(), 0
        self._measured: dict[str, str] = {}

    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        self._start, self._first = time.monotonic(), state.global_step
        self._bar.begin(state.max_steps, state.global_step)

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        if not state.is_world_process_zero:
            return
        speed = {}
        if self._tokens:
            seconds = max(time.monotonic() - self._start, 1e-9)
            speed["tokens/s"] = f"{(state.global_step - self._first) * self._tokens / seconds:,.0f}"
        self._bar.advance(**self._measured, **speed)

    def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **_: Any) -> None:
        shown = {key: logs[key] for key in self._SHOWN if key in (logs or {})}
        if "unfiltered/reward" in shown:
            shown.pop("loss", None)  # of a policy the loss tells nothing: it is near 0 whatever happens
        self._measured = self._measured | {self._SHOWN[key]: f"{value:.3f}" for key, value in shown.items()}


def train(trainer: Any, start: Path | None, tokens_per_step: float = 0.0) -> Any:
    """Train from a checkpoint or the beginning, with a progress bar; what the trainer gives.

    Args:
        trainer: of TRL.
        start: folder of the checkpoint.
        tokens_per_step: as for `ShowProgress`.
    """
    with console.progress("train") if environment.is_main() else nullcontext() as bar:
        if bar is not None:
            trainer.add_callback(ShowProgress(bar, tokens_per_step))
        return trainer.train(resume_from_checkpoint=str(start) if start else None)


class Memory(TrainerCallback):
    """The most GPU memory of this process while it was in a step; what happens between steps is left out."""

    def __init__(self) -> None:
        self._allocated = self._reserved = 0

    def on_step_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        if torch.cuda.is_available():
            torch.cuda.reset_peak_memory_stats()

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        if torch.cuda.is_available():
            self._allocated = max(self._allocated, torch.cuda.max_memory_allocated())
            self._reserved = max(self._reserved, torch.cuda.max_memory_reserved())

    def peak_gib(self) -> dict[str, float] | None:
        """`allocated` (in tensors) and `reserved` (taken from the device), in GiB; `None` without a GPU."""
        if not self._reserved:
            return None
        return {
            "allocated": round(self._allocated / _GIB, 3),
            "reserved": round(self._reserved / _GIB, 3),
        }


class TellUnreached(TrainerCallback):
    """Names what is to be trained and got no gradient in the first step: it stays as it was."""

    def on_pre_optimizer_step(self, args: Any, state: Any, control: Any, **more: Any) -> None:
        # Of DeepSpeed's own step, which is done by now, no gradient is left.
        if state.global_step or args.deepspeed_plugin or not environment.is_main():
            return
        trained = [(n, w) for n, w in more["model"].named_parameters() if w.requires_grad]
        unreached = [name for name, weight in trained if weight.grad is None]
        if unreached:
            console.decided(
                "not trained", f"{len(unreached)} of {len(trained)} tensors",
                f"no gradient reached {unreached[0]}" + ", …" * (len(unreached) > 1),
            )  # fmt: skip


class MarkComplete(TrainerCallback):
    """A checkpoint folder is whole once its mark is there; one of weights that are no numbers never is.

    Training does not come back from these: it ends at the first loss that shows them.
    """

    def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **_: Any) -> None:
        loss = (logs or {}).get("loss", 0.0)
        if not math.isfinite(loss):  # in every process: it is the mean of all
            environment.agree(lambda: _diverged(state.global_step, f"the loss is {loss}"))

    def on_save(self, args: Any, state: Any, control: Any, model: Any = None, **_: Any) -> None:
        lost = [name for name, p in model.named_parameters() if p.requires_grad and not p.isfinite().all()]
        if lost := gather_object(lost):  # of shards each process sees its own
            _diverged(state.global_step, f"weights are no numbers, {lost[0]} among them")
        if state.is_world_process_zero:
            folder = Path(args.output_dir) / f"checkpoint-{state.global_step}"
            jsonl.write_json(folder / COMPLETE, {"step": state.global_step})


def _diverged(step: int, what: str) -> NoReturn:
    raise RulewrightError(
        f"step {step}: {what}: training cannot continue",
        "start again (--overwrite) with a lower trainer.learning_rate or a longer warmup; if it "
        "happens at the first step, the model itself is broken",
    )


class AskHeldOut(TrainerCallback):
    """Ask the model held-out questions at every evaluation in training; their score becomes a metric.

    It must come before what decides by the metric (early stopping). The last step is left to
    the final evaluation, unless the best step is sought by these scores.
    """

    def __init__(self, ask: Callable[[int], Mapping[str, float]], last_too: bool) -> None:
        self._ask, self._last_too = ask, last_too
        self._training = False

    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        self._training = True

    def on_train_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        self._training = False

    def on_evaluate(self, args: Any, state: Any, control: Any, metrics: Any = None, **_: Any) -> None:
        if self._training and (self._last_too or state.global_step < state.max_steps):
            found = environment.agree(lambda: dict(self._ask(state.global_step)))
            metrics |= {f"eval_{name}": value for name, value in found.items()}


def tell(trainer: Any, values: Mapping[str, float]) -> None:
    """Send held-out figures to the trackers that `report_to` names, at the step where the trainer is.

    Not by `trainer.log`: it would close the trainer's own averages in the middle of a step.
    """
    kept = trainer.control.should_log
    logs = {f"eval_{name}": value for name, value in values.items()}
    trainer.callback_handler.on_log(trainer.args, trainer.state, trainer.control, logs)
    trainer.control.should_log = kept


def keep_logs_in(trainer: Any, folder: Path) -> None:
    """Keep the trackers that `report_to` names open after training; TensorBoard's files go into a folder.

    Training would end them, and what is measured afterwards would go into a file that overwrites the
    first one (TensorBoard), or into a run of its own that nobody ends (trackio). Call `close_logs` after
    the last value is logged.
    """
    for callback in _trackers(trainer):
        if hasattr(callback, "logging_dir"):
            callback.logging_dir = callback.logging_dir or str(folder)
        callback.on_train_end = lambda *_, **__: None


def close_logs(trainer: Any) -> None:
    """End the trackers that `keep_logs_in` has kept open."""
    for callback in _trackers(trainer):
        if vars(callback).pop("on_train_end", None) is not None:
            callback.on_train_end(
                trainer.args, trainer.state, trainer.control, model=trainer.model,
                processing_class=trainer.processing_class,
            )  # fmt: skip


def _trackers(trainer: Any) -> list[Any]:
    from transformers.integrations.integration_utils import INTEGRATION_TO_CALLBACK

    kinds = tuple(INTEGRATION_TO_CALLBACK.values())
    return [callback for callback in trainer.callback_handler.callbacks if isinstance(callback, kinds)]


def remove_printers(trainer: Any) -> None:
    """Take out the library's own printing: `console` is the one that prints."""
    from transformers.trainer_callback import PrinterCallback, ProgressCallback

    for callback in (PrinterCallback, ProgressCallback):
        trainer.remove_callback(callback)
