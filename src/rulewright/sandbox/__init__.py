"""Run untrusted programs and their tests, contained; verdicts that cannot be forged.

Covered in the bubblewrap tier: own user, pid, mount, network, IPC and host name
namespaces a job; a uid that owns nothing (as root); an empty environment; a workspace
in memory with a size and an inode limit; a seccomp filter; limits on time, processor
time, memory (a cgroup where one can be made), processes, files and output; death of
everything with the job's first process. In the Landlock tier, which needs no privilege:
files outside the workspace cannot be opened for writing, nor read beyond the system and
the interpreter; no sockets; the same filter and per-process limits; totals of memory,
processes and disk by polling.

Not covered: bugs of the kernel; processor side channels; what a program computes within
its limits. In the Landlock tier also: host name, process list and `stat` of any path can
be seen, totals are noticed and not prevented, signals to processes of the same uid before
Linux 6.12, and orphans where trainer and keeper are killed in the same moment. Tier
`unsafe` contains nothing and has to be asked for.

A strict verdict cannot be forged by an exit, a patch, or an object that equals
everything. It does not catch a program that hard-codes the answers to tests it knows,
and a program written against this very code could misreport checks that compare two
values of its own (see docs/reference/sandbox.md).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rulewright.sandbox.job import Entry, Job, Limits, Result, Status, TestVerdict, Tier

if TYPE_CHECKING:
    from rulewright.sandbox.runner import Sandbox, open_sandbox

__all__ = ["Entry", "Job", "Limits", "Result", "Sandbox", "Status", "TestVerdict", "Tier", "open_sandbox"]


def __getattr__(name: str) -> Any:
    """Load the runner when it is asked for: who shares only the frames needs none of it."""
    if name in ("Sandbox", "open_sandbox"):
        from rulewright.sandbox import runner

        return getattr(runner, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
