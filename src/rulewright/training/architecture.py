"""The dimensions of a transformer that determine memory and time; no torch, no download."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final, Literal, NamedTuple, Self

from rulewright.errors import UsageError
from rulewright.generation import gguf
from rulewright.generation.notes import adapter_base, holds_model
from rulewright.training.config import TinyConfig

Family = Literal["qwen3", "qwen2", "llama", "gemma3"]
_COUNT: Final = Path(__file__).with_name("count_built.py")


class Counted(NamedTuple):
    """Parameters of a model as transformers builds it, where no formula here knows its kind."""

    body: int
    linear: int
    """Of the body's linear layers: what 4 bits are for."""
    idle: int
    """Of the body's, that one token passes by: the experts that are not chosen for it."""
    stateful_layers: int
    """Layers that keep a state of one size, however long the text."""
    eager: bool
    """Whether attention computes all of its scores at once: the model has no `sdpa`."""
    routed: int
    """Experts that one token is given to, each with a copy of it."""
    of_rank_1: int
    """Of adapters of rank 1."""


@dataclass(frozen=True)
class Architecture:
    """A decoder with gated MLP and grouped-query attention (Qwen, Llama, Gemma 3, …), or as it was built.

    Where experts are chosen for a token, `mlp` is the width of all that are.
    """

    name: str
    hidden: int
    layers: int
    heads: int
    kv_heads: int
    head_dim: int
    mlp: int
    vocabulary: int
    tied: bool
    """Whether the head shares the embeddings' weights."""
    family: Family = "qwen3"
    window: int = 0
    """Tokens that a local layer looks back on."""
    local_layers: int = 0
    """Layers that see no more than the window; the others see all."""
    other: int = 0
    """Parameters that are loaded but not used on text: a vision tower."""
    positions: int = 0
    """Tokens of a text that it was made for; 0: not known."""
    counted: Counted | None = None
    """What replaces the formulas below."""

    @property
    def body(self) -> int:
        """Parameters of all layers, without embeddings and head."""
        if self.counted:
            return self.counted.body
        attention = self.hidden * self.head_dim * (2 * self.heads + 2 * self.kv_heads)
        norms = self.hidden * (4 if self.family == "gemma3" else 2)
        if self.family in ("qwen3", "gemma3"):
            norms += 2 * self.head_dim
        biases = self.head_dim * (self.heads + 2 * self.kv_heads) if self.family == "qwen2" else 0
        return self.layers * (attention + 3 * self.hidden * self.mlp + norms + biases)

    @property
    def met(self) -> int:
        """Parameters of the layers that one token is multiplied with."""
        return self.body - (self.counted.idle if self.counted else 0)

    @property
    def quantizable(self) -> int:
        """Parameters of the layers that 4 bits can hold."""
        return self.counted.linear if self.counted else self.body

    @property
    def is_eager(self) -> bool:
        """Whether it has no attention but one that computes all scores at once."""
        return bool(self.counted and self.counted.eager)

    @property
    def attends_plainly(self) -> bool:
        """Whether every layer sees the whole text before a token."""
        return not self.local_layers and not (self.counted and self.counted.stateful_layers)

    @property
    def embeddings(self) -> int:
        """Parameters of the embeddings and, unless tied, of the head."""
        return self.vocabulary * self.hidden * (1 if self.tied else 2)

    @property
    def head(self) -> int:
        """Parameters that one token's logits are computed with."""
        return self.vocabulary * self.hidden

    @property
    def total(self) -> int:
        return self.body + self.embeddings + self.hidden + self.other

    def lora(self, r: int) -> int:
        """Parameters of rank-r adapters on every linear layer but the head."""
        if self.counted:
            return r * self.counted.of_rank_1
        wide, narrow = self.heads * self.head_dim, self.kv_heads * self.head_dim
        shapes = [(self.hidden, wide), (self.hidden, narrow), (self.hidden, narrow), (wide, self.hidden)]
        shapes += [(self.hidden, self.mlp)] * 2 + [(self.mlp, self.hidden)]
        return self.layers * sum(r * (fan_in + fan_out) for fan_in, fan_out in shapes)

    def kv_bytes(self, length: int, bytes_each: int = 2) -> float:
        """Of the keys and values of one sequence of `length` tokens."""
        n_global = self.layers - self.local_layers - (self.counted.stateful_layers if self.counted else 0)
        tokens = n_global * length + self.local_layers * min(length, self.window)
        return 2.0 * bytes_each * self.kv_heads * self.head_dim * tokens

    @classmethod
    def of_tiny(cls, tiny: TinyConfig) -> Self:
        return cls(
            "tiny (new)", tiny.hidden_size, tiny.n_layers, tiny.n_heads, tiny.n_heads,
            tiny.hidden_size // tiny.n_heads, tiny.mlp_size, tiny.vocab_size, True,
            positions=tiny.max_positions,
        )  # fmt: skip

    @classmethod
    def of_folder(cls, folder: Path) -> Self:
        """Read a checkpoint's `config.json`; of an adapter, its base's.

        Raises:
            UsageError: not a decoder whose parameters are counted here, or no such file.
        """
        base = adapter_base(str(folder))
        if base is not None:
            return cls.of(base)
        path = folder / "config.json"
        try:
            values = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise UsageError(f"{path}: cannot be read ({error})", "is the checkpoint complete?") from error
        if not isinstance(values, dict):
            raise UsageError(f"{path}: expected a JSON object", "is the checkpoint complete?")
        return cls.of_config(str(folder), values)

    @classmethod
    def of_config(cls, name: str, values: Mapping[str, Any]) -> Self:
        """From the mapping in a `config.json`."""
        kind = str(values.get("model_type", ""))
        text = values.get("text_config")
        if isinstance(text, dict) and kind == "gemma3":
            found = cls.of_config(name, {"model_type": f"{kind}_text", **text})
            return replace(found, other=_vision(values.get("vision_config"), found.hidden))
        experts = next(
            (key for key in values if re.fullmatch(r"num_(local_)?experts|n_routed_experts", key)), ""
        )
        family = _FAMILIES.get(kind)
        if family is None or experts:
            return cls._of_built(name, values)
        values = {**_OMITTED.get(family, {}), **values}
        try:
            heads = values["num_attention_heads"]
            return cls(
                name, values["hidden_size"], values["num_hidden_layers"], heads,
                values.get("num_key_value_heads") or heads,
                values.get("head_dim") or values["hidden_size"] // heads,
                values["intermediate_size"], values["vocab_size"],
                bool(values.get("tie_word_embeddings", family == "gemma3")), family,
                *_local(values, family), positions=int(values.get("max_position_embeddings") or 0),
            )  # fmt: skip
        except (KeyError, TypeError) as error:
            raise UsageError(
                f"{name}: its config.json lacks {error.args[0]!r}: not an architecture that `plan` knows",
                f"plan knows dense decoders: {', '.join(sorted(_FAMILIES))}",
            ) from error

    @classmethod
    def _of_built(cls, name: str, values: Mapping[str, Any]) -> Self:
        """Ask transformers, in a process of its own: torch takes memory that a plan has no use for."""
        environ = {**os.environ, "HF_HUB_OFFLINE": "1", "CUDA_VISIBLE_DEVICES": ""}
        done = subprocess.run(
            [sys.executable, str(_COUNT)], input=json.dumps(values), capture_output=True, text=True,
            check=False, env=environ,
        )  # fmt: skip
        last = done.stdout.rpartition("\n")[2]
        found = json.loads(last) if last else {"error": done.stderr.rpartition("\n")[2] or "no answer"}
        if "error" in found:
            raise UsageError(
                f"{name}: {values.get('model_type') or 'no model_type'}: not an architecture that `plan` "
                f"knows, nor that transformers can build ({found['error']})",
                f"plan knows dense decoders: {', '.join(sorted(_FAMILIES))}; for others it needs "
                "pip install 'rulewright[train]'",
            )
        return cls.of_counted(name, found)

    @classmethod
    def of_counted(cls, name: str, found: Mapping[str, Any]) -> Self:
        """From what `count_built` found."""
        return cls(name, **{**found, "counted": Counted(**found["counted"])})

    @classmethod
    def of_gguf(cls, path: Path) -> Self:
        """Read a GGUF file's header.

        Raises:
            UsageError: no GGUF, or not a decoder whose parameters are counted here.
        """
        header = gguf.read_header(path)
        if header.architecture not in {*_FAMILIES, "gemma3"}:
            raise UsageError(
                f"{path}: {header.architecture}: not an architecture that `plan` knows in a GGUF file",
                f"plan knows dense decoders: {', '.join(sorted(_FAMILIES))}",
            )
        shapes = {tensor.name: tensor.shape for tensor in header.tensors}
        values = {name: header.value(key) for name, key in _IN_GGUF.items()}
        values |= {
            # llama.cpp says `gemma3` of the text model alone.
            "model_type": {"gemma3": "gemma3_text"}.get(header.architecture, header.architecture),
            "vocab_size": shapes.get("token_embd.weight", (None,))[-1],
            "tie_word_embeddings": "output.weight" not in shapes,
        }
        return cls.of_config(str(path), {key: value for key, value in values.items() if value is not None})

    @classmethod
    def of(cls, model: str) -> Self:
        """A checkpoint folder, a GGUF file, or a hub name in the table below.

        Raises:
            UsageError: neither.
        """
        if holds_model(Path(model)):
            return cls.of_folder(Path(model))
        if Path(model).is_file():
            return cls.of_gguf(Path(model))
        known = KNOWN_MODELS.get(_plain_name(model))
        if known is None:
            raise UsageError(
                f"{model}: no checkpoint folder here, and not in the table of known models",
                f"download it first, or plan with one of: {', '.join(KNOWN_MODELS)}",
            )
        return replace(cls.of_config(model, known), name=model)


