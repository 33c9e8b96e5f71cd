"""A deny-list of system calls as a classic BPF program, written without a library.

Denied: everything that changes namespaces, mounts or the kernel, reads another
process, or reaches a socket family that a network namespace does not cover. What is
denied answers EPERM (ENOSYS for clone3, so that libc falls back to clone, whose flags
a filter can read). A filter for another processor than x86-64 and arm64 does not
exist here: `program` raises, and the tier is refused.
"""

from __future__ import annotations

import ctypes
import errno
import os
import platform
import struct
from typing import Any, Final

from . import kernel

_ALLOW: Final = 0x7FFF0000
_ERRNO: Final = 0x00050000
_KILL: Final = 0x80000000

_ARCHITECTURES: Final = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}

# name: (x86-64, arm64); None where the call does not exist.
_Table = dict[str, tuple[int | None, int | None]]
_DENIED: Final[_Table] = {
    "ptrace": (101, 117), "process_vm_readv": (310, 270), "process_vm_writev": (311, 271),
    "kcmp": (312, 272), "process_madvise": (440, 440), "pidfd_getfd": (438, 438),
    "unshare": (272, 97), "setns": (308, 268),
    "mount": (165, 40), "umount2": (166, 39), "pivot_root": (155, 41), "chroot": (161, 51),
    "open_tree": (428, 428), "move_mount": (429, 429), "fsopen": (430, 430), "fsconfig": (431, 431),
    "fsmount": (432, 432), "fspick": (433, 433), "mount_setattr": (442, 442), "open_tree_attr": (467, 467),
    "open_by_handle_at": (304, 265), "name_to_handle_at": (303, 264),
    "swapon": (167, 224), "swapoff": (168, 225), "reboot": (169, 142), "acct": (163, 89),
    "sethostname": (170, 161), "setdomainname": (171, 162), "iopl": (172, None), "ioperm": (173, None),
    "init_module": (175, 105), "delete_module": (176, 106), "finit_module": (313, 273),
    "quotactl": (179, 60), "quotactl_fd": (443, 443), "kexec_load": (246, 104), "kexec_file_load": (320, 294),
    "syslog": (103, 116), "settimeofday": (164, 170), "adjtimex": (159, 171),
    "clock_settime": (227, 112), "clock_adjtime": (305, 266), "personality": (135, 92),
    "modify_ldt": (154, None), "vhangup": (153, 58), "lookup_dcookie": (212, 18),
    "add_key": (248, 217), "request_key": (249, 218), "keyctl": (250, 219),
    "bpf": (321, 280), "perf_event_open": (298, 241), "userfaultfd": (323, 282),
    "fanotify_init": (300, 262), "memfd_secret": (447, 447),
    "io_uring_setup": (425, 425), "io_uring_enter": (426, 426), "io_uring_register": (427, 427),
    "move_pages": (279, 239), "migrate_pages": (256, 238), "mq_open": (240, 180),
    "shmget": (29, 194), "semget": (64, 190), "msgget": (68, 186),
}  # fmt: skip
# Where the candidate shares the uid of the person: pretended to succeed, as Landlock
# does not cover them and honest programs (shutil.copy) call them.
_METADATA: Final[_Table] = {
    "chmod": (90, None), "fchmod": (91, 52), "fchmodat": (268, 53), "fchmodat2": (452, 452),
    "chown": (92, None), "fchown": (93, 55), "lchown": (94, None), "fchownat": (260, 54),
    "utime": (132, None), "utimes": (235, None), "utimensat": (280, 88), "futimesat": (261, None),
    "setxattr": (188, 5), "lsetxattr": (189, 6), "fsetxattr": (190, 7), "setxattrat": (463, 463),
    "removexattr": (197, 14), "lremovexattr": (198, 15), "fremovexattr": (199, 16),
}  # fmt: skip
_CLONE: Final = (56, 220)
_CLONE3: Final = (435, 435)
_SOCKET: Final = (41, 198)
_IOCTL: Final = (16, 29)

_NEW_NAMESPACE: Final = 0x00020000 | 0x7E000000
_FAMILIES_IN_OWN_NETWORK: Final = (1, 2, 10)  # AF_UNIX, AF_INET, AF_INET6
_TIOCSTI, _TIOCLINUX = 0x5412, 0x541C

