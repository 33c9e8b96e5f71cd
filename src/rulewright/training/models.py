"""From a configuration to a model and a tokenizer that TRL can train.

Three ways in: a new tiny model, a full checkpoint (optionally in 4 bits), or a LoRA
adapter, which is continued where `lora` is asked for and merged otherwise.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from rulewright import console
from rulewright.errors import ConfigError, UsageError, first_line
from rulewright.generation import chat, weights
from rulewright.generation.adapters import load_adapter
from rulewright.generation.local import nf4
from rulewright.generation.notes import adapter_base, looks_like_path, tokenizer_source
from rulewright.generation.open import require_checkpoint, require_hub
from rulewright.training import environment
from rulewright.training.config import LoraConfig, TrainConfig, weights_dtype


def load_tokenizer(model: str, thinking: bool | None = None) -> Any:
    """The tokenizer of a checkpoint, checked for what training needs.

    Its chat template is adapted (`chat.adapt`), and saved so with what is trained.

    Args:
        model: folder or hub name.
        thinking: the template's switch; `None` leaves it as it is.

    Raises:
        UsageError: no tokenizer, or one that our prompts and answers cannot be written with.
    """
    require_checkpoint(model)
    source = tokenizer_source(model)
    try:
        tokenizer = weights.load_tokenizer(source)
    except Exception as error:
        hint = (
            "copy tokenizer.json and tokenizer_config.json from the model that it was made of"
            if looks_like_path(source)
            else f"with a network: hf download {source}"
        )
        raise UsageError(f"{source}: no tokenizer ({first_line(error)})", hint) from error
    if tokenizer.eos_token is None:
        raise UsageError(f"{model}: its tokenizer has no end token", "set eos_token and save the tokenizer")
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token
        console.decided("pad token", tokenizer.pad_token, "the tokenizer has none; the end token is used")
    chat.adapt(tokenizer, model, thinking, training=True)
    return tokenizer


def load_model(config: TrainConfig) -> Any:
    """The model of a checkpoint, ready for training but for new adapters (`peft_config`)."""
    import torch

    require_checkpoint(config.model)
    options: dict[str, Any] = dict(config.trainer.get("model_init_kwargs") or {})
    options["dtype"] = _dtype(config)
    if config.quantize == "nf4":
        options["quantization_config"] = nf4()
        if torch.cuda.is_available():
            options["device_map"] = {"": torch.cuda.current_device()}
    base = adapter_base(config.model)
    if base is not None and not looks_like_path(base) and not Path(base).exists():
        require_hub(base)
    try:
        model = weights.load_model(base or config.model, **options)
    except Exception as error:
        raise _cannot_load(config.model, base, error) from error
    if base is not None:
        model = _with_adapter(model, config)
    _freeze_beside_text(model)
    model.config.use_cache = False
    return model


def ready_model(config: TrainConfig, tokenizer: Any, args: Any) -> Any:
    """The model of a checkpoint, where its trainer will put it, and shown to run.

    Args:
        config: of the run.
        tokenizer: that belongs to it.
        args: of TRL's trainer.

    Raises:
        UsageError: it cannot be loaded or cannot run, or is of another kind than is needed.
    """
    model = load_model(config)
    set_attention(model, config.attention)
    weights.require_embeddings(model, tokenizer, config.model)
    if not environment.shards(args):  # shards cannot be asked
        if not getattr(model, "is_quantized", False):
            model.to(args.device)
        weights.try_out(model, config.model)
    return model


def _cannot_load(model: str, base: str | None, error: Exception) -> UsageError:
    """What is missing, and where it comes from."""
    import torch

    what = f"{base}, the base of the adapter {model}," if base else model
    if isinstance(error, torch.OutOfMemoryError):
        hint = "quantize: nf4 with `lora`, a smaller model, or free the GPU"
    elif not looks_like_path(base or model):
        hint = f"with a network: hf download {base or model}"
    elif base:
        hint = f"put the base model there, or write its new place into {model}/adapter_config.json"
    else:
        hint = "a checkpoint holds config.json, weights (model.safetensors) and tokenizer: copy it again"
    return weights.cannot_load(what, error, hint)


def _dtype(config: TrainConfig) -> Any:
    import torch

    name, reason = weights_dtype(
        config.dtype, adapters=config.lora is not None, quantized=config.quantize != "none",
        masters=environment.keeps_masters(), fast=weights.multiplies_bf16(),
    )  # fmt: skip
    if config.dtype == "auto":
        console.decided("weights", name, reason)
    return getattr(torch, name)


def trained_weights(model: Any) -> dict[str, Any]:
    """Copies of the weights of an adapter that is continued: TRL rounds them on a 4-bit base."""
    if not hasattr(model, "peft_config"):
        return {}
    return {name: p.detach().clone() for name, p in model.named_parameters() if p.requires_grad}


def order_targets(model: Any) -> None:
    """Put the names of adapted layers in order: PEFT saves a set, in another order in every process.

    Two runs to the same weights would leave folders that differ, and digests with them.
    """
    for config in getattr(model, "peft_config", {}).values():
        if isinstance(config.target_modules, set):
            config.target_modules = sorted(config.target_modules)


def hold_in_float32(trainer: Any, adapter: Mapping[str, Any]) -> None:
    """Hold what is trained in float32, and so its optimizer's state; call it before the first step.

    TRL rounds the adapters of a 4-bit model to bfloat16, where a step of a usual rate is mostly
    less than half a unit in the last place of a weight, and where Adam's second moment cannot
    fall. All weights in bfloat16, where that was asked for, stay: what it costs is said.

    Args:
        trainer: of TRL, just made.
        adapter: what `trained_weights` kept of a continued adapter.
    """
    import torch

    if trainer.is_deepspeed_enabled:
        return  # its optimizer updates float32 copies
    model = trainer.model
    if not hasattr(model, "peft_config"):
        if not environment.keeps_masters():
            rate = trainer.args.learning_rate
            lost, n = lost_steps(model, rate)
            if lost:
                console.decided(
                    "weights", "bfloat16",
                    f"as configured; a step of {rate:g} is rounded away in {100 * lost / n:.1f} % of {n:,} "
                    "weights (`dtype: auto` keeps it)",
                )  # fmt: skip
        return
    for name, weight in model.named_parameters():
        if weight.requires_grad and weight.is_floating_point():
            weight.data = adapter.get(name, weight.data).to(weight.device, torch.float32)


def lost_steps(model: Any, rate: float) -> tuple[int, int]:
    """How many trained weights a step of size `rate` does not change, and of how many.

    Looks at no more than 100,000 of each matrix, evenly spread.
    """
    lost = n = 0
    for weight in model.parameters():
        if weight.requires_grad and weight.is_floating_point():
            some = weight.detach().flatten()[:: max(1, weight.numel() // 100_000)]
            lost += int((some - rate == some).sum())
            n += some.numel()
    return lost, n


def count(model: Any) -> tuple[int, int]:
    """All parameters of a model and those that are trained; 4-bit ones are stored two in a byte."""
    if hasattr(model, "get_nb_trainable_parameters"):
        n_trained, n = model.get_nb_trainable_parameters()
        return int(n), int(n_trained)
    return int(model.num_parameters()), int(model.num_parameters(only_trainable=True))


def set_attention(model: Any, wanted: str) -> None:
    """Switch to another implementation of attention; `sdpa` where the model has one.

    Raises:
        UsageError: its package is not installed, or the model has none of this kind.
    """
    own = model.config._attn_implementation
    if own == wanted:
        return
    if wanted == "sdpa" and not model._supports_sdpa:
        console.decided("attention", own, f"{model.config.model_type} has no sdpa")
        return
    try:
        model.set_attn_implementation(wanted)
    except (ImportError, ValueError, OSError, RuntimeError, KeyError) as error:
        hub = "/" in wanted
        raise UsageError(
            f"attention: {wanted} cannot be used here ({first_line(error)})",
            f"install its package (pip install {'kernels' if hub else 'flash-attn'}), or use attention: sdpa",
        ) from error


REFUSALS: Final = (ValueError, TypeError, AttributeError, ImportError)
"""How TRL's trainers and PEFT refuse options, or fail on them, when they are put together."""


