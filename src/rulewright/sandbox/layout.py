"""The parts of the machine that a worker can see in each tier, as a command line.

Only what an interpreter needs is shown: /usr, its own prefix, the loader's cache. No
home, no checkout, no /etc beyond that, no environment.
"""

# Descriptors, links and /proc: the calls of `os` say what is meant.
# ruff: noqa: PTH112, PTH114, PTH115, PTH116, PTH118, PTH120, PTH208

from __future__ import annotations

import contextlib
import os
import random
import shutil
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Final

from rulewright.errors import UsageError
from rulewright.sandbox import programs
from rulewright.sandbox.inside.spec import Settings, Walls
from rulewright.sandbox.job import Tier

_INSIDE: Final = Path(__file__).with_name("inside")
_LINKABLE: Final = ("bin", "sbin", "lib", "lib64", "lib32")
ETC: Final = ("/etc/ld.so.cache", "/etc/alternatives", "/etc/localtime", "/etc/ssl/openssl.cnf")
# A range that no system assigns to people or services (systemd's own, for dynamic users).
_USERS: Final = range(61184, 65520)
_ENV: Final = {"PATH": "/usr/local/bin:/usr/bin:/bin", "LANG": "C.UTF-8", "PYTHONHASHSEED": "0",
               "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
               "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}  # fmt: skip


@dataclass
class Layout:
    """A tier's view of the machine; `staged` maps folders to where a dropped user can read them."""

    tier: Tier
    python: str
    scratch: Path
    user: int | None
    """The uid that workers drop to; `None` keeps the caller's."""
    keep_reading: bool = False
    staged: dict[str, str] = field(default_factory=dict)

    @cached_property
    def trees(self) -> list[str]:
        """Every folder and file that a worker may read, outermost only; its own files in any case."""
        wanted = ["/usr", *filter(os.path.exists, ETC), str(_INSIDE), *interpreter(self.python)]
        wanted += [f"/{n}" for n in _LINKABLE if os.path.isdir(f"/{n}") and not os.path.islink(f"/{n}")]
        kept: list[str] = []
        for path in sorted(set(wanted), key=len):
            below = any(path == k or path.startswith(k + "/") for k in kept)
            # Those of an installed package lie below the interpreter, and are bound elsewhere too.
            if path != "/" and (not below or path == str(_INSIDE)):
                kept.append(path)
        return kept

    def command(self, preload: str, *, memory_cgroup: bool) -> tuple[list[str], dict[str, str], int | None]:
        """The worker's argv, its environment and the user to start it as."""
        namespaced = self.tier == "bubblewrap"
        walls = Walls(
            tier=self.tier,
            own_user=self.user is not None,
            memory_cgroup=memory_cgroup,
            readable=() if namespaced else (*self.trees, *_MORE_READABLE),
            covered=tuple(self.covered()) if namespaced else (),
            scratch="/tmp" if namespaced else str(self.scratch),
        )
        settings = Settings(walls, preload, None if namespaced else self.user, self.keep_reading)
        start = "/harness/inside/start.py" if namespaced else str(_INSIDE / "start.py")
        python = [self.python, "-s", "-B", "-X", "utf8", start, settings.to_json()]
        if not namespaced:
            return python, dict(_ENV), None
        return [*self._bubblewrap(), *python], {}, self.user

    def covered(self) -> list[tuple[str, str]]:
        """(where it is kept, path) of each tree that a job's own /tmp would cover."""
        below = [path for path in self.trees if path.startswith("/tmp/") and path != str(_INSIDE)]
        return [(f"/harness/kept/{i}", path) for i, path in enumerate(below)]

    def _bubblewrap(self) -> list[str]:
        argv = [bubblewrap(), "--unshare-all", "--die-with-parent", "--new-session", "--cap-drop", "ALL"]
        argv += ["--unshare-user", "--hostname", "sandbox"]
        if self.user is not None:
            argv += ["--uid", str(self.user), "--gid", str(self.user)]
        # The server's own /tmp, for warming up; each job mounts another over it. What must be
        # readable and lies below /tmp (a checkout there) is also kept where no job covers it.
        argv += ["--tmpfs", "/tmp"]
        for path in self.trees:
            target = "/harness/inside" if path == str(_INSIDE) else path
            argv += ["--ro-bind", self.staged.get(path, path), target]
        for place, path in self.covered():
            argv += ["--ro-bind", self.staged.get(path, path), place]
        for name in _LINKABLE:
            if os.path.islink(f"/{name}"):
                argv += ["--symlink", os.readlink(f"/{name}"), f"/{name}"]
        argv += ["--proc", "/proc", "--dev", "/dev"]
        argv += ["--dir", "/ws", "--dir", "/tests", "--dir", "/dev/shm"]
        argv += ["--remount-ro", "/dev", "--remount-ro", "/", "--chdir", "/"]
        for key, value in _ENV.items():
            argv += ["--setenv", key, value]
        return [*argv, "--"]


_MORE_READABLE: Final = [
    "/proc/self",
    "/proc/cpuinfo",
    "/proc/meminfo",
    "/proc/stat",
    "/sys/devices/system/cpu",
]


def bubblewrap() -> str:
    """The path of bubblewrap.

    Raises:
        UsageError: it is not installed.
    """
    found = shutil.which("bwrap")
    if found is None:
        raise UsageError(
            "bubblewrap is not installed", "apt-get install bubblewrap (or your system's package)"
        )
    return found


def interpreter(python: str) -> list[str]:
    """The folders that an interpreter needs to start and to import its packages."""
    asked = programs.ask_interpreter(python).folders
    links = [python]
    while os.path.islink(links[-1]):
        links.append(os.path.normpath(os.path.join(os.path.dirname(links[-1]), os.readlink(links[-1]))))
    # A venv's python is a chain of links: each place on the way has to be there.
    folders = [os.path.dirname(os.path.dirname(link)) for link in links]
    home = str(Path.home())
    wanted = (*asked, *map(os.path.realpath, asked), *folders)
    return [p for p in wanted if os.path.isdir(p) and not f"{home}/".startswith(p.rstrip("/") + "/")]


def free_user() -> int:
    """A uid that no process has now."""
    taken = set()
    for name in filter(str.isdigit, os.listdir("/proc")):
        with contextlib.suppress(OSError):  # it may end between two looks
            taken.add(os.stat(f"/proc/{name}").st_uid)
    # Two sandboxes must not get the same one: not seeded on purpose.
    return random.SystemRandom().choice([u for u in _USERS if u not in taken])


def readable_by_others(path: str) -> bool:
    """Whether every folder on the way may be passed by any user."""
    parts = Path(path).resolve()
    return all(p.stat().st_mode & 0o001 for p in (parts, *parts.parents) if p.is_dir())
