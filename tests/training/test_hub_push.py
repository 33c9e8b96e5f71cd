"""`push_to_hub` with the real client against a hub of our own on the loopback address."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.loopback import Reply, Request, json_reply, serving

pytest.importorskip("huggingface_hub")
TOKEN = "hf_of_a_test"


class Hub:
    """The routes of the hub that an upload uses; keeps what it is sent."""

    def __init__(self) -> None:
        self.url = ""
        self.made: list[dict[str, Any]] = []
        self.files: dict[str, bytes] = {}
        self.tokens: set[str] = set()
        self.broken = False

    def answer(self, request: Request) -> Reply:
        if request.method != "POST":
            return json_reply({"name": "me", "id": "me/model", "sha": "0" * 40, "siblings": []})
        self.tokens.add(request.headers.get("Authorization", ""))
        if self.broken:
            return json_reply({"error": "the hub is down"}, 503)
        if request.path == "/api/repos/create":
            self.made.append(request.json())
            return json_reply({"url": f"{self.url}/me/model", "id": "me/model"})
        if request.path == "/api/validate-yaml":
            return json_reply({"errors": [], "warnings": []})
        if "/preupload/" in request.path:
            files = [
                {"path": f["path"], "uploadMode": "regular", "shouldIgnore": False}
                for f in request.json()["files"]
            ]
            return json_reply({"files": files})
        if "/commit/" in request.path:
            for line in map(json.loads, request.body.splitlines()):
                if line["key"] == "file":
                    self.files[line["value"]["path"]] = base64.b64decode(line["value"]["content"])
            oid = "0123456789abcdef0123456789abcdef01234567"
            url = f"{self.url}/me/model/commit/{oid}"
            return json_reply({"success": True, "commitOid": oid, "commitUrl": url})
        return json_reply({"error": request.path}, 404)


@pytest.fixture
def hub() -> Iterator[Hub]:
    made = Hub()
    with serving(made.answer) as made.url:
        yield made


def test_a_finished_model_is_pushed_with_its_card_and_without_its_run(
    hub: Hub, data: Callable[[str], str], tmp_path: Path
) -> None:
    pytest.importorskip("trl")
    config = {
        "tiny": {
            "vocab_size": 320, "hidden_size": 16, "n_layers": 1, "n_heads": 2, "mlp_size": 32, "n_texts": 50,
        },
        "mix": [{"path": data("train")}],
        "max_length_tokens": 256,
        "out": str(tmp_path / "out"),
        "trainer": {
            "max_steps": 1, "per_device_train_batch_size": 2,
            "push_to_hub": True, "hub_model_id": "me/model", "hub_private_repo": True,
        },
    }  # fmt: skip
    path = tmp_path / "sft.yaml"
    path.write_text(json.dumps(config), encoding="utf-8")

    def train(*flags: str) -> subprocess.CompletedProcess[str]:
        environment = {
            **os.environ, "OMP_NUM_THREADS": "1", "HF_TOKEN": TOKEN, "HF_HOME": str(tmp_path / "home"),
            "HF_ENDPOINT": hub.url, "NO_PROXY": "127.0.0.1",
        }  # fmt: skip
        environment.pop("HF_HUB_OFFLINE", None)
        argv = [sys.executable, "-m", "rulewright", "train", "sft", "--config", str(path), *flags]
        return subprocess.run(argv, env=environment, capture_output=True, text=True, timeout=280, check=False)

    # The hub is down: nothing is lost, and the way on is said.
    hub.broken = True
    done = train()
    assert done.returncode == 1 and "trained and saved, but the upload to the hub failed" in done.stderr
    assert "--resume" in done.stderr and (tmp_path / "out" / "run" / "result.json").exists()
    hub.broken = False
    done = train("--resume")
    assert done.returncode == 0, done.stderr[-2000:]
    assert {"README.md", "model.safetensors", "tokenizer.json", "rulewright.json"} <= set(hub.files)
    assert not [name for name in hub.files if name.startswith("run/")]
    assert hub.files["model.safetensors"] == (tmp_path / "out" / "model.safetensors").read_bytes()
    assert hub.made[-1]["visibility"] == "private" and f"Bearer {TOKEN}" in hub.tokens
    assert str(tmp_path) not in hub.files["README.md"].decode()


@pytest.mark.parametrize("pushes", [True, False])
def test_the_hub_is_out_of_reach_only_where_nothing_is_pushed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pushes: bool
) -> None:
    """A local checkpoint needs no hub; pushing what was trained from it does, for every kind of training."""
    from rulewright.training import job
    from rulewright.training.config import SftConfig
    from rulewright.training.policy_config import PolicyConfig

    options = {"push_to_hub": True} if pushes else {}
    for config in (
        SftConfig(model=str(tmp_path), trainer=options, device="cpu"),
        PolicyConfig(model=str(tmp_path), trainer=options, device="cpu"),
    ):
        for name in ("HF_HUB_OFFLINE", "CUDA_VISIBLE_DEVICES"):
            monkeypatch.delenv(name, raising=False)
        job.prepare(config)
        assert ("HF_HUB_OFFLINE" in os.environ) == (not pushes)
