"""Training for real, with a very small model: checkpoints, resume, errors."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.events import scalars
from tests.launching import ACCELERATE, launched, run_in_time
from tests.waiting import wait_until

from rulewright.data.mix import MixEntry
from rulewright.errors import ConfigError, RulewrightError, UsageError
from rulewright.training.config import LoraConfig, SftConfig, TinyConfig

pytest.importorskip("trl")

TINY = TinyConfig(vocab_size=320, hidden_size=16, n_layers=1, n_heads=2, mlp_size=32, n_texts=100)
TRAINER = {
    "per_device_train_batch_size": 4,
    "max_steps": 12,
    "learning_rate": 1e-2,
    "logging_steps": 2,
    "save_steps": 4,
}


def _config(data: Callable[[str], str], out: Path, **changes: Any) -> SftConfig:
    values: dict[str, Any] = {
        "tiny": TINY,
        "mix": [MixEntry(path=data("train"))],
        "dev": [MixEntry(path=data("dev"))],
        "max_length_tokens": 256,
        "bucket": True,
        "eval_limit": 8,
        "eval_every_steps": 6,
        "eval_max_new_tokens": 24,
        "trainer": TRAINER,
        "out": out,
    }
    return SftConfig(**{**values, **changes})


def _train(config: SftConfig) -> dict[str, Any]:
    from rulewright.training import sft

    return sft.train(config)


def test_stage_0_then_stage_1(data: Callable[[str], str], tmp_path: Path) -> None:
    from rulewright.generation import GeneratorConfig, Sampling, open_generator

    first = tmp_path / "stage0"
    result = _train(_config(data, first))
    assert result["steps"] == 12 and result["data"]["n_rows"] == result["data"]["n_records"]
    assert result["evaluation"]["n_tasks"] == 8
    assert [(row["step"], row["n_asked"]) for row in result["curve"]] == [(0, 8), (6, 2)]
    assert result["gain"]["n"] == 8 and result["gain"]["metric"] == "exact", (
        "the same questions before and after"
    )
    assert result["cut_answers"] == sum(
        row["finish_reason"] == "length" for row in map(json.loads, (first / "run/rows.jsonl").open())
    )
    assert json.loads((first / "run" / "result.json").read_text()) == json.loads(json.dumps(result))
    losses = [
        row["loss"] for row in map(json.loads, (first / "run" / "metrics.jsonl").open()) if "loss" in row
    ]
    assert losses[-1] < losses[0], "it learns"
    card = (first / "README.md").read_text(encoding="utf-8")
    assert "repeating the input" in card.lower() and "| learning_rate | 0.01 |" in card
    assert str(result["evaluation"]["metrics"]["exact"]["value"]) in card
    licenses = result["sources"]["licenses"]
    assert sum(licenses.values()) == result["sources"]["n_records"]
    assert all(f"{name} {n}" in card for name, n in licenses.items())

    second = tmp_path / "stage1"
    changes = {"tiny": None, "model": str(first), "task": "action", "dtype": "float32"}
    result = _train(_config(data, second, **changes))
    assert result["prompt_style"] == "compact", "as the checkpoint it starts from was asked"
    assert json.loads((second / "rulewright.json").read_text()) == {
        "prompt_style": "compact", "thinking": None, "task": "action", "base": str(first),
    }  # fmt: skip
    assert set(result["evaluation"]["metrics"]) >= {"success", "valid"}
    with open_generator(GeneratorConfig(model=str(second))) as generator:
        assert generator.style == "compact"
        answers = generator.generate([[{"role": "user", "content": "x"}]], Sampling(max_new_tokens=4))
    assert answers[0][0].n_tokens >= 1
    # Asked again, a finished run is confirmed and touched by nothing.
    weights = (second / "model.safetensors").read_bytes()
    assert _train(_config(data, second, **changes, resume=True)) == result
    assert (second / "model.safetensors").read_bytes() == weights
    # What cannot change the weights may differ; what can is named.
    free = {**TRAINER, "per_device_eval_batch_size": 2, "save_steps": 6, "report_to": "none"}
    assert _train(_config(data, second, **changes, resume=True, trainer=free, eval_limit=4)) == result
    with pytest.raises(UsageError, match=r"configuration \(trainer\.learning_rate: was 0\.01, now 0\.02\)"):
        _train(_config(data, second, **changes, resume=True, trainer={**free, "learning_rate": 2e-2}))


@pytest.fixture(params=["tiny", "smollm2"])
def start(request: pytest.FixtureRequest) -> dict[str, Any]:
    """What a run starts from: a new tiny model, or adapters on a pretrained one's shrunken copy."""
    if request.param == "tiny":
        return {"tiny": TINY}
    return {
        "tiny": None,
        "model": str(request.getfixturevalue("small_smollm2")),
        "prompt_style": "compact",
        "lora": LoraConfig(r=4),
    }


