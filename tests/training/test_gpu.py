"""What only a GPU shows: precision, attention kernels, 4-bit weights, memory; `pytest -m gpu`."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from rulewright import jsonl
from rulewright.data.mix import MixEntry
from rulewright.srl.sampling import SamplingConfig
from rulewright.training.config import LoraConfig, SftConfig, TinyConfig

torch = pytest.importorskip("torch")
pytest.importorskip("trl")
pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device"),
]

# Sizes that 4-bit weights take: multiples of their block of 64.
TINY = TinyConfig(
    vocab_size=320, hidden_size=128, n_layers=2, n_heads=2, mlp_size=256, n_texts=100, max_positions=512
)
TRAINER = {
    "per_device_train_batch_size": 8,
    "max_steps": 30,
    "learning_rate": 3e-3,
    "logging_steps": 5,
    "save_steps": 10,
}


def sft_config(data: Any, out: Path, **changes: Any) -> SftConfig:
    values: dict[str, Any] = {
        "tiny": TINY,
        "task": "action",
        "mix": [MixEntry(path=data("train"))],
        "max_length_tokens": 512,
        "trainer": TRAINER,
        "out": out,
    }
    return SftConfig(**{**values, **changes})


def train(config: SftConfig) -> dict[str, Any]:
    from rulewright.training import sft

    return sft.train(config)


def losses(out: Path) -> dict[int, float]:
    return {row["step"]: row["loss"] for row in jsonl.read(out / "run/metrics.jsonl") if "loss" in row}


@pytest.fixture
def base(data: Any, tmp_path: Path) -> Path:
    """A checkpoint that is hardly trained."""
    out = tmp_path / "base"
    train(sft_config(data, out, trainer={**TRAINER, "max_steps": 2, "save_steps": 2}))
    return out


def test_it_learns_and_says_what_memory_it_took(data: Any, tmp_path: Path) -> None:
    from transformers import AutoModelForCausalLM

    out = tmp_path / "model"
    result = train(sft_config(data, out, dev=[MixEntry(path=data("dev"))], eval_limit=8))
    assert result["device"] == "cuda" and result["attention"] == "sdpa"
    found = losses(out)
    assert found[30] < 0.6 * found[5]
    peak = result["peak_gpu_gib"]
    n_bytes = 4 * 4 * result["n_parameters"]  # weights, gradients and two moments, in float32
    assert n_bytes / 2**30 < peak["allocated"] <= peak["reserved"]
    assert result["evaluation"]["n_tasks"] == 8
    assert AutoModelForCausalLM.from_pretrained(out).dtype == torch.float32


@pytest.mark.parametrize("quantize", ["none", "nf4"])
def test_packed_adapters_learn_and_answer(data: Any, base: Path, tmp_path: Path, quantize: str) -> None:
    if quantize == "nf4":
        pytest.importorskip("bitsandbytes")
    from rulewright.generation import GeneratorConfig, Sampling, open_generator

    changes = {"tiny": None, "model": str(base), "lora": LoraConfig(r=8), "quantize": quantize}
    options = {**TRAINER, "packing": True, "per_device_train_batch_size": 2, "optim": "adamw_torch_fused"}
    result = train(sft_config(data, tmp_path / "adapter", **changes, trainer=options))
    found = losses(tmp_path / "adapter")
    assert found[30] < found[5]
    assert 0 < result["n_trained"] < result["n_parameters"]
    # Stage 1 goes on with the adapter of Stage 0.
    again = sft_config(
        data, tmp_path / "on", **{**changes, "model": str(tmp_path / "adapter")},
        trainer={**options, "max_steps": 2, "save_steps": 2, "logging_steps": 1},
    )  # fmt: skip
    assert train(again)["n_trained"] == result["n_trained"]
    assert losses(tmp_path / "on")[1] < found[5]
    four_bits = quantize == "nf4"
    spec = GeneratorConfig(model=str(tmp_path / "adapter"), load_in_4bit=four_bits)
    with open_generator(spec) as generator:
        answers = generator.generate(["print(total)"] * 3, Sampling(max_new_tokens=4))
    assert {completion.n_tokens for found in answers for completion in found} <= {1, 2, 3, 4}


def test_killed_it_goes_on_where_it_was(data: Any, tmp_path: Path) -> None:
    """To the same losses but for the order of sums on a GPU, which is not fixed."""
    config = sft_config(data, tmp_path / "killed")
    path = tmp_path / "sft.yaml"
    path.write_text(config.model_dump_json(), encoding="utf-8")
    argv = [sys.executable, "-m", "rulewright", "train", "sft", "--config", str(path)]
    process = subprocess.Popen(argv, env=dict(os.environ), stderr=subprocess.DEVNULL)
    mark = tmp_path / "killed/run/checkpoints/checkpoint-10/complete.json"
    while not mark.exists() and process.poll() is None:
        time.sleep(0.002)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not (tmp_path / "killed/run/result.json").exists()
    result = train(config.model_copy(update={"resume": True}))
    assert result["resumed_from_step"] >= 10 and result["steps"] == 30
    train(config.model_copy(update={"out": tmp_path / "whole"}))
    ours, theirs = losses(tmp_path / "killed"), losses(tmp_path / "whole")
    assert ours.keys() == theirs.keys()
    assert list(ours.values()) == pytest.approx(list(theirs.values()), rel=0.02)


@pytest.mark.parametrize(("dtype", "tolerance"), [("float32", 1e-4), ("bfloat16", 0.1)])
def test_packed_documents_do_not_see_each_other(dtype: str, tolerance: float) -> None:
    from transformers import Qwen3Config, Qwen3ForCausalLM, set_seed

    set_seed(0)
    size = {"hidden_size": 256, "intermediate_size": 512, "num_hidden_layers": 4}
    heads = {"num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 64}
    # Wide weights: with small ones, attention is even and hides what a document sees.
    model = Qwen3ForCausalLM(Qwen3Config(vocab_size=500, initializer_range=0.2, **size, **heads))
    model = model.to("cuda", getattr(torch, dtype)).train()
    documents = [torch.randint(0, 500, (1, n), device="cuda") for n in (70, 130, 333, 9)]

    @torch.no_grad()
    def logprobs(ids: Any, **options: Any) -> Any:
        # As TRL trains: with a cache, transformers does not look for documents in the positions.
        return model(input_ids=ids, use_cache=False, **options).logits.float().log_softmax(-1)

    whole = torch.cat(documents, dim=1)
    places = torch.cat([torch.arange(ids.shape[1], device="cuda") for ids in documents])[None]
    apart = torch.cat([logprobs(ids) for ids in documents], dim=1)
    packed, leaking = logprobs(whole, position_ids=places), logprobs(whole)
    spread = (packed - apart).abs().mean()
    assert spread < tolerance
    assert (leaking - apart).abs().mean() > 10 * spread, "otherwise the comparison shows nothing"


@pytest.mark.parametrize("adapters", ["all weights", "lora", "qlora"])
def test_rewards_are_learnt(base: Path, tmp_path: Path, adapters: str) -> None:
    from tests.srl.by_rule import ByRule, letters

    from rulewright.training.policy import run_policy
    from rulewright.training.policy_config import PolicyConfig, Tasks

    if adapters == "qlora":
        pytest.importorskip("bitsandbytes")
    trainer = {
        "per_device_train_batch_size": 16, "num_generations": 8, "max_completion_length": 12, "max_steps": 12,
        "mask_truncated_completions": False, "learning_rate": 1e-3, "lr_scheduler_type": "constant",
        "save_steps": 6,
    }  # fmt: skip
    config = PolicyConfig(
        model=str(base), out=tmp_path / "model", reports=tmp_path / "reports", trainer=trainer, eval_rows=12,
        eval_samples=8, eval_every_steps=6, generate_at_once=8, sampling=SamplingConfig(),
        dtype="bfloat16" if adapters == "qlora" else "float32",
        lora=None if adapters == "all weights" else LoraConfig(r=8),
        quantize="nf4" if adapters == "qlora" else "none",
    )  # fmt: skip
    tasks = ByRule(12, letters)
    result = run_policy(config, Tasks(tasks, tasks, "letters"))
    assert result["device"] == "cuda" and result["peak_gpu_gib"]["allocated"] > 0
    assert result["steps"] == 12
    rows = [row for row in jsonl.read(config.reports / "metrics.jsonl") if row["kind"] == "train"]
    assert all(row["seconds/generation"] > 0 for row in rows)
    if adapters == "all weights":
        assert result["gain"]["sampled"]["low"] > 0, json.dumps(result["gain"])


@pytest.fixture
def generator(base: Path) -> Iterator[Any]:
    from rulewright.generation import GeneratorConfig, open_generator

    with open_generator(GeneratorConfig(model=str(base), dtype="float32", batch_size=4)) as opened:
        yield opened


def test_an_answer_does_not_depend_on_its_batch(generator: Any) -> None:
    from rulewright.generation import Sampling

    assert generator.model.device.type == "cuda"
    prompts = [f"total = load({name})" for name in ("a", "items", "the_width_of_all_readers", "x1")]
    for temperature in (0.0, 1.0):
        sampling = Sampling(2, temperature, 1.0, 12, seed=5)
        together = generator.generate(prompts, sampling)
        alone = [generator.generate([prompt], sampling)[0] for prompt in prompts]
        assert [[c.text for c in found] for found in together] == [[c.text for c in found] for found in alone]
