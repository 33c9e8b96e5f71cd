"""HTTP servers on 127.0.0.1 whose replies a test decides, and how they misbehave."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass(frozen=True)
class Request:
    method: str
    path: str
    """Without the query."""
    headers: Message
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)


@dataclass(frozen=True)
class Reply:
    status: int = 200
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    cut: int = 0
    """So many bytes of the promised body never come."""
    drip_s: float = 0.0
    """The wait after each byte of the body."""
    hold_s: float = 0.0
    """How long the connection stays open after the body."""


def json_reply(value: Any, status: int = 200) -> Reply:
    return Reply(status, json.dumps(value).encode(), {"Content-Type": "application/json"})


@contextmanager
def serving(answer: Callable[[Request], Reply], port: int = 0) -> Iterator[str]:
    """Answer every request, each in a thread of its own, until the end of the block; gives the URL."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            reply = answer(Request(self.command, self.path.partition("?")[0], self.headers, body))
            self.close_connection = bool(reply.cut or reply.hold_s)
            # The client may have given up by now: that is what some tests are about.
            with suppress(BrokenPipeError, ConnectionResetError):
                self.send_response(reply.status)
                for key, value in {**reply.headers, "Content-Length": str(len(reply.body))}.items():
                    self.send_header(key, value)
                self.end_headers()
                if self.command != "HEAD":
                    self._send(reply)

        def _send(self, reply: Reply) -> None:
            sent = reply.body[: len(reply.body) - reply.cut]
            for part in (sent[i : i + 1] for i in range(len(sent))) if reply.drip_s else (sent,):
                self.wfile.write(part)
                time.sleep(reply.drip_s)
            time.sleep(reply.hold_s)

        do_HEAD = do_POST = do_GET  # noqa: N815

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", port), Handler) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()
