"""Sandboxes elsewhere behind the same interface: a container a job, or an HTTP server.

`docker`: one container a job, by the docker or podman program, with no network, a
read-only root, dropped capabilities and limits; start-up is the container's.
`http`: a server that speaks SandboxFusion's `POST /run_code`. What such a server
contains is its own affair: this tier trusts it, and says so in every result.
Neither runs the strict check's private channel: `strict` needs a local tier.
"""

from __future__ import annotations

import base64
import json
import shutil
import subprocess
import time
import uuid
from typing import Any, Final

import httpx

from rulewright import console
from rulewright.errors import UsageError
from rulewright.sandbox.job import MIB, Job, Result, Status, Tier

# Lays out the workspace from standard input, then becomes the program.
_UNPACK: Final = (
    "import base64,json,os,sys;"
    "spec=json.loads(sys.stdin.buffer.readline());"
    "[(os.makedirs(os.path.dirname(os.path.join('/ws',n)) or '/ws',exist_ok=True),"
    "open(os.path.join('/ws',n),'wb').write(base64.b64decode(d))) for n,d in spec['files'].items()];"
    "os.chdir('/ws');os.dup2(os.open('/dev/null',os.O_RDONLY),0);"
    "os.execvp(spec['argv'][0],spec['argv'])"
)
_KILLED: Final = 137


def open_backend(tier: str, where: str) -> Container | HttpServer:
    """The backend of a tier; `where` is the image or the address.

    Raises:
        UsageError: it is not named, or its program is absent.
    """
    if not where:
        what = (
            "an image, e.g. --where python:3.11-slim"
            if tier == "docker"
            else "an address, e.g. --where http://host:8080"
        )
        raise UsageError(f"the {tier} sandbox needs to know where", f"name {what}")
    return Container(where) if tier == "docker" else HttpServer(where)


def command(job: Job, python: str = "python3") -> list[str]:
    """The program that a job's entry amounts to, outside a warm worker.

    Raises:
        UsageError: the entry needs a local tier.
    """
    argv = [argument.replace("{ws}", "/ws").replace("{tests}", "/ws") for argument in job.entry.argv]
    match job.entry.kind:
        case "script":
            return [python, *argv]
        case "pytest":
            return [python, "-m", "pytest", *argv]
        case "unittest":
            return [python, "-m", "unittest", *argv]
        case "argv":
            return argv
    raise UsageError("strict checks run in a local sandbox only", "use --sandbox auto")


class Container:
    """A container a job, by docker or podman."""

    tier: Tier = "docker"

    def __init__(self, image: str) -> None:
        self._image = image
        found = shutil.which("docker") or shutil.which("podman")
        if found is None:
            raise UsageError("neither docker nor podman is installed", "install one, or use --sandbox auto")
        self._program = found

    def argv(self, job: Job, name: str) -> list[str]:
        """The command line that starts a job's container."""
        limits = job.limits
        return [
            self._program, "run", "--rm", "-i", "--name", name, "--network", "none", "--read-only",
            "--cap-drop", "ALL",
            "--security-opt", "no-new-privileges", "--user", "65534:65534", "--ipc", "none",
            "--pids-limit", str(limits.pids), "--memory", str(limits.memory_bytes),
            "--memory-swap", str(limits.memory_bytes), "--ulimit", f"fsize={limits.file_bytes}",
            "--ulimit", f"nofile={limits.open_files}", "--ulimit", f"cpu={limits.cpu_s}",
            "--ulimit", "core=0",
            "--tmpfs", f"/ws:rw,nosuid,nodev,exec,size={limits.workspace_bytes},mode=1777",
            "--tmpfs", f"/tmp:rw,nosuid,nodev,size={limits.workspace_bytes},mode=1777",
            *(part for key, value in job.env.items() for part in ("--env", f"{key}={value}")),
            self._image, "python3", "-I", "-c", _UNPACK,
        ]  # fmt: skip

    def run(self, job: Job) -> Result:
        """Run one job in a container of its own."""
        name = f"rulewright-{uuid.uuid4().hex}"
        files = {key: _encoded(data) for key, data in (*job.files.items(), *job.tests.items())}
        spec = json.dumps({"files": files, "argv": command(job)}).encode() + b"\n"
        start = time.monotonic()
        try:
            # Starting a container is not the program's time.
            done = subprocess.run(
                self.argv(job, name),
                input=spec,
                capture_output=True,
                timeout=job.limits.wall_s + 30,
                check=False,
            )
        except subprocess.TimeoutExpired as late:
            self._remove(name)
            return _result(Status.TIMEOUT, None, late.stdout, late.stderr, start, self.tier, job)
        code = done.returncode
        if code in (125, 126):  # docker's own failures
            return _result(Status.INFRA, None, done.stdout, done.stderr, start, self.tier, job)
        status = Status.OK if code == 0 else Status.SIGNAL if code == _KILLED else Status.FAIL
        return _result(status, code, done.stdout, done.stderr, start, self.tier, job)

    def _remove(self, name: str) -> None:
        subprocess.run([self._program, "rm", "-f", name], capture_output=True, timeout=60, check=False)

    def close(self) -> None:
        """Nothing is kept between jobs."""


