"""The MCP server: lists the tools, and has each call run in a worker process with a deadline.

A call that is cancelled, takes too long or breaks its worker down ends with that worker, and the
others go on. Nothing of a client's is run or looked at in this process.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sys
from dataclasses import dataclass, field
from typing import Any, Final

import anyio
from anyio.abc import Process
from anyio.streams.buffered import BufferedByteReceiveStream
from mcp.server import Server
from mcp.server.stdio import stdio_server
from mcp.types import CallToolRequestParams, CallToolResult, ListToolsResult, TextContent, ToolAnnotations
from mcp.types import Tool as Listed

from rulewright import __version__
from rulewright.agents.tools import TOOLS
from rulewright.errors import RulewrightError

MAX_ANSWER_BYTES: Final = 4_000_000
GRACE_S: Final = 2.0
"""Between asking a worker to end and killing it."""
INSTRUCTIONS: Final = (
    "Write an ast-grep rule instead of editing text when one change goes to several places: verify_rule "
    "first, then apply_rule without `write`, then with it. After one edit by hand, learn_rule finds the "
    "rule. When nothing matches, explain_no_match. Lists are cut; `left_out` says by how much."
)


class Crew:
    """Worker processes, each with one call at a time.

    Args:
        settings: what each worker is told first.
        n: processes at once; further calls wait.
        deadline_s: seconds by the clock that one call may take once it runs.
    """

    def __init__(self, settings: dict[str, Any], n: int, deadline_s: float) -> None:
        self._settings, self._deadline_s = settings, deadline_s
        self._room = anyio.Semaphore(n)
        self._idle: list[_Worker] = []

    async def call(self, tool: str, arguments: dict[str, Any]) -> dict[str, Any]:
        """Run a tool.

        Raises:
            RulewrightError: it took too long, or broke its worker down.
        """
        async with self._room:
            worker = self._idle.pop() if self._idle else await _Worker.start(self._settings)
            try:
                with anyio.fail_after(self._deadline_s):
                    answer = await worker.ask({"tool": tool, "arguments": arguments})
                self._idle.append(worker)
                return answer
            except TimeoutError as error:
                said = f"{tool} took more than {self._deadline_s:g} s"
                raise RulewrightError(said, "name fewer files, or a simpler rule") from error
            except (anyio.EndOfStream, anyio.IncompleteRead, anyio.BrokenResourceError) as error:
                said = f"{tool} broke its process down"
                raise RulewrightError(said, "the rule or the code is beyond ast-grep: simplify it") from error
            finally:
                if worker not in self._idle:
                    with anyio.CancelScope(shield=True):
                        await worker.end()

    async def close(self) -> None:
        """End the workers."""
        with anyio.CancelScope(shield=True):
            while self._idle:
                await self._idle.pop().end()


@dataclass(eq=False)
class _Worker:
    process: Process
    answers: BufferedByteReceiveStream = field(init=False)

    def __post_init__(self) -> None:
        assert self.process.stdout is not None
        self.answers = BufferedByteReceiveStream(self.process.stdout)

    @classmethod
    async def start(cls, settings: dict[str, Any]) -> _Worker:
        with anyio.CancelScope(shield=True):
            command = [sys.executable, "-m", "rulewright.agents.worker"]
            worker = cls(await anyio.open_process(command, stderr=None, start_new_session=True))
        try:
            await worker._send(settings)
        except BaseException:
            with anyio.CancelScope(shield=True):
                await worker.end()
            raise
        return worker

    async def ask(self, call: dict[str, Any]) -> dict[str, Any]:
        await self._send(call)
        answer: dict[str, Any] = json.loads(await self.answers.receive_until(b"\n", MAX_ANSWER_BYTES))
        return answer

    async def _send(self, value: dict[str, Any]) -> None:
        assert self.process.stdin is not None
        await self.process.stdin.send(json.dumps(value).encode() + b"\n")

    async def end(self) -> None:
        """Stop the process, gently first, and what it started."""
        with contextlib.suppress(ProcessLookupError):
            self.process.terminate()
        with anyio.move_on_after(GRACE_S):
            await self.process.wait()
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.process.pid, signal.SIGKILL)
        await self.process.aclose()


def server(crew: Crew, may_write: bool, has_model: bool) -> Server[Any]:
    """The protocol's side: tools listed, calls passed on, answers given as text and as data."""

    async def list_tools(context: Any, params: Any) -> ListToolsResult:
        names = [name for name in TOOLS if has_model or name != "propose_rule"]
        return ListToolsResult(tools=[_listed(name, may_write) for name in names])

    async def call_tool(context: Any, params: CallToolRequestParams) -> CallToolResult:
        if params.name not in TOOLS:
            return _failed(f"no tool '{params.name[:80]}'", f"tools are {', '.join(TOOLS)}")
        try:
            answer = await crew.call(params.name, params.arguments or {})
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
        name=name, description=tool.about + note, annotations=hints,
        input_schema=tool.arguments.model_json_schema(), output_schema=tool.answer.model_json_schema(),
    )  # fmt: skip


def _failed(message: str, hint: str) -> CallToolResult:
    said = f"{message[:2000]}\nnext: {hint}" if hint else message[:2000]
    return CallToolResult(content=[TextContent(type="text", text=said)], is_error=True)


async def serve(settings: dict[str, Any], n: int, deadline_s: float) -> None:
    """Serve over standard input and output until the input ends."""
    crew = Crew(settings, n, deadline_s)
    try:
        async with stdio_server() as (incoming, outgoing):
            app = server(crew, bool(settings["write"]), bool(settings["generator"]))
            await app.run(incoming, outgoing, app.create_initialization_options())
    finally:
        await crew.close()
