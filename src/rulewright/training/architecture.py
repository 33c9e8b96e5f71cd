"""The numbers of a transformer that decide memory and time; no torch, no download."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

from rulewright.errors import UsageError
from rulewright.training.config import TinyConfig


@dataclass(frozen=True)
class Architecture:
    """A decoder with gated MLP and grouped-query attention (Qwen3, Llama, Mistral, …)."""

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

    @property
    def body(self) -> int:
        """Parameters of all layers, without embeddings and head."""
        attention = self.hidden * self.head_dim * (2 * self.heads + 2 * self.kv_heads)
        return self.layers * (attention + 3 * self.hidden * self.mlp + 2 * self.hidden + 2 * self.head_dim)

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
        return self.body + self.embeddings + self.hidden

    def lora(self, r: int) -> int:
        """Parameters of rank-r adapters on every linear layer but the head."""
        wide, narrow = self.heads * self.head_dim, self.kv_heads * self.head_dim
        shapes = [(self.hidden, wide), (self.hidden, narrow), (self.hidden, narrow), (wide, self.hidden)]
        shapes += [(self.hidden, self.mlp)] * 2 + [(self.mlp, self.hidden)]
        return self.layers * sum(r * (fan_in + fan_out) for fan_in, fan_out in shapes)

    @property
    def kv_bytes_per_token(self) -> int:
        """Of a bf16 key-value cache."""
        return 2 * 2 * self.layers * self.kv_heads * self.head_dim

    @classmethod
    def of_tiny(cls, tiny: TinyConfig) -> Self:
        return cls(
            "tiny (new)", tiny.hidden_size, tiny.n_layers, tiny.n_heads, tiny.n_heads,
            tiny.hidden_size // tiny.n_heads, tiny.mlp_size, tiny.vocab_size, True,
        )  # fmt: skip

    @classmethod
    def of_folder(cls, folder: Path) -> Self:
        """Read a checkpoint's `config.json`; of an adapter, its base's."""
        adapter = folder / "adapter_config.json"
        if adapter.is_file():
            return cls.of(json.loads(adapter.read_text(encoding="utf-8"))["base_model_name_or_path"])
        values = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        try:
            heads = values["num_attention_heads"]
            return cls(
                str(folder), values["hidden_size"], values["num_hidden_layers"], heads,
                values.get("num_key_value_heads", heads),
                values.get("head_dim") or values["hidden_size"] // heads,
                values["intermediate_size"], values["vocab_size"], bool(values.get("tie_word_embeddings")),
            )  # fmt: skip
        except KeyError as error:
            raise UsageError(
                f"{folder / 'config.json'}: no {error.args[0]!r}: not an architecture that `plan` knows",
                "plan knows decoders of the Llama and Qwen kind",
            ) from error

    @classmethod
    def of(cls, model: str) -> Self:
        """A checkpoint folder, or a hub name in the table below.

        Raises:
            UsageError: neither.
        """
        if (Path(model) / "config.json").is_file() or (Path(model) / "adapter_config.json").is_file():
            return cls.of_folder(Path(model))
        known = _KNOWN.get(model.removesuffix("-Base").removeprefix("unsloth/").removeprefix("Qwen/"))
        if known is None:
            raise UsageError(
                f"{model}: no checkpoint folder here, and not in the table of known models",
                f"download it first, or plan with one of: {', '.join(sorted(_KNOWN))}",
            )
        return cls(model, *known)


# From the models' config.json: hidden, layers, heads, kv heads, head size, MLP, vocabulary, tied.
_KNOWN: Final[dict[str, tuple[int, int, int, int, int, int, int, bool]]] = {
    "Qwen3-0.6B": (1024, 28, 16, 8, 128, 3072, 151936, True),
    "Qwen3-1.7B": (2048, 28, 16, 8, 128, 6144, 151936, True),
    "Qwen3-4B": (2560, 36, 32, 8, 128, 9728, 151936, True),
    "Qwen3-8B": (4096, 36, 32, 8, 128, 12288, 151936, False),
    "Qwen3-14B": (5120, 40, 40, 8, 128, 17408, 151936, False),
    "Qwen3-32B": (5120, 64, 64, 8, 128, 25600, 151936, False),
}
