"""Headless Chromium over its debugging pipe: open a page, run JavaScript, take a picture."""

from __future__ import annotations

import base64
import fcntl
import json
import os
import select
import shutil
import subprocess
import time
from pathlib import Path
from types import TracebackType
from typing import Any, Self

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")


def find() -> str | None:
    """The browser's program, where there is one."""
    return next((path for name in NAMES if (path := shutil.which(name))), None)


class Browser:
    """One tab of a headless browser.

    Args:
        program: the browser.
        profile: an empty folder for what the browser keeps.
    """

    def __init__(self, program: str, profile: Path, deadline_s: float = 120.0) -> None:
        self._deadline_s = deadline_s
        pipes = os.pipe(), os.pipe()
        self._write, self._read = pipes[0][1], pipes[1][0]
        # Far above 3 and 4, which the browser reads from and writes to.
        ours = [fcntl.fcntl(fd, fcntl.F_DUPFD, 100) for fd in (pipes[0][0], pipes[1][1])]

        def place() -> None:
            os.dup2(ours[0], 3)
            os.dup2(ours[1], 4)

        self._process = subprocess.Popen(
            [program, "--headless=new", "--no-sandbox", "--disable-gpu", "--remote-debugging-pipe",
             "--no-first-run", "--disable-dev-shm-usage", "--hide-scrollbars", "--force-color-profile=srgb",
             f"--user-data-dir={profile}", "about:blank"],
            preexec_fn=place, close_fds=False, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        for fd in (pipes[0][0], pipes[1][1], *ours):
            os.close(fd)
        self._buffer = b""
        self._n = 0
        self._session = ""
        self.complaints: list[str] = []
        """Errors of the console, uncaught exceptions, requests to elsewhere."""
        pages = self._call("Target.getTargets")["targetInfos"]
        tab = next(page["targetId"] for page in pages if page["type"] == "page")
        self._session = self._call("Target.attachToTarget", targetId=tab, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self._call(f"{domain}.enable")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.terminate()
        try:
            self._process.wait(20)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        os.close(self._read)
        os.close(self._write)

    def size(self, width: int, height: int) -> None:
        """Of what is seen, in CSS pixels; a narrow one is a phone's."""
        self._call(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=width < 600,
        )

    def dark(self, dark: bool) -> None:
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self._call("Emulation.setEmulatedMedia", features=[scheme])

    def open(self, url: str, ready: str) -> float:
        """Open an address and wait until an expression is true; give the seconds it took."""
        start = time.monotonic()
        self._call("Page.navigate", url="about:blank")
        self._call("Page.navigate", url=url)
        self.wait(ready)
        return time.monotonic() - start

    def wait(self, expression: str) -> None:
        """Wait until an expression is true."""
        end = time.monotonic() + self._deadline_s
        while not self.run(f"Boolean({expression})"):
            if time.monotonic() > end:
                raise TimeoutError(f"{expression} did not come true; the page complains: {self.complaints}")
            time.sleep(0.05)

    def run(self, expression: str) -> Any:
        """The value of a JavaScript expression; a promise is awaited."""
        found = self._call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in found:
            raise AssertionError(f"{expression}: {found['exceptionDetails']}")
        return found["result"].get("value")

    def picture(self, path: Path) -> None:
        """A PNG of what is seen."""
        path.write_bytes(base64.b64decode(self._call("Page.captureScreenshot", format="png")["data"]))

    def _call(self, method: str, **parameters: Any) -> dict[str, Any]:
        self._n += 1
        message = {"id": self._n, "method": method, "params": parameters}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._write, json.dumps(message).encode() + b"\0")
        end = time.monotonic() + self._deadline_s
        while True:
            answer = self._next(end)
            if answer.get("id") == self._n:
                if "error" in answer:
                    raise RuntimeError(f"{method}: {answer['error']}")
                result: dict[str, Any] = answer["result"]
                return result
            self._note(answer)

    def _next(self, end: float) -> dict[str, Any]:
        while b"\0" not in self._buffer:
            if not select.select([self._read], [], [], max(0.0, end - time.monotonic()))[0]:
                raise TimeoutError("the browser does not answer")
            part = os.read(self._read, 1 << 16)
            if not part:
                raise RuntimeError("the browser has ended")
            self._buffer += part
        raw, _, self._buffer = self._buffer.partition(b"\0")
        value: dict[str, Any] = json.loads(raw)
        return value

    def _note(self, event: dict[str, Any]) -> None:
        said = event.get("params", {})
        if event.get("method") == "Runtime.exceptionThrown":
            self.complaints.append(f"exception: {said['exceptionDetails']}")
        elif event.get("method") == "Log.entryAdded" and said["entry"]["level"] in ("error", "warning"):
            self.complaints.append(f"log: {said['entry']['text']}")
        elif event.get("method") == "Runtime.consoleAPICalled" and said["type"] in (
            "error",
            "warning",
            "assert",
        ):
            self.complaints.append(f"console: {said['args']}")
        elif event.get("method") == "Network.requestWillBeSent":
            url = said["request"]["url"]
            if not url.startswith(("file:", "about:", "data:", "blob:")):
                self.complaints.append(f"request: {url}")
