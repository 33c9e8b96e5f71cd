"""A short hostile program: what of the machine can it reach? `self_test.py JSON` prints that as JSON.

The argument holds names of secret environment variables, files outside the sandbox, and a folder
of the machine that must not be written to.
"""

# ruff: noqa: PTH108, PTH118, PTH123, SIM115

import contextlib
import json
import os
import socket
import sys
from collections.abc import Iterator

_CLONE_NEWUSER = 0x10000000


def reached(secrets: list[str], outside: list[str], marker: str) -> Iterator[str]:
    """What could be reached, in words."""
    yield from (f"environment variable {name}" for name in secrets if name in os.environ)
    with contextlib.suppress(OSError), open("/proc/1/environ", "rb") as stream:
        if b"=" in stream.read():
            yield "environment of pid 1"
    for path in outside:
        with contextlib.suppress(OSError):
            open(path, "rb").read(1)
            yield f"reading {path}"
    for folder in ("/usr", "/etc", "/", "/var/tmp", marker):
        with contextlib.suppress(OSError):
            path = os.path.join(folder, "rulewright-self-test")
            open(path, "w").close()
            os.unlink(path)
            yield f"writing in {folder}"
    try:
        connection = socket.socket()
        connection.settimeout(0.2)
        connection.connect(("127.0.0.1", 22))
        yield "the network"
    except ConnectionRefusedError:
        yield "the machine's own network"
    except OSError:
        pass
    with contextlib.suppress(OSError):
        if os.getppid() > 1:
            os.kill(os.getppid(), 0)
            yield "signalling the supervisor"


def main() -> None:
    """Try all of it, then show that the sandbox's own folder can be written to."""
    found = list(reached(*json.loads(sys.argv[1])))
    with contextlib.suppress(OSError):
        if hasattr(os, "unshare"):
            os.unshare(_CLONE_NEWUSER)
    with open("written", "w") as stream:
        stream.write("x")
    sys.stdout.write(json.dumps(found))


if __name__ == "__main__":
    main()