def test_killed_and_resumed_it_ends_with_the_same_weights(
    data: Callable[[str], str], start: dict[str, Any], tmp_path: Path
) -> None:
    config = _config(data, tmp_path / "killed", eval_every_steps=0, eval_limit=0, dev=[], **start)
    config = config.model_copy(update={"trainer": {**TRAINER, "max_steps": 16, "save_steps": 4}})
    path = tmp_path / "sft.yaml"
    path.write_text(config.model_dump_json(), encoding="utf-8")
    argv = [sys.executable, "-m", "rulewright", "train", "sft", "--config", str(path)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    process = subprocess.Popen(argv, env=environment, stderr=subprocess.DEVNULL)
    mark = tmp_path / "killed" / "run" / "checkpoints" / "checkpoint-8" / "complete.json"
    assert wait_until(mark.exists, process)
    process.send_signal(signal.SIGSTOP)  # it is there still, and holds its folder
    for way in ("resume", "overwrite"):
        with pytest.raises(UsageError, match=f"another run is writing it: process {process.pid} "):
            _train(config.model_copy(update={way: True}))
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not (tmp_path / "killed" / "run" / "result.json").exists()
    # A checkpoint that was being written when the run died must not be believed.
    torn = mark.parent.parent / "checkpoint-15"
    torn.mkdir()
    (torn / "trainer_state.json").write_text("{}", encoding="utf-8")
    result = _train(config)  # it continues by itself
    assert result["resumed_from_step"] >= 8 and result["steps"] == 16
    whole = _train(config.model_copy(update={"out": tmp_path / "whole"}))
    assert whole["resumed_from_step"] == 0
    weights = "adapter_model.safetensors" if config.lora else "model.safetensors"
    assert (tmp_path / "killed" / weights).read_bytes() == (tmp_path / "whole" / weights).read_bytes()

    def steps(name: str) -> list[tuple[int, float]]:
        with (tmp_path / name / "run" / "metrics.jsonl").open() as stream:
            return [(row["step"], row["loss"]) for row in map(json.loads, stream) if "loss" in row]

    assert steps("killed") == steps("whole"), "every step is logged once, with the same loss"


def test_adapters_are_trained_saved_and_loaded(data: Callable[[str], str], tmp_path: Path) -> None:
    from transformers import AutoModelForCausalLM

    plain = {"eval_every_steps": 0, "eval_limit": 0, "dev": [], "trainer": {**TRAINER, "max_steps": 2}}
    _train(_config(data, tmp_path / "base", **plain))
    lora = {
        **plain,
        "tiny": None,
        "model": str(tmp_path / "base"),
        "dtype": "float32",
        "lora": LoraConfig(r=2),
    }
    result = _train(_config(data, tmp_path / "adapter", **lora))
    assert 0 < result["n_trained"] < result["n_parameters"] / 2
    saved = json.loads((tmp_path / "adapter" / "adapter_config.json").read_text())
    # PEFT's own order is that of a set: another one in every process.
    assert saved["target_modules"] == sorted(saved["target_modules"]) and len(saved["target_modules"]) == 7
    assert AutoModelForCausalLM.from_pretrained(tmp_path / "adapter") is not None
    from rulewright.training import models

    passed = SftConfig(
        model=str(tmp_path / "base"), trainer={"model_init_kwargs": {"attention_dropout": 0.25}}
    )
    assert models.load_model(passed).config.attention_dropout == 0.25, "what we do not decide goes through"
    # An adapter is continued where adapters are asked for.
    onwards = {**lora, "model": str(tmp_path / "adapter")}
    result = _train(_config(data, tmp_path / "onwards", **onwards))
    assert 0 < result["n_trained"] < result["n_parameters"] / 2


def test_another_attention_learns_the_same(data: Callable[[str], str], tmp_path: Path) -> None:
    found = {}
    for attention in ("sdpa", "eager"):
        changes = {"eval_limit": 0, "eval_every_steps": 0, "dev": [], "attention": attention}
        result = _train(_config(data, tmp_path / attention, **changes))
        assert result["attention"] == attention
        found[attention] = result["train_loss"]
    assert found["eager"] == pytest.approx(found["sdpa"], rel=1e-4)


def test_errors_a_person_meets(data: Callable[[str], str], tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"lerning_rate.*did you mean 'learning_rate'"):
        _train(_config(data, tmp_path / "a", trainer={**TRAINER, "lerning_rate": 1}))
    with pytest.raises(ConfigError, match="trainer"):
        _train(_config(data, tmp_path / "b", trainer={**TRAINER, "lr_scheduler_type": "sideways"}))
    assert not (tmp_path / "a").exists() and not (tmp_path / "b").exists(), "once fixed, it can run at once"
    with pytest.raises(RulewrightError, match=r"all training records were dropped.*too_long"):
        _train(_config(data, tmp_path / "c", max_length_tokens=16))
    with pytest.raises(UsageError, match="no such checkpoint folder"):
        _train(_config(data, tmp_path / "d", tiny=None, model="models/nothing_here"))
    with pytest.raises(UsageError, match=r"flash_attention_2 cannot be used here"):
        _train(_config(data, tmp_path / "f", attention="flash_attention_2"))
    with pytest.raises(UsageError, match=r"kernels-community/no-such-kernel cannot be used here"):
        _train(_config(data, tmp_path / "g", attention="kernels-community/no-such-kernel"))
    with pytest.raises(UsageError, match="no such data file"):
        _train(_config(data, tmp_path / "e", mix=[MixEntry(path=str(tmp_path / "none.jsonl"))]))


@pytest.mark.timeout(900)  # `launched` has its own limit, and says where a process stands
def test_two_processes_confirm_a_finished_run_and_do_it_anew(
    data: Callable[[str], str], tmp_path: Path
) -> None:
    trainer = {**TRAINER, "max_steps": 2}
    config = _config(data, tmp_path / "out", eval_limit=0, eval_every_steps=0, dev=[], trainer=trainer)
    alone = _train(config)
    path = tmp_path / "sft.yaml"
    path.write_text(config.model_dump_json(), encoding="utf-8")
    command = ["rulewright", "train", "sft", "--config", str(path)]
    done = launched(*command, "--resume")
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stderr.count("this run is already finished") == 1
    assert json.loads((tmp_path / "out/run/result.json").read_text()) == json.loads(json.dumps(alone))
    done = launched(*command, "--overwrite")
    assert done.returncode == 0, done.stderr[-3000:]
    assert json.loads((tmp_path / "out/run/result.json").read_text())["processes"] == 2
    # Refused, both end, and it is said once.
    done = launched(*command)
    assert done.returncode != 0
    assert done.stderr.count("already contains a finished run") == 1


@pytest.mark.slow
@pytest.mark.parametrize("launcher", ["processes", "tiny_ddp"])
@pytest.mark.timeout(900)  # `launched` has its own limit, and says where a process stands
def test_two_processes_train_together(data: Callable[[str], str], tmp_path: Path, launcher: str) -> None:
    alone = _config(data, tmp_path / "alone", eval_limit=0, eval_every_steps=0, dev=[])
    reference = _train(alone)
    together = alone.model_copy(
        update={
            "out": tmp_path / "together",
            "processes": 2 if launcher == "processes" else 1,
            "trainer": {**TRAINER, "per_device_train_batch_size": 2},
        }
    )
    path = tmp_path / "sft.yaml"
    path.write_text(together.model_dump_json(), encoding="utf-8")
    command = ["rulewright", "train", "sft", "--config", str(path)]
    done = run_in_time(sys.executable, "-m", *command) if launcher == "processes" else launched(*command)
    result_path = tmp_path / "together" / "run" / "result.json"
    assert result_path.exists(), done.stderr[-3000:]
    result = json.loads(result_path.read_text())
    assert result["processes"] == 2 and result["batch_size"] == reference["batch_size"]
    # The same rows in the same steps: the losses agree.
    assert result["train_loss"] == pytest.approx(reference["train_loss"], abs=0.02)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["zero2", "tiny_zero3"])