def _plain_name(model: str) -> str:
    """A hub name without its owner, the code variant, and what tuning and packing add.

    >>> _plain_name("Qwen/Qwen2.5-Coder-7B-Instruct"), _plain_name("meta-llama/Llama-3.2-1B")
    ('Qwen2.5-7B', 'Llama-3.2-1B')
    >>> _plain_name("unsloth/Qwen3-14B-unsloth-bnb-4bit"), _plain_name("Qwen/Qwen3-4B-Instruct-2507")
    ('Qwen3-14B', 'Qwen3-4B')
    """
    name = model.rsplit("/", 1)[-1].removeprefix("Meta-").replace("Qwen2.5-Coder-", "Qwen2.5-")
    added = r"-(Base|Instruct|Thinking|it|pt|hf|unsloth|bnb|4bit|\d{4})$"
    while (shorter := re.sub(added, "", name)) != name:
        name = shorter
    return name


def _local(values: Mapping[str, Any], family: Family) -> tuple[int, int]:
    """The window of local layers, and how many of them there are."""
    window, layers = int(values.get("sliding_window") or 0), int(values["num_hidden_layers"])
    kinds = values.get("layer_types")
    if isinstance(kinds, list):
        n = kinds.count("sliding_attention")
    else:
        n = layers - layers // int(values.get("sliding_window_pattern") or 6) if family == "gemma3" else 0
    return (window, n) if window and n else (0, 0)


