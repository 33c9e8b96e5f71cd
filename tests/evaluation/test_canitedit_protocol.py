"""Prompts, extraction, ExcessCode's arithmetic and reading of problems: no program is run here."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rulewright.errors import RulewrightError, UsageError
from rulewright.evaluation.canitedit import data, excess, protocol

THEIRS = {
    "chat": protocol.official_chat,
    "base": protocol.official_base,
}


def digest(text: str) -> tuple[int, str]:
    return len(text), hashlib.sha256(text.encode()).hexdigest()[:16]


def test_prompts_are_the_official_bytes() -> None:
    system, user = protocol.chat_prompt("x = 1", "Set x to 2.")
    assert digest(system["content"]) == (282, "773ce7d495379b1a")
    assert digest(user["content"]) == (73, "a02b6992ae35d015")
    assert digest(protocol.base_prompt("x = 1", "Set x to 2.")) == (65, "32c38491a72ed907")
    assert len(protocol.BASE_STOPS) == 8


@pytest.mark.parametrize(
    ("answer", "base", "chat", "ours"),
    [
        # Untagged fence: the base extraction loses the first line of code.
        ("```\na = 1\nb = 2\n```", "b = 2", "a = 1\nb = 2\n", "a = 1\nb = 2"),
        ("```py\na = 1\nb = 2\n```", "a = 1\nb = 2", "a = 1\nb = 2\n", "a = 1\nb = 2"),
        # No fence at all.
        ("a = 1\nb = 2", "a = 1\nb = 2", "", None),
        # Never closed.
        ("```py\na = 1\n", "```py\na = 1\n", "a = 1\n\n", "a = 1"),
        # A fence in a thought.
        ("<think>\n```py\nno = 0\n```\n</think>\n```py\na = 1\n```", "no = 0", "no = 0\n", "a = 1"),
        ("<think>use ```x```</think>\n```py\na = 1\n```", "x", "a = 1\n", "a = 1"),
        # An indented fence.
        ("  ```py\na = 1\n  ```", "a = 1", "", "a = 1"),
        # Prose around it.
        ("Here:\n\n```python\na = 1\n```\nDone.", "a = 1", "a = 1\n", "a = 1"),
        ("```py\na = 1\n# Example usage:\nf()\n```", "a = 1", "a = 1\n# Example usage:\nf()\n", None),
        # A fence inside the code.
        ("````py\ns = '''\n```\n'''\n````", "s = '''", "s = '''\n", "s = '''\n```\n'''"),
    ],
)
def test_extraction_table(answer: str, base: str, chat: str, ours: str | None) -> None:
    assert protocol.official_base(answer) == base
    assert protocol.official_chat(answer) == chat
    found = protocol.ours("chat", answer, "x = 1", "full")
    if ours is not None:
        assert found.code == ours
    elif "Example" not in answer:
        assert found.code is None and found.case == "no_fence"


def test_cases_without_code_are_told_apart() -> None:
    case = lambda kind, text: protocol.ours(kind, text, "x", "full")  # noqa: E731
    assert case("chat", "") == (None, "empty")
    assert case("chat", "<think>for ever") == (None, "thoughts_only")
    assert case("chat", "No.") == (None, "no_fence")
    assert case("chat", "```py\n```") == (None, "empty_fence")
    assert case("chat", "```py\na = 1\n").case == "unclosed_fence"
    assert case("base", "a = 1\n") == ("a = 1", "whole_text")
    assert protocol.ours("ours", "a = 1\n", "x", "compact").code == "a = 1"


@given(st.lists(st.sampled_from(["a = 1", "    b", "", "# c", "d = '`'"]), min_size=1, max_size=12))
def test_ours_loses_no_line_of_a_fenced_program(lines: list[str]) -> None:
    code = "\n".join(lines).rstrip("\n")
    if not code.strip():
        return
    for fence_mark in ("```py", "```", "```python", "~~~"):
        answer = f"Sure.\n{fence_mark}\n{code}\n{fence_mark[:3]}\nDone."
        assert protocol.ours("chat", answer, "x", "full").code == code


REPORT = """\
Name      Stmts   Miss  Cover   Missing
---------------------------------------
main.py      12      4    67%   3, 5-7, 11
---------------------------------------
TOTAL        12      4    67%
"""


def test_missing_lines_expand_ranges() -> None:
    assert excess.missing_lines(REPORT) == [3, 5, 6, 7, 11]
    assert excess.missing_lines(REPORT.replace("67%   3, 5-7, 11", "100%")) == []
    assert excess.missing_lines("No data to report.") is None
    assert excess.missing_lines("") is None


BEFORE = "def area(w, h):\n    return w * h"
AFTER = "def area(w, h, n=1):\n    return w * h * n"
SPARE = AFTER + "\n\ndef spare(a):\n    b = a\n    c = b\n    return c\n"
TESTS = (
    "### START TESTS ###\nif True:  # pragma: no cover\n"
    "    assert area(2, 3) == 6\n    assert area(2, 3, 2) == 12"
)


@pytest.mark.parametrize(
    ("code", "missing", "lines", "value"),
    [
        (AFTER, [], 6, 0.0),
        (SPARE, [5, 6, 7], 12, 0.25),
        (SPARE.replace("b = a\n", "b = a\n\n    # why\n"), [5, 6, 7, 8, 9], 14, 0.357143),
        (AFTER + "\n\ndef spare(a): return a\n", [], 9, 0.0),
        ("import sys\nsys.exit(0)\n" + AFTER, [3, 4], 8, 0.25),
    ],
)
def test_excess_of_one_completion(code: str, missing: list[int], lines: int, value: float) -> None:
    program = f"{code}\n{TESTS}"
    assert excess.diff_lines(BEFORE, program) == lines
    assert excess.excess(BEFORE, program, missing) == pytest.approx(value, abs=1e-6)


def test_excess_over_items() -> None:
    found = excess.aggregate({"a": [0.0, 0.2], "b": [0.0], "c": []})
    assert (found["value"], found["n_items"], found["n_completions"]) == (5.0, 2, 3)
    assert found["se"] == pytest.approx(100 * 0.05 / 2**0.5, abs=1e-5)
    assert excess.aggregate({})["value"] is None
    toy = [0, 0.25, 5 / 14, 1 / 12, 0, 0.125, 0.25]
    assert excess.aggregate({"toy": toy})["value"] == pytest.approx(15.221088, abs=1e-6)


def row(number: int) -> dict[str, object]:
    return {
        "id": number, "name": f"p{number}", "full_name": f"{number}_p{number}",
        "before": BEFORE, "after": AFTER,
        "tests": TESTS, "instruction_descriptive": "Add a count.", "instruction_lazy": "count",
        "taxonomy": {"change_kind": "adaptive", "libraries": ["numpy"], "topic": "Math"},
    }  # fmt: skip


def test_problems_from_jsonl_and_parquet_are_the_same(tmp_path: Path) -> None:
    pa = pytest.importorskip("pyarrow")
    import pyarrow.parquet as parquet

    rows = [row(5), row(2)]
    lines, table = tmp_path / "p.jsonl", tmp_path / "p.parquet"
    lines.write_text("".join(json.dumps(r) + "\n" for r in rows))
    parquet.write_table(pa.Table.from_pylist(rows), table)
    problems = data.load(lines)
    assert problems == data.load(table)
    assert [p.id for p in problems] == [2, 5] and problems[0].change_kind == "adaptive"
    expected = hashlib.sha256(2 * f"{BEFORE}\0{AFTER}\0{TESTS}\0".encode()).hexdigest()[:16]
    assert data.digest(problems) == expected


def test_what_is_no_benchmark_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "p.jsonl"
    with pytest.raises(UsageError, match="no such file"):
        data.load(path)
    path.write_text(json.dumps({"id": 1, "code": "x"}) + "\n")
    with pytest.raises(UsageError, match="no column name, before"):
        data.load(path)
    record = {"instruction": "i", "pre": "a\n", "post": "b\n", "language": "python", "metadata": {"id": "1"}}
    path.write_text(json.dumps(record) + "\n")
    with pytest.raises(UsageError) as refused:
        data.load(path)
    assert "keep other sources clear" in refused.value.hint
    path.write_text("")
    with pytest.raises(UsageError, match="contains no problem"):
        data.load(path)
    path.write_text(json.dumps(row(1)) + "\n" + json.dumps(row(1)) + "\n")
    with pytest.raises(RulewrightError, match="same id"):
        data.load(path)
    path.write_text(json.dumps({**row(1), "tests": None}) + "\n")
    with pytest.raises(RulewrightError, match="tests is not"):
        data.load(path)
    broken = tmp_path / "p.parquet"
    broken.write_bytes(b"PAR1 but not really")
    with pytest.raises(UsageError, match="parquet"):
        data.load(broken)


def test_needed_modules_are_read_from_imports() -> None:
    problem = data.Problem(
        1, "p", "", "import numpy as np\nfrom os import path", "from a.b import c", "d", "l"
    )
    assert problem.modules() == {"numpy", "a"}
    assert data.imported_modules("def (") == set()


def test_no_benchmark_text_lies_in_the_repository(root: Path) -> None:
    """The benchmark forbids training use and its text is not ours to copy: only its id lists are here."""
    for path in sorted((root / "src" / "rulewright" / "evaluation" / "canitedit").glob("*.py")):
        assert "START TESTS" not in path.read_text() or path.name == "data.py"
