"""`Engine`: actions judged in worker processes, each item with a deadline.

Invariant: every request gets exactly one outcome, in order, whatever its action does; a worker that hung,
crashed or panicked is replaced, and the batch continues. The deadline counts CPU time, so load does not
cause timeouts. The wall-clock limit only ends a worker that waits for something, with the verdict
`infra`.
"""

from __future__ import annotations

import contextlib
import faulthandler
import os
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import deque
from collections.abc import Iterable, Iterator
from functools import cache
from heapq import heappop, heappush
from itertools import islice
from pathlib import Path
from typing import BinaryIO, Final, Self, cast

from rulewright.actions.codec import refuse_length
from rulewright.engine import cli, in_process, wire
from rulewright.engine.wire import Request
from rulewright.errors import RulewrightError
from rulewright.replacing import maker_is_gone, name_begin
from rulewright.sandbox.inside.spec import frame
from rulewright.verdict import Outcome, Verdict

WINDOW: Final = 16
AHEAD: Final = 64
"""Outcomes of a worker that wait for an older one; with more, nothing new begins."""
SCRATCH: Final = "rulewright-engine-"
"""How the folders begin in which workers keep what a kill would leave behind."""
PIPE_BYTES: Final = 48 * 1024
_FROM_OUTSIDE: Final = frozenset({-signal.SIGKILL, -signal.SIGTERM, -signal.SIGHUP})
"""How a process ends that someone else ended, as Linux does where memory runs out; no action can."""
_ENVIRONMENT: Final = {"RUST_BACKTRACE": "0", "PYTHONDONTWRITEBYTECODE": "1"}


class _Copy:
    """A worker as a copy of this process, which shares its memory, with what `Popen` has of one."""

    def __init__(self, memory_mb: int, deadline_s: float, scratch: str) -> None:
        (requests, into), (out, answers) = os.pipe(), os.pipe()
        self.pid = os.fork()
        if not self.pid:
            try:
                _become_worker(requests, answers, memory_mb, deadline_s, scratch)
            finally:
                os._exit(1)
        os.close(requests)
        os.close(answers)
        self.stdin, self.stdout = open(into, "wb"), open(out, "rb")  # noqa: SIM115, PTH123 (ends of pipes)
        self._code: int | None = None

    def poll(self) -> int | None:
        return self._code

    def wait(self) -> int:
        if self._code is None:
            self._code = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
        return self._code


def _become_worker(requests: int, answers: int, memory_mb: int, deadline_s: float, scratch: str) -> None:
    """Be a worker to the end of this process, with nothing open of what its parent had."""
    from rulewright.engine import worker

    os.setsid()
    faulthandler.disable()
    os.environ.update(_ENVIRONMENT)
    sys.dont_write_bytecode = True
    nothing = os.open(os.devnull, os.O_WRONLY)
    for number, stream in enumerate((requests, answers, nothing)):
        os.dup2(stream, number)
    os.closerange(3, os.sysconf("SC_OPEN_MAX"))
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    memory_mb += pages * os.sysconf("SC_PAGE_SIZE") >> 20  # what it has of its parent's
    os._exit(worker.main([str(memory_mb), str(deadline_s), scratch]))


def can_be_copied() -> bool:
    """Whether this process has one thread: only that one would go on in a copy, whatever others hold."""
    return sys.platform == "linux" and len(list(Path("/proc/self/task").iterdir())) == 1


@cache
def _clear_left() -> None:
    """Remove the folders of killed runs, once in a process."""
    for path in Path(tempfile.gettempdir()).glob(f"{SCRATCH}*"):
        with contextlib.suppress(OSError):
            if path.lstat().st_uid == os.getuid() and maker_is_gone(path):
                shutil.rmtree(path, ignore_errors=True)


_Item = tuple[int, bytes]
"""A request by its number, as it is sent."""


