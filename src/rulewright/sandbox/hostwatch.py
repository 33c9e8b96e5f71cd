"""Compare the host before and after a run, to detect changes that escaped."""

# Descriptors, links and /proc: the calls of `os` say what is meant.
# ruff: noqa: PTH109, PTH208

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_MARK: Final = "PWNED"
_SENSITIVE: Final = ("/etc/passwd", "/etc/shadow", "/etc/ld.so.preload", "/etc/hosts", "/etc/crontab")
_FOLDERS: Final = ("/tmp", "/var/tmp", "/dev/shm", "/run", "/usr/local/bin")


@dataclass(frozen=True)
class HostState:
    """Mounts, cgroups, marked or foreign files, sensitive files and processes at one moment."""

    mounts: frozenset[str]
    files: frozenset[str]
    sensitive: frozenset[tuple[str, int, int, int]]
    processes: frozenset[str]

    def differences(self, later: HostState) -> list[str]:
        """What is there later and was not there before, in words."""
        found = [f"mount {m}" for m in sorted(later.mounts - self.mounts)]
        found += [f"file {f}" for f in sorted(later.files - self.files)]
        found += [f"changed {s[0]}" for s in sorted(later.sensitive - self.sensitive)]
        found += [f"process {p}" for p in sorted(later.processes - self.processes)]
        return found


def take(user: int | None, watched: Path) -> HostState:
    """Look at the host: at processes and files of a uid (`None`: the caller's own, which are not told
    apart, so that only marked files count), and at files that must not change.

    Among these are the watched folder and its direct entries.
    """
    mounts = frozenset(
        line.split()[4] for line in Path("/proc/self/mountinfo").read_text("utf-8").splitlines()
    )
    return HostState(mounts, _files(user), _facts(watched), _processes(user))


def _files(user: int | None) -> frozenset[str]:
    found = set()
    for folder in (*_FOLDERS, os.getcwd(), str(Path.home())):
        with contextlib.suppress(OSError):
            for name in os.listdir(folder):
                path = f"{folder}/{name}"
                with contextlib.suppress(OSError):
                    if _MARK in name or (user is not None and os.lstat(path).st_uid == user):
                        found.add(path)
    # The workers' own scratch folder belongs to the same uid.
    return frozenset(f for f in found if "/rulewright-sandbox-" not in f)


def _facts(watched: Path) -> frozenset[tuple[str, int, int, int]]:
    found = set()
    for path in (*map(Path, _SENSITIVE), watched, *(watched.iterdir() if watched.is_dir() else ())):
        try:
            facts = path.lstat()
        except OSError:
            continue
        found.add((str(path), facts.st_mode, facts.st_size, facts.st_mtime_ns))
    return frozenset(found)


def _processes(user: int | None) -> frozenset[str]:
    """Processes of the sandbox's uid, by number and start time; workers are there before and after."""
    if user is None:
        return frozenset()
    found = set()
    for process in filter(lambda path: path.name.isdigit(), Path("/proc").iterdir()):
        with contextlib.suppress(OSError):
            lines = (process / "status").read_text("utf-8", "replace").splitlines()
            real = next((int(line.split()[1]) for line in lines if line.startswith("Uid:")), -1)
            if user in (process.stat().st_uid, real):
                found.add(f"{process.name} {(process / 'comm').read_text('utf-8', 'replace').strip()}")
    return frozenset(found)