class HttpServer:
    """A server with SandboxFusion's `/run_code`."""

    tier: Tier = "http"

    def __init__(self, address: str) -> None:
        self._client = httpx.Client(base_url=address.rstrip("/"), timeout=60)

    def run(self, job: Job) -> Result:
        """Send one script; a failure of the server is ours, not the program's."""
        if job.entry.kind != "script":
            raise UsageError(f"the http sandbox runs scripts, not {job.entry.kind}", "use --sandbox auto")
        name = job.entry.argv[0]
        body = {
            "code": _text(job.files[name]), "language": "python", "stdin": _text(job.stdin) or None,
            "run_timeout": job.limits.wall_s, "memory_limit_MB": job.limits.memory_bytes // MIB,
            "files": {key: _encoded(data) for key, data in job.files.items() if key != name},
        }  # fmt: skip
        start = time.monotonic()
        try:
            answer = self._client.post("/run_code", json=body, timeout=job.limits.wall_s + 30)
            answer.raise_for_status()
            value: dict[str, Any] = answer.json()
        except (httpx.HTTPError, ValueError) as error:
            return _result(Status.INFRA, None, b"", str(error).encode(), start, self.tier, job)
        found = value.get("run_result") or {}
        code = found.get("return_code")
        return _result(
            _status(value, found), code if isinstance(code, int) else None,
            str(found.get("stdout") or "").encode(), str(found.get("stderr") or "").encode(),
            start, self.tier, job,
        )  # fmt: skip

    def close(self) -> None:
        """Close the connection."""
        self._client.close()


def _status(value: dict[str, Any], found: dict[str, Any]) -> Status:
    if value.get("status") == "SandboxError" or not found:
        return Status.INFRA
    if found.get("status") == "TimeLimitExceeded":
        return Status.TIMEOUT
    return Status.OK if found.get("return_code") == 0 else Status.FAIL


def _result(
    status: Status, code: int | None, out: bytes | None, err: bytes | None, start: float, tier: Tier, job: Job
) -> Result:
    cap = job.limits.output_bytes
    out, err = out or b"", err or b""
    if len(out) > cap or len(err) > cap:
        status, code = Status.OUTPUT_LIMIT, None
    texts = [console.clean(data[:cap].decode("utf-8", "replace")) for data in (out, err)]
    detail = "" if status is Status.OK else f"exit code {code}" if code is not None else str(status)
    return Result(status, code, texts[0], texts[1], time.monotonic() - start, 0.0, 0, tier, detail)


def _encoded(data: str | bytes) -> str:
    return base64.b64encode(data.encode() if isinstance(data, str) else data).decode()


def _text(data: str | bytes) -> str:
    return data if isinstance(data, str) else data.decode("utf-8", "replace")
