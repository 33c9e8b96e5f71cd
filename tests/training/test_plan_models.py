"""The table of architectures: parameters as published, and as transformers builds them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from rulewright.errors import UsageError
from rulewright.training.architecture import KNOWN_MODELS, Architecture

# Parameters of the published weights, as their model pages count them.
PUBLISHED = {
    "Qwen/Qwen2.5-Coder-0.5B-Instruct": 494_032_768,
    "Qwen/Qwen2.5-Coder-1.5B": 1_543_714_304,
    "Qwen/Qwen2.5-Coder-3B-Instruct": 3_085_938_688,
    "Qwen/Qwen2.5-Coder-7B-Instruct": 7_615_616_512,
    "Qwen/Qwen2.5-Coder-14B": 14_770_033_664,
    "Qwen/Qwen2.5-Coder-32B-Instruct": 32_763_876_352,
    "Qwen/Qwen3-4B-Instruct-2507": 4_022_468_096,
    "Qwen/Qwen3-8B-Base": 8_190_735_360,
    "Qwen/Qwen3-14B": 14_768_307_200,
    "unsloth/Qwen3-32B-bnb-4bit": 32_762_123_264,
    "meta-llama/Llama-3.2-1B-Instruct": 1_235_814_400,
    "meta-llama/Llama-3.2-3B": 3_212_749_824,
    "meta-llama/Meta-Llama-3-8B-Instruct": 8_030_261_248,
    "meta-llama/Llama-3.1-8B-Instruct": 8_030_261_248,
    "google/gemma-3-270m-it": 268_098_176,
    "google/gemma-3-1b-it": 999_885_952,
    "google/gemma-3-4b-it": 4_300_079_472,
    "google/gemma-3-12b-pt": 12_187_325_040,
    "HuggingFaceTB/SmolLM2-135M-Instruct": 134_515_008,
    "HuggingFaceTB/SmolLM2-360M": 361_821_120,
    "HuggingFaceTB/SmolLM2-1.7B-Instruct": 1_711_376_384,
}


@pytest.mark.parametrize(("name", "n"), PUBLISHED.items(), ids=lambda value: str(value))
def test_parameters_as_published(name: str, n: int) -> None:
    assert Architecture.of(name).total == n


@pytest.mark.parametrize("name", KNOWN_MODELS)
def test_parameters_as_transformers_builds_them(name: str, tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    transformers = pytest.importorskip("transformers")
    values: dict[str, Any] = KNOWN_MODELS[name]
    config = transformers.AutoConfig.for_model(**values)
    with torch.device("meta"):
        model = transformers.AutoModelForCausalLM.from_config(config)
    built = sum(parameter.numel() for parameter in model.parameters())
    assert Architecture.of(name).total == built
    # The file that transformers writes says the same, whatever the table knows of the name.
    config.save_pretrained(tmp_path)
    assert Architecture.of(str(tmp_path)).total == Architecture.of(name).total


BUILT: dict[str, tuple[dict[str, Any], int, int]] = {
    "Mixtral-8x7B": ({
        "model_type": "mixtral", "hidden_size": 4096, "intermediate_size": 14336, "num_hidden_layers": 32,
        "num_attention_heads": 32, "num_key_value_heads": 8, "num_local_experts": 8,
        "num_experts_per_tok": 2, "vocab_size": 32000, "tie_word_embeddings": False,
    }, 46_702_792_704, 12_879_925_248),
    "DeepSeek-V2-Lite": ({
        "model_type": "deepseek_v2", "hidden_size": 2048, "intermediate_size": 10944,
        "moe_intermediate_size": 1408, "num_hidden_layers": 27, "num_attention_heads": 16,
        "num_key_value_heads": 16, "n_routed_experts": 64, "n_shared_experts": 2, "num_experts_per_tok": 6,
        "first_k_dense_replace": 1, "kv_lora_rank": 512, "q_lora_rank": None, "qk_nope_head_dim": 128,
        "qk_rope_head_dim": 64, "v_head_dim": 128, "vocab_size": 102400, "tie_word_embeddings": False,
    }, 15_706_484_224, 2_661_150_208),
    "gemma-2-9b": ({
        "model_type": "gemma2", "hidden_size": 3584, "intermediate_size": 14336, "num_hidden_layers": 42,
        "num_attention_heads": 16, "num_key_value_heads": 8, "head_dim": 256, "vocab_size": 256000,
        "sliding_window": 4096,
    }, 9_241_705_984, 9_241_705_984),
    "granite-3.1-8b": ({
        "model_type": "granite", "hidden_size": 4096, "intermediate_size": 12800, "num_hidden_layers": 40,
        "num_attention_heads": 32, "num_key_value_heads": 8, "vocab_size": 49155, "tie_word_embeddings": True,
    }, 8_170_848_256, 8_170_848_256),
    "Jamba-Mini": ({
        "model_type": "jamba", "hidden_size": 4096, "intermediate_size": 14336, "num_hidden_layers": 32,
        "num_attention_heads": 32, "num_key_value_heads": 8, "num_experts": 16, "num_experts_per_tok": 2,
        "vocab_size": 65536, "tie_word_embeddings": False,
    }, 51_570_323_328, 12_110_311_296),
}  # fmt: skip
"""Public `config.json` that no formula here knows: parameters as published, all and those of one token."""


@pytest.fixture(scope="module")
def built() -> dict[str, Architecture]:
    pytest.importorskip("peft")
    from rulewright.training.count_built import counted

    return {name: Architecture.of_counted(name, counted(values)) for name, (values, _, _) in BUILT.items()}


def test_a_folder_of_any_other_kind_is_built_and_counted(tmp_path: Path) -> None:
    """In a process of its own; transformers writes infinity in its own way, and reads it."""
    pytest.importorskip("peft")
    from transformers import Mamba2Config

    shape: dict[str, Any] = {"hidden_size": 32, "num_hidden_layers": 3, "num_heads": 8, "head_dim": 8}
    Mamba2Config(vocab_size=64, state_size=8, n_groups=1, **shape).save_pretrained(tmp_path)
    arch = Architecture.of(str(tmp_path))
    assert (arch.name, arch.layers, arch.vocabulary) == (str(tmp_path), 3, 64)
    assert arch.kv_bytes(1000) == 0 and not arch.attends_plainly


def test_heads_that_differ_from_layer_to_layer_count_by_the_largest() -> None:
    """Gemma 4 has wide heads in its layers of global attention; transformers refuses to give one number."""
    pytest.importorskip("peft")
    import transformers

    from rulewright.training.count_built import counted

    config = transformers.Gemma4TextConfig(
        vocab_size=64, hidden_size=32, num_hidden_layers=2, num_attention_heads=2, num_key_value_heads=1,
        head_dim=8, global_head_dim=16, intermediate_size=32, hidden_size_per_layer_input=0,
        layer_types=["sliding_attention", "full_attention"], sliding_window=16,
    )  # fmt: skip
    model = transformers.AutoModelForCausalLM.from_config(config)
    arch = Architecture.of_counted("gemma4", counted(json.loads(config.to_json_string())))
    assert arch.total == sum(weight.numel() for weight in model.parameters())
    assert arch.head_dim == 16


@pytest.mark.parametrize("name", BUILT)
def test_what_no_formula_knows_is_counted_as_transformers_builds_it(
    name: str, built: dict[str, Architecture]
) -> None:
    _, total, met = BUILT[name]
    arch = built[name]
    assert (arch.total, arch.met + arch.total - arch.body) == (total, met)
    assert arch.lora(8) == 8 * arch.lora(1) > 0


def test_what_is_cached_quantized_and_joined_of_a_built_model(built: dict[str, Architecture]) -> None:
    """Low-rank keys are cached for every head, a state does not grow, stacked experts keep 16 bits."""
    gemma, jamba, mixtral = built["gemma-2-9b"], built["Jamba-Mini"], built["Mixtral-8x7B"]
    assert gemma.kv_bytes(8192) == 2 * 2 * 8 * 256 * 21 * (8192 + 4096)
    assert jamba.kv_bytes(1000) == 2 * 2 * 8 * 128 * 4 * 1000
    assert built["DeepSeek-V2-Lite"].kv_bytes(1000) == 2 * 16 * (128 + 64 + 128) * 27 * 1000
    assert [one.attends_plainly for one in (gemma, jamba, mixtral)] == [False, False, True]
    experts = 32 * 8 * 3 * 4096 * 14336
    assert 0 < mixtral.body - experts - mixtral.quantizable < 0.001 * mixtral.body


def test_a_vision_tower_that_pools(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    transformers = pytest.importorskip("transformers")
    values = KNOWN_MODELS["gemma-3-4b"]
    vision = {**values["vision_config"], "num_hidden_layers": 2, "vision_use_head": True}
    values = {
        **values,
        "text_config": {**values["text_config"], "num_hidden_layers": 2},
        "vision_config": vision,
    }
    config = transformers.AutoConfig.for_model(**values)
    with torch.device("meta"):
        model = transformers.AutoModelForCausalLM.from_config(config)
    built = sum(parameter.numel() for parameter in model.parameters())
    assert Architecture.of_config("pools", values).total == built


def test_a_folder_wins_over_the_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    folder = Path("Qwen/Qwen3-14B")
    folder.mkdir(parents=True)
    values = {**KNOWN_MODELS["Qwen3-0.6B"], "num_hidden_layers": 3}
    (folder / "config.json").write_text(json.dumps(values), encoding="utf-8")
    assert Architecture.of("Qwen/Qwen3-14B").layers == 3


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"model_type": "nonesuch"}, r"nonesuch: not an architecture .*\(.*nonesuch"),
        ({"model_type": "llama", "hidden_size": 8}, "lacks 'num_attention_heads'"),
        ([], "expected a JSON object"),
        ("{", "cannot be read"),
    ],
)
def test_what_is_no_decoder_is_refused(values: Any, said: str, tmp_path: Path) -> None:
    text = values if isinstance(values, str) else json.dumps(values)
    (tmp_path / "config.json").write_text(text, encoding="utf-8")
    with pytest.raises(UsageError, match=said):
        Architecture.of(str(tmp_path))


def test_an_adapter_whose_base_is_gone_is_named(tmp_path: Path) -> None:
    (tmp_path / "adapter_config.json").write_text('{"base_model_name_or_path": "models/gone"}')
    with pytest.raises(UsageError, match="models/gone: no checkpoint folder here"):
        Architecture.of(str(tmp_path))


def test_keys_and_values_of_local_layers_end_at_the_window() -> None:
    gemma = Architecture.of("google/gemma-3-1b-it")
    a_layer = 2 * 2 * 1 * 256
    assert gemma.kv_bytes(512) == 26 * 512 * a_layer
    assert gemma.kv_bytes(4096) == (22 * 512 + 4 * 4096) * a_layer
    qwen = Architecture.of("Qwen/Qwen3-14B")
    assert qwen.kv_bytes(1000) == 1000 * 160 * 1024
