"""Tier `docker`: one container a job, by the docker or podman program.

It has no network, a read-only root, dropped capabilities and limits; start-up is the
container's. It does not run the strict check's private channel: `strict` needs a local tier.
"""

from __future__ import annotations

import contextlib
import json
import os
import selectors
import shutil
import subprocess
import tempfile
import time
import uuid
from typing import Final

from rulewright import console
from rulewright.errors import UsageError
from rulewright.sandbox import programs
from rulewright.sandbox.job import Job, Limits, Result, Status, Tier

_READY: Final = b"\0"
"""What the container says on stderr when the program begins."""
_START_S: Final = 30.0
# Of all containers together, they share a uid; podman's own default is refused on some machines.
_USER_PROCESSES: Final = 16_384
_KILLED: Final = 137


def command(job: Job) -> list[str]:
    """The program that a job's entry amounts to, outside a warm worker.

    Raises:
        UsageError: the entry needs a local tier.
    """
    argv = [argument.replace("{ws}", "/ws").replace("{tests}", "/ws") for argument in job.entry.argv]
    match job.entry.kind:
        case "script":
            return ["python3", *argv]
        case "pytest" | "unittest":
            return ["python3", "-m", job.entry.kind, *argv]
        case "argv":
            return argv
    raise UsageError("strict checks run in a local sandbox only", "use --sandbox auto")


class Container:
    """A container a job, by docker or podman.

    Raises:
        UsageError: no image is named, or neither program is installed.
    """

    tier: Tier = "docker"

    def __init__(self, image: str) -> None:
        if not image:
            raise UsageError("the docker sandbox needs an image", "name it, e.g. --where python:3.11-slim")
        self._image = image
        found = shutil.which("docker") or shutil.which("podman")
        if found is None:
            raise UsageError("neither docker nor podman is installed", "install one, or use --sandbox auto")
        self.program = found
        # Podman's monitor leaves a file named `oom` where it was started.
        self._folder = tempfile.TemporaryDirectory(prefix="rulewright-container-")

    def argv(self, job: Job, name: str) -> list[str]:
        """The command line that starts a job's container."""
        limits = job.limits
        return [
            self.program, "run", "--rm", "-i", "--name", name, "--network", "none", "--read-only",
            "--cap-drop", "ALL",
            "--security-opt", "no-new-privileges", "--user", "65534:65534", "--ipc", "none",
            "--pids-limit", str(limits.pids), "--memory", str(limits.memory_bytes),
            "--memory-swap", str(limits.memory_bytes), "--ulimit", f"fsize={limits.file_bytes}",
            "--ulimit", f"nofile={limits.open_files}", "--ulimit", f"cpu={limits.cpu_s}",
            "--ulimit", "core=0", "--ulimit", f"nproc={_USER_PROCESSES}",
            "--tmpfs", f"/ws:rw,nosuid,nodev,exec,size={limits.workspace_bytes},mode=1777",
            "--tmpfs", f"/tmp:rw,nosuid,nodev,size={limits.workspace_bytes},mode=1777",
            self._image, "python3", "-I", "-c", programs.text_of("unpack"),
        ]  # fmt: skip

    def run(self, job: Job) -> Result:
        """Run one job in a container of its own."""
        name = f"rulewright-{uuid.uuid4().hex}"
        spec = job.spec().to_json()
        given = {"files": {**spec["files"], **spec["tests"]}, "argv": command(job), "stdin": spec["stdin"]}
        with subprocess.Popen(
            self.argv(job, name), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            cwd=self._folder.name,
        ) as process:  # fmt: skip
            assert process.stdin is not None
            with contextlib.suppress(BrokenPipeError):  # then it says why, and that is read
                process.stdin.write(json.dumps(given).encode() + b"\n")
                process.stdin.close()
            output = _Output(process, job.limits)
            reason = output.read()
            if reason is not None:
                # `rm -f` alone lets podman wait ten seconds for it.
                for words in (("kill", name), ("rm", "-f", name)):
                    subprocess.run([self.program, *words], capture_output=True, timeout=60, check=False)
                process.kill()
        code = process.returncode
        if reason is None and (code in (125, 126) or output.began is None):  # docker's own failures
            reason = Status.INFRA
        status = reason or (Status.OK if code == 0 else Status.SIGNAL if code == _KILLED else Status.FAIL)
        cap = job.limits.output_bytes
        out, err = (console.clean(data[:cap].decode("utf-8", "replace")) for data in (output.out, output.err))
        detail = "" if status is Status.OK else str(reason) if reason else f"exit code {code}"
        if status is Status.INFRA and err.strip():
            detail = err.strip().splitlines()[-1][:300]
        exit_code = None if reason else code
        return Result(status, exit_code, out, err, output.wall_s, 0.0, 0, self.tier, detail)

    def close(self) -> None:
        """Nothing but an empty folder is kept between jobs."""
        self._folder.cleanup()


class _Output:
    """What a container writes, up to the job's cap, until its end or the job's deadline."""

    def __init__(self, process: subprocess.Popen[bytes], limits: Limits) -> None:
        assert process.stdout is not None and process.stderr is not None
        self.out, self.err = bytearray(), bytearray()
        self.began: float | None = None
        """When the program began: starting a container is not its time."""
        self._start = time.monotonic()
        self._limits = limits
        self._selector = selectors.DefaultSelector()
        self._selector.register(process.stdout, selectors.EVENT_READ, self.out)
        self._selector.register(process.stderr, selectors.EVENT_READ, self.err)

    @property
    def wall_s(self) -> float:
        """Seconds since the program began."""
        return time.monotonic() - (self.began or self._start)

    def read(self) -> Status | None:
        """Read to the end; why it had to stop before, if it had to."""
        while self._selector.get_map():
            allowed = _START_S if self.began is None else self._limits.wall_s
            left = allowed - self.wall_s
            if left <= 0:
                return Status.INFRA if self.began is None else Status.TIMEOUT
            for key, _ in self._selector.select(left):
                block = os.read(key.fd, 1 << 16)
                if not block:
                    self._selector.unregister(key.fileobj)
                key.data.extend(block)
            if self.began is None and self.err.startswith(_READY):
                self.began = time.monotonic()
                del self.err[:1]
            if max(len(self.out), len(self.err)) > self._limits.output_bytes:
                return Status.OUTPUT_LIMIT
        return None