def put_together(make: Callable[[Any], Any], config: TrainConfig, model: Any) -> Any:
    """A trainer of TRL around a model, as our runs need it: quiet, and with what is trained in float32.

    Args:
        make: calls its constructor, with PEFT's configuration where a new adapter is to be added.
        config: of the run.
        model: loaded.

    Raises:
        ConfigError: TRL or PEFT refuses the options.
    """
    from rulewright.training import callbacks

    continued = trained_weights(model)
    new = config.lora if not hasattr(model, "peft_config") else None
    try:
        trainer = make(new and peft_config(new, model))
    except REFUSALS as error:
        raise ConfigError(
            f"the trainer refuses this: {first_line(error)}",
            "fix the `trainer:` options or `lora`; nothing was trained",
        ) from error
    callbacks.remove_printers(trainer)
    hold_in_float32(trainer, continued)
    order_targets(trainer.model)
    weights.route_quietly(trainer.model)
    return trainer


_DOCUMENT: Final = 8
"""Tokens of each document of the rows that `require_apart` asks about."""


def require_apart(model: Any, attention: str) -> None:
    """Refuse to pack rows for a model that reads one document of a row into the next.

    Some attention heeds no positions, and layers with a state (convolutions, linear attention)
    go on with it where their kernels are not installed. So it is asked: the second document of
    two rows that differ in their first one must get the same logits.

    Args:
        model: loaded, on one device.
        attention: its name, for the message.

    Raises:
        UsageError: it does not keep them apart, or says itself that it cannot.
    """
    import torch
    from trl.trainer.sft_trainer import DataCollatorForLanguageModeling

    collate = DataCollatorForLanguageModeling(pad_token_id=0, padding_free=True)
    size = model.config.get_text_config().vocab_size

    def second(start: int) -> torch.Tensor:
        ids = [i % size for i in (*range(start, start + _DOCUMENT), *range(100, 100 + _DOCUMENT))]
        batch = collate([{"input_ids": ids, "seq_lengths": [_DOCUMENT, _DOCUMENT]}])
        del batch["labels"]
        inputs = {k: v.to(model.device) if isinstance(v, torch.Tensor) else v for k, v in batch.items()}
        with torch.no_grad():
            logits: torch.Tensor = model(**inputs, use_cache=False).logits[0, _DOCUMENT:].float()
        return logits

    try:
        one, other = second(10), second(40)
        apart, reason = bool((one - other).norm() < 0.01 * one.norm()), ""
    except (ValueError, TypeError) as error:
        apart, reason = False, f" ({first_line(error)})"
    if not apart:
        raise UsageError(
            f"trainer.packing: {model.config.model_type} with attention {attention} does not separate "
            f"the documents of a packed row{reason}: attention would cross documents",
            "leave out trainer.packing (`bucket: true` pads little), or install the kernels that it asks for",
        )


