"""A model that sees images too (Gemma 3 from 4B on) is trained on text alone, and nowhere else."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from rulewright.data.mix import MixEntry
from rulewright.training.config import LoraConfig, SftConfig, TinyConfig

pytest.importorskip("trl")
from safetensors import safe_open

from rulewright.training import models, sft
from rulewright.training.tiny import make_tokenizer

SEES = ["model.vision_tower", "model.multi_modal_projector"]


@pytest.fixture(scope="module")
def gemma(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Gemma 3 with its image tower, of two narrow random layers."""
    import torch
    from transformers import AutoModelForCausalLM, Gemma3Config

    folder = tmp_path_factory.mktemp("gemma3")
    tokenizer = make_tokenizer(["total = load(items)"] * 20, [], TinyConfig(vocab_size=320))
    tokenizer.save_pretrained(folder)
    text = {
        "vocab_size": 384, "hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "head_dim": 16,
        "num_attention_heads": 2, "num_key_value_heads": 1, "max_position_embeddings": 512,
        "sliding_window": 32, "layer_types": ["sliding_attention", "full_attention"],
        "eos_token_id": tokenizer.eos_token_id, "pad_token_id": tokenizer.pad_token_id, "bos_token_id": None,
    }  # fmt: skip
    vision = {
        "hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2,
        "image_size": 28, "patch_size": 14,
    }  # fmt: skip
    tokens = {"image_token_index": 380, "boi_token_index": 381, "eoi_token_index": 382}
    torch.manual_seed(0)
    config = Gemma3Config(text_config=text, vision_config=vision, mm_tokens_per_image=1, **tokens)
    AutoModelForCausalLM.from_config(config).save_pretrained(folder)
    return folder


def config_of(data: Any, model: Path, out: Path, **changes: Any) -> SftConfig:
    trainer = {"per_device_train_batch_size": 2, "max_steps": 2, "learning_rate": 1e-2}
    mix = [MixEntry(path=data("train"))]
    values = {"prompt_style": "compact", "max_length_tokens": 512, "trainer": trainer, **changes}
    return SftConfig(model=str(model), out=out, mix=mix, **values)


def adapters(folder: Path) -> dict[str, Any]:
    with safe_open(folder / "adapter_model.safetensors", "pt") as weights:
        return {name: weights.get_tensor(name) for name in weights.keys()}  # noqa: SIM118  (no mapping)


def test_adapters_are_where_text_passes_and_all_of_them_learn(
    data: Callable[[str], str], gemma: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sft.train(config_of(data, gemma, tmp_path / "first", lora=LoraConfig(r=2)))
    assert f"not trained: {', '.join(SEES)}" in capsys.readouterr().err
    found = adapters(tmp_path / "first")
    assert len(found) == 2 * 2 * 7, "of two layers, each with seven matrices"
    assert all(".language_model." in name for name in found)
    assert all(bool(weight.any()) for weight in found.values()), "B begins as zero"
    assert sft.train(config_of(data, tmp_path / "first", tmp_path / "second", lora=LoraConfig(r=2)))


def test_an_adapter_from_elsewhere_is_continued_on_text_only(gemma: Path, tmp_path: Path) -> None:
    from peft import LoraConfig as PeftLora
    from peft import get_peft_model
    from transformers import AutoModelForCausalLM

    everywhere = PeftLora(r=2, target_modules="all-linear", task_type="CAUSAL_LM")
    get_peft_model(AutoModelForCausalLM.from_pretrained(gemma), everywhere).save_pretrained(tmp_path)
    assert any("vision_tower" in name for name in adapters(tmp_path))
    model = models.load_model(SftConfig(model=str(tmp_path), lora=LoraConfig(r=2)))
    trained = [name for name, weight in model.named_parameters() if weight.requires_grad]
    assert trained and not any(part in name for part in SEES for name in trained)


def test_all_weights_are_those_of_the_text(gemma: Path) -> None:
    model = models.load_model(SftConfig(model=str(gemma)))
    assert models.beside_text(model) == SEES
    frozen = {name for name, weight in model.named_parameters() if not weight.requires_grad}
    assert frozen == {name for name, _ in model.named_parameters() if name.startswith(tuple(SEES))}


@pytest.mark.slow
@pytest.mark.parametrize("lora", [None, LoraConfig(r=2)])
def test_two_processes_wait_for_no_gradient_of_images(
    data: Callable[[str], str], gemma: Path, tmp_path: Path, lora: LoraConfig | None
) -> None:
    """Each expects a gradient of every trained weight, or ends in the second step."""
    config = config_of(data, gemma, tmp_path / "out", lora=lora, processes=2)
    assert sft.train(config)["steps"] == 2
    assert json.loads((tmp_path / "out/run/result.json").read_text())["processes"] == 2
