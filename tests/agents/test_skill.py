"""SKILL.md, tried: ten tasks given to a scripted agent that does what the skill says, step by step.

The agent does not think: its drafts are given, and only the answers of the tools decide which of them it
takes, when it gives up, and whether it writes.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("mcp")

from tests.agents.test_mcp import refused, talk, use

from rulewright.actions import Rejection
from rulewright.actions.rule_file import read_rule_file
from rulewright.agents.tools import TOOLS


@pytest.fixture(scope="module")
def skill() -> str:
    return (Path(__file__).resolve().parents[2] / "skills/rulewright/SKILL.md").read_text(encoding="utf-8")


def rule(pattern: str, fix: str = "", language: str = "Python", more: str = "") -> str:
    end = f"fix: {fix!r}\n" if fix else ""
    return f"id: task\nlanguage: {language}\nrule:\n  {more or f'pattern: {pattern!r}'}\n{end}"


@dataclass(frozen=True)
class Task:
    """What is to be done, what the agent would draft, and what must come of it.

    Args:
        files, wanted: texts by name, before and after; where `by_hand`, the agent edits text instead.
        seek: a rule that finds the places.
        drafts: rules in the order in which the agent thinks of them.
        case: code and what it must become.
        leave: code that must stay.
        change: one place changed by hand, before and after.
    """

    files: dict[str, str]
    wanted: dict[str, str]
    seek: str
    drafts: tuple[str, ...] = ()
    case: tuple[str, str] = ("", "")
    leave: tuple[str, ...] = ()
    change: tuple[str, str] | None = None
    by_hand: bool = False
    verdicts: tuple[str, ...] = field(default=())
    """What verify_rule must say of the drafts, in order."""
    failures: tuple[str, ...] = ()
    """Files that the rule must not be applied to."""


GO_CALL = "{context: 'func f() { old($A) }', selector: call_expression}"
GO_ANY = "{kind: call, has: {field: arguments, has: {pattern: $A}}, regex: '^go'}"
NONE_FILES = {f"m{i}.py": f"def f{i}(a):\n    return a.x{i} == None\n" for i in range(3)}
TASKS = {
    "a pattern at once": Task(
        NONE_FILES, {k: v.replace("== None", "is None") for k, v in NONE_FILES.items()},
        rule("$A == None"), (rule("$A == None", "$A is None"),), ("x == None\n", "x is None\n"),
        ("x == 1\n",), verdicts=("ok",),
    ),
    "too few places": Task(
        {"a.py": "x == None\n", "b.py": "y == 1\n"}, {"a.py": "x == None\n"}, rule("$A == None"),
        by_hand=True,
    ),
    "a draft that matches nothing": Task(
        {"a.py": "log.warn(a)\nlog.warn(b, c)\nlog.warn()\n"},
        {"a.py": "log.warning(a)\nlog.warning(b, c)\nlog.warning()\n"}, rule("log.warn($$$A)"),
        (rule("logger.warn($$$A)", "logger.warning($$$A)"), rule("log.warn($$$A)", "log.warning($$$A)")),
        ("log.warn(a, b)\n", "log.warning(a, b)\n"), ("warn(a)\n", "log.warned(a)\n"),
        verdicts=("no_match", "ok"),
    ),
    "a draft that loses code": Task(
        {"a.js": "get(u, f);\nget(v, g);\nget(w, h);\n"},
        {"a.js": "fetch(u).then(f);\nfetch(v).then(g);\nfetch(w).then(h);\n"},
        rule("get($A, $B)", language="JavaScript"),
        (rule("", "fetch()", "JavaScript", "kind: call_expression"),
         rule("get($A, $B)", "fetch($A).then($B)", "JavaScript")),
        ("get(url, done);\n", "fetch(url).then(done);\n"), ("get(url);\n",), verdicts=("lossy", "ok"),
    ),
    "a draft that ast-grep refuses": Task(
        {"a.go": "package p\n\nfunc f() {\n\told(1)\n\told(2)\n\told(3)\n}\n"},
        {"a.go": "package p\n\nfunc f() {\n\tfresh(1)\n\tfresh(2)\n\tfresh(3)\n}\n"},
        rule("", language="Go", more="kind: call_expression"),
        (rule("", "fresh($A)", "Go", "kind: cal_expression"),
         rule("", "fresh($A)", "Go", f"pattern: {GO_CALL}")),
        ("package p\n\nfunc g() {\n\told(x)\n}\n", "package p\n\nfunc g() {\n\tfresh(x)\n}\n"),
        verdicts=("bad_rule", "ok"),
    ),
    "a draft that does half of it": Task(
        {"a.py": "assertEquals(a, 1)\nassertEquals(b, 2)\nassertEquals(c, 3)\n"},
        {"a.py": "assertEqual(1, a)\nassertEqual(2, b)\nassertEqual(3, c)\n"}, rule("assertEquals($A, $B)"),
        (rule("assertEquals($A, $B)", "assertEqual($A, $B)"),
         rule("assertEquals($A, $B)", "assertEqual($B, $A)")),
        ("assertEquals(x, 9)\n", "assertEqual(9, x)\n"), verdicts=("wrong_result", "ok"),
    ),
    "a draft that touches what must stay": Task(
        {"a.py": "a = d['k']\nb = e['k']\nc = f['k']\nd['k'] = 1\n"},
        {"a.py": "a = d.get('k')\nb = e.get('k')\nc = f.get('k')\nd['k'] = 1\n"}, rule("$D['k']"),
        (rule("$D['k']", "$D.get('k')"), rule("$N = $D['k']", "$N = $D.get('k')")),
        ("x = y['k']\n", "x = y.get('k')\n"), ("y['k'] = x\n",), verdicts=("ok", "ok"),
    ),
    "learned from one change by hand": Task(
        {"a.py": "os.path.exists(p)\nos.path.exists(q)\nos.path.exists(r.s)\n"},
        {"a.py": "Path(p).exists()\nPath(q).exists()\nPath(r.s).exists()\n"}, rule("os.path.exists($A)"),
        (rule("os.path.exists($A)", "Path($A).exists()"),), ("os.path.exists(z)\n", "Path(z).exists()\n"),
        change=("os.path.exists(p)\n", "Path(p).exists()\n"),
    ),
    "one file where it does harm": Task(
        {**{f"m{i}.py": f"go(x{i})\n" for i in range(3)}, "bad.py": "go(first, second)\n"},
        {**{f"m{i}.py": f"run(x{i})\n" for i in range(3)}, "bad.py": "go(first, second)\n"}, rule("go($$$A)"),
        (rule("", "run($A)", more=GO_ANY),),
        ("go(y)\n", "run(y)\n"), ("stop(a)\n",), verdicts=("ok",), failures=("bad.py",),
    ),
    "given up after four tries": Task(
        {"a.py": "f(1)\nf(2)\nf(3)\n"}, {"a.py": "f(1)\nf(2)\nf(3)\n"}, rule("f($A)"),
        tuple(rule(f"g{i}($A)", "h($A)") for i in range(6)), ("f(9)\n", "h(9)\n"), by_hand=True,
        verdicts=("no_match",) * 4,
    ),
}  # fmt: skip


class Agent:
    """Does the numbered steps of the skill, with the numbers that it says."""

    def __init__(self, skill: str, client: Any, task: Task, folder: str) -> None:
        steps = re.findall(r"^(\d)\. (.*?)(?=^\d\. |^## |\Z)", skill, re.MULTILINE | re.DOTALL)
        self.tools = [re.findall(rf"`({'|'.join(TOOLS)})`", text) for _, text in steps]
        self.few = int(re.search(r"Fewer than (\d+): edit the text", skill)[1])  # type: ignore[index]
        words = {"two": 2, "three": 3, "four": 4, "five": 5}
        self.tries = words[re.search(r"After (\w+) tries that fail", skill)[1]]  # type: ignore[index]
        self.client, self.task, self.paths = client, task, [folder]
        self.used: list[str] = []
        self.verdicts: list[str] = []

    async def call(self, step: int, tool: str, **arguments: Any) -> dict[str, Any]:
        assert tool in self.tools[step - 1], f"step {step} names {self.tools[step - 1]}, not {tool}"
        self.used.append(tool)
        return await use(self.client, tool, **arguments)

    async def work(self) -> bool:
        """Whether a rule did it; else the agent edits text."""
        found = await self.call(1, "find", rule=self.task.seek, paths=self.paths)
        if found["total"] < self.few:
            return False
        chosen = await self.verified(await self.drafts())
        if chosen is None:
            return False
        dry = await self.call(5, "apply_rule", rule=chosen, paths=self.paths)
        assert not dry["written"] and dry["places"]
        assert [Path(one["path"]).name for one in dry["failures"]] == list(self.task.failures)
        done = await self.call(
            6, "apply_rule", rule=chosen, paths=self.paths, write=True, expect_places=dry["places"]
        )
        assert done["written"] and done["files"] == dry["files"]
        left = await self.call(7, "find", rule=chosen, paths=self.paths)
        assert left["total"] == len(self.task.failures)
        return True

    async def drafts(self) -> list[str]:
        if self.task.change is None:
            return list(self.task.drafts)
        before, after = self.task.change
        learned = await self.call(2, "learn_rule", before=before, after=after, language="python")
        trusted = [one["rule"] for one in learned["rules"] if one["trust"] == "train"]
        return [*trusted, *self.task.drafts]

    async def verified(self, drafts: list[str]) -> str | None:
        for draft in drafts[: self.tries]:
            code, expected = self.task.case
            said = await self.call(
                3, "verify_rule", rule=draft, code=code, expected=expected, leave_alone=list(self.task.leave)
            )
            self.verdicts.append(said["verdict"])
            if said["holds"]:
                return draft
            # What the skill tells it to read is there.
            assert said["next"]
            if said["verdict"] == "no_match":
                why = await self.call(4, "explain_no_match", rule=draft, code=code)
                assert said["nearest"] and why["reasons"][0]["why"] == said["nearest"]
            elif said["verdict"] == "lossy":
                assert said["lost"]
            else:
                assert said["why"] or said["touched"]
        return None


def test_an_agent_that_follows_the_skill(skill: str, tmp_path: Path) -> None:
    agents: dict[str, Agent] = {}
    for number, task in enumerate(TASKS.values()):
        (tmp_path / str(number)).mkdir()
        for file, text in task.files.items():
            (tmp_path / str(number) / file).write_text(text)

    async def body(client: Any) -> None:
        for number, (name, task) in enumerate(TASKS.items()):
            agents[name] = Agent(skill, client, task, str(number))
            assert await agents[name].work() is not task.by_hand, name

    talk(body, ".", "--allow-write", ".", cwd=tmp_path)
    for number, (name, task) in enumerate(TASKS.items()):
        assert {file: (tmp_path / str(number) / file).read_text() for file in task.wanted} == task.wanted, (
            name
        )
        if task.verdicts:
            assert tuple(agents[name].verdicts) == task.verdicts, name
        if task.by_hand:
            assert "apply_rule" not in agents[name].used, name


def test_the_skill_names_what_there_is(skill: str) -> None:
    assert re.match(r"---\nname: rulewright\ndescription: .{80,1000}\n---\n", skill)
    verdicts = set(re.findall(r"^   - `(\w+)`:", skill, re.MULTILINE))
    assert verdicts == {"no_match", "lossy", "wrong_result", "bad_rule", "touched"}
    named = set(re.findall(r"`(\w+_\w+|find)`", skill)) & {*TOOLS, "find"}
    assert named >= {"find", "learn_rule", "verify_rule", "explain_no_match", "apply_rule", "check_rules"}
    [example] = re.findall(r"```yaml\n(.*?)```", skill, re.DOTALL)
    assert not isinstance(read_rule_file(example), Rejection)


def test_a_rule_that_was_not_verified_does_no_harm_all_the_same(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text("f(one, two)\n")

    async def body(client: Any) -> None:
        lossy = rule("", "g()", more="kind: call")
        done = await use(client, "apply_rule", rule=lossy, paths=["."], write=True)
        assert not done["written"] and done["failures"][0]["verdict"] == "lossy"
        assert await refused(client, "apply_rule", rule=rule("f($A", "g($A)"), paths=["."], write=True)

    talk(body, ".", "--allow-write", ".", cwd=tmp_path)
    assert (tmp_path / "a.py").read_text() == "f(one, two)\n"
