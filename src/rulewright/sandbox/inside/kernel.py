"""Thin ctypes wrappers around the Linux calls that Python lacks.

Every wrapper raises `OSError` on failure; none decides anything.
"""

from __future__ import annotations

import ctypes
import os
import resource
from typing import Final

CLONE_NEWNS: Final = 0x00020000
CLONE_NEWUTS: Final = 0x04000000
CLONE_NEWIPC: Final = 0x08000000
CLONE_NEWUSER: Final = 0x10000000
CLONE_NEWPID: Final = 0x20000000
CLONE_NEWNET: Final = 0x40000000

MS_RDONLY: Final = 1
MS_NOSUID: Final = 2
MS_NODEV: Final = 4
MS_NOEXEC: Final = 8
MS_REMOUNT: Final = 32
MS_BIND: Final = 4096
MS_REC: Final = 16384
MS_PRIVATE: Final = 1 << 18
_MNT_DETACH: Final = 2

PR_SET_PDEATHSIG: Final = 1
PR_SET_DUMPABLE: Final = 4
PR_SET_KEEPCAPS: Final = 8
PR_SET_SECCOMP: Final = 22
PR_CAPBSET_DROP: Final = 24
PR_SET_CHILD_SUBREAPER: Final = 36
PR_SET_NO_NEW_PRIVS: Final = 38
PR_CAP_AMBIENT: Final = 47

CAP_DAC_READ_SEARCH: Final = 2
_PR_CAP_AMBIENT_RAISE: Final = 2
_LAST_CAP: Final = 40
_CAP_VERSION_3: Final = 0x20080522

libc = ctypes.CDLL(None, use_errno=True)
_prctl = libc["prctl"]  # an object of its own: `libc.prctl` stays free for pointer arguments
_prctl.argtypes = [ctypes.c_int, *[ctypes.c_ulong] * 4]
_holding = ctypes.PyDLL(None, use_errno=True)


def _check(result: int, what: str) -> int:
    if result == -1:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")
    return result


def prctl(option: int, *arguments: int) -> int:
    """prctl(2) with integer arguments."""
    return _check(_prctl(option, *(*arguments, 0, 0, 0, 0)[:4]), f"prctl({option})")


def unshare(flags: int) -> None:
    """unshare(2)."""
    _check(libc.unshare(flags), "unshare")


def mount(source: str, target: str, kind: str | None, flags: int, data: str = "") -> None:
    """mount(2)."""
    result = libc.mount(
        os.fsencode(source), os.fsencode(target), kind.encode() if kind else None,
        ctypes.c_ulong(flags), data.encode() or None,
    )  # fmt: skip
    _check(result, f"mount {kind or ''} on {target}")


def detach(target: str) -> None:
    """Unmount as soon as nobody uses it; does nothing where nothing is mounted."""
    libc.umount2(os.fsencode(target), _MNT_DETACH)


def syscall(number: int, *arguments: object) -> int:
    """syscall(2); integers are passed as unsigned long, pointers as they are."""
    passed = [ctypes.c_ulong(a) if isinstance(a, int) else a for a in arguments]
    return _check(libc.syscall(ctypes.c_long(number), *passed), f"syscall {number}")


def clone(flags: int) -> int:
    """clone(2) as a fork with namespaces; 0 in the child.

    Called without releasing the interpreter's lock, which the child then holds.
    """
    number = {"x86_64": 56, "aarch64": 220}[os.uname().machine]
    zero = ctypes.c_ulong(0)
    return _check(
        _holding.syscall(ctypes.c_long(number), ctypes.c_ulong(flags), zero, zero, zero, zero), "clone"
    )


def set_capabilities(keep: frozenset[int] = frozenset()) -> None:
    """Reduce this thread's capabilities to `keep`, for good."""
    for capability in range(_LAST_CAP + 1):
        if capability not in keep:
            # Refused without CAP_SETPCAP; then no_new_privs makes the bounding set moot.
            _prctl(PR_CAPBSET_DROP, capability, 0, 0, 0)
    mask = sum(1 << capability for capability in keep)
    low, high = mask & 0xFFFFFFFF, mask >> 32
    header = (ctypes.c_uint32 * 2)(_CAP_VERSION_3, 0)
    data = (ctypes.c_uint32 * 6)(low, low, low, high, high, high)
    _check(libc.capset(header, data), "capset")


def become(uid: int, gid: int, *, keep_reading: bool = False) -> None:
    """Drop from root to another user, without a way back.

    Args:
        uid: the user to become.
        gid: the only group that is left.
        keep_reading: keep CAP_DAC_READ_SEARCH, so that an interpreter in root's home
            stays readable; what else it could read is for Landlock to refuse.
    """
    os.setgroups([])
    os.setresgid(gid, gid, gid)
    if keep_reading:
        prctl(PR_SET_KEEPCAPS, 1)
    os.setresuid(uid, uid, uid)
    if keep_reading:
        set_capabilities(frozenset({CAP_DAC_READ_SEARCH}))
        prctl(PR_CAP_AMBIENT, _PR_CAP_AMBIENT_RAISE, CAP_DAC_READ_SEARCH)


def limit(which: int, soft: int, hard: int | None = None) -> None:
    """Set soft and hard limit (the same by default), never above the hard limit that stands."""
    ceiling = resource.getrlimit(which)[1]
    wanted = [soft, soft if hard is None else hard]
    if ceiling != resource.RLIM_INFINITY:
        wanted = [min(value, ceiling) for value in wanted]
    resource.setrlimit(which, (wanted[0], wanted[1]))
