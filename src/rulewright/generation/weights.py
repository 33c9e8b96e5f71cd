"""Load a checkpoint with transformers, and refuse it if weights are missing or it cannot run.

transformers initializes missing weights at random and only warns, so a checkpoint without one of its
shards would be trained and measured as if it were complete. It also loads bidirectional encoders (BERT
and similar) as if they could generate text, and configurations that its own code fails on.
"""

# ruff: noqa: N806  (shape suffixes: B rows, L tokens, V vocabulary)
from __future__ import annotations

from pathlib import Path
from typing import Any, Final

from rulewright import console
from rulewright.errors import UsageError, first_line
from rulewright.generation.notes import adapter_base, has_tokenizer

_WEIGHTS: Final = frozenset({".safetensors", ".bin"})
_GENERATES: Final = "name a model that generates (Qwen, Llama, Gemma, SmolLM, …)"
_INSTALL: Final = (
    "install what it names (GPTQ: pip install optimum gptqmodel; AWQ: pip install gptqmodel), or name the "
    "unquantized model"
)


def load_model(source: str, **options: Any) -> Any:
    """A causal language model with all of its weights.

    Args:
        source: a checkpoint's or adapter's folder, or a hub name.
        options: for `from_pretrained`.

    Raises:
        ValueError: some of them are not there; what transformers raises besides.
    """
    from transformers import AutoModelForCausalLM

    model, found = AutoModelForCausalLM.from_pretrained(
        source, output_loading_info=True, trust_remote_code=False, **options
    )
    if missing := sorted(found["missing_keys"]):
        raise ValueError(f"{len(missing)} of its weights are missing, {missing[0]} among them")
    route_quietly(model)
    return model


def load_tokenizer(source: str) -> Any:
    """A checkpoint's own tokenizer.

    Args:
        source: a folder or hub name.

    Raises:
        ValueError: the folder holds none; what transformers raises besides.
    """
    from transformers import AutoTokenizer

    if Path(source).is_dir() and not has_tokenizer(Path(source)):
        # transformers would make an empty one, after the architecture.
        raise ValueError("no tokenizer.json, tokenizer.model or vocab.json in it")
    return AutoTokenizer.from_pretrained(source, trust_remote_code=False)


def require_embeddings(model: Any, tokenizer: Any, name: str) -> None:
    """Refuse a tokenizer with tokens that the model has no embedding of.

    Special tokens for what is no text may lack one (Gemma 3's image token, in its models of text alone):
    texts that spell one out are left out by whoever encodes them.

    Raises:
        UsageError: it is another model's, or tokens were added to it only.
    """
    n = model.get_input_embeddings().num_embeddings
    beyond = {token: word for word, token in tokenizer.get_vocab().items() if token >= n}
    if not beyond:
        return
    added = tokenizer.added_tokens_decoder
    used = {tokenizer.eos_token_id, tokenizer.pad_token_id, tokenizer.bos_token_id}
    if used.isdisjoint(beyond) and all(token in added and added[token].special for token in beyond):
        console.decided(
            "not embedded", ", ".join(beyond.values()), "special tokens; texts that hold one are left out"
        )
        return
    last = max(beyond)
    raise UsageError(
        f"{name}: its tokenizer has a token {last} ({beyond[last]!r}), but the model embeds {n} only",
        "take the tokenizer that belongs to it, or save the model after model.resize_token_embeddings",
    )


def multiplies_bf16(on_gpu: bool | None = None) -> bool:
    """Whether a device multiplies bfloat16 by itself.

    GPUs before NVIDIA's Ampere emulate it, slower than float32; PyTorch counts that as support.

    Args:
        on_gpu: the first GPU, or the processor; `None`: the processor where there is no GPU.
    """
    import torch

    from rulewright.generation import cpu

    if torch.cuda.is_available() if on_gpu is None else on_gpu:
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    return cpu.multiplies_bf16()


