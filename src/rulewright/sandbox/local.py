"""A thread-safe pool of warm workers on this machine, in one tier."""

from __future__ import annotations

import os
import queue
import re
import sys
import tempfile
import threading
from pathlib import Path
from typing import Final

from rulewright.errors import RulewrightError
from rulewright.sandbox import cgroups
from rulewright.sandbox.job import Job, Result, Status, Tier
from rulewright.sandbox.keeper import remove_folder
from rulewright.sandbox.layout import Layout, free_user, interpreter, readable_by_others
from rulewright.sandbox.worker import KeeperClient, Worker, WorkerLost

# A worker is replaced after so many jobs, so that nothing can build up in it.
_JOBS_PER_WORKER: Final = 5000
_IMPORT: Final = re.compile(r"^[ \t]*(?:from|import)[ \t]+([\w., \t]+)", re.MULTILINE)
_HEAVY: Final = frozenset({"torch", "transformers"})
_NUMERIC: Final = frozenset({"numpy", "pandas", "scipy", "sklearn", "autograd"})


def preload_for(job: Job) -> str:
    """The class of worker whose preloaded modules suit a job, by its imports."""
    names: set[str] = set()
    for content in (*job.files.values(), *job.tests.values()):
        text = content if isinstance(content, str) else content.decode("utf-8", "replace")
        for found in _IMPORT.finditer(text):
            names |= {word.strip().split(".")[0].split(" ")[0] for word in found[1].split(",")}
    if names & _HEAVY:
        return "heavy"
    if names & _NUMERIC:
        return "numeric"
    return "tests" if job.entry.kind == "pytest" or job.entry.how == "pytest" else "light"


class _Slot:
    """What one job at a time may use: a worker of each class, started when first needed."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.workers: dict[str, Worker] = {}
        self.n_started = 0


class LocalPool:
    """Warm workers of one tier. Thread-safe; not for use after a fork."""

    def __init__(self, tier: Tier, python: str = sys.executable, workers: int = 1) -> None:
        self._owner = os.getpid()
        self._home = cgroups.find_home()
        cgroups.sweep(self._home)
        scratch = Path(tempfile.mkdtemp(prefix="rulewright-sandbox-"))
        self.layout = Layout(tier, python, scratch, user=None)
        self.passed_over: tuple[str, ...] = ()
        """Better tiers that did not work, each with its reason."""
        self.keeper = KeeperClient(scratch)
        self._lock = threading.Lock()
        self._free: queue.SimpleQueue[_Slot] = queue.SimpleQueue()
        self.slots = [_Slot(i) for i in range(workers)]
        self.n_infra = 0
        """Runs that failed for our reasons, before their retry."""
        try:
            self._prepare_user()
            for slot in self.slots:
                self._free.put(slot)
            self.worker_of(self.slots[0], "light")
        except BaseException:
            self.close()
            raise

    @property
    def tier(self) -> Tier:
        return self.layout.tier

    def _prepare_user(self) -> None:
        """As root, give the workers a uid that owns nothing, and a view it can read."""
        layout = self.layout
        if os.geteuid() != 0 or layout.tier == "unsafe":
            return
        layout.user = free_user()
        if layout.tier == "bubblewrap":
            layout.scratch.chmod(0o711)
            trees = layout.trees
            reply = self.keeper.ask(
                {"do": "stage", "sources": trees, "folder": str(layout.scratch / "stage")}
            )
            layout.staged = dict(zip(trees, reply["staged"], strict=True))
        else:
            os.chown(layout.scratch, layout.user, layout.user)
            layout.keep_reading = not all(map(readable_by_others, interpreter(layout.python)))

    def describe(self) -> str:
        """How this tier runs here, for `doctor` and reports."""
        user = "the caller's uid" if self.layout.user is None else "a uid of its own"
        return f"{user}; cgroup: {self._home.reason}"

    def worker_of(self, slot: _Slot, preload: str) -> Worker:
        worker = slot.workers.get(preload)
        if worker is not None and worker.n_jobs >= _JOBS_PER_WORKER:
            self.drop(slot, preload)
            worker = None
        if worker is None:
            with self._lock:
                if self.keeper.process.poll() is not None:
                    # It was killed, and its workers died with it.
                    self.keeper.close()
                    self.layout.scratch.mkdir(mode=0o711, exist_ok=True)
                    self.keeper = KeeperClient(self.layout.scratch)
                    self._prepare_user()
            slot.n_started += 1
            name = f"{self.layout.scratch.name[-8:]}-{slot.number}-{preload}-{slot.n_started}"
            with self._lock:  # the keeper answers one at a time
                worker = Worker(self.keeper, self.layout, self._home, preload, name)
            slot.workers[preload] = worker
        return worker

    def drop(self, slot: _Slot, preload: str) -> None:
        worker = slot.workers.pop(preload, None)
        if worker is not None:
            with self._lock:
                worker.close()

    def run(self, job: Job) -> Result:
        """Run one job; a failure of ours is tried once more on a new worker."""
        if os.getpid() != self._owner:
            raise RulewrightError(
                "a sandbox was used in a forked process", "open a sandbox in each process that needs one"
            )
        preload = preload_for(job)
        slot = self._free.get()
        try:
            problem = ""
            for _ in range(2):
                try:
                    worker = self.worker_of(slot, preload)
                    result = worker.run(job)
                except WorkerLost as lost:
                    problem = str(lost)
                    self.n_infra += 1
                    self.drop(slot, preload)
                except BaseException:  # an interrupt, too: its answer must not become the next job's
                    self.drop(slot, preload)
                    raise
                else:
                    if not worker.usable:
                        self.drop(slot, preload)
                    return result
            return Result(Status.INFRA, None, "", "", 0.0, 0.0, 0, self.tier, problem)
        finally:
            self._free.put(slot)

    def close(self) -> None:
        """End every worker and remove every trace."""
        if os.getpid() != self._owner:
            return
        for slot in self.slots:
            for preload in list(slot.workers):
                try:
                    self.drop(slot, preload)
                except OSError:
                    continue
        self.keeper.close()
        remove_folder(self.layout.scratch)
