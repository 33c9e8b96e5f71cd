"""The tier of containers: docker's command line."""

from __future__ import annotations

import os
import shutil
import subprocess

import pytest

from rulewright.errors import UsageError
from rulewright.sandbox.container import Container, command
from rulewright.sandbox.job import Entry, Job, Limits, Status
from rulewright.sandbox.runner import open_sandbox


def test_an_image_has_to_be_named() -> None:
    with pytest.raises(UsageError, match="needs an image"):
        open_sandbox("docker")


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
    left = subprocess.run([container.program, "ps", "-aq"], capture_output=True, text=True, check=True)
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
