"""The hub route with the real client against a hub of our own on the loopback address."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from tests.loopback import Reply, Request, json_reply, serving

pytest.importorskip("huggingface_hub")
COMMIT = "0123456789abcdef0123456789abcdef01234567"


class Hub:
    """The three routes of the hub that a download uses."""

    def __init__(self, name: str, files: dict[str, bytes]) -> None:
        self.url = ""
        self.name, self.files, self.asked = name, files, list[str]()

    def answer(self, request: Request) -> Reply:
        self.asked.append(request.path)
        if request.path == f"/api/datasets/{self.name}/revision/v1":
            siblings = [self._sibling(name, content) for name, content in self.files.items()]
            return json_reply({"id": self.name, "sha": COMMIT, "siblings": siblings})
        content = self.files.get(request.path.removeprefix(f"/datasets/{self.name}/resolve/{COMMIT}/"))
        if content is None:
            return Reply(404, headers={"X-Error-Code": "RevisionNotFound"})
        etag = f'"{hashlib.sha256(content).hexdigest()}"'
        return Reply(200, content, {"ETag": etag, "X-Repo-Commit": COMMIT})

    def _sibling(self, name: str, content: bytes) -> dict[str, Any]:
        stated: dict[str, Any] = {"rfilename": name, "size": len(content)}
        if name.startswith("data/python"):
            digest = hashlib.sha256(content).hexdigest()
            return {**stated, "lfs": {"size": len(content), "sha256": digest, "pointerSize": 130}}
        blob = hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()
        return {**stated, "blobId": blob}


@pytest.fixture
def hub(lay: SimpleNamespace) -> Iterator[Hub]:
    def rows(start: int) -> bytes:
        return "".join(json.dumps(lay.commit_row(i)) + "\n" for i in range(start, start + 20)).encode()

    files = {
        "data/python/data.jsonl": rows(0), "data/java/data.jsonl": rows(20), "data/ruby/data.jsonl": rows(40),
        "README.md": b"# card\n", "commitpackft.py": b"raise SystemExit\n",
    }  # fmt: skip
    made = Hub("bigcode/commitpackft", files)
    with serving(made.answer) as made.url:
        yield made


def python(hub: Hub, tmp_path: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """In a process of its own, as the client reads its address when it is imported."""
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("HF_", "HUGGING"))}
    environment |= {"HF_ENDPOINT": hub.url, "HF_HOME": str(tmp_path / "hf"), "HF_HUB_DISABLE_XET": "1"}
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=tmp_path, env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip


def ingest(hub: Hub, tmp_path: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    words = ["commitpackft", "--hub-languages", "python", "java", "--raw", "raw", "--workers", "1"]
    return python(hub, tmp_path, "-m", "rulewright", "ingest", *words, *arguments)


_WITHOUT_A_FOLDER = """
from rulewright.data import hub
from rulewright.data.sources import SOURCES
print(*hub.fetch(SOURCES["commitpackft"], "v1", ["python"]).paths)
"""


def test_without_a_folder_files_are_in_the_clients_cache(hub: Hub, tmp_path: Path) -> None:
    done = python(hub, tmp_path, "-c", _WITHOUT_A_FOLDER)
    assert done.returncode == 0, done.stderr
    path = Path(done.stdout.strip())
    assert path.is_relative_to(tmp_path / "hf")
    assert path.read_bytes() == hub.files["data/python/data.jsonl"]


def test_files_come_from_the_commit_and_are_checked(hub: Hub, tmp_path: Path) -> None:
    done = ingest(hub, tmp_path, "--revision", "v1")
    assert done.returncode == 0, done.stderr
    metadata = json.loads((tmp_path / "data/processed/commitpackft.metadata.json").read_text())
    assert metadata["version"] == COMMIT and metadata["rows_in"] == metadata["num_records"] == 40
    assert metadata["inputs"] == {
        f"raw/commitpackft/{COMMIT}/data/{language}/data.jsonl":
            hashlib.sha256(hub.files[f"data/{language}/data.jsonl"]).hexdigest()
        for language in ("java", "python")
    }  # fmt: skip
    assert not any("ruby" in path or path.endswith(".py") for path in hub.asked)

    # Fetched files are not fetched again, but they are looked at again.
    n_fetched = sum("/resolve/" in path for path in hub.asked)
    assert ingest(hub, tmp_path, "--revision", "v1", "--overwrite").returncode == 0
    assert sum("/resolve/" in path for path in hub.asked) == n_fetched
    for language in ("python", "java"):
        path = tmp_path / f"raw/commitpackft/{COMMIT}/data/{language}/data.jsonl"
        raw, times = path.read_bytes(), path.stat()
        path.write_bytes(raw.replace(b"None", b"NONE", 1))
        os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))  # else the client fetches it again
        spoilt = ingest(hub, tmp_path, "--revision", "v1", "--overwrite")
        assert spoilt.returncode == 1 and "is not the file that the hub has" in spoilt.stderr
        path.write_bytes(raw)


def test_a_revision_that_is_not_there_is_an_error(hub: Hub, tmp_path: Path) -> None:
    done = ingest(hub, tmp_path, "--revision", "v2")
    assert done.returncode == 1 and "cannot be fetched from the hub" in done.stderr
    assert "Traceback" not in done.stderr and not (tmp_path / "data").exists()
