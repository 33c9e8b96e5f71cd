"""`rulewright mcp` as a process of its own, spoken to by the SDK's client over stdio."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

anyio = pytest.importorskip("anyio")
pytest.importorskip("mcp")

from mcp import Client, StdioServerParameters, stdio_client  # noqa: E402
from tests.loopback import Reply, json_reply  # noqa: E402

from rulewright import cli  # noqa: E402
from rulewright.agents import schemas  # noqa: E402

NONE = "id: identity\nlanguage: Python\nrule:\n  pattern: $A == None\nfix: $A is None\n"
CODE = "def pick(x):\n    if x == None:\n        return 1\n    return x\n"
LIMIT_S = 240
Body = Callable[[Any], Awaitable[None]]


def talk(body: Body, *flags: str, cwd: Path) -> None:
    """Start the server in a folder, and let a client talk to it."""

    async def main() -> None:
        words = ["-m", "rulewright", "mcp", *flags]
        path = os.pathsep.join(
            filter(None, [str(Path(cli.__file__).parents[1]), os.environ.get("PYTHONPATH")])
        )
        server = StdioServerParameters(command=sys.executable, args=words, cwd=cwd, env={"PYTHONPATH": path})
        with anyio.fail_after(LIMIT_S):
            async with Client(stdio_client(server)) as client:
                await body(client)

    try:
        anyio.run(main)
    except BaseExceptionGroup as group:
        failed: BaseException = group
        while isinstance(failed, BaseExceptionGroup):
            failed = failed.exceptions[0]
        raise failed from None


async def use(client: Any, tool: str, **arguments: Any) -> dict[str, Any]:
    """The structured answer of a tool, which the client has checked against the output schema."""
    result = await client.call_tool(tool, arguments)
    assert not result.is_error, result.content[0].text
    assert json.loads(result.content[0].text) == result.structured_content
    return dict(result.structured_content)


async def refused(client: Any, tool: str, **arguments: Any) -> str:
    """What a tool says to a call that it refuses: short, and with what to do next."""
    result = await client.call_tool(tool, arguments)
    said = str(result.content[0].text)
    assert result.is_error and "next: " in said and len(said) < 3000 and "Traceback" not in said, said
    return said


@pytest.fixture
def code(tmp_path: Path) -> Path:
    """A repository, and beside it a secret."""
    root = tmp_path / "repo"
    root.mkdir()
    (root / "a.py").write_text(CODE)
    (root / "b.py").write_text("if value == None:\n    pass\n")
    (root / "c.py").write_text("value = 1\n")
    (tmp_path / "secret.py").write_text("token == None\n")
    return root


def test_utility_rules_of_the_project_are_those_of_the_tools(code: Path) -> None:
    """Those of the nearest sgconfig.yml, but no folders above the roots."""
    util = "id: nothing\nlanguage: Python\nrule:\n  kind: none\n"
    (code.parent / "utils").mkdir()
    (code.parent / "utils" / "nothing.yml").write_text(util)
    (code / "shared").mkdir()
    (code / "shared" / "nothing.yml").write_text(util)
    rule = (
        "id: identity\nlanguage: Python\nrule:\n  pattern: $A == $B\n"
        "constraints:\n  B:\n    matches: nothing\n"
        "fix: $A is $B\n"
    )

    async def within(client: Any) -> None:
        for folder in ("shared", "../utils"):
            (code / "sgconfig.yml").write_text(f"ruleDirs: [.]\nutilDirs: [{folder}]\n")
            if folder == "shared":
                done = await use(client, "apply_rule", rule=rule, paths=["."])
                assert done["places"] == 2 and "is None" in done["diff"]
                assert (await use(client, "find", rule=rule, paths=["."]))["total"] == 2
                assert (await use(client, "verify_rule", rule=rule, code=CODE))["holds"]
            else:
                assert "nothing" in await refused(client, "apply_rule", rule=rule, paths=["."])
        (code / "sgconfig.yml").unlink()
        (code.parent / "sgconfig.yml").write_text("ruleDirs: [repo]\nutilDirs: [utils]\n")
        assert "nothing" in await refused(client, "apply_rule", rule=rule, paths=["."])

    talk(within, cwd=code)


def test_every_tool_answers_by_its_schema(code: Path) -> None:
    async def body(client: Any) -> None:
        listed = {tool.name: tool for tool in (await client.list_tools()).tools}
        assert set(listed) == {
            "find", "verify_rule", "learn_rule", "apply_rule", "explain_no_match", "check_rules",
        }  # fmt: skip
        assert all(tool.output_schema and tool.description for tool in listed.values())
        assert listed["apply_rule"].annotations.read_only_hint is False

        found = await use(client, "find", rule=NONE)
        assert [(one["path"], one["line"]) for one in found["matches"]] == [("a.py", 2), ("b.py", 1)]
        assert (found["total"], found["files"], found["left_out"]) == (2, 3, 0)

        good = await use(
            client, "verify_rule", rule=NONE, code="x == None\n", expected="x is None\n",
            leave_alone=["x == 1\n"], paths=["."],
        )  # fmt: skip
        assert good["holds"] and good["total"] == 3 and good["files"] == {"ok": 2, "no_match": 1}
        assert "+x is None" in good["diff"]

        lossy = "id: r\nlanguage: Python\nrule:\n  kind: call\n  regex: ^f\nfix: g()\n"
        lost = await use(client, "verify_rule", rule=lossy, code="f(one, two)\n")
        assert not lost["holds"] and lost["verdict"] == "lossy" and "one" in lost["lost"]

        near = await use(client, "verify_rule", rule=NONE.replace("None", "Nil"), code="x == None\n")
        assert near["verdict"] == "no_match" and "x == None" in near["nearest"] and near["next"]
        touched = await use(client, "verify_rule", rule=NONE, code=CODE, leave_alone=["a == b", "q == None"])
        assert not touched["holds"] and touched["touched"] == [1]
        why = await use(client, "explain_no_match", rule=NONE.replace("==", "<>"), paths=["c.py"])
        assert not why["matches"] and why["reasons"][0]["why"]

        learned = await use(
            client, "learn_rule", language="python", paths=["."],
            before="old_call(a, 1)\nold_call(b, 2)\n", after="new_call(a, 1)\nnew_call(b, 2)\n",
        )  # fmt: skip
        assert "new_call" in learned["rules"][0]["rule"] and learned["rules"][0]["trust"]
        audit = await use(client, "check_rules", rules=lossy.replace("kind: call", "kind: cal"))
        assert audit["levels"]["error"] == 1 and audit["findings"][0]["kind"] == "refused"

        dry = await use(client, "apply_rule", rule=NONE, paths=["."])
        assert (dry["written"], dry["places"], dry["files"]) == (False, 2, ["a.py", "b.py"])
        assert (code / "a.py").read_text() == CODE
        other = await use(client, "apply_rule", rule=NONE, paths=["."], write=True, expect_places=7)
        assert not other["written"] and "2 places, not 7" in other["next"]
        one = await use(client, "apply_rule", rule=NONE, paths=["."], write=True, only=["a.py:2"])
        assert one["written"] and one["files"] == ["a.py"]
        assert (code / "a.py").read_text() == CODE.replace("== None", "is None")
        assert "==" in (code / "b.py").read_text()
        rest = await use(client, "apply_rule", rule=NONE, paths=["."], write=True, expect_places=1)
        assert rest["written"] and (await use(client, "find", rule=NONE))["total"] == 0

    talk(body, ".", "--allow-write", ".", cwd=code)


def test_learn_from_a_diff_and_answers_that_fit_a_context(code: Path) -> None:
    (code / "many.py").write_text("".join(f"if value_{i} == None:\n    pass\n" for i in range(400)))
    (code / "long.py").write_text(f"x = [{', '.join(map(str, range(20_000)))}] == None\n")
    diff = "--- a/a.py\n+++ b/a.py\n@@ -2,1 +2,1 @@\n-    if x == None:\n+    if x is None:\n"

    async def body(client: Any) -> None:
        learned = await use(client, "learn_rule", diff=diff, paths=["b.py"])
        assert "is None" in learned["rules"][0]["rule"] and learned["places"][0]["path"] == "b.py"
        found = await use(client, "find", rule=NONE, limit=40)
        assert found["total"] == 403 and len(found["matches"]) == 40 and found["left_out"] == 363
        assert all(len(one["text"]) < schemas.CUT_CHARS + 60 for one in found["matches"])
        for answer in (
            found,
            await use(client, "apply_rule", rule=NONE, paths=["."]),
            await use(client, "verify_rule", rule=NONE, paths=["."], limit=200),
        ):
            assert len(json.dumps(answer)) < 80_000
        assert "characters more" in (await use(client, "apply_rule", rule=NONE, paths=["many.py"]))["diff"]

    talk(body, cwd=code)


def test_a_hostile_client_reads_and_writes_nothing_outside(code: Path) -> None:
    (code / "link.py").symlink_to(code.parent / "secret.py")
    (code / "up").symlink_to(code.parent)
    (code / "inner").mkdir()
    (code / "inner" / "d.py").write_text(CODE)
    (code / "alias").symlink_to(code / "inner")
    (code / "read_only").mkdir()
    (code / "read_only" / "e.py").write_text(CODE)
    outside = [
        "../secret.py",
        str(code.parent),
        "/etc",
        "link.py",
        "up",
        "up/secret.py",
        "inner/../../secret.py",
    ]
    pack = code / "pack"
    (pack / "rules").mkdir(parents=True)
    (pack / "rules" / "r.yml").write_text(NONE)
    (pack / "sgconfig.yml").write_text(f"ruleDirs: [rules, {code.parent / 'elsewhere'}]\n")
    (code.parent / "elsewhere").mkdir()
    (code.parent / "elsewhere" / "s.yml").write_text(
        NONE.replace("pattern", "patern").replace("identity", "hid")
    )

    async def body(client: Any) -> None:
        for path in outside:
            for tool in ("find", "verify_rule", "explain_no_match"):
                assert "outside" in await refused(client, tool, rule=NONE, paths=[path]), (tool, path)
            assert "outside" in await refused(client, "apply_rule", rule=NONE, paths=[path], write=True)
            assert "outside" in await refused(client, "check_rules", paths=[path])
        diff = "--- a/x\n+++ b/../secret.py\n@@ -1,1 +1,1 @@\n-token == None\n+token is None\n"
        assert "outside" in await refused(client, "learn_rule", diff=diff)
        # Behind a link that stays inside it may be read, never written.
        assert (await use(client, "find", rule=NONE, paths=["alias/d.py"]))["total"] == 1
        assert "link" in await refused(client, "apply_rule", rule=NONE, paths=["alias/d.py"], write=True)
        assert "may write" in await refused(client, "apply_rule", rule=NONE, paths=["read_only"], write=True)
        whole = await refused(client, "apply_rule", rule=NONE, paths=["."], write=True)
        assert "may write" in whole
        audit = await use(client, "check_rules", paths=["pack"])
        assert "hid" not in json.dumps(audit) and audit["rules"] == 1
        done = await use(client, "apply_rule", rule=NONE, paths=["inner"], write=True)
        assert done["written"] and done["files"] == ["inner/d.py"]

    talk(body, ".", "--allow-write", "inner", cwd=code)
    assert (code.parent / "secret.py").read_text() == "token == None\n"
    assert (code / "read_only" / "e.py").read_text() == (code / "a.py").read_text() == CODE


def test_without_leave_nothing_is_written(code: Path) -> None:
    async def body(client: Any) -> None:
        assert "--allow-write" in await refused(client, "apply_rule", rule=NONE, paths=["."], write=True)
        listed = {tool.name: tool for tool in (await client.list_tools()).tools}
        assert (
            listed["apply_rule"].annotations.read_only_hint and "dry runs" in listed["apply_rule"].description
        )

    talk(body, cwd=code)
    assert (code / "a.py").read_text() == CODE


NESTED = "id: r\nlanguage: Python\nrule:\n" + "".join(
    f"{'  ' * (i + 1)}not:\n" for i in range(80)
) + f"{'  ' * 81}pattern: x\n"  # fmt: skip


def test_malformed_huge_and_unknown_calls_are_answered_and_harm_nobody(code: Path) -> None:
    async def body(client: Any) -> None:
        for rule in (
            "",
            ":",
            "id: [",
            "- a",
            "{}",
            "id: x\nlanguage: Klingon\nrule: {pattern: a}",
            NESTED,
            "\ufeff",
        ):
            assert await refused(client, "find", rule=rule)
        assert "patern" in await refused(client, "find", rule=NONE.replace("pattern", "patern"))
        assert "64000" in await refused(client, "find", rule=NONE + "#" * 1_000_000)
        assert "400000" in await refused(client, "verify_rule", rule=NONE, code="x = 1\n" * 2_000_000)
        assert "path" in await refused(client, "find", rule=NONE, paths=["x"] * 5_000)
        assert await refused(client, "find", rule=NONE, paths=["a\0b"])
        assert await refused(client, "find", rule=NONE, paths=["x/" * 2_000])
        assert "rul" in await refused(client, "find", rul=NONE)
        assert "limit" in await refused(client, "find", rule=NONE, limit=10**9)
        assert "find" in await refused(client, "no_such_tool")
        assert await refused(client, "learn_rule", before="x = 1\n", after="x = 1\n", language="python")
        assert await refused(client, "learn_rule", diff="no diff at all")
        bad = await use(client, "verify_rule", rule=NONE.replace("$A is None", "$B is None"), code=CODE)
        assert bad["verdict"] == "bad_rule" and "$B" in bad["why"] and not bad["holds"]
        assert (await use(client, "find", rule=NONE))["total"] == 2

    talk(body, cwd=code)


def test_concurrent_and_cancelled_calls(code: Path) -> None:
    """A call that is given up ends, its worker with it; what runs beside it is not disturbed."""
    (code / "big.py").write_text("".join(f"if a{i} == None:\n    f({i}, b == None)\n" for i in range(1500)))

    async def body(client: Any) -> None:
        totals: list[int] = []

        async def look(path: str) -> None:
            totals.append((await use(client, "find", rule=NONE, paths=[path]))["total"])

        async with anyio.create_task_group() as group:
            for path in ["a.py", "b.py"] * 5:
                group.start_soon(look, path)
        assert totals == [1] * 10

        async def given_up(seconds: float) -> None:
            with anyio.move_on_after(seconds) as scope:
                await use(client, "apply_rule", rule=NONE, paths=["big.py"], write=True, expect_places=3_000)
            given.append(scope.cancelled_caught)

        given: list[bool] = []
        before = (code / "big.py").read_text()
        async with anyio.create_task_group() as group:
            group.start_soon(given_up, 0.3)
            group.start_soon(given_up, 0.05)
            group.start_soon(look, "a.py")
        after = (code / "big.py").read_text()
        # Either the whole of it or nothing.
        assert after in (before, before.replace("== None", "is None"))
        assert any(given) and totals[-1] == 1
        assert not list(code.glob(".big.py.*"))

    talk(body, ".", "--allow-write", ".", "--workers", "3", cwd=code)


def test_a_call_that_takes_too_long_ends_and_says_so(code: Path) -> None:
    (code / "big.py").write_text("".join(f"if a{i} == None:\n    pass\n" for i in range(2_000)))

    async def body(client: Any) -> None:
        said = await refused(client, "verify_rule", rule=NONE, paths=["big.py"])
        assert "took more than 0.01 s" in said and "fewer files" in said
        assert "took more" in await refused(client, "find", rule=NONE, paths=["a.py"])

    talk(body, ".", "--deadline-s", "0.01", cwd=code)


def test_the_model_proposes_a_rule(code: Path, chat_server: Any) -> None:
    def action(rule: str) -> str:
        body = {"type": "ast_grep", "language": "python", "mode": "yaml", "rule_yaml": rule}
        return f"<action>{json.dumps({'action': body})}</action>"

    texts = [action(NONE.replace("$A == None", "$A = None")), action(NONE)]

    def script(path: str, body: dict[str, Any], index: int) -> Reply:
        told = "<feedback>" in body["messages"][-1]["content"]
        choice = {"message": {"content": texts[told]}, "finish_reason": "stop"}
        usage = {"prompt_tokens": 100, "completion_tokens": 20}
        return json_reply({"choices": [choice] * body.get("n", 1), "usage": usage})

    chat_server.script = script

    async def body(client: Any) -> None:
        assert "propose_rule" in {tool.name for tool in (await client.list_tools()).tools}
        made = await use(
            client,
            "propose_rule",
            instruction="Compare with None by identity.",
            file="a.py",
            paths=["."],
            samples=2,
        )
        assert "pattern: $A == None" in made["rule"] and (made["votes"], made["answers"]) == (2, 4)
        assert [one["path"] for one in made["places"]] == ["a.py", "b.py"] and made["sure"] == 2
        assert made["tokens"] > 0
        assert "outside" in await refused(client, "propose_rule", instruction="x", file="../secret.py")

    talk(body, "--base-url", chat_server.url, "--model", "tiny", cwd=code)


def test_without_the_package_one_line_says_how_to_get_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "mcp", None)
    assert cli.main(["mcp"]) == 2
    assert "pip install 'rulewright[mcp]'" in capsys.readouterr().err


def test_a_root_that_is_no_folder_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["mcp", "nowhere"]) == 2
    assert "nowhere: no such folder" in capsys.readouterr().err


def test_every_answer_that_is_no_leads_on(code: Path) -> None:
    async def body(client: Any) -> None:
        near = await use(client, "verify_rule", rule=NONE.replace("None", "Nil"), paths=["."])
        assert near["verdict"] == "no_match" and near["nearest"].startswith("a.py: the pattern `$A == Nil`")
        said = await refused(client, "find", rule=NONE, path="a.py")
        assert "path: extra inputs" in said and "next: find takes rule, paths, limit" in said
        said = await refused(client, "no_such_tool")
        assert "find" in said and "propose_rule" not in said
        bare = NONE.partition("fix:")[0]
        told = await use(client, "apply_rule", rule=bare, paths=["."])
        assert told["places"] == 0 and "has no `fix`" in told["next"]
        said = await refused(client, "verify_rule", rule=NONE, paths=["."], expected="value is None\n")
        assert "must become" in said
        said = await refused(client, "check_rules", rules="words")
        assert said.startswith("rules: no ast-grep rule in it")
        (code / "old.py").write_bytes(b"x = '\xe9'\n")
        found = await use(client, "find", rule=NONE, paths=["old.py"])
        assert (found["files"], found["skipped"]) == (0, ["old.py: not UTF-8 text"])

    talk(body, ".", cwd=code)


def test_an_interrupt_ends_the_server_while_it_waits(code: Path) -> None:
    argv = [sys.executable, "-m", "rulewright", "mcp", "."]
    with subprocess.Popen(argv, cwd=code, stdin=subprocess.PIPE, stderr=subprocess.PIPE) as server:
        assert server.stderr is not None
        assert b"serving MCP" in server.stderr.readline()
        server.send_signal(signal.SIGINT)
        assert server.wait(10) == -signal.SIGINT


def test_half_a_surrogate_pair_is_read_as_no_utf_8_is(code: Path) -> None:
    """The SDK would refuse the message without an answer, and the client wait for one."""
    hello = {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "c", "version": "1"}}
    rule = "id: r\nlanguage: python\nrule: {pattern: f($$$A)}\nfix: g($$$A)\n"
    text = "f('\ud800', '\U0001f600', '\\ud800', '\udc00\ud800')\n"
    calls: list[dict[str, Any]] = [
        {"id": 1, "method": "initialize", "params": hello},
        {"method": "notifications/initialized"},
        {
            "id": 2,
            "method": "tools/call",
            "params": {"name": "verify_rule", "arguments": {"rule": rule, "code": text}},
        },
    ]
    argv = [sys.executable, "-m", "rulewright", "mcp"]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=code) as server:
        assert server.stdin is not None and server.stdout is not None
        for call in calls:
            server.stdin.write(json.dumps({"jsonrpc": "2.0", **call}) + "\n")
            server.stdin.flush()
        server.stdout.readline()
        [place] = json.loads(server.stdout.readline())["result"]["structuredContent"]["places"]
        server.stdin.close()
    half = "\N{REPLACEMENT CHARACTER}"
    assert place["new"] == f"g('{half}', '\U0001f600', '\\ud800', '{half}{half}')"
