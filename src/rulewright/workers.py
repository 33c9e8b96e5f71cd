"""Map a function over a stream of tasks in several processes, or on a Ray cluster, in order.

Invariant: one result a task, in the order of the tasks, however many workers there are. A worker has one
task at a time and a pipe of its own, so that a death or a task that takes too long costs that task only,
is reported with its reason, and the next task gets a new worker. Only a few tasks are in memory. Workers
end with their parent, however that ends.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import traceback
from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from pathlib import Path
from queue import SimpleQueue
from typing import Any, Final, Literal, TypeVar

import rulewright
from rulewright.errors import RulewrightError, needed

T = TypeVar("T")
R = TypeVar("R")
WhereToRun = Literal["local", "ray"]

_PACKAGE_ROOT: Final = str(Path(rulewright.__file__).resolve().parents[1])
_AHEAD: Final = 4
"""Tasks in memory per worker."""


class WorkerFailed(Exception):
    """A bug in the function: the worker's traceback."""


def cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def ordered_map(
    function: Callable[[T], R],
    tasks: Iterable[T],
    workers: int,
    *,
    engine: WhereToRun = "local",
    limit_s: float | None = None,
    failed: Callable[[T, str], R] | None = None,
) -> Generator[R]:
    """Yield `function(task)` for each task, in order.

    Args:
        function: of a module, so that another process can import it.
        tasks: taken as needed.
        workers: processes on this machine; 0: one per core; 1 runs in this process, without a limit
            on time.
        engine: `ray` runs tasks on the running cluster instead; it retries them by itself.
        limit_s: seconds that a task may take.
        failed: the result for a task whose worker died (`crashed`) or took too long (`timeout`).

    Raises:
        RulewrightError: the function raised one, or a worker died and there is no `failed`.
        WorkerFailed: the function raised anything else in a worker.
    """
    workers = workers or cores()
    if engine == "ray":
        yield from _on_ray(function, tasks)
    elif workers == 1:
        yield from map(function, tasks)
    else:
        yield from _in_processes(function, tasks, workers, limit_s, failed)


def _in_processes(
    function: Callable[[T], R],
    tasks: Iterable[T],
    workers: int,
    limit_s: float | None,
    failed: Callable[[T, str], R] | None,
) -> Generator[R]:
    idle: SimpleQueue[WorkerProcess | None] = SimpleQueue()
    for _ in range(workers):
        idle.put(None)
    started: list[WorkerProcess] = []

    def call(task: T) -> R:
        worker = idle.get()
        try:
            if worker is None:
                worker = WorkerProcess(function)
                started.append(worker)
            result: R = worker.call(task, limit_s)
        except Died as death:
            worker = None
            if failed is None:
                raise RulewrightError(
                    f"a worker process {death}",
                    "run again with --resume and fewer --workers: finished work is kept",
                ) from death
            result = failed(task, death.reason)
        finally:
            idle.put(worker)
        return result

    waiting: deque[Future[R]] = deque()
    threads = ThreadPoolExecutor(workers)
    try:
        for task in tasks:
            waiting.append(threads.submit(call, task))
            if len(waiting) >= _AHEAD * workers:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        for future in waiting:
            future.cancel()
        for worker in started:
            worker.end()
        threads.shutdown()


class Died(Exception):
    """A worker has died; `reason` is `crashed` or `timeout`."""

    def __init__(self, reason: str, words: str) -> None:
        super().__init__(words)
        self.reason = reason


class WorkerProcess:
    """One process and the pipe to it: a fresh interpreter, that inherits nothing but the path.

    Args:
        function: what it does with each task, one at a time.
        grace_s: between asking it to end and killing it.
    """

    def __init__(self, function: Callable[[Any], Any], grace_s: float = 0.0) -> None:
        self._grace_s = grace_s
        # Modules may come from folders that only this process knows.
        path = os.pathsep.join([_PACKAGE_ROOT, *filter(None, sys.path)])
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": path}
        self._pipe, theirs = Pipe()
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "rulewright.workers", str(theirs.fileno())],
                pass_fds=[theirs.fileno()], stdin=subprocess.DEVNULL, env=environment,
                start_new_session=True,
            )  # fmt: skip
        self._pipe.send(function)

    def call(self, task: Any, limit_s: float | None) -> Any:
        """What the function makes of a task.

        Raises:
            Died: it took too long, or broke the process down.
        """
        try:
            self._pipe.send(task)
            if not self._pipe.poll(limit_s):
                self.end()
                raise Died("timeout", f"took longer than {limit_s:g} s")
            kind, value = self._pipe.recv()
        except (EOFError, OSError) as error:
            code = self._process.wait()
            killed = " (killed: out of memory?)" if code == -signal.SIGKILL else ""
            raise Died("crashed", f"died with exit code {code}{killed}") from error
        if kind == "error":
            raise value
        if kind == "bug":
            raise WorkerFailed(value)
        return value

    def end(self) -> None:
        """Stop the process, and what it started."""
        if self._grace_s:
            self._process.terminate()
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(self._grace_s)
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()


def _serve(pipe: Connection) -> None:
    """A worker's loop, until its parent closes the pipe or dies."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent ends its workers
    os.dup2(2, 1)  # stdout is for the command's own result
    try:
        function = pipe.recv()
        while True:
            task = pipe.recv()
            try:
                answer: tuple[str, Any] = ("ok", function(task))
            except RulewrightError as error:
                answer = ("error", error)
            except Exception:
                answer = ("bug", traceback.format_exc())
            pipe.send(answer)
    except (EOFError, OSError):
        return


def _on_ray(function: Callable[[T], R], tasks: Iterable[T]) -> Generator[R]:
    """The same on a Ray cluster, whose machines must all see the files that tasks name."""
    with needed("ray", "`--engine ray`", "ray"):
        import ray
    if not ray.is_initialized():
        ray.init(address=os.environ.get("RAY_ADDRESS") or None, log_to_driver=False)
    remote: Any = ray.remote(max_retries=1)(function)
    n_ahead = _AHEAD * max(1, int(ray.cluster_resources().get("CPU", 1)))
    waiting: deque[Any] = deque()
    for task in tasks:
        waiting.append(remote.remote(task))
        if len(waiting) >= n_ahead:
            yield ray.get(waiting.popleft())
    while waiting:
        yield ray.get(waiting.popleft())


if __name__ == "__main__":
    _serve(Connection(int(sys.argv[1])))
