"""The process that tries untrusted actions: `python -m rulewright.engine.worker`.

It limits its own memory once and its processor time per item: when it is used up, the kernel ends the
worker (SIGPROF), even inside native code. The parent derives the verdict from how the worker ended.
"""

from __future__ import annotations

import contextlib
import gc
import os
import resource
import shutil
import signal
import sys
import tempfile
from collections.abc import Sequence
from typing import Final

from rulewright.actions import Action, Rejection, read_action
from rulewright.engine import wire
from rulewright.engine.judge import judge
from rulewright.engine.parsing import parse
from rulewright.errors import first_line
from rulewright.verdict import Outcome, Verdict

COLLECT_EVERY: Final = 500
"""Items between two collections of reference cycles."""
LARGE_CHARS: Final = 10_000
"""A text of more characters is not kept parsed for the next item."""


def main(arguments: Sequence[str]) -> int:
    """Serve requests on stdin and stdout until stdin ends: `MEMORY_MB DEADLINE_S SCRATCH_FOLDER`."""
    memory_mb, deadline_s = int(arguments[0]), float(arguments[1])
    tempfile.tempdir = arguments[2]
    requests = os.fdopen(os.dup(0), "rb")
    answers = os.fdopen(os.dup(1), "wb")
    # Nothing that native code prints may reach the protocol.
    os.dup2(2, 1)
    signal.signal(signal.SIGPROF, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    with contextlib.suppress(ValueError):  # macOS takes no such limit
        resource.setrlimit(resource.RLIMIT_AS, (memory_mb << 20, memory_mb << 20))
    # A judgment leaves next to no cycles, but thousands of objects that make the collector look for them.
    gc.freeze()
    gc.disable()
    wire.send(answers, "ready")
    done = 0
    while True:
        try:
            request = wire.request_from_json(wire.receive(requests))
        except EOFError:
            # The parent removes the folder, unless it was killed.
            shutil.rmtree(tempfile.tempdir, ignore_errors=True)
            return 0
        signal.setitimer(signal.ITIMER_PROF, deadline_s)
        outcome = _answer(request)
        signal.setitimer(signal.ITIMER_PROF, 0)
        wire.send(answers, wire.outcome_to_json(outcome))
        if len(request.code) > LARGE_CHARS:
            # The tree of a text takes a hundred times its size.
            parse.cache_clear()
        if outcome.verdict is Verdict.CRASHED:
            # What a panic left behind is not to be trusted.
            return 0
        done += 1
        if done % COLLECT_EVERY == 0:
            gc.collect()


def _answer(request: wire.Request) -> Outcome:
    given = request.action
    try:
        action = given if isinstance(given, Action) else read_action(given, request.language)
        if isinstance(action, Rejection):
            return Outcome(action.verdict, action.detail)
        if action.language != request.language:
            said = f"the action is for {action.language}, the code is {request.language}"
            return Outcome(Verdict.BAD_ACTION, said)
        return judge(action, request.code, request.expected, exact=request.exact, listed=request.listed)
    except MemoryError:
        return Outcome(Verdict.CRASHED, "out of memory")
    except BaseException as error:
        # A full disk, an ast-grep that is gone, a bug: no fault of the action. A panic of ast-grep's, which
        # is no `Exception`, is one.
        verdict = Verdict.INFRA if isinstance(error, Exception) else Verdict.CRASHED
        return Outcome(verdict, f"{type(error).__name__}: {first_line(error)}")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
