"""Models that hold a vector for each position, or read in both directions: handled or refused by name."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from rulewright import jsonl
from rulewright.data.mix import MixEntry
from rulewright.errors import ConfigError, UsageError
from rulewright.generation import GeneratorConfig, open_generator
from rulewright.training.config import SftConfig, TinyConfig

pytest.importorskip("trl")
import torch
import transformers
from tests.srl.by_rule import ByRule, letters, open_policy, settings
from trl.trainer.utils import pad

from rulewright.training import sft
from rulewright.training.policy import run_policy
from rulewright.training.policy_config import Tasks
from rulewright.training.tiny import make_tokenizer

N_POSITIONS = 80


def make(folder: Path, kind: str, **values: Any) -> Path:
    """A random model of two narrow layers, with a tokenizer."""
    tokenizer = make_tokenizer(["total = load(items)", "task 1 xxx"] * 20, [], TinyConfig(vocab_size=320))
    tokenizer.save_pretrained(folder)
    torch.manual_seed(0)
    config = transformers.CONFIG_MAPPING[kind](
        vocab_size=384, hidden_size=32, num_hidden_layers=2, num_attention_heads=2, **values
    )
    transformers.AutoModelForCausalLM.from_config(config).save_pretrained(folder)
    jsonl.write_json(folder / "rulewright.json", {"prompt_style": "compact", "task": "action"})
    return folder


@pytest.fixture(scope="module")
def gpt2(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make(
        tmp_path_factory.mktemp("gpt2"),
        "gpt2",
        n_positions=N_POSITIONS,
        initializer_range=0.2,
        eos_token_id=1,
        bos_token_id=1,
    )


@pytest.fixture(scope="module")
def bert(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make(tmp_path_factory.mktemp("bert"), "bert", intermediate_size=64, initializer_range=0.2)


def config_of(data: Any, model: Path, out: Path, **changes: Any) -> SftConfig:
    trainer = {
        "per_device_train_batch_size": 2,
        "max_steps": 2,
        "save_steps": 1,
        **changes.pop("trainer", {}),
    }
    mix = [MixEntry(path=data("train"))]
    return SftConfig(model=str(model), out=out, mix=mix, prompt_style="compact", trainer=trainer, **changes)


@pytest.mark.parametrize("packing", [False, True])
def test_rows_end_where_the_positions_of_a_model_do(
    data: Callable[[str], str], gpt2: Path, tmp_path: Path, capsys: Any, packing: bool
) -> None:
    trainer = {"packing": packing, "per_device_train_batch_size": 1 if packing else 2}
    config = config_of(data, gpt2, tmp_path / "out", trainer=trainer)
    counts = sft.train(config)["data"]
    assert 0 < counts["dropped"]["too_long"] < counts["n_records"]
    assert counts["longest"] <= N_POSITIONS
    assert f"max_length_tokens: {N_POSITIONS}" in capsys.readouterr().err
    again = config.model_copy(update={"resume": True})
    assert sft.train(again)["data"] == counts


def test_longer_texts_than_rotary_embeddings_were_trained_for_are_told(
    data: Callable[[str], str], tmp_path: Path, capsys: Any
) -> None:
    llama = make(tmp_path / "llama", "llama", intermediate_size=64, max_position_embeddings=N_POSITIONS)
    counts = sft.train(config_of(data, llama, tmp_path / "out"))["data"]
    assert counts["longest"] > N_POSITIONS and not counts["dropped"]
    assert f"the model was made for {N_POSITIONS}" in capsys.readouterr().err


def test_prompts_of_rollouts_leave_room_for_the_answer(gpt2: Path, tmp_path: Path, capsys: Any) -> None:
    tasks = ByRule(12, letters)
    trainer = open_policy(settings(gpt2, tmp_path / "all"), tasks)
    assert len(trainer.train_dataset) == 12
    # No prompt that is longer than one position is left.
    with pytest.raises(UsageError, match="prompts longer than 1 tokens"):
        open_policy(
            settings(gpt2, tmp_path / "one", trainer={"max_completion_length": N_POSITIONS - 1}), tasks
        )
    with pytest.raises(ConfigError, match=f"max_completion_length: {N_POSITIONS}, but .* has {N_POSITIONS}"):
        open_policy(settings(gpt2, tmp_path / "none", trainer={"max_completion_length": N_POSITIONS}), tasks)
    assert f"max_prompt_tokens: {N_POSITIONS - 6}" in capsys.readouterr().err


def test_padded_rollouts_have_the_positions_that_they_were_generated_at(gpt2: Path, tmp_path: Path) -> None:
    trainer = open_policy(settings(gpt2, tmp_path), ByRule(12, letters))
    prompts, answer = [[5, 6, 7, 8, 9, 10, 11], [5, 6]], [12, 13, 14]

    def alone(prompt: list[int]) -> torch.Tensor:
        logits = trainer.model(input_ids=torch.tensor([[*prompt, *answer]])).logits[0]
        return logits[len(prompt) - 1 : -1].log_softmax(-1)[range(3), answer]

    rows = [torch.tensor([*prompt, *answer]) for prompt in prompts]
    masks = [torch.ones_like(row) for row in rows]
    padded, mask = pad(rows, 0, "left"), pad(masks, 0, "left")
    with torch.no_grad():
        found, *_ = trainer._get_per_token_logps_and_entropies(trainer.model, padded, mask, len(answer))
        assert torch.allclose(found, torch.stack([alone(prompt) for prompt in prompts]), atol=1e-4)


def test_a_policy_of_learned_positions_is_trained(gpt2: Path, tmp_path: Path) -> None:
    config = settings(gpt2, tmp_path, trainer={"max_steps": 2})
    result = run_policy(config, Tasks(ByRule(12, letters), ByRule(4, letters), "letters"))
    assert result["steps"] == 2


def test_a_decoder_that_is_told_to_read_in_both_directions_is_refused(tmp_path: Path) -> None:
    both_ways = make(
        tmp_path, "llama", intermediate_size=64, max_position_embeddings=80, is_causal=False,
        initializer_range=0.2,
    )  # fmt: skip
    with (
        pytest.raises(UsageError, match="llama is a bidirectional encoder"),
        open_generator(GeneratorConfig(model=str(both_ways), device="cpu")),
    ):
        pass


def test_the_decoder_of_an_encoder_decoder_is_refused(data: Callable[[str], str], tmp_path: Path) -> None:
    """transformers loads this half of it, which also counts padding as text."""
    plbart = make(tmp_path / "model", "plbart", d_model=32, decoder_layers=1, decoder_attention_heads=2)
    with pytest.raises(UsageError, match="plbart is an encoder-decoder"):
        sft.train(config_of(data, plbart, tmp_path / "out", max_length_tokens=256))
    with pytest.raises(UsageError, match="plbart is an encoder-decoder"):
        open_generator(GeneratorConfig(model=str(plbart), device="cpu"))
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("method", ["sft", "policy", "generate"])
def test_an_encoder_is_refused_by_name(
    data: Callable[[str], str], bert: Path, tmp_path: Path, method: str
) -> None:
    with pytest.raises(UsageError, match="bert is a bidirectional encoder") as caught:
        if method == "sft":
            sft.train(config_of(data, bert, tmp_path / "out", max_length_tokens=256))
        elif method == "policy":
            run_policy(settings(bert, tmp_path), Tasks(ByRule(4, letters), ByRule(4, letters), "letters"))
        else:
            with open_generator(GeneratorConfig(model=str(bert), device="cpu")):
                pass
    assert str(bert) in caught.value.message
    assert not (tmp_path / "out").exists() and not (tmp_path / "model").exists()
