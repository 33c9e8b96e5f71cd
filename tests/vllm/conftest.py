"""A real vLLM (`make test-vllm` makes its environment), a real small model, an adapter on it.

One server at a time: each test file has its own, which ends with it.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
from tests.srl.test_train_srl import edits, record, step

from rulewright import jsonl
from rulewright.cli import main

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = ROOT / ".venv-vllm" / "bin" / "vllm"
BASE = ROOT / "models" / "base" / "smollm2"
# The first start on a busy machine takes minutes.
START_S = 900.0


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Everything here takes minutes, and runs by `make test-vllm`, not by `make test`."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.slow)
            item.add_marker(pytest.mark.timeout(1800))


@dataclass(frozen=True)
class Served:
    """A server that runs."""

    url: str
    log: Path
    pid: int


@pytest.fixture(scope="session")
def base() -> Path:
    """SmolLM2-135M-Instruct."""
    if not PROGRAM.exists():
        pytest.skip("no vLLM environment: make test-vllm")
    if not (BASE / "config.json").exists():
        pytest.skip("no models/base/smollm2: rulewright fetch smollm2")
    return BASE


@pytest.fixture(scope="session")
def tasks(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Eight small edits with their rules: as records and as verified steps."""
    folder = tmp_path_factory.mktemp("tasks")
    jsonl.write(folder / "steps.jsonl", [step(i, *edit) for i, edit in enumerate(edits())])
    jsonl.write(folder / "records.jsonl", [record(*edit, f"g{i}") for i, edit in enumerate(edits())])
    return folder


@pytest.fixture(scope="session")
def adapter(base: Path, tasks: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An adapter of `train sft` that knows the eight answers well, not perfectly."""
    folder = tmp_path_factory.mktemp("models") / "stage1"
    config = {
        "task": "action", "model": str(base), "prompt_style": "compact", "out": str(folder), "eval_limit": 0,
        "mix": [{"path": str(tasks / "records.jsonl")}], "mix_policy": "all",
        "lora": {"r": 8, "alpha": 16}, "max_length_tokens": 256,
        "trainer": {
            "max_steps": 24, "per_device_train_batch_size": 8, "learning_rate": 2e-3, "save_steps": 24,
            "logging_steps": 8,
        },
    }  # fmt: skip
    jsonl.write_json(folder.parent / "sft.yaml", config)
    assert main(["train", "sft", "--config", str(folder.parent / "sft.yaml")]) == 0
    return folder


@contextmanager
def serving(model: Path, *flags: str, log: Path) -> Iterator[Served]:
    """`rulewright serve` of a model, until the end of the block."""
    port = _free_port()
    command = [
        sys.executable, "-m", "rulewright", "serve", str(model), "--vllm", str(PROGRAM.parent.parent),
        "--port", str(port), "--max-length-tokens", "1024", "--dtype", "bfloat16", "--extra=--enforce-eager",
        *flags,
    ]  # fmt: skip
    environment = {
        **os.environ, "VLLM_CPU_KVCACHE_SPACE": "1", "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1",
        "VLLM_NO_USAGE_STATS": "1",
    }  # fmt: skip
    with log.open("wb") as out:
        process = subprocess.Popen(
            command, stdout=out, stderr=subprocess.STDOUT, env=environment, start_new_session=True
        )
        try:
            url = f"http://127.0.0.1:{port}/v1"
            _await(process, url, log)
            yield Served(url, log, process.pid)
        finally:
            # vLLM's workers are its children: the whole group ends.
            os.killpg(process.pid, signal.SIGTERM)
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()


def _await(process: subprocess.Popen[bytes], url: str, log: Path) -> None:
    end = time.monotonic() + START_S
    while time.monotonic() < end:
        if process.poll() is not None:
            pytest.fail(f"the server ended with {process.returncode}:\n{log.read_text()[-3000:]}")
        try:
            if httpx.get(f"{url}/models", timeout=5, trust_env=False).status_code == 200:
                return
        except httpx.HTTPError:
            pass
        time.sleep(1)
    pytest.fail(f"the server did not start within {START_S:.0f} s:\n{log.read_text()[-3000:]}")


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
        return port
