"""The MCP server: lists the tools, and runs each call in a worker process with a deadline.

A call that is canceled, takes too long or crashes ends with its worker; other calls continue. The server
process itself executes and reads nothing for a client.
"""

from __future__ import annotations

import json
import os
import re
from functools import partial
from io import TextIOWrapper
from typing import Any, Final

import anyio
from anyio import to_thread
from mcp.server import Server
from mcp.server.stdio import stdio_server
from mcp.types import CallToolRequestParams, CallToolResult, ListToolsResult, TextContent, ToolAnnotations
from mcp.types import Tool as Listed

from rulewright import __version__
from rulewright.agents.tools import TOOLS
from rulewright.agents.worker import run_tool
from rulewright.errors import RulewrightError
from rulewright.workers import Died, WorkerProcess

GRACE_S: Final = 2.0
"""Between asking a worker to end and killing it."""
INSTRUCTIONS: Final = (
    "Write an ast-grep rule instead of editing text when one change goes to several places: verify_rule "
    "first, then apply_rule without `write`, then with it. After one edit by hand, learn_rule finds the "
    "rule. When nothing matches, explain_no_match. Lists are cut; `left_out` says by how much."
)


class ToolWorkers:
    """A pool of worker processes that run one call each.

    Args:
        settings: settings for each worker.
        n: number of processes; further calls wait.
        deadline_s: seconds by the clock that one call may take once it runs.
    """

    def __init__(self, settings: dict[str, Any], n: int, deadline_s: float) -> None:
        self._run, self._deadline_s = partial(run_tool, json.dumps(settings)), deadline_s
        self._room = anyio.Semaphore(n)
        # A cancelled call keeps its thread until its worker has ended.
        self._threads = anyio.CapacityLimiter(4 * n)
        self._idle: list[WorkerProcess] = []

    async def call(self, tool: str, arguments: dict[str, Any]) -> dict[str, Any]:
        """Run a tool.

        Raises:
            RulewrightError: it took too long, or its worker crashed.
        """
        async with self._room:
            worker = self._idle.pop() if self._idle else WorkerProcess(self._run, GRACE_S)
            try:
                answer: dict[str, Any] = await to_thread.run_sync(
                    worker.call, (tool, arguments), self._deadline_s,
                    abandon_on_cancel=True, limiter=self._threads,
                )  # fmt: skip
                self._idle.append(worker)
                return answer
            except Died as death:
                problem = "broke its process down"
                hint = "the rule or the code is beyond ast-grep: simplify it"
                if death.reason == "timeout":
                    problem = f"took more than {self._deadline_s:g} s"
                    hint = "name fewer files, or a simpler rule"
                raise RulewrightError(f"{tool} {problem}", hint) from death
            finally:
                if worker not in self._idle:
                    await self._end(worker)

    async def close(self) -> None:
        """End all workers."""
        while self._idle:
            await self._end(self._idle.pop())

    async def _end(self, worker: WorkerProcess) -> None:
        with anyio.CancelScope(shield=True):
            await to_thread.run_sync(worker.end, limiter=self._threads)


def server(workers: ToolWorkers, may_write: bool, has_model: bool) -> Server[Any]:
    """The MCP server: lists tools, passes calls on, gives answers as text and as data."""
    names = [name for name in TOOLS if has_model or name != "propose_rule"]

    async def list_tools(context: Any, params: Any) -> ListToolsResult:
        return ListToolsResult(tools=[_listed(name, may_write) for name in names])

    async def call_tool(context: Any, params: CallToolRequestParams) -> CallToolResult:
        if params.name not in TOOLS:
            return _failed(f"no tool '{params.name[:80]}'", f"tools are {', '.join(names)}")
        try:
            answer = await workers.call(params.name, params.arguments or {})
        except RulewrightError as error:
            return _failed(error.message, error.hint)
        if "error" in answer:
            return _failed(answer["error"], answer["hint"])
        data = answer["answer"]
        text = json.dumps(data, ensure_ascii=False, separators=(",", ":"))
        return CallToolResult(content=[TextContent(type="text", text=text)], structured_content=data)

    return Server(
        "rulewright", version=__version__, instructions=INSTRUCTIONS,
        on_list_tools=list_tools, on_call_tool=call_tool,
    )  # fmt: skip


def _listed(name: str, may_write: bool) -> Listed:
    tool = TOOLS[name]
    note = "" if may_write or not tool.writes else " This server may not write: dry runs only."
    hints = ToolAnnotations(
        read_only_hint=not (tool.writes and may_write), destructive_hint=tool.writes and may_write,
        idempotent_hint=not tool.writes, open_world_hint=False,
    )  # fmt: skip
    return Listed(
        name=name, description=tool.description + note, annotations=hints,
        input_schema=tool.arguments.model_json_schema(), output_schema=tool.answer.model_json_schema(),
    )  # fmt: skip


def _failed(message: str, hint: str) -> CallToolResult:
    shown = f"{message[:2000]}\nnext: {hint}" if hint else message[:2000]
    return CallToolResult(content=[TextContent(type="text", text=shown)], is_error=True)


_ESCAPE: Final = re.compile(
    r"\\(?:u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|(u[dD][89a-fA-F][0-9a-fA-F]{2})|.)"
)
"""An escape in JSON; the group is half of a surrogate pair, without the other."""


class _Input(TextIOWrapper):
    """Messages of the client, in which half a surrogate pair counts as other bytes that are no UTF-8.

    The SDK takes such a message for no JSON and gives no answer, for which the client would wait.
    """

    def readline(self, size: int = -1, /) -> str:  # type: ignore[override]
        line = super().readline(size)
        return _ESCAPE.sub(lambda found: r"\ufffd" if found[1] else found[0], line)


def _claimed_input() -> anyio.AsyncFile[str]:
    """Standard input, from which nothing else, nor any other process, reads from now on."""
    stream = os.fdopen(os.dup(0), "rb")
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    return anyio.wrap_file(_Input(stream, encoding="utf-8", errors="replace"))


async def serve(settings: dict[str, Any], n: int, deadline_s: float) -> None:
    """Serve over standard input and output until the input ends."""
    workers = ToolWorkers(settings, n, deadline_s)
    try:
        async with stdio_server(_claimed_input()) as (incoming, outgoing):
            app = server(workers, bool(settings["write"]), bool(settings["generator"]))
            await app.run(incoming, outgoing, app.create_initialization_options())
    finally:
        await workers.close()