def _vision(values: Any, hidden: int) -> int:
    """Parameters of Gemma 3's image encoder (SigLIP) and the projection to text."""
    if not isinstance(values, dict):
        return 0
    width, mlp = int(values["hidden_size"]), int(values["intermediate_size"])
    patch, image = int(values["patch_size"]), int(values["image_size"])
    layer = 4 * width * (width + 1) + 2 * width * mlp + width + mlp + 4 * width
    embeddings = 3 * patch**2 * width + width + (image // patch) ** 2 * width
    if values.get("vision_use_head", True):
        # Pooling by attention: a query, and one more block of its own.
        embeddings += width + layer - 2 * width
    return int(values["num_hidden_layers"]) * layer + embeddings + 2 * width + width * hidden + width


# What a GGUF header says under another name than a `config.json`.
_IN_GGUF: Final = {
    "hidden_size": "embedding_length",
    "num_hidden_layers": "block_count",
    "num_attention_heads": "attention.head_count",
    "num_key_value_heads": "attention.head_count_kv",
    "head_dim": "attention.key_length",
    "intermediate_size": "feed_forward_length",
    "sliding_window": "attention.sliding_window",
    "max_position_embeddings": "context_length",
}
_FAMILIES: Final[dict[str, Family]] = {
    "qwen3": "qwen3", "qwen2": "qwen2", "llama": "llama", "mistral": "llama", "smollm3": "llama",
    "gemma3_text": "gemma3",
}  # fmt: skip
# What a `config.json` leaves out where it is transformers' default.
_OMITTED: Final[dict[str, dict[str, Any]]] = {
    "gemma3": {
        "num_attention_heads": 8, "num_key_value_heads": 4, "head_dim": 256, "vocab_size": 262208,
        "sliding_window": 4096,
    },
}  # fmt: skip
_SIGLIP: Final = {
    "hidden_size": 1152, "intermediate_size": 4304, "num_hidden_layers": 27, "patch_size": 14,
    "image_size": 896, "vision_use_head": False,
}  # fmt: skip


def _shape(
    family: str, hidden: int, layers: int, heads: int, kv_heads: int, head_dim: int, mlp: int,
    vocabulary: int, tied: bool, window: int = 0, sees: bool = False,
) -> dict[str, Any]:  # fmt: skip
    """What matters of a model's public `config.json`; `sees`: with an image encoder beside the text model."""
    text = {
        "model_type": family, "hidden_size": hidden, "num_hidden_layers": layers,
        "num_attention_heads": heads, "num_key_value_heads": kv_heads, "head_dim": head_dim,
        "intermediate_size": mlp, "vocab_size": vocabulary, "tie_word_embeddings": tied,
    }  # fmt: skip
    if window:
        text["sliding_window"] = window
    return {"model_type": "gemma3", "text_config": text, "vision_config": _SIGLIP} if sees else text


# Public config.json: hidden, layers, heads, kv heads, head size, MLP, vocabulary, tied.
KNOWN_MODELS: Final[dict[str, dict[str, Any]]] = {
    "Qwen2.5-0.5B": _shape("qwen2", 896, 24, 14, 2, 64, 4864, 151936, True),
    "Qwen2.5-1.5B": _shape("qwen2", 1536, 28, 12, 2, 128, 8960, 151936, True),
    "Qwen2.5-3B": _shape("qwen2", 2048, 36, 16, 2, 128, 11008, 151936, True),
    "Qwen2.5-7B": _shape("qwen2", 3584, 28, 28, 4, 128, 18944, 152064, False),
    "Qwen2.5-14B": _shape("qwen2", 5120, 48, 40, 8, 128, 13824, 152064, False),
    "Qwen2.5-32B": _shape("qwen2", 5120, 64, 40, 8, 128, 27648, 152064, False),
    "Qwen3-0.6B": _shape("qwen3", 1024, 28, 16, 8, 128, 3072, 151936, True),
    "Qwen3-1.7B": _shape("qwen3", 2048, 28, 16, 8, 128, 6144, 151936, True),
    "Qwen3-4B": _shape("qwen3", 2560, 36, 32, 8, 128, 9728, 151936, True),
    "Qwen3-8B": _shape("qwen3", 4096, 36, 32, 8, 128, 12288, 151936, False),
    "Qwen3-14B": _shape("qwen3", 5120, 40, 40, 8, 128, 17408, 151936, False),
    "Qwen3-32B": _shape("qwen3", 5120, 64, 64, 8, 128, 25600, 151936, False),
    "Llama-3.2-1B": _shape("llama", 2048, 16, 32, 8, 64, 8192, 128256, True),
    "Llama-3.2-3B": _shape("llama", 3072, 28, 24, 8, 128, 8192, 128256, True),
    "Llama-3-8B": _shape("llama", 4096, 32, 32, 8, 128, 14336, 128256, False),
    "Llama-3.1-8B": _shape("llama", 4096, 32, 32, 8, 128, 14336, 128256, False),
    "gemma-3-270m": _shape("gemma3_text", 640, 18, 4, 1, 256, 2048, 262144, True, window=512),
    "gemma-3-1b": _shape("gemma3_text", 1152, 26, 4, 1, 256, 6912, 262144, True, window=512),
    "gemma-3-4b": _shape("gemma3_text", 2560, 34, 8, 4, 256, 10240, 262208, True, window=1024, sees=True),
    "gemma-3-12b": _shape("gemma3_text", 3840, 48, 16, 8, 256, 15360, 262208, True, window=1024, sees=True),
    "SmolLM2-135M": _shape("llama", 576, 30, 9, 3, 64, 1536, 49152, True),
    "SmolLM2-360M": _shape("llama", 960, 32, 15, 5, 64, 2560, 49152, True),
    "SmolLM2-1.7B": _shape("llama", 2048, 24, 32, 32, 64, 8192, 49152, True),
}