def fits_one_card(source: str) -> bool:
    """Whether a checkpoint's weights, as they are stored, take at most half of the first GPU's free memory.

    The other half is for keys, values and logits. A model that is spread over several GPUs crosses from one
    to the next for every token.

    Args:
        source: a checkpoint's or adapter's folder, or a hub name; weights that are not here yet do not fit.
    """
    import torch
    from transformers.utils.hub import cached_file

    try:
        folder = Path(str(cached_file(adapter_base(source) or source, "config.json"))).parent
    except OSError:
        return False  # loading tells why
    sizes = [one.stat().st_size for one in folder.iterdir() if one.suffix in _WEIGHTS]
    free, _ = torch.cuda.mem_get_info(0)
    return bool(sizes) and 2 * sum(sizes) <= free


def route_quietly(model: Any) -> None:
    """Compute no balance of experts that nobody asks for: it fails on the cache of an answer.

    Trainers ask for it in each call, and set it in the configuration besides.
    """
    text = model.config.get_text_config()
    if getattr(text, "output_router_logits", False):
        text.output_router_logits = False


def cannot_load(name: str, error: Exception, hint: str) -> UsageError:
    """What transformers says where it cannot load a checkpoint; a package that it lacks is the next step."""
    hint = _INSTALL if isinstance(error, ImportError) else hint
    if "trust_remote_code" in str(error):
        hint = "code that comes with a model is not run: name a model that transformers has itself"
    return UsageError(f"{name} cannot be loaded ({first_line(error)})", hint)


def try_out(model: Any, name: str) -> None:
    """Refuse half a model, one that cannot compute a short text, or that sees what comes after a token.

    The latter would learn to copy, and could write nothing. Where its layers do not all say that they
    look back only, it is asked: where two texts begin alike, they must get the same logits.

    Args:
        model: loaded, all of its weights on their devices.
        name: for the message.

    Raises:
        UsageError: it does.
    """
    import torch
    import transformers

    if getattr(type(model.config), "is_encoder_decoder", False):
        # transformers takes its decoder alone, which was made to read what an encoder says.
        raise UsageError(
            f"{name}: {model.config.model_type} is an encoder-decoder, whose decoder answers no prompt alone",
            _GENERATES,
        )
    flags = [layer.is_causal for layer in model.modules() if hasattr(layer, "is_causal")]
    looks_back = bool(flags) and all(flags) and getattr(model.config.get_text_config(), "is_causal", True)
    # Two tokens are enough to run: a large model on a CPU takes its time for each.
    texts = [[1, 2]] if looks_back else [[1, 2, 3, *[4] * 8], [1, 2, 3, *[5] * 8]]
    ids_BL = torch.tensor(texts, device=model.get_input_embeddings().weight.device)
    was_training = model.training
    model.eval()
    try:
        with torch.no_grad():
            logits_BLV = model(input_ids=ids_BL, attention_mask=torch.ones_like(ids_BL)).logits[:, :3].float()
    except Exception as error:
        raise UsageError(
            f"{name}: {model.config.model_type} cannot compute a short text ({first_line(error)})",
            f"transformers {transformers.__version__} fails on it: correct its config.json, install another "
            "release, or name another model",
        ) from error
    model.train(was_training)
    # Not the other way round: what is no number is told by others.
    if not looks_back and (logits_BLV[0] - logits_BLV[1]).norm() > 0.003 * logits_BLV[0].norm():
        raise UsageError(
            f"{name}: {model.config.model_type} is a bidirectional encoder: it cannot generate text",
            _GENERATES,
        )


def fixed_positions(model: Any) -> int | None:
    """How many tokens a text may have where a model holds something for each position; else `None`.

    Past them GPT-2 and its kin fail on an index. Rotary embeddings are computed for any position.
    """
    computed = any(name.endswith("inv_freq") for name, _ in model.named_buffers())
    return None if computed else declared_positions(model)


def of_layers(config: Any, name: str) -> Any:
    """A value of a configuration, the largest where layers differ (Gemma 4); `None` where it has none."""
    try:
        return getattr(config, name, None)
    except RuntimeError:  # transformers: it is a value of each layer
        return max(getattr(layer, name, None) or 0 for layer in config.per_layer_config)


def declared_positions(model: Any) -> int | None:
    """How many tokens of a text a model was made for, by its configuration."""
    text = model.config.get_text_config()
    n = getattr(text, "max_position_embeddings", None) or getattr(text, "max_seq_len", None)
    return int(n) if n else None
