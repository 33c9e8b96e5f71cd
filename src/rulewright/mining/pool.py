"""Map a function over a stream with workers: in order, bounded memory, none lost.

Invariant: one result per task, in the order of the tasks, whatever the number of workers.
A task that kills its worker, or takes longer than the limit, gives what `failed` makes of it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context
from typing import Any, Final, TypeVar

from rulewright.errors import MissingDependency
from rulewright.workers import end_with_parent

T = TypeVar("T")
R = TypeVar("R")

IN_FLIGHT_PER_WORKER: Final = 4
TASK_LIMIT_S: Final = 60.0


def ordered_map(
    work: Callable[[T], R], tasks: Iterable[T], jobs: int, failed: Callable[[T, str], R]
) -> Iterator[R]:
    """Apply `work` to every task.

    Args:
        work: a module-level function.
        tasks: drawn as workers become free.
        jobs: processes; 1 runs here, without a limit on time.
        failed: the result for a task whose worker died or ran too long, with the reason.
    """
    if jobs <= 1:
        yield from map(work, tasks)
        return
    source = iter(tasks)
    flight: deque[tuple[T, Future[R]]] = deque()
    pool = _pool(jobs)
    try:
        while True:
            while len(flight) < jobs * IN_FLIGHT_PER_WORKER:
                try:
                    task = next(source)
                except StopIteration:
                    break
                flight.append((task, pool.submit(work, task)))
            if not flight:
                return
            task, future = flight.popleft()
            try:
                result = future.result(timeout=TASK_LIMIT_S)
            except (TimeoutError, BrokenProcessPool):
                _kill(pool)
                result = _alone(work, task, failed)
                pool = _pool(jobs)
                flight = deque((other, pool.submit(work, other)) for other, _ in flight)
            yield result
    finally:
        _kill(pool)


def _alone(work: Callable[[T], R], task: T, failed: Callable[[T, str], R]) -> R:
    """Try a task again by itself: the pool may have broken on another one."""
    pool = _pool(1)
    try:
        return pool.submit(work, task).result(timeout=TASK_LIMIT_S)
    except TimeoutError:
        return failed(task, "timeout")
    except BrokenProcessPool:
        return failed(task, "crashed")
    finally:
        _kill(pool)


def _pool(jobs: int) -> ProcessPoolExecutor:
    return ProcessPoolExecutor(jobs, mp_context=get_context("forkserver"), initializer=end_with_parent)


def _kill(pool: ProcessPoolExecutor) -> None:
    processes = list((pool._processes or {}).values())
    pool.shutdown(wait=False, cancel_futures=True)
    for process in processes:
        process.kill()


def ray_map(work: Callable[[T], R], tasks: Iterable[T], in_flight: int = 256) -> Iterator[R]:
    """The same over a Ray cluster.

    Raises:
        MissingDependency: Ray is not installed.
    """
    try:
        import ray
    except ImportError:
        raise MissingDependency("ray", "mining on a cluster", "ray") from None
    ray.init(ignore_reinit_error=True, log_to_driver=False)
    remote: Any = ray.remote(max_retries=1)(work)
    flight: deque[Any] = deque()
    for task in tasks:
        flight.append(remote.remote(task))
        if len(flight) >= in_flight:
            yield ray.get(flight.popleft())
    while flight:
        yield ray.get(flight.popleft())