_LOAD, _JUMP_EQ, _JUMP_GE, _JUMP_SET, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
_OFF_NUMBER, _OFF_ARCH, _OFF_ARG0, _OFF_ARG1 = 0, 4, 16, 24

Instruction = tuple[int, int, int, int]


def program(*, own_network: bool, own_user: bool, machine: str | None = None) -> list[Instruction]:
    """Build the filter.

    Args:
        own_network: the process has a network namespace of its own, so that UNIX and
            internet sockets reach nothing; else no socket can be created at all.
        own_user: no file of the user has the process's uid.
        machine: as `platform.machine()`.

    Raises:
        OSError: ENOSYS, there is no table for this processor.
    """
    machine = machine or platform.machine()
    if machine not in _ARCHITECTURES:
        raise OSError(errno.ENOSYS, f"no system call table for {machine}")
    column = 0 if machine == "x86_64" else 1
    code: list[Instruction] = [
        (_LOAD, 0, 0, _OFF_ARCH),
        (_JUMP_EQ, 1, 0, _ARCHITECTURES[machine]),
        (_RETURN, 0, 0, _KILL),
        (_LOAD, 0, 0, _OFF_NUMBER),
    ]
    if machine == "x86_64":  # the x32 ABI would be a second door to every call
        code += [(_JUMP_GE, 0, 1, 0x40000000), (_RETURN, 0, 0, _ERRNO | errno.ENOSYS)]
    code += _answer(_CLONE3[column], errno.ENOSYS)
    code += _argument(_CLONE[column], _OFF_ARG0, [(_JUMP_SET, 0, 1, _NEW_NAMESPACE)], errno.EPERM)
    terminal: list[Instruction] = [(_JUMP_EQ, 1, 0, _TIOCSTI), (_JUMP_EQ, 0, 1, _TIOCLINUX)]
    code += _argument(_IOCTL[column], _OFF_ARG1, terminal, errno.EPERM)
    if own_network:
        families = _FAMILIES_IN_OWN_NETWORK
        known = [(_JUMP_EQ, len(families) - i, 0, family) for i, family in enumerate(families)]
        code += _argument(_SOCKET[column], _OFF_ARG0, known, errno.EAFNOSUPPORT)
    else:
        code += _answer(_SOCKET[column], errno.EACCES)
    for number in _numbers(_DENIED, column):
        code += _answer(number, errno.EPERM)
    if not own_user:
        for number in _numbers(_METADATA, column):
            code += _answer(number, 0)
    return [*code, (_RETURN, 0, 0, _ALLOW)]


def _numbers(table: _Table, column: int) -> list[int]:
    return [number for number in (row[column] for row in table.values()) if number is not None]


def _answer(number: int, error: int) -> list[Instruction]:
    return [(_JUMP_EQ, 0, 1, number), (_RETURN, 0, 0, _ERRNO | error)]


def _argument(number: int, offset: int, tests: list[Instruction], error: int) -> list[Instruction]:
    """Answer `error` where the call is `number` and the tests fall through to the end."""
    body = [(_LOAD, 0, 0, offset), *tests, (_RETURN, 0, 0, _ERRNO | error), (_RETURN, 0, 0, _ALLOW)]
    return [(_JUMP_EQ, 0, len(body), number), *body]


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("filter", ctypes.c_void_p))


def prepare(instructions: list[Instruction]) -> Any:
    """Lay the filter out in memory once, so that each job only installs it."""
    raw = b"".join(struct.pack("HBBI", *instruction) for instruction in instructions)
    buffer = ctypes.create_string_buffer(raw, len(raw))
    prepared = _Program(len(instructions), ctypes.addressof(buffer))
    return prepared, buffer


def install(prepared: Any) -> None:
    """Put the filter on this thread and all that it starts; there is no way back."""
    kernel.prctl(kernel.PR_SET_NO_NEW_PRIVS, 1)
    zero = ctypes.c_ulong(0)
    if (
        kernel.libc.prctl(kernel.PR_SET_SECCOMP, ctypes.c_ulong(2), ctypes.byref(prepared[0]), zero, zero)
        == -1
    ):
        number = ctypes.get_errno()
        raise OSError(number, f"seccomp: {os.strerror(number)}")