@pytest.mark.timeout(900)  # `launched` has its own limit, and says where a process stands
def test_deepspeed_trains_in_two_processes_and_continues(
    data: Callable[[str], str], tmp_path: Path, name: str
) -> None:
    """The file for GPUs with `use_cpu`; a run cut after its first checkpoint ends with the same weights."""
    pytest.importorskip("deepspeed")
    from safetensors.torch import load_file

    launch = tmp_path / "launch.yaml"
    text = (ACCELERATE / f"{name}.yaml").read_text(encoding="utf-8")
    launch.write_text(text.replace("use_cpu: false", "use_cpu: true"), encoding="utf-8")
    out, cut = tmp_path / "out", tmp_path / "cut"
    trainer = {**TRAINER, "max_steps": 4, "save_steps": 2, "per_device_train_batch_size": 2}
    for folder, more in ((out, []), (cut, ["--resume"])):
        config = _config(data, folder, eval_limit=0, eval_every_steps=0, dev=[], trainer=trainer)
        path = tmp_path / f"{folder.name}.yaml"
        path.write_text(config.model_dump_json(), encoding="utf-8")
        if folder == cut:
            shutil.copytree(out, cut)
            (cut / "model.safetensors").unlink()
            (cut / "run" / "result.json").unlink()
            shutil.rmtree(cut / "run" / "checkpoints" / "checkpoint-4")
        done = launched("rulewright", "train", "sft", "--config", str(path), *more, path=launch)
        assert (folder / "run" / "result.json").exists(), done.stderr[-3000:]
    assert json.loads((cut / "run/result.json").read_text())["resumed_from_step"] == 2
    whole, continued = (load_file(folder / "model.safetensors") for folder in (out, cut))
    assert whole.keys() == continued.keys()
    assert all(whole[key].equal(continued[key]) for key in whole)