class _Worker:
    """A worker process and the requests it owes answers to, oldest first."""

    def __init__(self, memory_mb: int, deadline_s: float) -> None:
        # One that is killed while ast-grep runs cannot remove what it wrote.
        self._scratch = tempfile.mkdtemp(prefix=name_begin(SCRATCH))
        self.process: subprocess.Popen[bytes] | _Copy
        if can_be_copied():
            self.process = _Copy(memory_mb, deadline_s, self._scratch)
        else:
            words = [str(memory_mb), str(deadline_s), self._scratch]
            self.process = subprocess.Popen(
                [sys.executable, "-m", "rulewright.engine.worker", *words],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                env={**os.environ, **_ENVIRONMENT}, start_new_session=True,
            )  # fmt: skip
        self.owed: deque[_Item] = deque()
        self.since = time.monotonic()
        assert self.process.stdin and self.process.stdout
        self.into = cast(BinaryIO, self.process.stdin)
        self.out = cast(BinaryIO, self.process.stdout)
        self.inbox = wire.Inbox(self.out.fileno())
        if self.inbox.read() != ["ready"]:
            self.end()
            raise RulewrightError("a worker process could not start", "run `rulewright doctor`")

    def offer(self, item: _Item) -> bool:
        """Send a request, unless that could block: then give `False`.

        A worker that waits for us to read its answer does not read our next request. So
        only as much is sent ahead as the pipe itself holds.
        """
        size = sum(len(message) for _, message in (*self.owed, item))
        if self.owed and (len(self.owed) >= WINDOW or size > PIPE_BYTES):
            return False
        if not self.owed:
            self.since = time.monotonic()
        self.owed.append(item)
        # Where it ended on an earlier item, reading its answer will show.
        with contextlib.suppress(BrokenPipeError):
            self.into.write(item[1])
            self.into.flush()
        return True

    def end(self) -> int:
        """Stop the process and its children; give how it ended."""
        # Before it is waited for: a dead leader still holds the number of its group, and an
        # ast-grep that it started may be alive in it.
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.process.pid, signal.SIGKILL)
        code = self.process.wait()
        for stream in (self.into, self.out):
            with contextlib.suppress(BrokenPipeError):
                stream.close()
        shutil.rmtree(self._scratch, ignore_errors=True)
        return code


class _Queue:
    """Requests that no worker has, and outcomes that were not given out yet."""

    def __init__(self, requests: Iterable[Request]) -> None:
        self.unread = enumerate(requests)
        self.waiting: list[_Item] = []
        """A heap: the oldest first, since while it is owed no other outcome can be given out."""
        self.ready: dict[int, Outcome] = {}
        self._given = 0

    def in_order(self) -> Iterator[Outcome]:
        while self._given in self.ready:
            yield self.ready.pop(self._given)
            self._given += 1


