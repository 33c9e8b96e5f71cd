"""Model folders that lack something, disks that are full: one message, nothing claimed, nothing lost."""

from __future__ import annotations

import json
import os
import resource
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from rulewright import jsonl
from rulewright.data.mix import MixEntry
from rulewright.errors import RulewrightError, UsageError
from rulewright.generation import Sampling, open_generator
from rulewright.generation.open import GeneratorConfig, checkpoint_facts
from rulewright.prompts import Message, Style
from rulewright.srl.scoring import Scored
from rulewright.training.config import LoraConfig, SftConfig, TinyConfig

pytest.importorskip("trl")
from rulewright.training import checkpoints, models
from rulewright.training.policy import run_policy
from rulewright.training.policy_config import PolicyConfig, Tasks
from rulewright.training.tiny import make_model, make_tokenizer

TINY = TinyConfig(vocab_size=320, hidden_size=16, n_layers=1, n_heads=2, mlp_size=32, n_texts=100)
OPTIONS = {"per_device_train_batch_size": 2, "max_steps": 2, "save_steps": 1}


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("whole")
    tokenizer = make_tokenizer(["total = load(items)", "def f(a):\n    return a"] * 20, [], TINY)
    tokenizer.save_pretrained(folder)
    make_model(tokenizer, TINY, 0).save_pretrained(folder)
    jsonl.write_json(folder / "rulewright.json", {"prompt_style": "compact", "task": "action"})
    return folder


