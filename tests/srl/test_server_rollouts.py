# ruff: noqa: F811  (a fixture of another module is named as parameters are)
"""`rollouts: server`: adapters go out, rollouts come back, and what is not the policy is noticed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from rulewright import jsonl
from rulewright.cli import main

pytest.importorskip("trl")
import torch
from tests.srl.rollout_server import RolloutServer, listening
from tests.srl.test_train_srl import folder, srl  # noqa: F401  (a fixture)
from transformers import AutoModelForCausalLM

from rulewright.training.checkpoints import COMPLETE

LORA = {"r": 4, "alpha": 8}
TRAINER: dict[str, Any] = {
    "max_steps": 3, "per_device_train_batch_size": 16, "num_generations": 8, "max_completion_length": 48,
    "learning_rate": 1e-3, "save_steps": 3, "bf16": False,
}  # fmt: skip


def config_of(folder: Path, out: Path, url: str, **values: Any) -> str:
    """A configuration for a server; the trainer multiplies in float32, as the server does."""
    server = {"base_url": url, "max_retries": 0, "timeout_s": 60, **values.pop("asked", {})}
    values["trainer"] = {**TRAINER, **values.get("trainer", {})}
    return srl(folder, out, rollouts="server", server=server, lora=LORA, dtype="float32", **values)


def train(folder: Path, out: Path, server: RolloutServer, *flags: str, **values: Any) -> int:
    return main(["train", "srl", "--config", config_of(folder, out, server.url, **values), *flags])


def steps_of(out: Path) -> list[dict[str, Any]]:
    rows = jsonl.read(out / "model/run/metrics.jsonl")
    return [row for row in rows if row["kind"] == "train"]


def test_a_run_from_a_server(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with listening(RolloutServer(folder / "model")) as server:
        assert train(folder, tmp_path, server, "--json") == 0
    result = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert result["steps"] == 3 and result["after"]["sampled"]["n"] == 8
    rows = steps_of(tmp_path)
    assert [row["step"] for row in rows] == [1, 2, 3]
    for row in rows:
        gap = row["sampling/sampling_logp_difference/mean"]
        assert 0 <= gap < 1e-4, "both are float32: the same policy to rounding"
        assert row["sampling/sampling_logp_difference/max"] < 1e-2 and row["rollout/tokens_per_s"] > 0
        assert row["seconds/generation"] > 0
    # A fresh name for every step whose weights are new: 0 (evaluation too), 1, 2, and 3 to evaluate.
    assert [name.rpartition("-")[2] for name in server.loaded] == ["step0", "step1", "step2", "step3"]
    assert len(set(server.loaded)) == 4 and server.unloaded == server.loaded[:-1]
    assert len(list((tmp_path / "model/run/rollouts").iterdir())) == 2
    last = server.completions[-1]
    assert (last["top_p"], last["top_k"], last["repetition_penalty"]) == (1.0, -1, 1.0)
    assert (tmp_path / "model/adapter_model.safetensors").exists()


def test_groups_are_asked_for_at_once(folder: Path, tmp_path: Path) -> None:
    """A prompt is sent once for its group, with a seed of its own; a refill has others."""
    with listening(RolloutServer(folder / "model")) as server:
        assert train(folder, tmp_path, server) == 0
    groups = [body for body in server.completions if body["n"] == 8]
    assert len(groups) >= 6, "3 steps of 2 prompts, and refills"
    assert len({body["seed"] for body in groups}) == len(groups)
    assert all(body["temperature"] == 1.0 and body["max_tokens"] == 48 for body in groups)


def test_a_stale_adapter_raises_the_alarm(
    folder: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """It takes every adapter and answers with the first: rewards look fine, nothing else tells."""
    trainer = {
        "max_steps": 12, "per_device_train_batch_size": 16, "num_generations": 8, "learning_rate": 1e-2,
        "max_completion_length": 48, "save_steps": 3, "lr_scheduler_type": "constant",
    }  # fmt: skip
    with listening(RolloutServer(folder / "model", stale=True)) as server:
        assert train(folder, tmp_path, server, trainer=trainer, eval_every_steps=100) == 1
    err = capsys.readouterr().err
    assert "older adapter" in err and "nats a token" in err and "--resume" in err and "Traceback" not in err
    gaps = [row["sampling/sampling_logp_difference/mean"] for row in steps_of(tmp_path)]
    assert gaps and gaps[0] < 1e-4, "at the start both are the same"
    assert not (tmp_path / "model/run/result.json").exists()


def test_answers_weigh_what_the_policy_gives_them(folder: Path, tmp_path: Path) -> None:
    """As TRL weighs those of its own vLLM: all tokens by the same ratio here, so the gradient grows by it."""
    norms = {}
    for weighed in (True, False):
        trainer = {
            "vllm_importance_sampling_mode": "token_truncate", "vllm_importance_sampling_clip_max": 1.04,
            "vllm_importance_sampling_correction": weighed, "max_steps": 1, "save_steps": 1,
        }  # fmt: skip
        out = tmp_path / str(weighed)
        with listening(RolloutServer(folder / "model", off_by=-0.05)) as server:
            assert train(folder, out, server, trainer=trainer) == 0
        [row] = steps_of(out)
        assert row["sampling/sampling_logp_difference/mean"] == pytest.approx(0.05, abs=1e-4)
        assert row["sampling/importance_sampling_ratio/mean"] == pytest.approx(1.04), "exp(0.05), truncated"
        norms[weighed] = row["grad_norm"]
    assert norms[True] / norms[False] == pytest.approx(1.04, abs=1e-3)


def test_dropout_is_no_part_of_the_served_policy(folder: Path, tmp_path: Path) -> None:
    with listening(RolloutServer(folder / "model")) as server:
        config = config_of(folder, tmp_path, server.url, trainer={"max_steps": 2, "save_steps": 2})
        values = json.loads(Path(config).read_text(encoding="utf-8"))
        values["lora"] = {**LORA, "dropout": 0.5}
        Path(config).write_text(json.dumps(values), encoding="utf-8")
        assert main(["train", "srl", "--config", config]) == 0
    for row in steps_of(tmp_path):
        assert row["sampling/sampling_logp_difference/mean"] < 1e-4


def test_another_model_is_noticed_at_once(
    folder: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    torch.manual_seed(5)
    other = AutoModelForCausalLM.from_pretrained(folder / "model")
    for parameter in other.parameters():
        parameter.data += 0.05 * torch.randn_like(parameter)
    other.save_pretrained(tmp_path / "other")
    with listening(RolloutServer(tmp_path / "other")) as server:
        assert train(folder, tmp_path, server) == 1
    err = capsys.readouterr().err
    assert "another model" in err and str(tmp_path / "other") in err and str(folder / "model") in err
    assert steps_of(tmp_path) == [], "nothing was learned from it"


def test_a_server_that_goes_down(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One message with the next step; started again, the run continues and ends."""
    trainer = {
        "max_steps": 4, "per_device_train_batch_size": 16, "num_generations": 8, "learning_rate": 1e-3,
        "max_completion_length": 48, "save_steps": 1,
    }  # fmt: skip
    values: dict[str, Any] = {"trainer": trainer, "eval_every_steps": 100}
    with listening(RolloutServer(folder / "model")) as server:
        server.silent_once = tmp_path / "model/run/checkpoints/checkpoint-2" / COMPLETE
        assert train(folder, tmp_path, server, **values) == 1
        err = capsys.readouterr().err
        assert "does not answer" in err and "503" in err and "--resume" in err and "Traceback" not in err
        done = max(row["step"] for row in steps_of(tmp_path))
        assert 2 <= done < 4
        server.silent_once = None
        assert train(folder, tmp_path, server, "--resume", **values) == 0
    assert [row["step"] for row in steps_of(tmp_path)] == [1, 2, 3, 4]
    assert json.loads((tmp_path / "model/run/result.json").read_text())["steps"] == 4


