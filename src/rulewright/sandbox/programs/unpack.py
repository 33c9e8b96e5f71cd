"""Inside a container: lay out the workspace from standard input, then become the job's program.

The first line of standard input is a JSON object: `files` (name to base64), `stdin` (base64) and
`argv`. A NUL on stderr says that the program begins.
"""

# ruff: noqa: PTH103, PTH118, PTH120, PTH123

import base64
import json
import os
import sys

WORKSPACE = "/ws"


def main() -> None:
    """Unpack and run; does not return."""
    spec = json.loads(sys.stdin.buffer.readline())
    for name, data in spec["files"].items():
        path = os.path.join(WORKSPACE, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as stream:
            stream.write(base64.b64decode(data))
    os.chdir(WORKSPACE)
    read_end, write_end = os.pipe()
    if not os.fork():
        os.close(read_end)
        os.write(write_end, base64.b64decode(spec["stdin"]))
        os._exit(0)
    os.close(write_end)
    os.dup2(read_end, 0)
    os.close(read_end)
    os.write(2, b"\0")
    os.execvp(spec["argv"][0], spec["argv"])


if __name__ == "__main__":
    main()
