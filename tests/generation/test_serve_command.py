"""`serve` builds the command of an existing server; what runs is theirs."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import pytest

from rulewright.cli import main
from rulewright.commands import serve


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / "models" / "sft"
    path.mkdir(parents=True)
    (path / "config.json").write_text("{}")
    return path


def test_vllm_command(folder):
    config = serve.Config(model=str(folder), port=8123, gpus=2, max_length_tokens=4096, extra=["--seed", "1"])
    command = serve.command_line(config, "vllm")
    assert command[1:3] == ["-m", "vllm.entrypoints.openai.api_server"]
    pairs = dict(zip(command[3::2], command[4::2], strict=False))
    assert pairs["--model"] == str(folder) and pairs["--served-model-name"] == "sft"
    assert (pairs["--port"], pairs["--tensor-parallel-size"], pairs["--max-model-len"]) == (
        "8123",
        "2",
        "4096",
    )
    assert pairs["--host"] == "127.0.0.1" and command[-2:] == ["--seed", "1"]


def test_transformers_command(folder):
    pytest.importorskip("transformers")
    command = serve.command_line(serve.Config(model=str(folder)), "transformers")
    assert Path(command[0]).name == "transformers" and command[1:3] == ["serve", str(folder)]
    assert serve.served_name(serve.Config(model=str(folder)), "transformers") == str(folder)


@pytest.mark.skipif(find_spec("vllm") is not None, reason="vLLM is installed here")
def test_what_is_missing_is_said(folder, capsys):
    assert main(["serve", str(folder), "--server", "vllm"]) == 2
    assert "pip install 'rulewright[vllm]'" in capsys.readouterr().err
    if all(find_spec(name) for name in ("fastapi", "uvicorn", "openai")):
        pytest.skip("transformers' server is installed here")
    assert main(["serve", str(folder)]) == 2
    said = capsys.readouterr().err
    assert "no server to run" in said and "transformers[serving]" in said
    assert main(["serve", str(folder.parent / "absent")]) == 2