def test_a_server_that_was_started_again_gets_the_adapter_again(
    folder: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    with listening(RolloutServer(folder / "model", forgets_at=(20,))) as server:
        assert train(folder, tmp_path, server) == 0
    assert "loaded again" in capsys.readouterr().err
    assert len(server.loaded) == 5 and len(set(server.loaded)) == 5


@pytest.mark.parametrize(
    ("fault", "said", "hint"),
    [
        ({"forgets_at": tuple(range(100))}, "lost the adapter twice", "--resume"),
        ({"delay_s": 3.0}, "no answer within 1 s", "--resume"),
        ({"without": frozenset({"token_ids"})}, "no token ids", "vLLM 0.22"),
        ({"without": frozenset({"logprobs"})}, "no token ids with their log-probabilities", "vLLM 0.22"),
        ({"blind": True}, "No adapter found", "must see the run's folder"),
        ({"fixed": True}, "cannot load the adapter", "--rollouts"),
    ],
    ids=["loses", "late", "no_ids", "no_logprobs", "other_disk", "takes_none"],
)
def test_other_faults_are_one_message(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], fault: dict[str, Any], said: str,
    hint: str,
) -> None:  # fmt: skip
    timeout = {"timeout_s": 1} if "delay_s" in fault else {}
    with listening(RolloutServer(folder / "model", **fault)) as server:
        assert train(folder, tmp_path, server, asked=timeout) == 1
    err = capsys.readouterr().err
    assert said in err and hint in err and server.url in err and "Traceback" not in err


def test_a_server_that_is_not_there(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = config_of(folder, tmp_path, "http://127.0.0.1:9/v1")
    assert main(["train", "srl", "--config", config]) == 2
    err = capsys.readouterr().err
    assert "127.0.0.1:9" in err and "is it running" in err and "Traceback" not in err


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"lora": None}, "needs `lora`"),
        ({"trainer": {"top_k": 20, "num_generations": 8}}, "trainer.top_k: 20"),
        ({"trainer": {"generation_kwargs": {"top_k": 5}, "num_generations": 8}}, "trainer.generation_kwargs"),
        ({"trainer": {"loss_type": "vespo", "num_generations": 8}}, "token_truncate"),
        ({"trainer": {"vllm_importance_sampling_mode": "tokens"}}, "no such choice 'tokens'"),
    ],
)
def test_what_a_server_cannot_do_is_refused(
    folder: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    values: dict[str, Any],
    said: str,
) -> None:
    url = "http://127.0.0.1:9/v1"
    config = srl(
        folder, tmp_path, **{"rollouts": "server", "server": {"base_url": url}, "lora": LORA, **values}
    )
    assert main(["train", "srl", "--config", config]) == 2
    assert said in capsys.readouterr().err


@pytest.mark.slow
def test_two_processes_share_a_server(folder: Path, tmp_path: Path) -> None:
    """One of them writes and loads, both ask; the difference is over both."""
    with listening(RolloutServer(folder / "model")) as server:
        assert train(folder, tmp_path, server, "--processes", "2") == 0
    assert len(server.loaded) == 4
    assert all(row["sampling/sampling_logp_difference/mean"] < 1e-4 for row in steps_of(tmp_path))
