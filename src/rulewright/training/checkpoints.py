"""Checkpoints on disk: find the one to resume from, and mark complete ones.

Invariant: a training checkpoint is complete if its marker exists (`callbacks.MarkComplete` writes it
last). A checkpoint without a marker is incomplete and is removed.
"""

from __future__ import annotations

import errno
import json
import os
import re
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from rulewright import console, jsonl
from rulewright.errors import RulewrightError
from rulewright.generation.notes import NOTE_FILE
from rulewright.prompts import Style
from rulewright.training import environment
from rulewright.training.config import SftConfig

COMPLETE: Final = "complete.json"
_FINAL: Final = "final.new"
# As gloo and NCCL tell it.
_PARTED: Final = re.compile("closed by peer|reset by peer|Broken pipe|remote process exited")
_DISK: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EIO})


@contextmanager
def writing(folder: Path) -> Iterator[None]:
    """Turn a full disk, or the end of another process, wherever a library meets it, into one message.

    Raises:
        RulewrightError: a file could not be written, or a process of the run is gone; what was
            whole before is whole still.
    """
    try:
        yield
    except Exception as error:
        if isinstance(error, RuntimeError) and environment.is_launched() and _PARTED.search(str(error)):
            raise RulewrightError(
                f"{folder}: another process of this run has ended, and this one cannot continue alone",
                "its own message says why, unless it was killed (out of memory?); then continue with "
                "--resume",
            ) from error
        reason = _not_written(error)
        if reason is None:
            raise
        free = shutil.disk_usage(folder if folder.exists() else Path.cwd()).free / 1e9
        raise RulewrightError(
            f"{folder}: cannot be written ({reason}; {free:.1f} GB are free)",
            "free some disk space, then continue with --resume: the last complete checkpoint is kept",
        ) from error


def _not_written(error: Exception) -> str | None:
    """Why a file could not be written; `None` for any other error."""
    # PyTorch only notices that its file is shorter than what it has written.
    if isinstance(error, RuntimeError) and re.search("PytorchStreamWriter|unexpected pos", str(error)):
        return "a file was cut short"
    # Rust's libraries give the error number in their text.
    told = re.search(r"os error (\d+)", str(error))
    number = error.errno if isinstance(error, OSError) else None
    number = int(told[1]) if number is None and told else number
    return os.strerror(number) if number is not None and number in _DISK else None


def step_of(folder: Path) -> int:
    """The step in a name like `checkpoint-400`."""
    return int(folder.name.rpartition("-")[2])


def last_whole(folder: Path) -> Path | None:
    """The newest complete checkpoint; incomplete ones are removed."""
    whole = []
    for path in sorted(folder.glob("checkpoint-*")):
        if (path / COMPLETE).exists():
            whole.append(path)
        else:
            shutil.rmtree(path)
    return max(whole, key=step_of, default=None)


def agree_on_start(folder: Path) -> Path | None:
    """The checkpoint to continue from, the main process's choice in every process."""

    def choose() -> Path | None:
        start = last_whole(folder)
        if start is not None:
            _find_best(start)
        return start

    return environment.agree(choose)


def _find_best(start: Path) -> None:
    """Have a checkpoint name the best one where it lies now: the run may have been moved.

    Transformers keeps the last step's weights where it finds nothing at the noted path.
    """
    path = start / "trainer_state.json"
    state = json.loads(path.read_text(encoding="utf-8"))
    if best := state.get("best_model_checkpoint"):
        jsonl.write_json(path, {**state, "best_model_checkpoint": str(start.with_name(Path(best).name))})


def is_over(folder: Path, patience: int = 0) -> bool:
    """Whether training ended at this checkpoint: the last step, or no patience left."""
    state = json.loads((folder / "trainer_state.json").read_text(encoding="utf-8"))
    stopped = (state.get("stateful_callbacks") or {}).get("EarlyStoppingCallback") or {}
    waited = (stopped.get("attributes") or {}).get("early_stopping_patience_counter", 0)
    return bool(state["global_step"] >= state["max_steps"] or (patience and waited >= patience))


