"""Models whose layers are not all attention and matrices: what is trained of them, and what is said."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from rulewright import jsonl
from rulewright.data.mix import MixEntry
from rulewright.training.config import LoraConfig, SftConfig, TinyConfig

pytest.importorskip("trl")
import torch
import transformers

from rulewright.generation import GeneratorConfig, Sampling, open_generator
from rulewright.training import sft
from rulewright.training.callbacks import TellUnreached
from rulewright.training.tiny import make_tokenizer

EXPERTS = {"num_experts": 4, "num_local_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 32}
KINDS: dict[str, tuple[dict[str, Any], list[str]]] = {
    "mamba": (
        {"state_size": 8},
        ["attention: ", "mamba has no sdpa", "no adapter: on 4 × dt_proj, out_proj"],
    ),
    "falcon_h1": (
        {"mamba_d_ssm": 32, "mamba_n_heads": 4, "mamba_d_head": 8, "mamba_d_state": 8},
        ["no adapter: on 2 × out_proj"],
    ),
    "gpt_oss": ({"head_dim": 8, **EXPERTS}, ["attention: eager (gpt_oss has no sdpa)"]),
    "gemma2": ({"head_dim": 8}, ["attention: eager (gemma2 has no sdpa)"]),
    "granitemoe": (EXPERTS, []),
    "qwen3_moe": ({"head_dim": 8, **EXPERTS}, []),
}
"""Model type → what its configuration has beside the usual, and what is said."""


def make(folder: Path, kind: str, values: dict[str, Any]) -> Path:
    """A random model of two narrow layers, with a tokenizer."""
    tokenizer = make_tokenizer(["total = load(items)", "task 1 xxx"] * 20, [], TinyConfig(vocab_size=320))
    tokenizer.save_pretrained(folder)
    torch.manual_seed(0)
    config = transformers.CONFIG_MAPPING[kind](
        vocab_size=384, hidden_size=32, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2,
        intermediate_size=64, pad_token_id=0, bos_token_id=1, eos_token_id=2, **values,
    )  # fmt: skip
    transformers.AutoModelForCausalLM.from_config(config).save_pretrained(folder)
    jsonl.write_json(folder / "rulewright.json", {"prompt_style": "compact", "task": "action"})
    return folder


@pytest.mark.parametrize("kind", KINDS)
def test_the_usual_options_train_it(
    kind: str, data: Callable[[str], str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    values, said = KINDS[kind]
    config = SftConfig(
        model=str(make(tmp_path / "base", kind, values)), out=tmp_path / "out", lora=LoraConfig(r=4), limit=8,
        mix=[MixEntry(path=data("train"))], dev=[MixEntry(path=data("dev"))], eval_limit=2,
        eval_max_new_tokens=4, prompt_style="compact", max_length_tokens=512,
        trainer={"per_device_train_batch_size": 2, "max_steps": 2, "learning_rate": 1e-3},
    )  # fmt: skip
    assert sft.train(config)["steps"] == 2
    told = capsys.readouterr().err
    for part in said:
        assert part in told
    trained = transformers.AutoModelForCausalLM.from_pretrained(tmp_path / "out")
    moved = [bool(weight.any()) for name, weight in trained.named_parameters() if "lora_B" in name]
    assert moved and all(moved) and "not trained" not in told
    with open_generator(GeneratorConfig(model=str(tmp_path / "out"), device="cpu")) as generator:
        ((answer,),) = generator.generate(["total"], Sampling(max_new_tokens=3))
    assert answer.n_tokens


def test_a_mixture_of_experts_whose_balance_was_trained_still_answers(
    data: Callable[[str], str], tmp_path: Path
) -> None:
    base = make(tmp_path / "base", "granitemoe", {**EXPERTS, "output_router_logits": True})
    weights = set()
    for coefficient in (0.0, 9.0):
        config = SftConfig(
            model=str(base), out=tmp_path / f"out{coefficient:.0f}", limit=8, prompt_style="compact",
            mix=[MixEntry(path=data("train"))], max_length_tokens=512,
            trainer={
                "per_device_train_batch_size": 2, "max_steps": 2, "router_aux_loss_coef": coefficient,
            },
        )  # fmt: skip
        sft.train(config)
        weights.add((config.out / "model.safetensors").read_bytes())
    assert len(weights) == 2, "the balance is trained"
    with open_generator(GeneratorConfig(model=str(tmp_path / "out9"), device="cpu")) as generator:
        answers = generator.generate(["total", "total = load(items)"], Sampling(max_new_tokens=3))
    assert all(one.n_tokens for (one,) in answers)


class Unused(torch.nn.Module):
    """A layer beside another that the text does not pass through."""

    def __init__(self) -> None:
        super().__init__()
        self.used, self.unused = torch.nn.Linear(2, 2), torch.nn.Linear(2, 2)


def test_what_no_gradient_reaches_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model = Unused()
    model.used(torch.ones(1, 2)).sum().backward()
    args = transformers.TrainingArguments(output_dir=str(tmp_path))
    for step in (0, 1):
        state = transformers.TrainerState(global_step=step)
        TellUnreached().on_pre_optimizer_step(args, state, transformers.TrainerControl(), model=model)
    told = capsys.readouterr().err
    assert told.count("not trained: 2 of 4 tensors (no gradient reached unused.weight, …)") == 1