class Engine:
    """A pool of workers; use as a context manager.

    Args:
        workers: processes.
        deadline_s: processor seconds that one item may take.
        memory_mb: address space of one worker.
        wall_s: seconds by the clock after which a silent worker is given up.
        allow_other_version: judge with an ast-grep of another minor version.
        in_process: judge what is sure to end soon and well in this process (`in_process.judged`).
    """

    def __init__(
        self,
        workers: int = 1,
        deadline_s: float = 5.0,
        memory_mb: int = 1024,
        wall_s: float | None = None,
        allow_other_version: bool = False,
        in_process: bool = False,
    ) -> None:
        cli.check_version(allow_other_version)
        self._in_process = in_process
        self._n, self._deadline_s, self._memory_mb = max(1, workers), deadline_s, memory_mb
        self._wall_s = wall_s if wall_s is not None else 30.0 + 20 * deadline_s
        self.workers: list[_Worker] = []
        _clear_left()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End every worker."""
        for worker in self.workers:
            worker.end()
        self.workers.clear()

    def judge(self, request: Request) -> Outcome:
        """Judge one action."""
        return next(self.judge_many([request]))

    def judge_many(self, requests: Iterable[Request]) -> Iterator[Outcome]:
        """Judge actions; outcomes come in the order of the requests, as they are ready.

        Only one such stream at a time: the next one begins when all of this has been taken, or it is closed.
        """
        if any(worker.owed for worker in self.workers):
            raise RuntimeError("this engine still owes outcomes of earlier requests")
        queue = _Queue(requests)
        try:
            while True:
                n_ready = len(queue.ready)
                while self._read(queue) and self._place(queue.waiting[0]):
                    heappop(queue.waiting)
                if any(worker.owed for worker in self.workers):
                    # Where one was judged here, the next may be, too, while workers are busy.
                    self._collect(queue, 1000 if len(queue.ready) == n_ready else 0)
                elif not queue.ready:
                    break
                yield from queue.in_order()
        finally:
            # A consumer that stopped early leaves answers in the pipes: start afresh next time.
            if any(worker.owed for worker in self.workers):
                self.close()

    def _read(self, queue: _Queue) -> bool:
        """Read a request where none waits for a worker; does one wait now?"""
        if not queue.waiting and len(queue.ready) < AHEAD * self._n:
            for number, request in islice(queue.unread, 1):
                outcome = self._judged_here(request)
                if outcome is None:
                    queue.waiting.append((number, frame(wire.request_to_json(request))))
                else:
                    queue.ready[number] = outcome
        return bool(queue.waiting)

    def _judged_here(self, request: Request) -> Outcome | None:
        # What can be refused is not copied to a worker.
        if isinstance(request.action, str) and (refusal := refuse_length(request.action)) is not None:
            return Outcome(refusal.verdict, refusal.detail)
        return in_process.judged(request, self._deadline_s) if self._in_process else None

    def _place(self, item: _Item) -> bool:
        """Send a request to the worker that owes least; start one more where all are busy."""
        for worker in sorted(self.workers, key=lambda worker: len(worker.owed)):
            if worker.owed and len(self.workers) < self._n:
                break
            if worker.offer(item):
                return True
        if len(self.workers) < self._n:
            self.workers.append(_Worker(self._memory_mb, self._deadline_s))
            return self.workers[-1].offer(item)
        return False

    def _collect(self, queue: _Queue, milliseconds: int) -> None:
        """Take the answers that are there, or come in some time; give up workers that are silent."""
        busy = {worker.out.fileno(): worker for worker in self.workers if worker.owed}
        poll = select.poll()
        for descriptor in busy:
            poll.register(descriptor, select.POLLIN)
        for descriptor, _ in poll.poll(milliseconds):
            self._take(busy[descriptor], queue)
        now = time.monotonic()
        for worker in busy.values():
            if worker in self.workers and worker.owed and now - worker.since > self._wall_s:
                number, _ = worker.owed.popleft()
                self._drop(worker, queue)
                reason = f"no answer within {self._wall_s:g} s by the clock, though processor time was left"
                queue.ready[number] = Outcome(Verdict.INFRA, reason)

    def _take(self, worker: _Worker, queue: _Queue) -> None:
        messages = worker.inbox.read()
        if messages is None:
            number, _ = worker.owed.popleft()
            queue.ready[number] = self._ended(self._drop(worker, queue))
            return
        for message in messages:
            number, _ = worker.owed.popleft()
            queue.ready[number] = wire.outcome_from_json(message)
            if queue.ready[number].verdict is Verdict.CRASHED:
                self._drop(worker, queue)
        worker.since = time.monotonic()

    def _ended(self, code: int) -> Outcome:
        """What came of the item at which a worker ended."""
        if code == -signal.SIGPROF:
            return in_process.late(self._deadline_s)
        how = f"exit {code}" if code >= 0 else signal.Signals(-code).name
        if code in _FROM_OUTSIDE:
            return Outcome(Verdict.INFRA, f"the worker was ended from outside ({how})")
        return Outcome(Verdict.CRASHED, f"the action brought ast-grep down ({how})")

    def _drop(self, worker: _Worker, queue: _Queue) -> int:
        """End a worker; what it still owed waits for another."""
        self.workers.remove(worker)
        code = worker.end()
        for item in worker.owed:
            heappush(queue.waiting, item)
        return code
