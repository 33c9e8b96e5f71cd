"""One edit → rules that give exactly `post`, of the shape that one would write."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rulewright import engine
from rulewright.languages import Language
from rulewright.mining import mine
from rulewright.mining.learn.mine import MAX_CHARS
from rulewright.mining.text.align import variants
from rulewright.mining.text.tree import Tree

CASES: list[tuple[str, Language, str, str, str]] = [
    ("call with a list", "python", "x = set([i for i in a])\n", "x = {i for i in a}\n",
     "set([$A for $A in $B])"),
    ("operator", "python", "if total == None:\n    stop()\n", "if total is None:\n    stop()\n",
     "$A == None"),
    ("two places", "javascript", "old(a, 1);\nold(b);\n", "fresh(a, 1);\nfresh(b);\n", "old"),
    ("swap", "python", "self.check(want, got())\n", "self.check(got(), want)\n", "self.check($A, $B)"),
    ("string prefix", "python", 'raw(six.b("text"))\n', 'raw(b"text")\n', "six.b($A)"),
    ("go call", "go", "package p\n\nfunc f(n string) {\n\tioutil.ReadFile(n)\n}\n",
     "package p\n\nfunc f(n string) {\n\tos.ReadFile(n)\n}\n", "ioutil"),
    ("java wrapper", "java", "class A {\n  @Nullable String name;\n}\n",
     "class A {\n  String name;\n}\n", ""),
]  # fmt: skip


@pytest.mark.parametrize(("name", "language", "pre", "post", "pattern"), CASES, ids=[c[0] for c in CASES])
def test_one_rule_reproduces_the_edit(
    name: str, language: Language, pre: str, post: str, pattern: str
) -> None:
    mined = mine(pre, post, language)
    assert mined.action is not None, mined.reason
    assert len(mined.action.rules) == 1
    assert engine.apply(mined.action, pre).post == post
    if pattern:
        assert pattern in json.dumps(mined.action.rules[0]["rule"])


def test_unchanged_places_are_counter_examples() -> None:
    pre = "log(a)\n\ndef debug():\n    log(b)\n"
    post = "log(a)\n\ndef debug():\n    trace(b)\n"
    mined = mine(pre, post, "python")
    assert mined.action is not None
    assert engine.apply(mined.action, pre).post == post


def test_several_unlike_changes_become_a_sequence_with_its_states() -> None:
    between = "".join(f"value_{i} = {i}\n" for i in range(16))
    pre = f"if a.has_key(1):\n    go()\n{between}print(os.getcwdu())\n"
    post = f"if 1 in a:\n    go()\n{between}print(os.getcwd())\n"
    mined = mine(pre, post, "python")
    assert mined.action is not None
    assert len(mined.action.rules) == 2
    assert len(mined.states) == 2
    assert mined.states[-1] == post
    assert mined.tier == "train"


def test_deleting_a_statement_takes_its_line_with_it() -> None:
    pre = "def f(a):\n    first(a)\n    print(a)\n    last(a)\n"
    post = "def f(a):\n    first(a)\n    last(a)\n"
    mined = mine(pre, post, "python")
    assert mined.action is not None
    assert engine.apply(mined.action, pre).post == post


def test_what_is_too_general_is_not_for_training() -> None:
    assert mine("if (a) { b() }\n", "if (a) {b()}\n", "javascript").tier != "train"
    assert mine("value.getcwdu()\n", "value.getcwd()\n", "python").tier == "train"


def test_other_files_lower_the_tier() -> None:
    pre, post = "request.fetchAll(a)\n", "request.fetch(a)\n"
    many = tuple(f"x{i}.fetchAll(b)\ny{i}.fetchAll(c)\n" for i in range(8))
    assert mine(pre, post, "python", known=many).tier == "literal"
    assert mine(pre, post, "python", known=("nothing()\n",)).tier == "train"


@pytest.mark.parametrize(
    ("pre", "post", "language", "reason"),
    [
        ("a\n", "a\n", "python", "identical"),
        ("", "a\n", "python", "empty"),
        ("a\0b", "c", "python", "binary"),
        ("a\r\n", "b\n", "python", "line ends"),
        ("x" * (MAX_CHARS + 1), "y", "python", "longer than"),
        ("a", "b", "other", "not supported"),
        ("a = '\ud800'", "b", "python", "Unicode"),
    ],
)
def test_bad_input_gives_a_reason(pre: str, post: str, language: Language, reason: str) -> None:
    mined = mine(pre, post, language)
    assert mined.action is None
    assert reason in mined.reason


def test_the_same_edit_gives_the_same_rules_in_another_process() -> None:
    program = (
        "from rulewright.mining import mine\n"
        "m = mine('f(a, b)\\ng(f(c))\\n', 'h(a, b)\\ng(h(c))\\n', 'python')\n"
        "print(m.action.rules_json(), m.tier, m.figures.work)"
    )
    runs = {
        subprocess.run(
            [sys.executable, "-c", program],
            env={"PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    }
    assert len(runs) == 1


names = st.sampled_from(["alpha", "beta", "gamma", "delta"])
lines = st.lists(st.tuples(names, names, st.integers(0, 9)), min_size=1, max_size=6)


@settings(max_examples=25, deadline=None)
@given(lines, st.data())
def test_whatever_is_shipped_is_exact(rows: list[tuple[str, str, int]], data: st.DataObject) -> None:
    pre = "".join(f"{a}({b}, {n})\n" for a, b, n in rows)
    number = data.draw(st.integers(0, len(rows) - 1))
    made = [*rows]
    made[number] = (data.draw(names), *rows[number][1:])
    post = "".join(f"{a}({b}, {n})\n" for a, b, n in made)
    mined = mine(pre, post, "python")
    if mined.action is not None:
        assert engine.apply(mined.action, pre).post == post
        assert mined.states[-1] == post


texts = st.text(alphabet="ab(), \n=", min_size=1, max_size=40)


@settings(max_examples=60, deadline=None)
@given(texts, texts)
def test_hunks_rebuild_post_and_the_map_agrees(pre: str, post: str) -> None:
    for edit in variants(Tree(pre, "python"), Tree(post, "python")):
        parts: list[str] = []
        at = 0
        for hunk in edit.hunks:
            parts += [pre[at : hunk.a0], post[hunk.b0 : hunk.b1]]
            at = hunk.a1
        assert "".join([*parts, pre[at:]]) == post
        whole = edit.map_range(0, len(pre))
        assert any((m.start, m.end) == (0, len(post)) for m in whole)


def test_real_commits(shared: Path) -> None:
    rows = (shared / "data" / "commit_edits.jsonl").read_text(encoding="utf-8").splitlines()[::160]
    found = 0
    for line in rows:
        row = json.loads(line)
        mined = mine(row["pre"], row["post"], row["language"], instruction=row["instruction"])
        if mined.action is not None:
            found += 1
            assert engine.apply(mined.action, row["pre"]).post == row["post"]
    assert found >= 0.7 * len(rows)


def test_of_what_was_not_mined_nothing_was_measured() -> None:
    refused = mine("a\n", "a\n", "python")
    assert (refused.action, refused.tier, refused.shapes, refused.states) == (None, "reject", (), ())
    figures = asdict(refused.figures)
    assert (figures.pop("support"), figures.pop("lossy"), figures.pop("degenerate")) == (1, False, False)
    assert not any(figures.values())
