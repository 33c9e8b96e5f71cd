"""Read a model folder's metadata: its note, and whether it is an adapter.

A checkpoint folder may hold `rulewright.json` `{"prompt_style", "thinking", "task", "base"}`,
written by training, so that prompts for generation are written as in training.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

from rulewright.errors import UsageError, json_problem
from rulewright.prompts import STYLES, Style

NOTE_FILE: Final = "rulewright.json"
ADAPTER_FILE: Final = "adapter_config.json"
# What transformers makes tokenizers from.
_TOKENIZERS: Final = ("tokenizer.json", "*.model", "vocab.*", "*.tiktoken", "tekken.json")


def looks_like_path(model: str) -> bool:
    """Whether a name means a folder here rather than a model of the hub (`owner/name`)."""
    return model.startswith((".", "/", "~", "models/", "runs/")) or model.count("/") != 1


def holds_model(folder: Path) -> bool:
    """Whether a folder holds a checkpoint or an adapter."""
    return any((folder / name).is_file() for name in ("config.json", ADAPTER_FILE))


def has_tokenizer(folder: Path) -> bool:
    """Whether a folder contains a tokenizer."""
    return any(next(folder.glob(pattern), None) for pattern in _TOKENIZERS)


def tokenizer_source(model: str) -> str:
    """The folder of a model's tokenizer; adapters often come without one, then it is the base's."""
    base = adapter_base(model)
    return base if base and not has_tokenizer(Path(model)) else model


def adapter_settings(folder: str | Path) -> dict[str, Any] | None:
    """PEFT's configuration of an adapter folder, with its base; `None` for a full checkpoint.

    Raises:
        UsageError: it cannot be read, or names no base.
    """
    path = Path(folder) / ADAPTER_FILE
    if not path.is_file():
        return None
    try:
        settings: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        base = settings["base_model_name_or_path"]
    except (ValueError, KeyError, TypeError) as error:
        raise UsageError(f"{path}: cannot be read ({error!r})", "copy the adapter again") from error
    if not isinstance(base, str) or not base:
        raise UsageError(
            f"{path}: names no base model",
            "write the folder or hub name of its base into base_model_name_or_path",
        )
    return settings


def adapter_base(model: str) -> str | None:
    """The base of an adapter folder, a folder or a hub name; `None` for a full checkpoint.

    Raises:
        UsageError: as `adapter_settings`.
    """
    settings = adapter_settings(model)
    return None if settings is None else str(settings["base_model_name_or_path"])


def checkpoint_note(model: str) -> dict[str, Any]:
    """What training noted in `rulewright.json`; empty where there is none."""
    path = Path(model) / NOTE_FILE
    if not path.is_file():
        return {}
    try:
        note = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise UsageError(f"{path}: not JSON ({json_problem(error)})", "remove it, or train again") from error
    return note if isinstance(note, dict) else {}


def as_style(noted: object) -> Style:
    """A style from a file; what names none is `full`, as all models are asked that nobody noted.

    >>> as_style("brief"), as_style(None)
    ('brief', 'full')
    """
    return next((style for style in STYLES if style == noted), "full")
