"""A function over many tasks in several processes, results in order.

Plain child processes with pipes, not `multiprocessing`: nothing is inherited but the
interpreter's path, a child that dies is named with the task it died on, and only a few
tasks are in memory at a time.
"""

from __future__ import annotations

import contextlib
import importlib
import multiprocessing
import os
import pickle
import subprocess
import sys
import threading
import traceback
from collections import deque
from collections.abc import Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from queue import SimpleQueue
from typing import IO, Any, Final

import rulewright
from rulewright.errors import RulewrightError

_PACKAGE_ROOT: Final = str(Path(rulewright.__file__).resolve().parents[1])
_AHEAD: Final = 2
"""Tasks in memory per worker."""


class WorkerFailed(Exception):
    """A bug in the function: the child's traceback."""


class _Child:
    def __init__(self, function: str) -> None:
        # The package may be imported from a folder that only this process knows.
        path = os.pathsep.join(filter(None, (_PACKAGE_ROOT, os.environ.get("PYTHONPATH"))))
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": path}
        self._process = subprocess.Popen(
            [sys.executable, "-m", "rulewright.workers", function],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment,
        )  # fmt: skip

    def call(self, task: Any) -> Any:
        stdin, stdout = self._process.stdin, self._process.stdout
        assert stdin is not None and stdout is not None
        try:
            _send(stdin, task)
            kind, value = _receive(stdout)
        except (EOFError, BrokenPipeError) as error:
            code = self._process.wait()
            raise RulewrightError(
                f"a worker process died with exit code {code}"
                + (" (killed: out of memory?)" if code == -9 else ""),
                "run again with --resume and fewer --workers: what is finished is kept",
            ) from error
        if kind == "error":
            raise value
        if kind == "bug":
            raise WorkerFailed(value)
        return value

    def close(self, kill: bool) -> None:
        if kill:
            self._process.kill()
        for stream in (self._process.stdin, self._process.stdout):
            if stream is not None:
                with contextlib.suppress(BrokenPipeError):  # what a dead child did not take
                    stream.close()
        self._process.wait()


def run(function: str, tasks: Iterable[Any], workers: int) -> Generator[Any]:
    """Yield `function(task)` for each task, in order.

    Args:
        function: `module:name` of a function of one picklable argument.
        tasks: taken as needed.
        workers: processes.

    Raises:
        RulewrightError: a worker died, or the function raised one.
        WorkerFailed: the function raised anything else.
    """
    idle: SimpleQueue[_Child] = SimpleQueue()
    children = [_Child(function) for _ in range(workers)]
    for child in children:
        idle.put(child)

    def call(task: Any) -> Any:
        child = idle.get()
        try:
            return child.call(task)
        finally:
            idle.put(child)

    waiting: deque[Future[Any]] = deque()
    clean = False
    threads = ThreadPoolExecutor(workers)
    try:
        for task in tasks:
            waiting.append(threads.submit(call, task))
            if len(waiting) >= _AHEAD * workers:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
        clean = True
    finally:
        for future in waiting:
            future.cancel()
        for child in children:
            child.close(kill=not clean)
        threads.shutdown()


def end_with_parent() -> None:
    """Make this process of `multiprocessing` end when its parent does, however that died.

    For `initializer` of a `ProcessPoolExecutor`, whose workers else outlive a killed parent.
    """
    parent = multiprocessing.parent_process()

    def watch() -> None:
        if parent is not None:
            parent.join()
            os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def _send(stream: IO[bytes], value: Any) -> None:
    raw = pickle.dumps(value, protocol=pickle.HIGHEST_PROTOCOL)
    stream.write(len(raw).to_bytes(8, "big") + raw)
    stream.flush()


def _receive(stream: IO[bytes]) -> Any:
    head = stream.read(8)
    if len(head) < 8:
        raise EOFError
    size = int.from_bytes(head, "big")
    raw = stream.read(size)
    if len(raw) < size:
        raise EOFError
    return pickle.loads(raw)


def _serve(function: str) -> None:
    """The child's loop: until its parent closes the pipe."""
    module, _, name = function.partition(":")
    apply = getattr(importlib.import_module(module), name)
    # What the function prints must not get into the pipe.
    results = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    while True:
        try:
            task = _receive(sys.stdin.buffer)
        except EOFError:
            return
        try:
            answer: tuple[str, Any] = ("ok", apply(task))
        except RulewrightError as error:
            answer = ("error", error)
        except Exception:
            answer = ("bug", traceback.format_exc())
        _send(results, answer)


if __name__ == "__main__":
    try:
        _serve(sys.argv[1])
    except (KeyboardInterrupt, BrokenPipeError):
        os._exit(1)
