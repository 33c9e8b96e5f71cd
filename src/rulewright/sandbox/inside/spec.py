"""The protocol between driver and worker: JSON frames, and the dataclasses inside them.

A frame is its length in four bytes, high byte first, and JSON in ASCII. The driver sends two for
each job: a `JobStart`, which the server reads, and a `Spec`, which only the job's supervisor does.
Back come a `Hello` once, and for each job a `JobReport` (unless it died) and a `JobEnd`.
"""

from __future__ import annotations

import base64
import json
import struct
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Final, Literal

MIB: Final = 1 << 20
HEAD: Final = struct.Struct(">I")
EntryKind = Literal["script", "pytest", "unittest", "argv", "checks"]


def frame(value: Any) -> bytes:
    """One frame."""
    # ASCII escapes keep lone surrogates, which UTF-8 cannot.
    body = json.dumps(value).encode("ascii")
    return HEAD.pack(len(body)) + body


def read_frame(read: Callable[[int], bytes]) -> Any:
    """The value of the next frame; `read` gives exactly as many bytes as it is asked for."""
    return json.loads(read(HEAD.unpack(read(HEAD.size))[0]))


@dataclass(frozen=True)
class Limits:
    """Bounds on one run. Defaults suit a test of a small edit; CanItEdit allows 15 s."""

    wall_s: float = 10.0
    cpu_s: int = 10
    memory_bytes: int = 512 * MIB
    pids: int = 64
    """Processes and threads together."""
    file_bytes: int = 32 * MIB
    """The largest file that can be written."""
    workspace_bytes: int = 64 * MIB
    inodes: int = 4096
    open_files: int = 256
    output_bytes: int = 256 * 1024
    """Of stdout and stderr each; the run is killed where one is exceeded."""
    report_bytes: int = 8 * MIB
    """Of what instrumented checks send."""


@dataclass(frozen=True)
class Entry:
    """What to start.

    Args:
        kind: `script` (a Python file as `__main__`), `pytest` or `unittest` (arguments
            as on their command line), `argv` (replace the process by a program), or `checks`.
        argv: for `script` the file and its arguments.
        how: for `checks`: the kind that they are besides.
        recorder: for `checks`: the name under which they find the recorder.
    """

    kind: EntryKind = "script"
    argv: tuple[str, ...] = ("main.py",)
    how: str = ""
    recorder: str = ""


@dataclass(frozen=True)
class Walls:
    """How a worker confines; decided by the driver, the same for all its jobs."""

    tier: str
    """`bubblewrap`, `landlock` or `unsafe`."""
    own_user: bool
    """The jobs' uid owns no file of the user."""
    memory_cgroup: bool
    """A cgroup limits memory, so that no per-process limit has to."""
    readable: tuple[str, ...]
    """What the interpreter and its libraries need; for Landlock."""
    covered: tuple[tuple[str, str], ...]
    """(place, path) of what a job's own /tmp would cover; for bubblewrap."""
    scratch: str
    """The folder in which workspaces are made, without namespaces."""

    @property
    def namespaced(self) -> bool:
        return self.tier == "bubblewrap"


@dataclass(frozen=True)
class Settings:
    """What a worker is told at its start, on its command line."""

    walls: Walls
    preload: str
    """Which modules it imports before the first job."""
    become: int | None
    """The uid to drop to, where nobody did that before."""
    keep_reading: bool
    """Keep the right to read another user's interpreter."""

    def to_json(self) -> str:
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Settings:
        value = json.loads(text)
        walls = value.pop("walls")
        walls["readable"] = tuple(walls["readable"])
        walls["covered"] = tuple(map(tuple, walls["covered"]))
        return cls(Walls(**walls), **value)


@dataclass(frozen=True)
class Hello:
    """A worker is ready."""


@dataclass(frozen=True)
class JobStart:
    """A job comes."""

    wall_s: float


@dataclass(frozen=True)
class Spec:
    """One job."""

    entry: Entry
    limits: Limits
    files: Mapping[str, bytes] = field(default_factory=dict)
    tests: Mapping[str, bytes] = field(default_factory=dict)
    stdin: bytes = b""
    collect: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        return {
            "entry": asdict(self.entry), "limits": asdict(self.limits), "files": _texts(self.files),
            "tests": _texts(self.tests), "stdin": _text(self.stdin), "collect": self.collect,
        }  # fmt: skip

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> Spec:
        entry = {**value["entry"], "argv": tuple(value["entry"]["argv"])}
        return cls(
            Entry(**entry), Limits(**value["limits"]), _contents(value["files"]), _contents(value["tests"]),
            base64.b64decode(value["stdin"]), tuple(value["collect"]),
        )  # fmt: skip


@dataclass(frozen=True)
class JobReport:
    """What the supervisor saw of a job."""

    reason: str
    """The status that ended it; empty if it ended by itself."""
    wait_status: int | None
    stdout: bytes
    stderr: bytes
    report: bytes
    """What instrumented checks sent."""
    cpu_s: float
    max_rss_bytes: int
    files: Mapping[str, bytes | None]
    """The result files that were asked for; `None`: there is no such regular file."""

    def to_json(self) -> dict[str, Any]:
        files = {name: None if data is None else _text(data) for name, data in self.files.items()}
        streams = {name: _text(getattr(self, name)) for name in _STREAMS}
        return {**vars(self), **streams, "files": files}

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> JobReport:
        files = {
            name: None if data is None else base64.b64decode(data) for name, data in value["files"].items()
        }
        streams = {name: base64.b64decode(value[name]) for name in _STREAMS}
        return cls(**{**value, **streams, "files": files})


_STREAMS: Final = ("stdout", "stderr", "report")


@dataclass(frozen=True)
class JobEnd:
    """A job is over."""

    late: bool
    """The server had to end it."""
    wait_status: int
    """Of its supervisor."""
    wall_s: float


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")


def _texts(files: Mapping[str, bytes]) -> dict[str, str]:
    return {name: _text(data) for name, data in files.items()}


def _contents(texts: Mapping[str, str]) -> dict[str, bytes]:
    return {name: base64.b64decode(text) for name, text in texts.items()}
