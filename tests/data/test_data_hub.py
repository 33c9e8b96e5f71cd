"""The hub route with the real client against a hub of our own on the loopback address."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

pytest.importorskip("huggingface_hub")
COMMIT = "0123456789abcdef0123456789abcdef01234567"


class Hub(ThreadingHTTPServer):
    """The three routes of the hub that a download uses."""

    def __init__(self, name: str, files: dict[str, bytes]) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.name, self.files, self.asked = name, files, list[str]()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class _Handler(BaseHTTPRequestHandler):
    server: Hub

    def do_HEAD(self) -> None:
        self._answer(with_body=False)

    def do_GET(self) -> None:
        self._answer(with_body=True)

    def _answer(self, with_body: bool) -> None:
        hub, path = self.server, self.path.partition("?")[0]
        hub.asked.append(path)
        resolve = f"/datasets/{hub.name}/resolve/{COMMIT}/"
        if path == f"/api/datasets/{hub.name}/revision/v1":
            siblings = [self._sibling(name, content) for name, content in hub.files.items()]
            facts = {"id": hub.name, "sha": COMMIT, "siblings": siblings}
            self._send(json.dumps(facts).encode(), {"Content-Type": "application/json"}, with_body)
        elif path.removeprefix(resolve) in hub.files:
            content = hub.files[path.removeprefix(resolve)]
            etag = hashlib.sha256(content).hexdigest()
            self._send(content, {"ETag": f'"{etag}"', "X-Repo-Commit": COMMIT}, with_body)
        else:
            self.send_response(404)
            self.send_header("X-Error-Code", "RevisionNotFound")
            self.send_header("Content-Length", "0")
            self.end_headers()

    def _sibling(self, name: str, content: bytes) -> dict[str, Any]:
        stated: dict[str, Any] = {"rfilename": name, "size": len(content)}
        if name.startswith("data/python"):
            digest = hashlib.sha256(content).hexdigest()
            return {**stated, "lfs": {"size": len(content), "sha256": digest, "pointerSize": 130}}
        blob = hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()
        return {**stated, "blobId": blob}

    def _send(self, content: bytes, headers: dict[str, str], with_body: bool) -> None:
        self.send_response(200)
        for key, value in {**headers, "Content-Length": str(len(content))}.items():
            self.send_header(key, value)
        self.end_headers()
        if with_body:
            self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def hub(lay: SimpleNamespace) -> Iterator[Hub]:
    def rows(start: int) -> bytes:
        return "".join(json.dumps(lay.commit_row(i)) + "\n" for i in range(start, start + 20)).encode()

    files = {
        "data/python/data.jsonl": rows(0), "data/java/data.jsonl": rows(20), "data/ruby/data.jsonl": rows(40),
        "README.md": b"# card\n", "commitpackft.py": b"raise SystemExit\n",
    }  # fmt: skip
    with Hub("bigcode/commitpackft", files) as made:
        thread = threading.Thread(target=made.serve_forever)
        thread.start()
        yield made
        made.shutdown()
        thread.join()


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
