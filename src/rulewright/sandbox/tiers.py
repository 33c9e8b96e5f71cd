"""Find the tier that this machine allows, by running a self-test; never fall back silently.

`auto` tries bubblewrap, then Landlock, then refuses. A tier counts only after its
self-test, a short hostile program, came back with nothing reached.
"""

from __future__ import annotations

import json
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from rulewright.errors import RulewrightError, UsageError
from rulewright.sandbox import programs
from rulewright.sandbox.job import Entry, Job, Limits, Tier
from rulewright.sandbox.local import LocalPool
from rulewright.sandbox.worker import WorkerLost

AUTOMATIC: Final[tuple[Tier, ...]] = ("bubblewrap", "landlock")


class SandboxRefused(RulewrightError):
    """No tier that contains works here, and nothing weaker was asked for."""

    exit_code = 2


@dataclass(frozen=True)
class Probe:
    """Whether a tier works here, shown by running it."""

    tier: Tier
    works: bool
    reason: str
    fix: str = ""
    pool: LocalPool | None = None
    """The started pool, where the caller asked to keep it."""


def probe(tier: Tier, python: str = sys.executable, *, keep: bool = False, workers: int = 1) -> Probe:
    """Start a tier and let a short hostile program try its walls."""
    if sys.platform != "linux":
        return Probe(
            tier, False, f"needs Linux, this is {sys.platform}", "use a Linux machine or --sandbox docker"
        )
    try:
        pool = LocalPool(tier, python=python, workers=workers)
    except (OSError, UsageError, WorkerLost) as error:
        message = error.message if isinstance(error, RulewrightError) else str(error)
        return Probe(tier, False, _last_line(message), _fix(tier, message))
    try:
        reached = _self_test(pool)
    except (OSError, WorkerLost, RulewrightError) as error:
        pool.close()
        return Probe(tier, False, _last_line(str(error)), _fix(tier, str(error)))
    if reached:
        pool.close()
        return Probe(tier, False, f"its self-test reached {', '.join(reached)}", "report this as a bug")
    if not keep:
        pool.close()
    return Probe(tier, True, pool.describe(), pool=pool if keep else None)


def _self_test(pool: LocalPool) -> list[str]:
    secrets = [
        name
        for name in ("SSH_AUTH_SOCK", "HF_TOKEN", "WANDB_API_KEY", "OPENAI_API_KEY")
        if name in os.environ
    ]
    outside = ["/etc/shadow", "/proc/1/mem", str(Path(__file__).resolve())]
    outside = [path for path in outside if not any(path.startswith(tree + "/") for tree in pool.layout.trees)]
    arguments = json.dumps([secrets, outside, str(pool.layout.scratch)])
    result = pool.run(
        Job(
            {"self_test.py": programs.text_of("self_test")},
            Entry("script", ("self_test.py", arguments)),
            limits=Limits(wall_s=5),
        )
    )
    if not result.ok:
        raise WorkerLost(
            f"self-test ended with {result.status}: {result.stderr.strip()[-500:] or result.detail}"
        )
    reached: list[str] = json.loads(result.stdout)
    if pool.layout.tier == "unsafe":
        return []
    return reached


def choose(tier: Tier | str, python: str, workers: int) -> LocalPool:
    """Open the tier that was asked for, or the first that works for `auto`.

    Raises:
        SandboxRefused: it does not work here; the message says why and what to do.
        UsageError: no such tier or interpreter.
    """
    # A wrong one is no fault of a tier; a relative path or a name means something here only.
    python = programs.ask_interpreter(python).executable
    if tier == "auto":
        probes: list[Probe] = []
        for candidate in AUTOMATIC:
            found = probe(candidate, python, keep=True, workers=workers)
            if found.pool is not None:
                found.pool.passed_over = tuple(f"{p.tier}: {p.reason}" for p in probes)
                return found.pool
            probes.append(found)
        listing = "\n".join(f"{p.tier}: {p.reason}" for p in probes)
        fixes = "; or ".join(p.fix for p in probes if p.fix)
        raise SandboxRefused(
            f"no sandbox works on this machine, so untrusted code is not run\n{listing}",
            f"{fixes}; or accept the risk with --sandbox unsafe",
        )
    if tier not in ("bubblewrap", "landlock", "unsafe"):
        raise UsageError(f"no sandbox tier {tier!r}", "one of auto, bubblewrap, landlock, docker, unsafe")
    found = probe(tier, python, keep=True, workers=workers)  # type: ignore[arg-type]
    if found.pool is None:
        raise SandboxRefused(f"the {tier} sandbox does not work on this machine: {found.reason}", found.fix)
    return found.pool


def _last_line(text: str) -> str:
    lines = [line for line in text.splitlines() if line.strip()]
    return lines[-1][:300] if lines else "no reason given"


def _fix(tier: Tier, message: str) -> str:
    if tier == "bubblewrap":
        if "not installed" in message:
            return "install bubblewrap (apt-get install bubblewrap)"
        if Path("/proc/sys/kernel/apparmor_restrict_unprivileged_userns").exists():
            return "allow bwrap by AppArmor's bwrap-userns-restrict profile (package apparmor-profiles)"
        if Path("/.dockerenv").exists() or Path("/run/.containerenv").exists():
            return "start the container with --security-opt seccomp=unconfined and systempaths=unconfined"
        return "allow unprivileged user namespaces (sysctl user.max_user_namespaces)"
    if tier == "landlock":
        return "use Linux 5.13 or newer with Landlock in its list of security modules (lsm=landlock,…)"
    return ""
