"""The candidate's process: from warm interpreter to the program's own exit code.

As near as a forked interpreter comes to `python FILE`: a fresh `__main__`, standard
streams and environment, a real file on disk (so that `inspect.getsource` works), the
interpreter's own traceback and exit code, non-daemon threads awaited, atexit run.
"""

# Descriptors, links and /proc: the calls of `os` say what is meant.
# ruff: noqa: PTH100, PTH118, PTH119, PTH120, PTH122, PTH123

from __future__ import annotations

import atexit
import builtins
import importlib.util
import io
import os
import sys
import tempfile
import threading
import types
from collections.abc import Callable
from typing import Final

from . import recorder
from .spec import Entry

_OWN_FOLDER: Final = os.path.dirname(os.path.abspath(__file__))


def run(entry: Entry, workspace: str, tests: str) -> int:
    """Run what was asked; the exit code. Kind `argv` replaces this process and does not return.

    `{ws}` and `{tests}` in arguments stand for the two folders, whose paths differ by tier.
    """
    argv = [a.replace("{ws}", workspace).replace("{tests}", tests) for a in entry.argv]
    _set_environment(workspace)
    if entry.kind == "argv":
        try:
            os.execvpe(argv[0], argv, dict(os.environ))
        except OSError as error:
            os.write(2, f"{argv[0]}: {error.strerror}\n".encode())
        return 127
    how = entry.how or entry.kind
    _renew_streams()
    _set_path(workspace, first=how == "script")
    if entry.kind == "checks":
        channel = recorder.Channel(3)
        setattr(builtins, entry.recorder, recorder.Recorder(channel))
    actions: dict[str, Callable[[], int]] = {
        "script": lambda: _run_script(argv, workspace),
        "pytest": lambda: _run_pytest(argv),
        "unittest": lambda: _run_unittest(argv),
    }
    return _leave(actions[how])


def _set_environment(workspace: str) -> None:
    os.environ.clear()
    os.environ.update(
        {
            "PATH": "/usr/local/bin:/usr/bin:/bin", "HOME": workspace,
            "USER": "sandbox", "LOGNAME": "sandbox",
            "LANG": "C.UTF-8", "TMPDIR": "/tmp" if workspace == "/ws" else workspace,
            "PYTHONHASHSEED": "0", "PYTHONDONTWRITEBYTECODE": "1", "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
            "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1",
        }
    )  # fmt: skip
    tempfile.tempdir = None


def _renew_streams() -> None:
    """Give the candidate streams of its own: nothing buffered, nothing shared."""
    streams = {
        "stdin": io.TextIOWrapper(io.BufferedReader(io.FileIO(0, "r", closefd=False)), "utf-8"),
        "stdout": io.TextIOWrapper(
            io.BufferedWriter(io.FileIO(1, "w", closefd=False)), "utf-8", "surrogateescape"
        ),
        "stderr": io.TextIOWrapper(
            io.BufferedWriter(io.FileIO(2, "w", closefd=False)),
            "utf-8",
            "backslashreplace",
            line_buffering=True,
        ),
    }
    for name, stream in streams.items():
        setattr(sys, name, stream)
        setattr(sys, f"__{name}__", stream)


def _set_path(workspace: str, *, first: bool) -> None:
    """Make the workspace importable.

    A script's folder comes first, as in Python. A module under test comes after the
    standard library, so that a file named `unittest.py` shadows nothing, and before
    site-packages, so that a checkout wins over an installed copy of itself.
    """
    paths = [p for p in sys.path if p]
    place = 0 if first else next((i for i, p in enumerate(paths) if "site-packages" in p), len(paths))
    paths.insert(place, workspace)
    sys.path[:] = paths


def _run_script(argv: list[str], workspace: str) -> int:
    path = os.path.join(workspace, argv[0])
    module = types.ModuleType("__main__")
    module.__file__ = path
    module.__dict__["__builtins__"] = builtins
    sys.modules["__main__"] = module
    sys.argv = [path, *argv[1:]]
    with open(path, "rb") as stream:
        code = compile(stream.read(), path, "exec", dont_inherit=True)
    exec(code, module.__dict__)
    return 0


def _run_pytest(argv: list[str]) -> int:
    import pytest

    sys.argv = ["pytest", *argv]
    return int(pytest.main(argv))


def _run_unittest(argv: list[str]) -> int:
    """Run test files, each as a module of its own name, under unittest."""
    import unittest

    sys.argv = ["unittest", *argv]
    suite = unittest.TestSuite()
    for path in argv:
        name = os.path.splitext(os.path.basename(path))[0]
        spec = importlib.util.spec_from_file_location(name, path)
        if spec is None or spec.loader is None:
            raise ImportError(f"cannot import {path}")
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module
        spec.loader.exec_module(module)
        suite.addTests(unittest.defaultTestLoader.loadTestsFromModule(module))
    result = unittest.TextTestRunner(stream=sys.stderr).run(suite)
    return 0 if result.wasSuccessful() else 1


def _leave(action: Callable[[], int]) -> int:
    """Run to the end as the interpreter would: traceback, threads, atexit, flush; the exit code."""
    try:
        code = action()
    except SystemExit as leaving:
        code = int.__index__(leaving.code) if isinstance(leaving.code, int) else int(leaving.code is not None)
        if not isinstance(leaving.code, int | None):
            sys.stderr.write(f"{leaving.code}\n")
    except BaseException as error:
        # Print the traceback as Python would, without the frames of this module.
        trace = error.__traceback__
        while trace is not None and trace.tb_frame.f_code.co_filename.startswith(_OWN_FOLDER):
            trace = trace.tb_next
        error.__traceback__ = trace
        sys.excepthook(type(error), error, trace)
        code = 130 if isinstance(error, KeyboardInterrupt) else 1
    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, ValueError, AttributeError):
            code = code or 120  # as Python does where the last flush fails
    return code & 0xFF
