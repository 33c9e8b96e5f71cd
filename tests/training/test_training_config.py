"""What a person can get wrong in a training configuration."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from rulewright.config import read_file
from rulewright.data.mix import MixEntry
from rulewright.errors import ConfigError
from rulewright.training.config import (
    OWNED,
    LoraConfig,
    SftConfig,
    TinyConfig,
    check,
    style_of,
    trainer_options,
)

CONFIGS = sorted((Path(__file__).parents[2] / "configs").glob("*/stage[01]*.yaml"))
MIX = [MixEntry(path="x.jsonl")]


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_every_shipped_configuration_is_valid(path: Path) -> None:
    config = SftConfig(**read_file(SftConfig, path))
    check(config)


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_every_shipped_trainer_option_is_one_of_trl(path: Path) -> None:
    trainer_options(SftConfig(**read_file(SftConfig, path)).trainer, "SFTConfig")


def test_all_mistakes_are_told_at_once() -> None:
    config = SftConfig(
        tiny=TinyConfig(hidden_size=30, n_heads=4, max_positions=64),
        max_length_tokens=128,
        quantize="nf4",
        bucket=True,
        trainer={"packing": True, "seed": 3},
    )
    with pytest.raises(ConfigError) as caught:
        check(config)
    message = caught.value.message
    for part in (
        "`mix` is empty",
        "lora",
        "hidden_size",
        "max_length_tokens (128)",
        "`bucket`",
        "trainer.seed",
    ):
        assert part in message
    assert len(message.splitlines()) >= 6


def test_model_and_tiny_exclude_each_other() -> None:
    for config in (SftConfig(mix=MIX), SftConfig(mix=MIX, model="m", tiny=TinyConfig())):
        with pytest.raises(ConfigError, match="either `model`"):
            check(config)


def test_merging_into_four_bit_weights_is_refused() -> None:
    config = SftConfig(mix=MIX, model="m", quantize="nf4", lora=LoraConfig(merge=True))
    with pytest.raises(ConfigError, match=r"lora\.merge"):
        check(config)


def test_unknown_trainer_option_names_the_nearest() -> None:
    with pytest.raises(ConfigError, match=r"lerning_rate.*did you mean 'learning_rate'"):
        trainer_options({"lerning_rate": 1.0}, "SFTConfig")


def test_owned_options_are_real_ones() -> None:
    trl = pytest.importorskip("trl")
    known = {field.name for field in dataclasses.fields(trl.SFTConfig)}
    assert set(OWNED) <= known


def test_a_typo_in_the_file_names_its_line(tmp_path: Path) -> None:
    path = tmp_path / "sft.yaml"
    path.write_text("task: edit\nmix:\n  - path: a.jsonl\n    wieght: 2\n", encoding="utf-8")
    with pytest.raises(
        ConfigError, match=r"sft\.yaml:4: unknown key 'mix\.0\.wieght'; did you mean 'weight'"
    ):
        read_file(SftConfig, path)


def test_style_follows_the_checkpoint() -> None:
    assert style_of(SftConfig(model="m"), "compact") == "compact"
    assert style_of(SftConfig(model="m"), None) == "full"
    assert style_of(SftConfig(tiny=TinyConfig()), None) == "compact"
    assert style_of(SftConfig(model="m", prompt_style="full"), "compact") == "full"
