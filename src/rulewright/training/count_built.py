"""What transformers builds of a `config.json`: `count_built.py < config.json` prints JSON.

For architectures that no formula here knows. The model is built without memory for its weights.
"""

import json
import sys
import tempfile
import warnings
from pathlib import Path
from typing import Any


def counted(values: dict[str, Any]) -> dict[str, Any]:
    """The fields of an `Architecture`, by their names there."""
    import torch
    from peft import get_peft_model
    from torch import nn
    from transformers import AutoConfig, AutoModelForCausalLM

    from rulewright.generation.weights import declared_positions, of_layers
    from rulewright.training.config import LoraConfig
    from rulewright.training.models import beside_text, peft_config

    values = {key: value for key, value in values.items() if key != "quantization_config"}
    with tempfile.TemporaryDirectory() as folder:  # a file may say more than its values do: infinity
        (Path(folder) / "config.json").write_text(json.dumps(values), encoding="utf-8")
        config = AutoConfig.from_pretrained(folder)
    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(config)
    text = model.config.get_text_config()

    def first(*names: str) -> Any:
        return next((found for name in names if (found := of_layers(text, name))), None)

    inputs, head = model.get_input_embeddings(), model.get_output_embeddings()
    tied = head is None or head.weight is inputs.weight
    other = sum(p.numel() for name in beside_text(model) for p in model.get_submodule(name).parameters())
    total = sum(p.numel() for p in model.parameters())
    edge = inputs.weight.numel() * (1 if tied else 2) + text.hidden_size
    linear = sum(
        layer.weight.numel() for layer in model.get_decoder().modules() if isinstance(layer, nn.Linear)
    )
    # Of experts, which transformers stacks, a token meets some.
    n_experts = first("num_local_experts", "num_experts", "n_routed_experts", "moe_num_experts")
    chosen = first("num_experts_per_tok", "moe_k", "num_experts_per_token", "moe_topk", "top_k_experts") or 1
    stacked = [p for p in model.parameters() if p.ndim == 3 and p.shape[0] == n_experts]
    routed = chosen if stacked else 0
    idle = sum(p.numel() for p in stacked) * (n_experts - chosen) // n_experts if stacked else 0
    widths = routed * (first("moe_intermediate_size", "intermediate_size") or 0)
    mlp = first("intermediate_size", "ffn_hidden_size", "ffn_dim", "n_inner") or 4 * text.hidden_size
    heads = first("num_attention_heads") or 1
    kv_heads = first("num_key_value_heads") or heads
    head_dim = first("head_dim") or text.hidden_size // heads
    if first("kv_lora_rank"):  # keys and values are cached for every head, as they come out of their low rank
        kv_heads, head_dim = heads, (text.qk_nope_head_dim + text.qk_rope_head_dim + text.v_head_dim) // 2
    kinds = getattr(text, "layer_types", None) or getattr(text, "layers_block_type", None) or []
    window = first("sliding_window", "attention_window_size") or 0
    local = sum("sliding" in kind or "chunked" in kind for kind in kinds) if window else 0
    stateful = sum("attention" not in kind or "linear" in kind for kind in kinds)
    if not first("num_attention_heads"):
        stateful = text.num_hidden_layers
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        adapted = get_peft_model(model, peft_config(LoraConfig(r=1), model), low_cpu_mem_usage=True)
    return {
        "hidden": text.hidden_size, "layers": text.num_hidden_layers, "heads": heads, "kv_heads": kv_heads,
        "head_dim": head_dim, "mlp": max(mlp, widths), "vocabulary": inputs.weight.shape[0], "tied": tied,
        "window": window if local else 0, "local_layers": local, "other": other,
        "positions": declared_positions(model) or 0,
        "counted": {
            "body": total - edge - other, "linear": linear, "idle": idle, "routed": routed,
            "eager": not model._supports_sdpa,
            "stateful_layers": stateful,
            "of_rank_1": sum(p.numel() for p in adapted.parameters() if p.requires_grad),
        },
    }  # fmt: skip


if __name__ == "__main__":
    try:
        said = counted(json.load(sys.stdin))
    except Exception as error:
        from rulewright.errors import first_line

        said = {"error": first_line(error)}
    sys.stdout.write("\n" + json.dumps(said))