@pytest.fixture(scope="module")
def adapter(whole: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An adapter beside a base of its own, in one folder."""
    from peft import get_peft_model
    from transformers import AutoModelForCausalLM

    root = tmp_path_factory.mktemp("adapter")
    shutil.copytree(whole, root / "base")
    model = AutoModelForCausalLM.from_pretrained(root / "base")
    model = get_peft_model(model, models.peft_config(LoraConfig(r=2), model))
    model.save_pretrained(root / "adapter")
    jsonl.write_json(root / "adapter/rulewright.json", {"prompt_style": "compact"})
    return root


def without(*names: str) -> Callable[[Path], None]:
    def remove(folder: Path) -> None:
        for name in names:
            (folder / name).unlink(missing_ok=True)

    return remove


def cut(folder: Path) -> None:
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1000])


def unknown(folder: Path) -> None:
    config = json.loads((folder / "config.json").read_text())
    jsonl.write_json(folder / "config.json", {**config, "model_type": "nonesuch"})


BROKEN: dict[str, tuple[Callable[[Path], None], str]] = {
    "no weights": (without("model.safetensors"), "cannot be loaded"),
    "weights cut short": (cut, "cannot be loaded"),
    "unknown architecture": (unknown, "nonesuch"),
    "no tokenizer": (without("tokenizer.json", "tokenizer_config.json"), "no tokenizer"),
    "no template": (without("chat_template.jinja"), "no chat template"),
}


class One:
    """A single task: nothing is trained on it here."""

    def __len__(self) -> int:
        return 4

    def prompt(self, row: int, style: Style) -> list[Message]:
        return [{"role": "user", "content": f"task {row}"}]

    def group(self, row: int) -> str:
        return str(row)

    def reference(self, row: int) -> str:
        return ""

    def score(self, rows: Any, texts: Any, n_tokens: Any) -> list[Scored]:
        raise AssertionError("no answer is asked for")


def sft(data: Any, model: Path, out: Path, **changes: Any) -> dict[str, Any]:
    from rulewright.training import sft

    values = {"mix": [MixEntry(path=data("train"))], "max_length_tokens": 256, "trainer": OPTIONS, **changes}
    return sft.train(SftConfig(model=str(model), out=out, **values))


@pytest.mark.parametrize("kind", BROKEN)
@pytest.mark.parametrize("method", ["sft", "policy"])
def test_a_broken_checkpoint_is_named_before_anything_is_claimed(
    data: Callable[[str], str], whole: Path, tmp_path: Path, kind: str, method: str
) -> None:
    folder = tmp_path / "model"
    shutil.copytree(whole, folder)
    breaks, message = BROKEN[kind]
    breaks(folder)
    with pytest.raises(UsageError, match=message) as caught:
        if method == "sft":
            sft(data, folder, tmp_path / "out")
        else:
            config = PolicyConfig(model=str(folder), out=tmp_path / "out", reports=tmp_path / "reports")
            run_policy(config, Tasks(One(), One(), "one"))
    assert str(folder) in caught.value.message and caught.value.hint
    assert not (tmp_path / "out").exists()


def test_an_adapter_whose_base_is_gone(data: Callable[[str], str], adapter: Path, tmp_path: Path) -> None:
    shutil.copytree(adapter, tmp_path / "moved")
    config = tmp_path / "moved/adapter/adapter_config.json"
    gone = str(tmp_path / "nowhere/base")
    config.write_text(config.read_text().replace(str(adapter / "base"), gone))
    with pytest.raises(UsageError, match="no tokenizer") as caught:
        sft(data, tmp_path / "moved/adapter", tmp_path / "out", lora=LoraConfig(r=2))
    assert gone in caught.value.message
    shutil.copy(adapter / "base/tokenizer.json", tmp_path / "moved/adapter")
    for name in ("tokenizer_config.json", "chat_template.jinja"):
        shutil.copy(adapter / "base" / name, tmp_path / "moved/adapter")
    with pytest.raises(UsageError, match=f"{gone}, the base of the adapter") as caught:
        sft(data, tmp_path / "moved/adapter", tmp_path / "out", lora=LoraConfig(r=2))
    assert "adapter_config.json" in caught.value.hint
    # A base of the hub is to be fetched from there.
    config.write_text(config.read_text().replace(gone, "nobody-at-all/no-such-model"))
    with pytest.raises(UsageError, match="is a name on the hub") as caught:
        sft(data, tmp_path / "moved/adapter", tmp_path / "out", lora=LoraConfig(r=2))
    assert "hf download nobody-at-all/no-such-model" in caught.value.hint
    assert not (tmp_path / "out").exists()


def test_an_adapter_without_a_tokenizer_takes_its_base_s(
    data: Callable[[str], str], adapter: Path, tmp_path: Path
) -> None:
    assert sft(data, adapter / "adapter", tmp_path / "out", lora=LoraConfig(r=2))["steps"] == 2
    with open_generator(GeneratorConfig(model=str(adapter / "adapter"), device="cpu")) as generator:
        assert generator.generate([[{"role": "user", "content": "a"}]], Sampling(max_new_tokens=2))


def test_the_digest_of_an_adapter_covers_its_base(adapter: Path, tmp_path: Path) -> None:
    shutil.copytree(adapter, tmp_path / "a")
    spec = GeneratorConfig(model=str(tmp_path / "a/adapter"))
    config = tmp_path / "a/adapter/adapter_config.json"
    config.write_text(config.read_text().replace(str(adapter / "base"), str(tmp_path / "a/base")))
    before = checkpoint_facts(spec)["digest"]
    assert checkpoint_facts(spec)["digest"] == before
    weights = tmp_path / "a/base/model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-4] + b"\0\1\2\3")
    assert checkpoint_facts(spec)["digest"] != before


def test_under_zero3_a_continued_adapter_has_the_type_of_its_base(
    adapter: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """DeepSpeed gathers persistent weights of one type (TRL does this for new adapters)."""
    config = SftConfig(model=str(adapter / "adapter"), lora=LoraConfig(r=2), dtype="bfloat16")

    def types() -> set[str]:
        return {str(p.dtype) for p in models.load_model(config).parameters()}

    assert types() == {"torch.bfloat16", "torch.float32"}
    monkeypatch.setattr("transformers.integrations.is_deepspeed_zero3_enabled", lambda: True)
    assert types() == {"torch.bfloat16"}


def test_nothing_to_train_on_leaves_the_folder_free(
    data: Callable[[str], str], whole: Path, tmp_path: Path
) -> None:
    with pytest.raises(RulewrightError, match="no record is left"):
        sft(data, whole, tmp_path / "out", max_length_tokens=16)
    assert sft(data, whole, tmp_path / "out")["steps"] == 2


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full on this system")
def test_a_full_disk_is_told_where_the_optimizer_is_written(tmp_path: Path) -> None:
    """PyTorch's writer gives no error number, only that its file is too short."""
    import torch

    with (
        pytest.raises(RulewrightError, match=r"cannot be written \(a file was cut short; .* are free\)"),
        checkpoints.writing(tmp_path),
    ):
        torch.save({"exp_avg": torch.zeros(100_000)}, "/dev/full")
    with pytest.raises(RuntimeError, match="failed finding central"), checkpoints.writing(tmp_path):
        (tmp_path / "cut.pt").write_bytes(b"PK\x03\x04" + b"0" * 100)
        torch.load(tmp_path / "cut.pt")


def test_a_full_disk_is_told_once_and_the_run_goes_on_after(
    data: Callable[[str], str], whole: Path, tmp_path: Path
) -> None:
    """No file of the process may grow beyond a bound: its writes fail as on a full disk."""
    config = SftConfig(
        model=str(whole), mix=[MixEntry(path=data("train"))], max_length_tokens=256, trainer=OPTIONS,
        out=tmp_path / "out",
    )  # fmt: skip
    path = tmp_path / "sft.yaml"
    path.write_text(config.model_dump_json(), encoding="utf-8")
    size = (whole / "model.safetensors").stat().st_size // 2

    def bounded() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))

    done = subprocess.run(
        [sys.executable, "-m", "rulewright", "train", "sft", "--config", str(path)],
        env={**os.environ, "OMP_NUM_THREADS": "1"}, preexec_fn=bounded,
        capture_output=True, text=True, timeout=280, check=False,
    )  # fmt: skip
    assert done.returncode == 1, done.stderr[-3000:]
    assert "Traceback" not in done.stderr
    assert f"error: {tmp_path / 'out'}: cannot be written (" in done.stderr and "--resume" in done.stderr
    assert sft(data, whole, tmp_path / "out", resume=True)["steps"] == 2