def _with_adapter(model: Any, config: TrainConfig) -> Any:
    from transformers.integrations import is_deepspeed_zero3_enabled

    if config.lora is None:
        console.decided(
            "adapter", "merged into its base", f"{config.model} is an adapter, no `lora` is asked"
        )
        merged = load_adapter(model, config.model).merge_and_unload()
        return merged.requires_grad_(True)  # PEFT has frozen the base
    console.decided("adapter", "continued", f"{config.model} is an adapter; its own rank and modules hold")
    # ZeRO-3 gathers weights of one type only; TRL makes new adapters there in the base's type too.
    one_type = is_deepspeed_zero3_enabled() and config.quantize == "none"
    return load_adapter(model, config.model, is_trainable=True, autocast_adapter_dtype=not one_type)


def beside_text(model: Any) -> list[str]:
    """Names of the parts that text does not pass through: of a model of images, what sees them.

    Args:
        model: of transformers, without an adapter around it.
    """
    used = {
        id(weight)
        for part in (model.get_input_embeddings(), model.get_decoder(), model.get_output_embeddings())
        if part is not None
        for weight in part.parameters()
    }

    def below(module: Any, prefix: str) -> Iterator[str]:
        for name, part in module.named_children():
            weights = {id(weight) for weight in part.parameters()}
            if weights and not weights & used:
                yield prefix + name
            elif weights - used:
                yield from below(part, f"{prefix}{name}.")

    return list(below(model, ""))


def _freeze_beside_text(model: Any) -> None:
    """Train nothing that text does not pass through.

    It would take memory and never get a gradient, and several processes would end at once, for
    each expects one of every trained weight.
    """
    inner = model.get_base_model() if hasattr(model, "peft_config") else model
    parts = beside_text(inner)
    for name in parts:
        inner.get_submodule(name).requires_grad_(False)
    if parts:
        console.decided("not trained", ", ".join(parts), "text does not pass through it")


def _past_adapters(model: Any) -> list[str]:
    """Layers that an adapter of a linear layer does not fit, of those that PEFT takes for one.

    That is projections of state-space layers whose weight their kernels take past an adapter (PEFT refuses
    some of them, in the models that it knows), and layers that compute something of their own: Llama 4's
    routers give two tensors, DeepSeek V4's are multiplied in groups.
    """
    from torch.nn import Linear

    own = [
        name
        for name, layer in model.named_modules()
        if isinstance(layer, Linear)
        and type(layer).forward is not Linear.forward
        and type(layer).__module__.startswith("transformers.models.")
    ]
    states = [
        f"{name}.{part}"
        for name, layer in model.named_modules()
        if hasattr(layer, "A_log") and hasattr(layer, "D")
        for part in ("out_proj", "dt_proj")
        if hasattr(layer, part)
    ]
    for found, why in (
        (own, "these layers compute more than a product"),
        (states, "a state-space layer's kernel takes the weight alone"),
    ):
        if found:
            names = sorted({name.rpartition(".")[2] for name in found})
            console.decided("no adapter", f"on {len(found)} × {', '.join(names)}", why)
    return states + own


def peft_config(lora: LoraConfig, model: Any) -> Any:
    """PEFT's own configuration of a new adapter for a model, for what text passes through."""
    from peft import LoraConfig as PeftLora

    excluded = list(beside_text(model))
    if lora.target_modules == "all-linear":
        excluded += _past_adapters(model)
    parts = "|".join(map(re.escape, excluded))
    return PeftLora(
        r=lora.r,
        lora_alpha=lora.alpha,
        lora_dropout=lora.dropout,
        target_modules=lora.target_modules,
        exclude_modules=rf"({parts})(\..*)?" if parts else None,
        task_type="CAUSAL_LM",
    )