def mean_loss(history: Sequence[Mapping[str, float]]) -> float | None:
    """Mean training loss of a run from its log, also if it was resumed; `None` if nothing is logged.

    >>> mean_loss([{"step": 2, "loss": 3.0}, {"step": 6, "loss": 1.5}, {"step": 6, "eval_loss": 9.0}])
    2.0
    """
    done, total = 0.0, 0.0
    for row in history:
        if "loss" in row:
            total += row["loss"] * (row["step"] - done)
            done = row["step"]
    return total / done if done else None


def load_finished(trainer: Any, start: Path) -> None:
    """Bring a trainer to where training ended at this checkpoint, to its best step where that is kept.

    That is to train from it for no epoch: transformers loads what every kind of engine needs, and only
    asks whether the last step was taken after another one.
    """
    console.decided("training", "done already", "what is left is to evaluate and to publish")
    trainer.args.max_steps, trainer.args.num_train_epochs = -1, 0
    trainer.train(resume_from_checkpoint=str(start))


def forget_after(path: Path, step: int) -> None:
    """Drop the lines of a JSONL file about steps that will be done again."""
    if path.exists():
        jsonl.cut_torn_line(path)
        jsonl.write(path, [row for row in jsonl.read(path) if row["step"] <= step])


def clear(out: Path, published: bool = True) -> None:
    """Remove an earlier run's training state, and the checkpoint that it published; foreign files stay."""
    run = out / "run"
    for mark in run.glob(f"checkpoints/*/{COMPLETE}"):
        mark.unlink()  # first: what is half removed is not whole
    named = [run / name for name in ("checkpoints", "tokens", "tokenizer", _FINAL)]
    for folder in (*named, *run.glob("best[-.]*")):
        shutil.rmtree(folder, ignore_errors=True)
    (run / "dev.jsonl").unlink(missing_ok=True)
    if published:
        for path in _published(out):
            path.unlink()


def _published(out: Path) -> list[Path]:
    """The files of the checkpoint that a run has put into a folder, the note that tells so last."""
    if not (out / NOTE_FILE).exists():
        return []
    patterns = ("*.safetensors", "*.json", "README.md", "chat_template.jinja")
    found = [path for pattern in patterns for path in out.glob(pattern)]
    return sorted(found, key=lambda path: path.name == NOTE_FILE)


def publish(best: Path, out: Path, keep: bool = True) -> None:
    """Put a checkpoint into the model folder, in place of one that an earlier run has put there.

    Nothing of that one stays: an adapter's configuration would make an adapter of all weights. Weights
    come last, each file at once: a folder that is half published cannot be loaded.

    Args:
        best: the checkpoint.
        out: the model folder.
        keep: whether the checkpoint stays as well; otherwise its files are moved.
    """
    out.mkdir(parents=True, exist_ok=True)
    left_out = {"training_args.bin", "README.md"}
    names = {path.name for path in best.iterdir()} - left_out
    for path in _published(out):
        if path.name not in names or _holds_weights(path.name):
            path.unlink()
    for name in sorted(names, key=lambda name: (_holds_weights(name), name)):
        source = Path(shutil.copy(best / name, out / f".{name}.part")) if keep else best / name
        shutil.move(source, out / name)


def _holds_weights(name: str) -> bool:
    return name.endswith((".safetensors", ".safetensors.index.json"))


def write_note(folder: Path, style: Style, thinking: bool | None, task: str, base: str | None) -> None:
    """Write the prompt style of a checkpoint, which generation reads."""
    note = {"prompt_style": style, "thinking": thinking, "task": task, "base": base}
    jsonl.write_json(folder / NOTE_FILE, note)


def save(config: SftConfig, style: Style, thinking: bool | None, trainer: Any, tokenizer: Any) -> None:
    """Write what transformers loads: weights (or adapter), tokenizer, and how to ask it."""
    fresh = config.out / "run" / _FINAL
    trainer.save_model(str(fresh))
    if environment.is_main():
        tokenizer.save_pretrained(fresh)
        write_note(fresh, style, thinking, config.task, config.model or None)
        publish(fresh, config.out, keep=False)
        shutil.rmtree(fresh)
