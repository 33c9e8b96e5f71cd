"""A training killed before any change that it makes to its folder ends, resumed, as if it had not been."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from tests.killing import changes, killed

from rulewright import jsonl
from rulewright.data.mix import MixEntry
from rulewright.training.config import SftConfig, TinyConfig

pytest.importorskip("trl")
if not hasattr(os, "fork") or sys.platform == "darwin":
    pytest.skip("needs fork, and /proc", allow_module_level=True)

from tests.srl.by_rule import ByRule, letters, settings

from rulewright.training import sft
from rulewright.training.policy import run_policy
from rulewright.training.policy_config import Tasks
from rulewright.training.tiny import make_model, make_tokenizer

TINY = TinyConfig(vocab_size=320, hidden_size=16, n_layers=1, n_heads=2, mlp_size=32, n_texts=20)
Train = Callable[..., dict[str, Any]]


@pytest.fixture(params=["sft", "policy"])
def train(request: pytest.FixtureRequest, data: Callable[[str], str], tmp_path: Path) -> Train:
    """Three steps into a folder, each evaluated and saved; the best one is published."""
    options = {"max_steps": 3, "logging_steps": 1, "save_steps": 1, "learning_rate": 1e-2}
    if request.param == "sft":

        def tune(out: Path, **changed: Any) -> dict[str, Any]:
            return sft.train(
                SftConfig(
                    tiny=TINY, mix=[MixEntry(path=data("train"))], dev=[MixEntry(path=data("dev"))], limit=30,
                    max_length_tokens=256, eval_limit=2, eval_every_steps=1, eval_max_new_tokens=2,
                    keep="best_loss", trainer={**options, "per_device_train_batch_size": 2}, out=out,
                    **changed,
                )
            )  # fmt: skip

        return tune
    start = tmp_path / "start"
    tokenizer = make_tokenizer(["task 1 xxx", "def f(a):\n    return a"] * 20, [], TINY)
    tokenizer.save_pretrained(start)
    make_model(tokenizer, TINY, 0).save_pretrained(start)
    jsonl.write_json(start / "rulewright.json", {"prompt_style": "compact", "task": "action"})

    def learn(out: Path, **changed: Any) -> dict[str, Any]:
        config = settings(start, out.parent, trainer=options, eval_every_steps=1, **changed)
        config = config.model_copy(update={"out": out, "reports": out / "run/reports"})
        return run_policy(config, Tasks(ByRule(12, letters), ByRule(2, letters), "letters"))

    return learn


def _published(out: Path) -> bytes:
    return (out / "model.safetensors").read_bytes()


def _walk(train: Train, tmp_path: Path, places: Callable[[int], list[tuple[int, bool]]]) -> None:
    whole, aim = train(tmp_path / "whole"), tmp_path / "whole"
    n = changes(lambda: train(tmp_path / "counted"), tmp_path / "counted")
    assert n > 50
    for place, torn in places(n):
        out = tmp_path / f"killed-{place}-{torn}"
        killed(partial(train, out), out, place, torn)
        if (out / "model.safetensors").exists():
            assert _published(out) == _published(aim), "what can be loaded is the result"
        again = train(out, resume=True)
        assert _published(out) == _published(aim), (place, torn)
        for key in ("steps", "kept_step", "best_step"):
            assert again.get(key) == whole.get(key), (place, torn)
        assert {path.name for path in out.iterdir()} == {path.name for path in aim.iterdir()}
        shutil.rmtree(out)


def test_a_run_killed_in_some_places(train: Train, tmp_path: Path) -> None:
    _walk(train, tmp_path, lambda n: [(n // 3, True), (3 * n // 4, False)])


@pytest.mark.slow
@pytest.mark.timeout(7200)
def test_a_run_killed_in_every_place(train: Train, tmp_path: Path) -> None:
    _walk(train, tmp_path, lambda n: [(i, torn) for i in range(1, n + 1) for torn in (False, True)])


def test_killed_while_it_removes_an_earlier_run(train: Train, tmp_path: Path) -> None:
    """What is left of that one's checkpoints is not gone on from."""
    out, aim = tmp_path / "out", tmp_path / "whole"
    train(aim)
    shutil.copytree(aim, out)
    killed(lambda: train(out, overwrite=True), out, 12, False)
    assert not (out / "run/result.json").exists()
    assert not train(out).get("resumed_from_step")
    assert _published(out) == _published(aim)


def test_a_folder_that_is_half_published_cannot_be_loaded(tmp_path: Path) -> None:
    """Weights of one checkpoint beside another one's configuration would be."""
    from rulewright.training.checkpoints import publish

    first, second = tmp_path / "first", tmp_path / "second"
    files = {
        first: ["adapter_model.safetensors", "adapter_config.json", "rulewright.json", "tokenizer.json"],
        second: [
            "model-1-of-2.safetensors", "model-2-of-2.safetensors", "model.safetensors.index.json",
            "config.json", "rulewright.json", "tokenizer.json",
        ],
    }  # fmt: skip
    for folder, names in files.items():
        folder.mkdir()
        for name in names:
            (folder / name).write_text(f"{folder.name} {name}", encoding="utf-8")
    for old, new in ((first, second), (second, first)):
        out = tmp_path / "counted"
        publish(old, out)
        n = changes(partial(publish, new, out), out)
        shutil.rmtree(out)
        for place in range(1, n + 1):
            publish(old, out)
            killed(partial(publish, new, out), out, place, True)
            there = {path.name for path in out.iterdir() if not path.name.startswith(".")}
            for folder, names in files.items():
                if there.issuperset(names):
                    assert all((out / name).read_text() == f"{folder.name} {name}" for name in names), place
            publish(new, out)
            assert {path.name for path in out.iterdir()} == set(files[new])
            assert (out / files[new][0]).read_text() == f"{new.name} {files[new][0]}"
            shutil.rmtree(out)
