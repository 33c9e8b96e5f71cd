"""LoRA adapters: read a folder's metadata without PEFT or torch, and load all of its weights."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from rulewright.errors import UsageError, first_line
from rulewright.generation.gguf import checkpoint
from rulewright.generation.notes import ADAPTER_FILE, adapter_settings, looks_like_path
from rulewright.generation.open import require_checkpoint


@dataclass(frozen=True)
class Adapter:
    """A folder with `adapter_config.json`.

    Args:
        path: the folder.
        base: the model that it was trained on, a folder or a hub name.
        settings: all of its configuration.
    """

    path: Path
    base: str
    settings: dict[str, Any]

    @classmethod
    def read(cls, folder: str | Path) -> Self:
        """Read an adapter's folder.

        Raises:
            UsageError: no such folder, no adapter in it, or one that says too little.
        """
        path = Path(folder)
        if not path.is_dir():
            raise UsageError(f"{folder}: no such folder", "name the folder that training wrote")
        settings = adapter_settings(path)
        if settings is None:
            full = (path / "config.json").is_file()
            raise UsageError(
                f"{folder}: holds no adapter (no {ADAPTER_FILE})",
                "it is a full checkpoint, so there is nothing to merge"
                if full
                else "name the adapter's folder",
            )
        if not any((path / f"adapter_model.{end}").is_file() for end in ("safetensors", "bin")):
            raise UsageError(
                f"{folder}: the adapter has no weights (adapter_model.safetensors)", "copy it again"
            )
        return cls(path, settings["base_model_name_or_path"], settings)

    @property
    def rank(self) -> int:
        """The largest rank of any of its layers."""
        own = [int(self.settings.get("r") or 0)]
        return max(own + [int(r) for r in (self.settings.get("rank_pattern") or {}).values()])

    def require_base(self, instead: str = "") -> str:
        """The base to use; a folder is checked to exist.

        Raises:
            UsageError: the base does not exist, or is itself an adapter.
        """
        base = instead or self.base
        if not Path(base).is_dir() and looks_like_path(base):
            raise UsageError(
                f"{self.path}: its base {base} does not exist",
                "name its new location: --base FOLDER_OR_HUB_NAME",
            )
        require_checkpoint(base)
        if (Path(base) / ADAPTER_FILE).is_file():
            raise UsageError(
                f"{self.path}: its base {base} is an adapter itself",
                f"merge that one first: rulewright merge {base} OUT, then --base OUT",
            )
        return checkpoint(base)


def is_adapter(model: str) -> bool:
    """Whether a folder holds an adapter rather than a full checkpoint."""
    return (Path(model) / ADAPTER_FILE).is_file()


def load_adapter(model: Any, folder: str, hint: str = "", **options: Any) -> Any:
    """A model with an adapter around it, all of whose weights are there and fit.

    Args:
        model: its base, loaded.
        folder: of the adapter.
        hint: what to do where they do not fit.
        options: for `PeftModel.from_pretrained`.

    Raises:
        UsageError: there are none, they cannot be read, or they belong to another model.
    """
    from peft import PeftModel
    from safetensors import SafetensorError

    # PEFT draws at random what is missing, and only warns.
    adapter = Adapter.read(folder)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("error", message=".*missing adapter keys")
            return PeftModel.from_pretrained(model, folder, **options)
    except (OSError, SafetensorError) as error:
        raise UsageError(
            f"{folder}: its weights cannot be read ({first_line(error)})", "copy it again"
        ) from error
    except (RuntimeError, ValueError, KeyError, UserWarning) as error:
        # PyTorch's first line only says that there are errors.
        told = str(error).partition("Error(s) in loading")[2].partition("\n")[2] or str(error)
        raise UsageError(
            f"{folder}: does not fit {adapter.base} ({first_line(ValueError(told))})",
            hint or "copy it again, or name the base that it was trained on in its adapter_config.json",
        ) from error
