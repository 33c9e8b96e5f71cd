"""Weights as transformers and PEFT load them, but whole.

Both draw at random what a checkpoint lacks, and only warn: a checkpoint of which a shard was
lost, or an adapter of another model, would be trained and measured as if it were there.
"""

from __future__ import annotations

import warnings
from typing import Any

from rulewright.errors import UsageError, first_line
from rulewright.generation.adapters import Adapter


def load_model(source: str, **options: Any) -> Any:
    """A causal language model with all of its weights.

    Args:
        source: a checkpoint's or adapter's folder, or a hub name.
        options: for `from_pretrained`.

    Raises:
        ValueError: some of them are not there; what transformers raises besides.
    """
    from transformers import AutoModelForCausalLM

    model, found = AutoModelForCausalLM.from_pretrained(source, output_loading_info=True, **options)
    if missing := sorted(found["missing_keys"]):
        raise ValueError(f"{len(missing)} of its weights are missing, {missing[0]} among them")
    return model


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
