"""A pretrained model's architecture, tokenizer and template (SmolLM2's, shrunken) through training."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from rulewright.data.mix import MixEntry
from rulewright.data.schemas import NormalizedRecord
from rulewright.generation import GeneratorConfig, open_generator
from rulewright.training.config import LoraConfig, SftConfig, Task
from rulewright.training.data import IGNORED, Encoder, Form

pytest.importorskip("trl")

LORA = {
    "lora": LoraConfig(r=8, alpha=16),
    "prompt_style": "compact",
    "max_length_tokens": 256,
    "bucket": True,
    "eval_limit": 8,
    "eval_max_new_tokens": 16,
    "trainer": {
        "per_device_train_batch_size": 4, "max_steps": 12, "learning_rate": 1e-2, "logging_steps": 2,
        "save_steps": 6,
    },
}  # fmt: skip


def train(data: Any, out: Path, **changes: Any) -> dict[str, Any]:
    from rulewright.training import sft

    mixes = {"mix": [MixEntry(path=data("train"))], "dev": [MixEntry(path=data("dev"))]}
    return sft.train(SftConfig(**{**LORA, **mixes, "out": out, **changes}))


@pytest.mark.parametrize("task", ["edit", "action"])
@pytest.mark.parametrize("style", ["compact", "full"])
def test_the_prompt_is_that_of_inference_and_the_answer_is_what_is_learned(
    small_smollm2: Path, records: list[NormalizedRecord], tmp_path: Path, task: Task, style: Any
) -> None:
    from rulewright.training.models import load_tokenizer

    tokenizer = load_tokenizer(str(small_smollm2))
    trained = tmp_path / "trained"
    shutil.copytree(small_smollm2, trained)
    tokenizer.save_pretrained(trained)
    form = Form(task, style)
    encoder = Encoder(tokenizer, form, 512)
    rows = list(encoder.rows(records[:20]))
    assert len(rows) == 20
    start, end = tokenizer.convert_tokens_to_ids(["<|im_start|>", "<|im_end|>"])
    spec = GeneratorConfig(model=str(trained), device="cpu", dtype="float32")
    with open_generator(spec) as generator:
        for row, record in zip(rows, records, strict=False):
            labels = [token for token in row["labels"] if token != IGNORED]
            prompt = row["input_ids"][: len(row["input_ids"]) - len(labels)]
            assert prompt == generator.encode(form.prompt(record))  # type: ignore[attr-defined]
            assert labels == row["input_ids"][len(prompt) :]
            assert tokenizer.decode(labels) == f"{form.answer(record)}<|im_end|>"
            assert labels.count(end) == 1 and start not in labels
            assert [token for token in prompt if token in (start, end)] == [start, end, start, end, start]
            assert "named SmolLM" not in tokenizer.decode(prompt), "the template's own system message"


def test_stage_0_then_stage_1_by_one_adapter(data: Any, small_smollm2: Path, tmp_path: Path) -> None:
    first = train(data, tmp_path / "stage0", model=str(small_smollm2))
    assert 0 < first["n_trained"] < first["n_parameters"] / 10
    lines = (tmp_path / "stage0/run/metrics.jsonl").read_text().splitlines()
    losses = [row["loss"] for row in map(json.loads, lines) if "loss" in row]
    assert losses[-1] < losses[0]
    second = train(data, tmp_path / "stage1", model=str(tmp_path / "stage0"), task="action")
    assert second["prompt_style"] == "compact" and second["evaluation"]["n_tasks"] == 8
    for name in ("stage0", "stage1"):
        adapter = json.loads((tmp_path / name / "adapter_config.json").read_text())
        assert adapter["base_model_name_or_path"] == str(small_smollm2)
        tokenizer = json.loads((tmp_path / name / "tokenizer_config.json").read_text())
        assert tokenizer["eos_token"] == "<|im_end|>"
        template = (tmp_path / name / "chat_template.jinja").read_text()
        assert template.endswith((small_smollm2 / "chat_template.jinja").read_text())


def test_a_gguf_file_is_trained_from(data: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("gguf")
    from tests.generation import ggufs

    monkeypatch.chdir(tmp_path)
    file = ggufs.write_gguf(tmp_path / "tiny.gguf", ggufs.make_llama(positions=512))
    result = train(data, tmp_path / "out", model=str(file), max_length_tokens=512)
    assert result["steps"] == 12
    adapter = json.loads((tmp_path / "out/adapter_config.json").read_text())
    base = Path(adapter["base_model_name_or_path"])
    assert base.parent == Path("models/base") and (base / "config.json").is_file()
