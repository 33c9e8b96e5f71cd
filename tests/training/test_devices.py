"""Which device a run takes, where there are several cards, or none."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from rulewright import console
from rulewright.data.mix import MixEntry
from rulewright.errors import UsageError
from rulewright.training import environment, job
from rulewright.training.config import SftConfig, TinyConfig

TINY = TinyConfig(vocab_size=320, hidden_size=16, n_layers=1, n_heads=2, mlp_size=32, n_texts=100)
OPTIONS = {"per_device_train_batch_size": 4, "max_steps": 1}


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Put back whatever a test sets."""
    for name in ("CUDA_VISIBLE_DEVICES", "HF_HUB_OFFLINE", "RANK", "WORLD_SIZE"):
        monkeypatch.setenv(name, "x")
        monkeypatch.delenv(name)


@pytest.mark.parametrize(
    ("set_already", "n_cards", "taken"),
    [
        (None, 2, "0"),
        (None, 1, None),
        (None, 0, None),
        ("3,5", 8, "3"),
        ("5", 8, "5"),
        ("", 8, ""),
        ("GPU-8f2a, GPU-77b1", 2, "GPU-8f2a"),
        ("1,-1,0", 2, "1,-1,0"),
    ],
)
def test_one_process_takes_one_card(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
    set_already: str | None, n_cards: int, taken: str | None,
) -> None:  # fmt: skip
    monkeypatch.setattr(environment, "count_cards", lambda: n_cards)
    if set_already is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", set_already)
    environment.prepare(1)
    assert os.environ.get("CUDA_VISIBLE_DEVICES") == taken
    said = "GPU: " in capsys.readouterr().err
    assert said == (taken != set_already)


def test_several_processes_keep_all_cards(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(environment, "count_cards", lambda: 2)
    environment.prepare(1, processes=2)
    assert "CUDA_VISIBLE_DEVICES" not in os.environ
    monkeypatch.setenv("RANK", "1")
    monkeypatch.setenv("WORLD_SIZE", "2")
    environment.prepare(1)
    assert "CUDA_VISIBLE_DEVICES" not in os.environ
    environment.prepare(1, device="cpu")
    assert os.environ["CUDA_VISIBLE_DEVICES"] == ""


def test_more_processes_than_cards_are_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(environment, "count_cards", lambda: 2)
    with pytest.raises(UsageError, match="processes: 3, but 2 GPUs"):
        job.launch(["train", "sft"], SftConfig(processes=3), tmp_path)


@pytest.mark.parametrize("rank", ["0", "1"])
def test_more_launched_processes_than_cards_are_refused_once(
    monkeypatch: pytest.MonkeyPatch, rank: str
) -> None:
    launched = {"RANK": rank, "WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2", "CUDA_VISIBLE_DEVICES": "0"}
    for name, value in launched.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(UsageError if rank == "0" else SystemExit) as caught:
        environment.prepare(1)
    if rank == "0":
        assert "2 processes were launched, and each takes a GPU, but 1 can be seen" in str(caught.value)
    monkeypatch.setenv("ACCELERATE_USE_CPU", "true")
    environment.prepare(1)


def test_a_failure_is_told_before_another_process_hears_of_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The first one that leaves has the launcher end the main process, perhaps before it could say why."""
    pytest.importorskip("accelerate")
    monkeypatch.setenv("RANK", "0")
    monkeypatch.setenv("WORLD_SIZE", "2")
    told: list[str] = []

    def hear(box: list[Any]) -> None:
        told.append(capsys.readouterr().err)

    monkeypatch.setattr("accelerate.utils.broadcast_object_list", hear)

    def decide() -> None:
        raise UsageError("it is full", "empty it")

    with pytest.raises(UsageError) as caught:
        environment.agree(decide)
    assert told == ["error: it is full\nhint: empty it\n"]
    console.error(caught.value)
    assert not capsys.readouterr().err, "once"


def _config(data: Any, out: Path) -> SftConfig:
    return SftConfig(
        tiny=TINY, mix=[MixEntry(path=data("train"))], max_length_tokens=256, trainer=OPTIONS, out=out
    )


def test_cards_that_are_visible_all_the_same_are_one(
    data: Callable[[str], str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """TRL would end with a traceback about `nn.DataParallel`."""
    pytest.importorskip("trl")
    from transformers import TrainingArguments

    from rulewright.training import sft

    original = TrainingArguments.__post_init__

    def two_cards(self: Any) -> None:
        original(self)
        self._n_gpu = 2

    monkeypatch.setattr(TrainingArguments, "__post_init__", two_cards)
    assert sft.train(_config(data, tmp_path / "out"))["steps"] == 1
    assert "GPU: the first of 2" in capsys.readouterr().err


@pytest.mark.skipif(not shutil.which("cc"), reason="no C compiler")
def test_the_driver_is_asked_how_many_there_are(data: Callable[[str], str], tmp_path: Path) -> None:
    """A driver's library that knows of two cards, as there is none here."""
    pytest.importorskip("trl")
    source = tmp_path / "nvml.c"
    source.write_text(
        "int nvmlInit_v2(void) { return 0; }\nint nvmlShutdown(void) { return 0; }\n"
        "int nvmlDeviceGetCount_v2(unsigned *n) { *n = 2; return 0; }\n"
    )
    subprocess.run(
        ["cc", "-shared", "-fPIC", "-o", str(tmp_path / "libnvidia-ml.so.1"), str(source)], check=True
    )
    path = tmp_path / "sft.yaml"
    path.write_text(_config(data, tmp_path / "out").model_dump_json(), encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-m", "rulewright", "train", "sft", "--config", str(path)],
        env={**os.environ, "LD_LIBRARY_PATH": str(tmp_path), "OMP_NUM_THREADS": "1"},
        capture_output=True, text=True, timeout=280, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    assert "GPU: 0 of 0, 1 (one process trains on one" in done.stderr


def test_the_hub_is_asked_where_the_base_of_an_adapter_is_not_here(tmp_path: Path) -> None:
    config = tmp_path / "adapter_config.json"
    config.write_text('{"base_model_name_or_path": "Qwen/Qwen3-14B"}')
    environment.prepare(1, str(tmp_path))
    assert "HF_HUB_OFFLINE" not in os.environ
    config.write_text(f'{{"base_model_name_or_path": "{tmp_path}"}}')
    environment.prepare(1, str(tmp_path))
    assert os.environ["HF_HUB_OFFLINE"] == "1"
