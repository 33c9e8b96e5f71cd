"""Landlock: read the system, write one folder, nothing else; needs no privilege.

Not covered (kernel, not us): `stat` of any path, metadata of files of the same uid
(see `seccomp`), and signals to other processes before ABI 6 (Linux 6.12).
"""

# Descriptors, links and /proc: the calls of `os` say what is meant.
# ruff: noqa: PTH112

from __future__ import annotations

import ctypes
import errno
import os
import struct
from collections.abc import Iterable
from typing import Final

from . import kernel

_CREATE, _ADD, _RESTRICT = 444, 445, 446
_EXECUTE, _WRITE_FILE, _READ_FILE, _READ_DIR = 1, 2, 4, 8
_MAKE_CHAR, _MAKE_BLOCK, _TRUNCATE, _IOCTL_DEV = 1 << 6, 1 << 11, 1 << 14, 1 << 15
_READ: Final = _READ_FILE | _READ_DIR | _EXECUTE
_FILE_RIGHTS: Final = _EXECUTE | _WRITE_FILE | _READ_FILE | _TRUNCATE | _IOCTL_DEV
_BOTH_NETWORK_RIGHTS, _BOTH_SCOPES = 3, 3


def abi() -> int:
    """The kernel's Landlock version; 0 where it has none or it is switched off."""
    try:
        return kernel.syscall(_CREATE, ctypes.c_void_p(None), 0, 1)
    except OSError:
        return 0


def rights(version: int) -> int:
    """Every file system right that this version handles."""
    count = {1: 13, 2: 14, 3: 15, 4: 15}.get(version, 16)
    return (1 << count) - 1


def restrict(readable: Iterable[str], writable: Iterable[str], devices: Iterable[str]) -> None:
    """Confine this thread and all that it starts; there is no way back.

    Args:
        readable: files and folders to read and execute; absent ones are skipped.
        writable: folders in which everything but device files may be made.
        devices: files to read and write.

    Raises:
        OSError: the kernel has no Landlock.
    """
    version = abi()
    if version < 1:
        raise OSError(errno.ENOSYS, "landlock: not offered by this kernel")
    handled = rights(version)
    if version >= 6:
        attributes = struct.pack("QQQ", handled, _BOTH_NETWORK_RIGHTS, _BOTH_SCOPES)
    elif version >= 4:
        attributes = struct.pack("QQ", handled, _BOTH_NETWORK_RIGHTS)
    else:
        attributes = struct.pack("Q", handled)
    ruleset = kernel.syscall(_CREATE, ctypes.c_char_p(attributes), len(attributes), 0)
    try:
        for path in readable:
            _allow(ruleset, path, _READ & handled)
        for path in writable:
            _allow(ruleset, path, handled & ~(_MAKE_CHAR | _MAKE_BLOCK | _IOCTL_DEV))
        for path in devices:
            _allow(ruleset, path, (_READ_FILE | _WRITE_FILE | _TRUNCATE) & handled)
        kernel.prctl(kernel.PR_SET_NO_NEW_PRIVS, 1)
        kernel.syscall(_RESTRICT, ruleset, 0)
    finally:
        os.close(ruleset)


def _allow(ruleset: int, path: str, access: int) -> None:
    try:
        descriptor = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except OSError:
        return
    try:
        if not os.path.isdir(path):
            access &= _FILE_RIGHTS
        rule = struct.pack("=Qi", access, descriptor)
        kernel.syscall(_ADD, ruleset, 1, ctypes.c_char_p(rule), 0)
    finally:
        os.close(descriptor)
