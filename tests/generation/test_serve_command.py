"""`serve` builds the command of an existing server; what runs is theirs (`tests/vllm` runs it)."""

from __future__ import annotations

import json
import os
import stat
import sys
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from rulewright.cli import main
from rulewright.errors import UsageError
from rulewright.generation import serving
from rulewright.generation.adapters import Adapter, is_adapter
from rulewright.generation.serving import ServeConfig, Server

VLLM = Server("vllm", ["vllm", "serve"], "")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / "models" / "sft"
    path.mkdir(parents=True)
    (path / "config.json").write_text("{}")
    return path


@pytest.fixture
def adapter(folder: Path, tmp_path: Path) -> Path:
    return write_adapter(tmp_path / "models" / "stage1", folder)


def write_adapter(path: Path, base: Path | str, **settings: object) -> Path:
    path.mkdir(parents=True)
    values = {"base_model_name_or_path": str(base), "peft_type": "LORA", "r": 24, "bias": "none", **settings}
    (path / "adapter_config.json").write_text(json.dumps(values))
    (path / "adapter_model.safetensors").write_bytes(b"")
    return path


def program(path: Path, text: str = "#!/bin/sh\nexit 0\n") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path


def line(config: ServeConfig) -> list[str]:
    adapter = Adapter.read(config.model) if is_adapter(config.model) else None
    return serving.command_line(config, VLLM, adapter)


def flags(command: list[str]) -> dict[str, str]:
    return {a: b for a, b in pairwise(command) if a.startswith("--")}


def test_vllm_command(folder: Path) -> None:
    config = ServeConfig(model=str(folder), port=8123, gpus=2, max_length_tokens=4096, extra=["--seed", "1"])
    command = line(config)
    assert command[:3] == ["vllm", "serve", str(folder)]
    pairs = flags(command)
    assert pairs["--served-model-name"] == "sft" and pairs["--host"] == "127.0.0.1"
    assert (pairs["--port"], pairs["--tensor-parallel-size"], pairs["--max-model-len"]) == (
        "8123",
        "2",
        "4096",
    )
    assert pairs["--generation-config"] == "vllm" and command[-2:] == ["--seed", "1"]
    assert "--enable-lora" not in command and "--default-chat-template-kwargs" not in command


def test_an_adapter_is_served_on_its_base(adapter: Path, folder: Path) -> None:
    command = line(ServeConfig(model=str(adapter)))
    pairs = flags(command)
    assert command[2] == str(folder) and "--enable-lora" in command
    assert pairs["--max-lora-rank"] == "32", "the least that vLLM takes and that holds rank 24"
    assert pairs["--lora-modules"] == f"stage1={adapter}" and pairs["--served-model-name"] == "sft"
    assert "--tokenizer" not in command, "it has none: the base's is used"
    (adapter / "tokenizer.json").write_text("{}")
    assert flags(line(ServeConfig(model=str(adapter))))["--tokenizer"] == str(adapter)


def test_names_of_base_and_adapter_never_collide(adapter: Path, folder: Path) -> None:
    pairs = flags(line(ServeConfig(model=str(adapter), name="sft")))
    assert pairs["--served-model-name"] == "sft-base" and pairs["--lora-modules"].startswith("sft=")


def test_a_moved_base_is_named(adapter: Path, folder: Path, tmp_path: Path) -> None:
    other = tmp_path / "elsewhere"
    folder.rename(other)
    with pytest.raises(UsageError, match=r"does not exist.*\nhint: .*--base"):
        line(ServeConfig(model=str(adapter)))
    assert line(ServeConfig(model=str(adapter), base=str(other)))[2] == str(other)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"r": 600}, "rank 600"),
        ({"rank_pattern": {"q_proj": 1024}}, "rank 1024"),
        ({"modules_to_save": ["lm_head"]}, "whole modules"),
        ({"use_dora": True}, "DoRA"),
        ({"bias": "all"}, "biases"),
        ({"peft_type": "IA3"}, "IA3"),
    ],
)
def test_an_adapter_that_vllm_cannot_serve_is_to_be_merged(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], settings: dict[str, Any], said: str
) -> None:
    path = write_adapter(tmp_path / "odd", folder, **settings)
    vllm = program(tmp_path / "env" / "bin" / "vllm")
    assert main(["serve", str(path), "--vllm", str(vllm), "--dry-run"]) == 2
    err = capsys.readouterr().err
    assert said in err and "rulewright merge" in err


