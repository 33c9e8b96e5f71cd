"""What an interpreter is and has: `interpreter.py [MODULE…]` prints it as JSON.

`executable` is its own path; `folders` are those it needs to start and to import its packages;
`installed` says of each named module whether it can be imported.
"""

import json
import os
import sys
import sysconfig
from collections.abc import Iterable
from importlib.util import find_spec
from typing import Any


def facts(modules: Iterable[str]) -> dict[str, Any]:
    """All three, of the interpreter that runs this."""
    paths = sysconfig.get_paths()
    folders = [sys.prefix, sys.base_prefix, sys.exec_prefix, sys.base_exec_prefix]
    folders += [paths[name] for name in ("stdlib", "platstdlib", "purelib", "platlib")]
    installed = {name: find_spec(name) is not None for name in modules}
    # Not resolved: the link is what makes it the interpreter of its environment.
    executable = os.path.abspath(sys.executable)  # noqa: PTH100
    return {"executable": executable, "folders": folders, "installed": installed}


if __name__ == "__main__":
    sys.stdout.write(json.dumps(facts(sys.argv[1:])))
