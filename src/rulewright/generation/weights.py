"""A checkpoint's weights as transformers loads them, but whole.

It draws at random what a checkpoint lacks, and only warns: one of which a shard was lost
would be trained and measured as if all were there.
"""

from __future__ import annotations

from typing import Any


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