def test_a_rank_that_is_too_small_is_refused_before_the_server_starts(
    adapter: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    vllm = program(tmp_path / "env" / "bin" / "vllm")
    common = ["serve", str(adapter), "--vllm", str(vllm), "--dry-run"]
    assert main([*common, "--lora-rank", "8"]) == 2
    assert "rank 24, but --lora-rank allows 8" in capsys.readouterr().err
    assert main([*common, "--lora-rank", "64"]) == 0
    assert "--max-lora-rank 64" in capsys.readouterr().out


def test_thinking_is_asked_as_it_was_trained(folder: Path) -> None:
    assert "--default-chat-template-kwargs" not in line(ServeConfig(model=str(folder)))
    for thinking in (False, True):
        (folder / "rulewright.json").write_text(json.dumps({"thinking": thinking}))
        pairs = flags(line(ServeConfig(model=str(folder))))
        assert json.loads(pairs["--default-chat-template-kwargs"]) == {"enable_thinking": thinking}
    (folder / "rulewright.json").write_text(json.dumps({"thinking": None}))
    assert "--default-chat-template-kwargs" not in line(ServeConfig(model=str(folder)))


def test_a_server_for_rollouts(
    folder: Path, adapter: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    vllm = program(tmp_path / "env" / "bin" / "vllm")
    common = ["--vllm", str(vllm), "--rollouts", "--dry-run"]
    assert main(["serve", str(folder), *common]) == 2, "nothing says how large the adapters will be"
    assert "--lora-rank" in capsys.readouterr().err
    for arguments in ([str(folder), "--lora-rank", "16"], [str(adapter)]):
        assert main(["serve", *arguments, *common]) == 0
        said = capsys.readouterr().out
        assert said.startswith("VLLM_ALLOW_RUNTIME_LORA_UPDATING=True ")
        assert "--enable-lora" in said and "--logprobs-mode processed_logprobs" in said


def test_where_vllm_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A program, its environment's folder, a Python that has it, or the path; each is said."""
    vllm = program(tmp_path / "env" / "bin" / "vllm")
    assert serving.find_vllm(str(vllm)) == ([str(vllm), "serve"], str(vllm))
    assert serving.find_vllm(str(tmp_path / "env")) == ([str(vllm), "serve"], str(vllm))
    python = program(tmp_path / "other" / "bin" / "python3")
    assert serving.find_vllm(str(python)) == (
        [str(python), "-m", "vllm.entrypoints.cli.main", "serve"], str(python),
    )  # fmt: skip
    monkeypatch.setenv("PATH", f"{vllm.parent}{os.pathsep}{os.environ['PATH']}")
    if find_spec("vllm") is None:
        assert serving.find_vllm("") == ([str(vllm), "serve"], f"on the path: {vllm}")
    assert serving.choose(ServeConfig(model="x", server="vllm")).kind == "vllm"


@pytest.mark.parametrize(
    ("wanted", "said"), [("/nowhere/vllm", "no program there"), (sys.executable, "this Python has no vLLM")]
)
@pytest.mark.skipif(find_spec("vllm") is not None, reason="vLLM is installed here")
def test_no_vllm_where_it_should_be(
    folder: Path, capsys: pytest.CaptureFixture[str], wanted: str, said: str
) -> None:
    assert main(["serve", str(folder), "--vllm", wanted]) == 2
    assert said in capsys.readouterr().err


def test_transformers_command(folder: Path, adapter: Path) -> None:
    pytest.importorskip("transformers")
    server = Server("transformers", [serving.transformers_program(), "serve"], "")
    command = serving.command_line(ServeConfig(model=str(folder)), server, None)
    assert Path(command[0]).name == "transformers" and command[1:3] == ["serve", str(folder)]
    assert serving.served_name(ServeConfig(model=str(folder)), "transformers") == str(folder)
    with pytest.raises(UsageError, match="rulewright merge"):
        serving.command_line(ServeConfig(model=str(adapter)), server, Adapter.read(adapter))


@pytest.mark.skipif(find_spec("vllm") is not None, reason="vLLM is installed here")
def test_what_is_missing_is_said(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    assert main(["serve", str(folder), "--server", "vllm"]) == 2
    assert "pip install 'rulewright[vllm]'" in capsys.readouterr().err
    if all(find_spec(name) for name in ("fastapi", "uvicorn", "openai")):
        pytest.skip("transformers' server is installed here")
    assert main(["serve", str(folder)]) == 2
    said = capsys.readouterr().err
    assert "no server to run" in said and "transformers[serving]" in said
    assert main(["serve", str(folder.parent / "absent")]) == 2
