"""What `apply` over many files does without: texts in memory, modules that it never needs."""

from __future__ import annotations

import json
import subprocess
import sys
import tracemalloc
from pathlib import Path

import pytest

from rulewright import commands
from rulewright.actions import Action
from rulewright.actions.rule_file import Document, read_rule_file
from rulewright.codemod.show import diff
from rulewright.codemod.work import JudgeOptions, Work, work_on
from rulewright.codemod.write import write
from rulewright.engine.apply import trace
from rulewright.engine.parsing import parse

RULE = "id: r\nlanguage: python\nrule:\n  pattern: foo($A)\nfix: bar($A)\n"
N_FILES = 24
LINES = "x = 'ein längerer Text, der im Speicher läge'  # 😀\n" * 4000


@pytest.fixture
def work(tmp_path: Path) -> Work:
    for number in range(N_FILES):
        (tmp_path / f"m{number:02}.py").write_text(f"foo({number})\n{LINES}", "utf-8")
    documents = read_rule_file(RULE)
    assert isinstance(documents, tuple) and isinstance(documents[0], Document)
    tracemalloc.start()
    try:
        return work_on([tmp_path], documents, JudgeOptions())
    finally:
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        # Each text takes four bytes a character as a `str`, and a file has two.
        assert peak < N_FILES / 4 * 2 * 4 * len(LINES)


def test_texts_of_judged_files_are_not_held_and_come_back_as_they_were(work: Work) -> None:
    assert len(work.good) == N_FILES
    for number, one in enumerate(work.judged):
        assert one.outcome.post is None and one.outcome.states == ()
        assert one.texts() == (f"foo({number})\n{LINES}", f"bar({number})\n{LINES}")
    assert diff(work.judged[3], False).splitlines()[3:5] == ["-foo(3)", "+bar(3)"]
    assert write(work, work.good) == []
    assert work.judged[7].path.read_text("utf-8") == f"bar(7)\n{LINES}"


def test_apply_loads_nothing_that_it_never_needs(tmp_path: Path) -> None:
    (tmp_path / "rule.yml").write_text(RULE)
    (tmp_path / "m.py").write_text("foo(1)\n")
    code = "import json, sys; from rulewright.cli import main; code = main(sys.argv[1:]);"
    code += "print(json.dumps([code, *sys.modules]))"
    argv = [sys.executable, "-c", code, "apply", "rule.yml", "m.py", "--accept", "lossy", "--only", "m.py:1"]
    done = subprocess.run(argv, cwd=tmp_path, capture_output=True, text=True, check=True)
    status, *loaded = json.loads(done.stdout.splitlines()[-1])
    assert status == 0 and "+bar(1)" in done.stdout
    needless = {
        "typeguard",
        "unittest.mock",
        "asyncio",
        "multiprocessing",
        "numpy",
        "rich",
        "rulewright.mining",
    }
    assert not needless & set(loaded)
    others = {path.stem for path in Path(commands.__file__).parent.glob("*.py")} - {
        "__init__",
        "apply",
        "choosing",
    }
    assert not {f"rulewright.commands.{name}" for name in others} & set(loaded)


def test_a_text_is_parsed_only_for_rules_whose_words_it_holds() -> None:
    rules = [{"rule": {"pattern": f"{name}($A)"}, "fix": f"{name}_($A)"} for name in ("foo", "bar", "baz")]
    parse.cache_clear()
    none = trace(Action("python", tuple(rules)), "qux(1)\n")
    assert parse.cache_info().misses == 0 and [step.n_found for step in none.steps] == [0, 0, 0]
    # What an earlier rule writes counts.
    chain = ({"rule": {"pattern": "qux($A)"}, "fix": "foo($A)"}, *rules)
    done = trace(Action("python", chain), "qux(1)\n")
    assert [step.after for step in done.steps] == ["foo(1)\n", "foo_(1)\n", "foo_(1)\n", "foo_(1)\n"]
    assert parse.cache_info().misses == 2
