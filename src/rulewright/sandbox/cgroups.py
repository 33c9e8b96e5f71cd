"""One cgroup per worker, to limit total memory and processes, if the machine allows it.

Supports v1, v2, both at once, and none. It never moves a foreign process and never changes the limits of
a parent group.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from rulewright.sandbox.inside.spec import MIB, Limits

# Room for the supervisor and what it reads, beside the candidate's own memory.
_SLACK_BYTES: Final = 48 * MIB
_SLACK_PIDS: Final = 4
_PREFIX: Final = "rulewright-"


@dataclass(frozen=True)
class Home:
    """Where groups can be made for each controller; absent ones are `None`."""

    memory: Path | None
    pids: Path | None
    version: int
    """1, 2, or 0 where there is nothing to use."""
    reason: str

    @property
    def folders(self) -> tuple[Path, ...]:
        return tuple(dict.fromkeys(p for p in (self.memory, self.pids) if p is not None))


def find_home() -> Home:
    """Look for a place where this process may make cgroups with memory and pids control."""
    own: dict[str, str] = {}
    with suppress(OSError):
        for line in Path("/proc/self/cgroup").read_text(encoding="utf-8").splitlines():
            _, names, path = line.split(":", 2)
            own.update(dict.fromkeys(names.split(","), path))
    unified = _unified(own.get("", ""))
    if unified is not None:
        return Home(unified, unified, 2, f"v2 group {unified}")
    memory, pids = _version_one("memory", own), _version_one("pids", own)
    if memory or pids:
        missing = [name for name, path in (("memory", memory), ("pids", pids)) if path is None]
        reason = "v1 memory and pids" if not missing else f"v1, without {missing[0]}"
        return Home(memory, pids, 1, reason)
    return Home(None, None, 0, "no writable cgroup with memory or pids control")


def _mounts(kind: str) -> Iterator[tuple[str, str, str]]:
    """Yield (root, mount point, super options) of every mounted cgroup file system of a kind."""
    for line in Path("/proc/self/mountinfo").read_text(encoding="utf-8").splitlines():
        left, _, right = line.partition(" - ")
        if right.split()[0] == kind:
            yield left.split()[3], left.split()[4], right.split()[2]


def _unified(own: str) -> Path | None:
    for root, point, _ in _mounts("cgroup2"):
        path = Path(point, os.path.relpath(own or "/", root))
        while True:
            with suppress(OSError):
                offered = (path / "cgroup.subtree_control").read_text(encoding="ascii").split()
                if {"memory", "pids"} <= set(offered) and _writable(path):
                    return path
            if path == Path(point) or path == path.parent:
                break
            path = path.parent
    return None


def _version_one(controller: str, own: dict[str, str]) -> Path | None:
    for root, point, options in _mounts("cgroup"):
        if controller in options.split(","):
            path = Path(point, os.path.relpath(own.get(controller, "/"), root))
            return path if _writable(path) else None
    return None


def _writable(path: Path) -> bool:
    """Whether a group can really be made and entered there, shown by making one."""
    probe = path / f"{_PREFIX}probe-{os.getpid()}"
    try:
        probe.mkdir()
    except OSError:
        return False
    usable = os.access(probe / "cgroup.procs", os.W_OK)
    probe.rmdir()
    return usable


def sweep(home: Home) -> None:
    """Remove empty groups whose owner is gone (killed together with its keeper)."""
    for folder in home.folders:
        for path in folder.glob(f"{_PREFIX}*"):
            owner = path.name.removeprefix(_PREFIX).split("-")[0]
            if owner.isdigit() and not Path("/proc", owner).exists():
                with suppress(OSError):
                    path.rmdir()


class Group:
    """The cgroup of one worker; a no-op where there is none."""

    def __init__(self, home: Home, name: str) -> None:
        self._version = home.version
        full = f"{_PREFIX}{os.getpid()}-{name}"
        self._memory = home.memory / full if home.memory else None
        self._pids = home.pids / full if home.pids else None
        self._base_bytes = 0
        self._base_pids = 0
        self._armed: tuple[int, int] | None = None
        self._oom_before = self._max_before = 0

    @property
    def paths(self) -> list[str]:
        return [str(p) for p in dict.fromkeys((self._memory, self._pids)) if p is not None]

    def settle(self) -> None:
        """Note what the idle worker itself uses."""
        if self._memory:
            self._base_bytes = _number(self._memory / self._name("memory.usage_in_bytes", "memory.current"))
        if self._pids:
            self._base_pids = _number(self._pids / "pids.current")

    def arm(self, limits: Limits) -> None:
        """Set the bounds for the next job and start counting afresh."""
        wanted = (limits.memory_bytes, limits.pids)
        if self._armed != wanted:
            self._armed = wanted
            if self._memory:
                total = self._base_bytes + limits.memory_bytes + _SLACK_BYTES
                (self._memory / self._name("memory.limit_in_bytes", "memory.max")).write_text(str(total))
            if self._pids:
                (self._pids / "pids.max").write_text(str(self._base_pids + limits.pids + _SLACK_PIDS))
        if self._memory and self._version == 1:
            (self._memory / "memory.max_usage_in_bytes").write_text("0")
        self._oom_before, self._max_before = self._ooms(), self._refused()

    def oom(self) -> bool:
        """Whether the kernel killed for memory since `arm`."""
        return self._ooms() > self._oom_before

    def pids_refused(self) -> bool:
        """Whether a fork was refused since `arm`."""
        return self._refused() > self._max_before

    def peak_bytes(self) -> int:
        """The job's own peak; 0 where unknown."""
        if not self._memory or self._version != 1:
            return 0
        return max(0, _number(self._memory / "memory.max_usage_in_bytes") - self._base_bytes)

    def _name(self, one: str, two: str) -> str:
        return one if self._version == 1 else two

    def _ooms(self) -> int:
        if not self._memory:
            return 0
        return _field(self._memory / self._name("memory.oom_control", "memory.events"), "oom_kill")

    def _refused(self) -> int:
        return _field(self._pids / "pids.events", "max") if self._pids else 0


def _number(path: Path) -> int:
    try:
        return int(path.read_text(encoding="ascii"))
    except (OSError, ValueError):
        return 0


def _field(path: Path, name: str) -> int:
    try:
        lines = path.read_text(encoding="ascii").splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in lines if line.split()[0] == name), 0)
