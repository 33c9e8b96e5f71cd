"""From a configuration to a model and a tokenizer that TRL can train.

Three ways in: a new tiny model, a full checkpoint (optionally in 4 bits), or a LoRA
adapter, which is continued where `lora` is asked for and merged otherwise.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from rulewright import console
from rulewright.errors import ConfigError, MissingDependency, UsageError
from rulewright.generation.open import require_checkpoint
from rulewright.training.config import LoraConfig, SftConfig


def load_tokenizer(model: str) -> Any:
    """The tokenizer of a checkpoint, checked for what training needs."""
    require_checkpoint(model)
    from transformers import AutoTokenizer

    try:
        tokenizer = AutoTokenizer.from_pretrained(model)
    except (OSError, ValueError) as error:
        raise UsageError(
            f"{model}: no tokenizer ({str(error).splitlines()[0]})", "is it complete?"
        ) from error
    if not tokenizer.chat_template:
        raise UsageError(
            f"{model}: its tokenizer has no chat template, so prompts cannot be written as for inference",
            "use a chat model, or set tokenizer.chat_template and save the tokenizer",
        )
    if tokenizer.eos_token is None:
        raise UsageError(f"{model}: its tokenizer has no end token", "set eos_token and save the tokenizer")
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token
        console.decided("pad token", tokenizer.pad_token, "the tokenizer has none; the end token is used")
    return tokenizer


def load_model(config: SftConfig) -> Any:
    """The model of a checkpoint, ready for training but for new adapters (`peft_config`)."""
    import torch
    from transformers import AutoModelForCausalLM

    require_checkpoint(config.model)
    options: dict[str, Any] = {"dtype": getattr(torch, config.dtype)}
    if config.quantize == "nf4":
        options["quantization_config"] = nf4()
        if torch.cuda.is_available():
            options["device_map"] = {"": torch.cuda.current_device()}
    base = adapter_base(config.model)
    try:
        model = AutoModelForCausalLM.from_pretrained(base or config.model, **options)
    except (OSError, ValueError) as error:
        raise UsageError(
            f"{base or config.model}: cannot be loaded ({str(error).splitlines()[0]})", "is it complete?"
        ) from error
    if base is not None:
        model = _with_adapter(model, config)
    model.config.use_cache = False
    return model


def set_attention(model: Any, wanted: str) -> None:
    """Switch to another implementation of attention.

    Raises:
        UsageError: its package is not installed, or the model has none of this kind.
    """
    if model.config._attn_implementation == wanted:
        return
    try:
        model.set_attn_implementation(wanted)
    except (ImportError, ValueError) as error:
        raise UsageError(
            f"attention: {wanted} cannot be used here ({str(error).splitlines()[0]})",
            "install its package (pip install flash-attn), or use attention: sdpa",
        ) from error


def _with_adapter(model: Any, config: SftConfig) -> Any:
    from peft import PeftModel

    if config.lora is None:
        if config.quantize != "none":
            raise ConfigError(f"{config.model}: an adapter on 4-bit weights needs `lora`", "add the section")
        console.decided(
            "adapter", "merged into its base", f"{config.model} is an adapter, no `lora` is asked"
        )
        return PeftModel.from_pretrained(model, config.model).merge_and_unload()
    console.decided("adapter", "continued", f"{config.model} is an adapter; its own rank and modules hold")
    return PeftModel.from_pretrained(model, config.model, is_trainable=True)


def adapter_base(model: str) -> str | None:
    """The base of an adapter folder; `None` for a full checkpoint."""
    path = Path(model) / "adapter_config.json"
    if not path.is_file():
        return None
    base: str = json.loads(path.read_text(encoding="utf-8"))["base_model_name_or_path"]
    return base


def nf4() -> Any:
    """4-bit base weights, as in QLoRA (arXiv 2305.14314): NF4, double quantisation, bf16 compute."""
    try:
        import bitsandbytes  # noqa: F401
    except ImportError as error:
        raise MissingDependency("bitsandbytes", "`quantize: nf4`", "qlora") from error
    import torch
    from transformers import BitsAndBytesConfig

    return BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=torch.bfloat16,
        bnb_4bit_quant_storage=torch.bfloat16,
    )


def peft_config(lora: LoraConfig) -> Any:
    """PEFT's own configuration of a new adapter."""
    from peft import LoraConfig as PeftLora

    return PeftLora(
        r=lora.r,
        lora_alpha=lora.alpha,
        lora_dropout=lora.dropout,
        target_modules=lora.target_modules,
        task_type="CAUSAL_LM",
    )
