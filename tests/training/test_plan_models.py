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
        ({"model_type": "mamba"}, "mamba: not an architecture"),
        ({**KNOWN_MODELS["Qwen3-0.6B"], "num_experts": 8}, "num_experts: not an architecture"),
        ({"model_type": "llama", "hidden_size": 8}, "lacks 'num_attention_heads'"),
        ([], "expected a JSON object"),
        ("{", "cannot be read"),
    ],
)
def test_what_is_no_dense_decoder_is_refused(values: Any, said: str, tmp_path: Path) -> None:
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