@pytest.mark.parametrize(("looks", "configured"), [(False, {}), (True, {"ddp_find_unused_parameters": True})])
def test_processes_look_for_no_unused_weights(
    data: Callable[[str], str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    looks: bool,
    configured: dict[str, bool],
) -> None:
    """Transformers would have an adapter's graph searched in every micro-batch."""
    from transformers import trainer

    given: list[bool] = []
    keywords = trainer.DistributedDataParallelKwargs

    def noted(**values: Any) -> Any:
        given.append(values["find_unused_parameters"])
        return keywords(**values)

    monkeypatch.setattr(trainer, "DistributedDataParallelKwargs", noted)
    _train(
        _config(
            data, tmp_path / "out", lora=LoraConfig(r=2), eval_limit=0, eval_every_steps=0, dev=[],
            trainer={**TRAINER, "max_steps": 1, **configured},
        )
    )  # fmt: skip
    assert given == [looks]


class _Died(Exception):
    """Stands for whatever ends a process in an evaluation."""


def test_what_is_trained_is_saved_before_it_is_evaluated(
    data: Callable[[str], str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An evaluation that fails costs itself only: on resume it is done again, and nothing is trained."""
    from trl import SFTTrainer

    whole = _train(_config(data, tmp_path / "whole"))
    config = _config(data, tmp_path / "cut")
    stopped = []

    def out_of_memory(self: Any, *args: Any, **options: Any) -> None:
        if self.state.global_step == 12:
            stopped.append(self.state.global_step)
            raise _Died
        return evaluate(self, *args, **options)

    evaluate = SFTTrainer.evaluate
    with monkeypatch.context() as patch, pytest.raises(_Died):
        # The one of the last step is the final one: `eval_every_steps` is no part of it here.
        patch.setattr(SFTTrainer, "evaluate", out_of_memory)
        _train(config.model_copy(update={"eval_every_steps": 0}))
    assert stopped == [12]
    saved = (tmp_path / "cut" / "model.safetensors").read_bytes()
    assert saved == (tmp_path / "whole" / "model.safetensors").read_bytes()
    assert not (tmp_path / "cut/run/result.json").exists()

    def no_step(self: Any, *args: Any, **options: Any) -> None:
        raise AssertionError("a finished training is trained again")

    with monkeypatch.context() as patch:
        patch.setattr(SFTTrainer, "training_step", no_step)
        # What only measures may differ: a smaller evaluation fits where the first one did not.
        smaller = {"eval_every_steps": 0, "resume": True, "eval_limit": 4, "eval_max_new_tokens": 8}
        trainer = {**TRAINER, "per_device_eval_batch_size": 1}
        result = _train(config.model_copy(update={**smaller, "trainer": trainer}))
    assert result["steps"] == 12 and result["evaluation"]["n_tasks"] == 4
    assert result["train_loss"] == whole["train_loss"], "of the whole run, not of its last part"
    assert (tmp_path / "cut" / "model.safetensors").read_bytes() == saved


def test_an_evaluation_takes_no_larger_batches_than_training(
    data: Callable[[str], str], tmp_path: Path
) -> None:
    from rulewright.runs import RunDir
    from rulewright.training import assemble

    config = _config(data, tmp_path / "x", trainer={**TRAINER, "per_device_train_batch_size": 2})
    args = assemble.arguments(config, RunDir(tmp_path / "x/run"), has_dev=True)
    assert args.eval_batch_size == args.train_batch_size == 2
    chosen = config.model_copy(update={"trainer": {**config.trainer, "per_device_eval_batch_size": 5}})
    assert assemble.arguments(chosen, RunDir(tmp_path / "x/run"), has_dev=True).eval_batch_size == 5


@pytest.mark.parametrize(
    "options", [{}, {"dataloader_drop_last": True}, {"gradient_accumulation_steps": 2}, {"max_steps": 7}]
)
def test_steps_are_counted_as_they_are_taken(
    data: Callable[[str], str], tmp_path: Path, options: dict[str, Any]
) -> None:
    """A run that is resumed ends where they say."""
    import torch
    from transformers import Trainer

    from rulewright.runs import RunDir
    from rulewright.training import assemble

    rows = [{"x": row} for row in range(11)]
    for epochs in (0.1, 0.5, 1, 1.5, 2.5):
        trainer = {"per_device_train_batch_size": 3, "num_train_epochs": epochs, **options}
        args = assemble.arguments(_config(data, tmp_path / "x", trainer=trainer), RunDir(tmp_path), False)
        taken = Trainer(torch.nn.Linear(1, 1), args, train_dataset=rows)
        wanted = taken.set_initial_training_values(args, taken.get_train_dataloader())[-1]
        assert assemble.steps(args, len(rows)) == wanted, epochs


@pytest.mark.parametrize("name", ["gradient_checkpointing", "activation_checkpointing"])
@pytest.mark.parametrize("wanted", [False, True])
def test_the_old_name_of_activation_checkpointing_holds(
    data: Callable[[str], str], tmp_path: Path, name: str, wanted: bool
) -> None:
    """Whatever the default of the machine is: the new name, which we set, wins over the old one in TRL."""
    from rulewright.runs import RunDir
    from rulewright.training import assemble

    config = _config(data, tmp_path / "x", trainer={**TRAINER, name: wanted})
    args = assemble.arguments(config, RunDir(tmp_path / "x/run"), has_dev=True)
    assert args.activation_checkpointing is wanted


@pytest.mark.parametrize("keep", ["best_loss", "best_success"])
def test_the_best_step_is_kept_and_training_stops_without_a_better_one(
    data: Callable[[str], str], tmp_path: Path, keep: Any
) -> None:
    """A rate at which the loss rises soon: the result is an earlier step, and training ends early."""
    trainer = {
        **TRAINER, "max_steps": 200, "learning_rate": 0.5, "lr_scheduler_type": "constant",
        "save_total_limit": 9,
    }  # fmt: skip
    trainer.pop("save_steps")
    config = _config(
        data, tmp_path / keep, keep=keep, patience=2, eval_every_steps=2, trainer=trainer, bucket=False
    )
    result = _train(config)
    assert result["steps"] < 200 and result["kept_step"] == result["steps"] - 4
    rows = list(map(json.loads, (tmp_path / keep / "run/metrics.jsonl").open()))
    if keep == "best_loss":
        losses = {row["step"]: row["eval_loss"] for row in rows if "eval_loss" in row}
        assert min(losses, key=losses.__getitem__) == result["kept_step"]
        assert result["dev_loss"] == pytest.approx(losses[result["kept_step"]], abs=1e-4)
    checkpoint = tmp_path / keep / "run/checkpoints" / f"checkpoint-{result['kept_step']}"
    assert (tmp_path / keep / "model.safetensors").read_bytes() == (
        checkpoint / "model.safetensors"
    ).read_bytes()
    # Killed after the last step, the best one is found again, and nothing is trained; killed an
    # evaluation earlier, it waits no longer than it would have.
    for resumed_from in (result["steps"], result["steps"] - 2):
        (tmp_path / keep / "run/result.json").unlink()
        for later in (tmp_path / keep / "run/checkpoints").glob("checkpoint-*"):
            if int(later.name.rpartition("-")[2]) > resumed_from:
                shutil.rmtree(later)
        again = _train(config)
        assert again["resumed_from_step"] == resumed_from
        assert (again["steps"], again["kept_step"]) == (result["steps"], result["kept_step"])
        assert again["dev_loss"] == result["dev_loss"]


def test_a_run_that_was_moved_finds_its_best_step(data: Callable[[str], str], tmp_path: Path) -> None:
    """Checkpoints hold the best one's path; where nothing is, transformers keeps the last step's weights."""
    trainer = {**TRAINER, "save_steps": 2, "learning_rate": 0.5, "lr_scheduler_type": "constant"}
    config = _config(
        data, tmp_path / "here", keep="best_loss", patience=2, eval_every_steps=2, bucket=False,
        trainer={**trainer, "max_steps": 200},
    )  # fmt: skip
    result = _train(config)
    assert result["kept_step"] < result["steps"]
    weights = (tmp_path / "here/model.safetensors").read_bytes()
    (tmp_path / "here/run/result.json").unlink()
    (tmp_path / "here").rename(tmp_path / "there")
    again = _train(config.model_copy(update={"out": tmp_path / "there"}))
    assert again["resumed_from_step"] == result["steps"]
    assert (tmp_path / "there/model.safetensors").read_bytes() == weights
    assert again["kept_step"] == result["kept_step"]


def test_what_chooses_the_weights_is_part_of_the_run(
    data: Callable[[str], str], records: list[Any], tmp_path: Path
) -> None:
    """Held-out records where they choose the step, and the model that it starts from."""
    short = {"trainer": {**TRAINER, "max_steps": 2, "save_steps": 1}, "eval_every_steps": 1}
    _train(_config(data, tmp_path / "base", **{**short, "dev": [], "eval_every_steps": 0}))
    onwards = {**short, "tiny": None, "model": str(tmp_path / "base"), "resume": True}
    best, last = (
        _config(data, tmp_path / keep, **onwards, keep=keep, lora=LoraConfig(r=2))
        for keep in ("best_loss", "last")
    )
    before = {config.keep: _train(config) for config in (best, last)}
    Path(data("dev")).write_text("".join(record.to_json() + "\n" for record in records[:8]), encoding="utf-8")
    with pytest.raises(UsageError, match=r"these inputs have changed: \S*dev\.jsonl"):
        _train(best)
    assert _train(last) == before["last"]
    # Killed before it was evaluated, it is evaluated on the records as they are now.
    (last.out / "run/result.json").unlink()
    assert _train(last)["dev_loss"] != before["last"]["dev_loss"]
    weights = tmp_path / "base/model.safetensors"
    content = bytearray(weights.read_bytes())
    content[-9] ^= 1
    weights.write_bytes(content)
    with pytest.raises(UsageError, match=rf"these inputs have changed: {tmp_path}/base\n"):
        _train(last)


@pytest.mark.parametrize("adapters", [False, True])
def test_a_run_that_is_over_takes_no_step_more(
    data: Callable[[str], str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, adapters: bool
) -> None:
    """Its last step lies within a pass over the data, where transformers alone would go on."""
    from transformers import Trainer

    config = _config(
        data, tmp_path / "x", lora=LoraConfig(r=2) if adapters else None, bucket=False,
        eval_limit=0, eval_every_steps=0, dev=[], trainer={**TRAINER, "max_steps": 3, "save_steps": 3},
    )  # fmt: skip
    result = _train(config)
    weights = "adapter_model.safetensors" if adapters else "model.safetensors"
    before = (config.out / weights).read_bytes()
    (config.out / weights).unlink()
    (config.out / "run/result.json").unlink()
    monkeypatch.setattr(Trainer, "training_step", lambda *_: pytest.fail("a step was taken"))
    again = _train(config)
    assert (again["steps"], again["train_loss"]) == (3, result["train_loss"])
    assert (config.out / weights).read_bytes() == before


def test_a_preview_shows_what_is_trained_on(
    data: Callable[[str], str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    result = _train(_config(data, tmp_path / "x", dev=[], eval_every_steps=0))
    said = capsys.readouterr().err
    counts = result["data"]
    share = 100 * counts["n_answer_tokens"] / counts["n_tokens"]
    assert (
        f"trained on: {counts['n_answer_tokens']:,} of {counts['n_tokens']:,} tokens ({share:.1f} %)" in said
    )
    rows = re.findall(r"row \d of .*?\n(.*?)«(.*?)»", said, re.DOTALL)
    assert len(rows) == 3
    for asked, answer in rows:
        old, new = re.findall("`(.*?)`", asked)
        assert old not in answer and new in answer and answer.endswith("<|end|>")


def test_training_on_nothing_is_refused() -> None:
    from rulewright.training.data import IGNORED
    from rulewright.training.preview import require_labels

    with pytest.raises(RulewrightError, match="no token of 2 rows would be trained on"):
        require_labels([{"labels": [IGNORED] * 3}] * 2)
    require_labels([{"labels": [IGNORED, 5]}])


def test_the_card_names_the_base_and_no_path_of_the_machine(
    data: Callable[[str], str], tmp_path: Path
) -> None:
    from rulewright.yaml12 import load

    plain = {"eval_every_steps": 0, "eval_limit": 0, "dev": [], "trainer": {**TRAINER, "max_steps": 2}}
    _train(_config(data, tmp_path / "base", **plain))
    (tmp_path / "base" / "README.md").write_text(
        "---\nlicense: apache-2.0\nbase_model: someone/some-model\n---\n# x\n", encoding="utf-8"
    )
    again = {**plain, "tiny": None, "model": str(tmp_path / "base"), "dtype": "float32"}
    _train(_config(data, tmp_path / "first", **again))
    second = {**again, "model": str(tmp_path / "first"), "lora": LoraConfig(r=2)}
    _train(_config(data, tmp_path / "second", **second))
    for name, library in (("first", "transformers"), ("second", "peft")):
        card = (tmp_path / name / "README.md").read_text(encoding="utf-8")
        front = load(card.split("---\n")[1])
        assert front["base_model"] == "someone/some-model" and front["license"] == "apache-2.0"
        assert front["library_name"] == library and "rulewright" in front["tags"]
        assert "from_pretrained" in card and str(tmp_path) not in card


def test_a_tracker_gets_the_held_out_curve_too(data: Callable[[str], str], tmp_path: Path) -> None:
    pytest.importorskip("tensorboardX")
    config = _config(data, tmp_path / "x", trainer={**TRAINER, "report_to": "tensorboard"})
    result = _train(config)
    found = scalars(tmp_path / "x/run/logs")
    curve = {row["step"]: row["dev_exact"] for row in result["curve"]}
    assert found["eval/dev_exact"] == pytest.approx(curve) and set(curve) == {0, 6}
    assert found["eval/final_exact"][12] == pytest.approx(
        result["evaluation"]["metrics"]["exact"]["value"], abs=1e-4
    )
    assert set(found["eval/loss"]) == {6, 12} and len(found["train/loss"]) == 6
    losses = [row for row in map(json.loads, (tmp_path / "x/run/metrics.jsonl").open()) if "loss" in row]
    assert len(losses) == 6, "what is sent to the tracker swallows no line of the training's own"


def test_a_tracker_is_ended_once_and_after_the_last_figure(
    data: Callable[[str], str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Some trackers end their run with training, and begin another one for what is logged later (trackio)."""
    from transformers import TrainerCallback
    from transformers.integrations import integration_utils

    told: list[str] = []

    class Tracker(TrainerCallback):
        def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **_: Any) -> None:
            told.extend(logs)

        def on_train_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            told.append("the end")

    monkeypatch.setitem(integration_utils.INTEGRATION_TO_CALLBACK, "mine", Tracker)
    _train(_config(data, tmp_path / "x", trainer={**TRAINER, "report_to": "mine", "max_steps": 2}))
    assert told.count("the end") == 1 and told[-1] == "the end" and "eval_final_exact" in told
