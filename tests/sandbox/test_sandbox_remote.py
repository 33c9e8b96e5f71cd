"""The backends elsewhere: a real HTTP server that speaks the protocol, and docker's command line."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from rulewright.errors import UsageError
from rulewright.sandbox.job import Entry, Job, Limits, Status
from rulewright.sandbox.remote import Container, command
from rulewright.sandbox.runner import Sandbox, open_sandbox


@pytest.fixture
def address(best: Sandbox) -> Iterator[str]:
    """A `/run_code` server whose programs run in our own sandbox."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            if "please break" in body["code"]:
                self.send_error(500)
                return
            job = Job(
                {"main.py": body["code"]},
                stdin=body["stdin"] or "",
                limits=Limits(wall_s=body["run_timeout"]),
            )
            result = best.run(job)
            late = result.status is Status.TIMEOUT
            found = {
                "status": "TimeLimitExceeded" if late else "Finished", "return_code": result.exit_code,
                "stdout": result.stdout, "stderr": result.stderr, "execution_time": result.wall_s,
            }  # fmt: skip
            answer = json.dumps(
                {"status": "Success" if result.ok else "Failed", "run_result": found}
            ).encode()
            self.send_response(200)
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_: object) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def test_http_server(address: str) -> None:
    with open_sandbox("http", where=address) as sandbox:
        assert sandbox.run(Job({"main.py": "print(input())"}, stdin="hi")).stdout == "hi\n"
        failed = sandbox.run(Job({"main.py": "1 / 0"}))
        assert (failed.status, failed.exit_code, failed.tier) == (Status.FAIL, 1, "http")
        assert (
            sandbox.run(Job({"main.py": "while True: pass"}, limits=Limits(wall_s=0.5))).status
            is Status.TIMEOUT
        )
        assert sandbox.run(Job({"main.py": "# please break"})).status is Status.INFRA
        with pytest.raises(UsageError, match="runs scripts"):
            sandbox.run(Job({}, Entry("pytest", ("x",))))


def test_http_server_that_is_not_there_is_infra() -> None:
    with open_sandbox("http", where="http://127.0.0.1:9") as sandbox:
        assert sandbox.run(Job({"main.py": ""})).status is Status.INFRA


@pytest.mark.parametrize("tier", ["docker", "http"])
def test_a_backend_elsewhere_has_to_be_named(tier: str) -> None:
    with pytest.raises(UsageError, match="needs to know where"):
        open_sandbox(tier)


def test_docker_gets_every_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.which", lambda name: f"/usr/bin/{name}")
    argv = Container("image").argv(Job({"main.py": ""}, limits=Limits(pids=7, memory_bytes=99)), "name")
    for words in (["--network", "none"], ["--pids-limit", "7"], ["--memory", "99"], ["--cap-drop", "ALL"]):
        assert any(argv[i : i + 2] == words for i in range(len(argv)))
    assert "--read-only" in argv


@pytest.fixture(scope="module")
def container() -> Container:
    """Real containers, where a machine has them: the image needs `python3`."""
    image = os.environ.get("RULEWRIGHT_TEST_IMAGE")
    if not image or not (shutil.which("docker") or shutil.which("podman")):
        pytest.skip("RULEWRIGHT_TEST_IMAGE names no image, or neither docker nor podman is there")
    return Container(image)


CONTAINED = {
    "prints": (Job({"main.py": "print(1)"}), Status.OK, "1\n"),
    "reads": (Job({"main.py": "print(input())"}, stdin="hi"), Status.OK, "hi\n"),
    "imports": (Job({"a/b.py": "x = 3", "main.py": "from a.b import x\nprint(x)"}), Status.OK, "3\n"),
    "fails": (Job({"main.py": "1 / 0"}), Status.FAIL, ""),
    "loops": (Job({"main.py": "while True: pass"}, limits=Limits(wall_s=1.0)), Status.TIMEOUT, ""),
    "floods": (
        Job({"main.py": "while True: print('x' * 999)"}, limits=Limits(output_bytes=9_000)),
        Status.OUTPUT_LIMIT, None,
    ),
    "hoards": (Job({"main.py": "x = []\nwhile True: x.append(bytearray(10**7))"}), Status.SIGNAL, ""),
    "forks": (Job({"main.py": "import os\nwhile True: os.fork()"}), Status.FAIL, ""),
    "calls": (Job({"main.py": "import socket\nsocket.create_connection(('1.1.1.1', 80))"}), Status.FAIL, ""),
    "writes": (Job({"main.py": "open('/etc/passwd', 'a')"}), Status.FAIL, ""),
}  # fmt: skip


@pytest.mark.parametrize("name", CONTAINED)
def test_in_a_real_container(container: Container, name: str) -> None:
    job, status, stdout = CONTAINED[name]
    result = container.run(job)
    assert (result.status, result.tier) == (status, "docker"), result
    assert stdout is None or result.stdout == stdout
    assert result.wall_s < job.limits.wall_s + 8
    left = subprocess.run([container._program, "ps", "-aq"], capture_output=True, text=True, check=True)
    assert left.stdout == ""


def test_commands_outside_a_warm_worker() -> None:
    assert command(Job({}, Entry("pytest", ("-q", "{ws}/t.py")))) == [
        "python3",
        "-m",
        "pytest",
        "-q",
        "/ws/t.py",
    ]
    assert command(Job({}, Entry("argv", ("node", "{ws}/t.js")))) == ["node", "/ws/t.js"]
