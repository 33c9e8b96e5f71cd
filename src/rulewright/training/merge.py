"""A LoRA adapter and its base → one plain checkpoint that any server loads.

Invariant: the output folder is complete or absent. The base is loaded without quantization, whatever the
adapter was trained on.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any, NamedTuple

from rulewright import folders, jsonl
from rulewright.errors import UsageError, few, needed
from rulewright.generation.adapters import Adapter, load_adapter
from rulewright.generation.base import Dtype
from rulewright.generation.notes import NOTE_FILE, checkpoint_note, has_tokenizer
from rulewright.generation.weights import cannot_load, load_model, load_tokenizer


class Merged(NamedTuple):
    """What was written."""

    out: Path
    base: str
    dtype: str
    n_parameters: int
    rounded_away: float
    """How much of what the adapter changes is lost in this format (`generation.cpu.rounded_away`)."""


def merge(adapter: str | Path, out: Path, dtype: Dtype = "auto", base: str = "") -> Merged:
    """Merge an adapter into its base, without quantization, and write a checkpoint.

    Tokenizer, chat template, generation settings and the note on how the model is asked
    come with it.

    Args:
        adapter: folder with `adapter_config.json`.
        out: folder to write, new or empty.
        dtype: of the merged weights; `auto`: as the base is stored.
        base: where the base is now, if not where the adapter says.

    Raises:
        UsageError: no adapter, its base is gone or of another shape, the disk is too small, or
            `out` is not empty.
        MissingDependency: PEFT or torch is not installed.
    """
    folders.require_writable(out)
    if left := sorted(path.name for path in out.glob("*")):
        raise UsageError(f"{out}: not empty ({few(left, 3)}); nothing is overwritten", "name a new folder")
    found = Adapter.read(adapter)
    source = found.require_base(base)
    model, tokenizer, lost = _load(found, source, dtype)
    _require_space(model, out)

    def make(part: Path) -> None:
        from safetensors import SafetensorError

        try:
            model.save_pretrained(part)
        except (SafetensorError, RuntimeError) as error:  # a full disk, as the libraries tell it
            raise OSError(None, str(error)) from error
        tokenizer.save_pretrained(part)
        note = {**checkpoint_note(str(adapter)), "base": source, "merged": str(adapter)}
        jsonl.write_json(part / NOTE_FILE, note)

    folders.make_whole(out, make, lambda: False)
    kept = str(next(model.parameters()).dtype).removeprefix("torch.")
    return Merged(out, source, kept, int(model.num_parameters()), round(lost, 3))


def _load(adapter: Adapter, base: str, dtype: Dtype) -> tuple[Any, Any, float]:
    """The merged model on the CPU, the tokenizer it was trained with, and what is rounded away."""
    with needed("peft with torch", "merging an adapter", "train"):
        import peft  # noqa: F401
        import torch

        from rulewright.generation.cpu import is_plain_lora, rounded_away
    wanted = "auto" if dtype == "auto" else getattr(torch, dtype)
    try:
        model = load_model(base, dtype=wanted)
        tokenizer = load_tokenizer(str(adapter.path) if has_tokenizer(adapter.path) else base)
    except Exception as error:
        raise cannot_load(base, error, "is it complete?") from error
    if getattr(model.config, "quantization_config", None) is not None:
        raise UsageError(
            f"{base}: its weights are stored quantized, and an adapter cannot be merged into them exactly",
            "name the unquantized model: --base FOLDER_OR_HUB_NAME",
        )
    hint = "name the base that it was trained on: --base FOLDER_OR_HUB_NAME"
    wrapped = load_adapter(model, str(adapter.path), hint)
    layers = [layer for layer in wrapped.modules() if hasattr(layer, "base_layer")]
    lost = rounded_away(list(filter(is_plain_lora, layers)), model.dtype)
    return wrapped.merge_and_unload(safe_merge=True), tokenizer, lost


def _require_space(model: Any, out: Path) -> None:
    """Refuse before writing what the disk has no room for."""
    needed = sum(p.numel() * p.element_size() for p in model.parameters())
    where = next(folder for folder in (out, *out.absolute().parents) if folder.is_dir())
    free = shutil.disk_usage(where).free
    if free < needed:
        raise UsageError(
            f"{out}: the merged weights take {needed / 2**30:.1f} GiB, and {free / 2**30:.1f} GiB are free",
            "free the disk, or choose another folder",
        )
