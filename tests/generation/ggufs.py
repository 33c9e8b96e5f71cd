"""Writes small GGUF files of a Llama, as llama.cpp's converter would."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gguf
import numpy as np

TEMPLATE = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


def byte_alphabet() -> list[str]:
    """The 256 characters that stand for bytes in GPT-2's vocabulary."""
    from tokenizers import pre_tokenizers

    return sorted(pre_tokenizers.ByteLevel.alphabet())


def make_llama(seed: int = 0, positions: int = 128) -> Any:
    """A random Llama of two layers, whose rows fill the blocks of every quantization."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(seed)
    config = LlamaConfig(
        vocab_size=3 + 256 + 2, hidden_size=64, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=2, intermediate_size=96, max_position_embeddings=positions, rms_norm_eps=1e-5,
        rope_theta=10000.0, tie_word_embeddings=True, bos_token_id=1, eos_token_id=2, pad_token_id=2,
        initializer_range=0.2,
    )  # fmt: skip
    return LlamaForCausalLM(config)


def permuted(weights: np.ndarray, heads: int) -> np.ndarray:
    """Rows of query and key projections in llama.cpp's order of rotary halves."""
    rows, columns = weights.shape
    return weights.reshape(heads, 2, rows // heads // 2, columns).swapaxes(1, 2).reshape(rows, columns)


def write_gguf(
    path: Path,
    model: Any = None,
    *,
    architecture: str = "llama",
    kind: str = "F32",
    tokenizer: bool = True,
    template: bool = True,
    parts: int = 0,
    without: str = "",
) -> Path:
    """Write a file, perhaps without one of its tensors; give its path."""
    model = make_llama() if model is None else model
    config = model.config
    writer = gguf.GGUFWriter(str(path), architecture)
    writer.add_name("tiny")
    writer.add_block_count(config.num_hidden_layers)
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(config.num_attention_heads)
    writer.add_head_count_kv(config.num_key_value_heads)
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    writer.add_rope_freq_base(10000.0)
    writer.add_vocab_size(config.vocab_size)
    if parts:
        writer.add_uint16("split.count", parts)
    if tokenizer:
        _add_tokenizer(writer, template)
    for name, array in _tensors(model):
        if name == without:
            continue
        wanted = gguf.GGMLQuantizationType[kind if array.ndim == 2 else "F32"]
        writer.add_tensor(name, gguf.quants.quantize(array, wanted), raw_dtype=wanted)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def _add_tokenizer(writer: gguf.GGUFWriter, template: bool) -> None:
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("smollm")
    writer.add_token_list(["<|endoftext|>", "<|im_start|>", "<|im_end|>", *byte_alphabet(), "re", "tu"])
    writer.add_token_types([3, 3, 3, *[1] * 258])
    writer.add_token_merges(["r e", "t u"])
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    writer.add_pad_token_id(2)
    if template:
        writer.add_chat_template(TEMPLATE)


def _tensors(model: Any) -> list[tuple[str, np.ndarray]]:
    config, state = model.config, model.state_dict()

    def array(name: str) -> np.ndarray:
        return np.asarray(state[name].float().numpy())

    found = [
        ("token_embd.weight", array("model.embed_tokens.weight")),
        ("output_norm.weight", array("model.norm.weight")),
    ]
    for i in range(config.num_hidden_layers):
        layer = f"model.layers.{i}"
        q = permuted(array(f"{layer}.self_attn.q_proj.weight"), config.num_attention_heads)
        k = permuted(array(f"{layer}.self_attn.k_proj.weight"), config.num_key_value_heads)
        found += [(f"blk.{i}.attn_q.weight", q), (f"blk.{i}.attn_k.weight", k)]
        for theirs, ours in (
            ("attn_v", "self_attn.v_proj"), ("attn_output", "self_attn.o_proj"),
            ("ffn_gate", "mlp.gate_proj"),
            ("ffn_up", "mlp.up_proj"), ("ffn_down", "mlp.down_proj"), ("attn_norm", "input_layernorm"),
            ("ffn_norm", "post_attention_layernorm"),
        ):  # fmt: skip
            found.append((f"blk.{i}.{theirs}.weight", array(f"{layer}.{ours}.weight")))
    return found
