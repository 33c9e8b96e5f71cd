"""Waiting for what another process or thread does, in tests: for the thing itself, never a fixed time."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable


def wait_until(
    ready: Callable[[], object], process: subprocess.Popen[bytes] | None = None, limit_s: float = 240.0
) -> bool:
    """Wait for a condition; False where the process ended before it held, or the time was up."""
    end = time.monotonic() + limit_s
    while not ready():
        if time.monotonic() > end or (process is not None and process.poll() is not None):
            return bool(ready())
        time.sleep(0.005)
    return True
