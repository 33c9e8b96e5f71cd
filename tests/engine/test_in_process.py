"""What `apply` judges in its own process, and what it leaves to one that may be killed."""

from __future__ import annotations

import json
import signal
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from rulewright.actions import Action
from rulewright.actions.rule_file import Document, joined, read_rule_file
from rulewright.codemod.work import JudgeOptions, work_on
from rulewright.engine import Engine, Request, in_process
from rulewright.verdict import Verdict

HEAD = "id: r\nlanguage: python\n"
PLAIN = "rule: {pattern: foo($A)}\nfix: bar($A)\n"
FOO, FIX = "{pattern: foo($A)", "}\nfix: bar($A)\n"
HAS = "has: {kind: call, stopBy: end}"
LEFT = {
    "transform": f"transform: {{B: {{replace: {{source: $A, replace: a, by: b}}}}}}\nrule: {FOO}{FIX}",
    "nested relations": f"rule: {FOO}, inside: {{kind: module, stopBy: end, {HAS}}}{FIX}",
    "relation in stopBy": f"rule: {FOO}, inside: {{kind: module, stopBy: {{{HAS}}}}}{FIX}",
    "nthChild": f"rule: {FOO}, nthChild: 1{FIX}",
    "util": f"utils: {{u: {{kind: call}}}}\nrule: {FOO}, matches: u{FIX}",
    "counted regex": f"rule: {FOO}, regex: '^(a?){{900}}'{FIX}",
    "long": f"rule: {{any: [{', '.join(f'{{pattern: foo{n}($A)}}' for n in range(99))}]{FIX}",
}
TAKEN = {
    "plain": (PLAIN, 500_000),
    "either": (f"rule: {{any: [{FOO}}}, {{pattern: $A.foo()}}]{FIX}", 500_000),
    "constraint": (f"constraints: {{A: {{not: {{regex: ^b}}}}}}\nrule: {FOO}{FIX}", 500_000),
    "a relation": (f"rule: {FOO}, inside: {{kind: block, stopBy: end}}{FIX}", 50_000),
    "an expansion": (
        "rule: {pattern: $A, kind: integer}\nfix: {template: '', expandEnd: {regex: ','}}",
        50_000,
    ),
    "twice": ("rule: {pattern: $A == $A}\nfix: 'True'", 10_000),
    "in two patterns": (f"rule: {FOO}, not: {{pattern: foo($A.x)}}{FIX}", 10_000),
}


def document(rule: str) -> Document:
    read = read_rule_file(HEAD + rule)
    assert isinstance(read, tuple)
    return read[0]


@pytest.mark.parametrize("name", LEFT)
def test_a_rule_that_may_take_long_is_left_to_a_worker(name: str) -> None:
    assert in_process.most_chars(document(LEFT[name]).action) == (0,)


@pytest.mark.parametrize("name", TAKEN)
def test_a_rule_of_plain_parts_is_taken_up_to_a_size(name: str) -> None:
    rule, chars = TAKEN[name]
    assert in_process.most_chars(document(rule).action) == (chars,)


@pytest.mark.parametrize(("chars", "most"), [(2_000, 500_000), (2_001, 0)])
def test_a_rule_is_taken_up_to_2000_characters_of_json(chars: int, most: int) -> None:
    rule = {"rule": {"pattern": "foo($A)"}, "fix": ""}
    rule["fix"] = "x" * (chars - len(json.dumps(rule)))
    assert in_process.most_chars(Action("python", (rule,))) == (most,)


@pytest.mark.parametrize("rule", [*LEFT.values(), *(rule for rule, _ in TAKEN.values())])
@pytest.mark.parametrize("code", ["if x:\n    y = foo(1 == 1), b.foo(), foo(b)\n", "x = foo(\n"])
def test_what_comes_of_it_is_the_same_in_either_process(rule: str, code: str) -> None:
    request = Request(document(rule).action, code, "python", listed=True)
    with Engine(in_process=True) as one, Engine() as other:
        assert one.judge(request) == other.judge(request)
        assert bool(one.workers) == (in_process.most_chars(document(rule).action) == (0,))
        assert len(other.workers) == 1


@pytest.mark.parametrize(("fix", "workers"), [("bar($A)", 0), ("late($A)", 1)])
def test_a_rule_that_may_take_long_needs_a_worker_only_where_it_may_match(fix: str, workers: int) -> None:
    slow = "rule: {pattern: late($A)}\ntransform: {B: {substring: {source: $A}}}\nfix: slow($B)"
    rules = document(f"rule: {{pattern: foo($A)}}\nfix: {fix}"), document(slow)
    request = Request(joined(rules), "foo(1)\n", "python")
    with Engine(in_process=True) as one, Engine() as other:
        assert one.judge(request) == other.judge(request)
        assert len(one.workers) == workers


def test_large_texts_and_those_of_other_threads_are_left_to_a_worker() -> None:
    action = document(PLAIN).action
    kind = document("rule: {kind: list, regex: '1'}\nfix: x").action
    deep = Request(kind, "x = " + "[" * 3000 + "1" + "]" * 3000 + "\n", "python")
    with Engine(in_process=True) as engine, Engine() as other:
        assert engine.judge(Request(action, "foo(1)\n" * 10, "python")).ok and not engine.workers
        assert engine.judge(Request(action, "foo(1)\n" + "#" * in_process.PLAIN_CHARS, "python")).ok
        assert len(engine.workers) == 1
        # Deeper than Python's own stack.
        assert in_process.judged(deep, 5) == other.judge(deep)
        got: list[object] = []
        thread = threading.Thread(
            target=lambda: got.append(in_process.judged(Request(action, "foo(1)\n", "python"), 5))
        )
        thread.start()
        thread.join()
        assert got == [None]


def test_a_deadline_holds_in_the_process_itself() -> None:
    before = signal.getsignal(signal.SIGPROF)
    with Engine(in_process=True, deadline_s=0.05) as engine:
        outcome = engine.judge(Request(document(PLAIN).action, "foo(1)\n" * 30_000, "python"))
        assert outcome.verdict is Verdict.TIMEOUT and outcome.detail == "more than 0.05 s of processor time"
        assert not engine.workers
    assert signal.getsignal(signal.SIGPROF) == before
    assert signal.getitimer(signal.ITIMER_PROF) == (0.0, 0.0)


def test_apply_needs_no_worker_for_a_plain_rule(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(5):
        (tmp_path / f"m{number}.py").write_text(f"foo({number})\n")
    started: list[object] = []
    monkeypatch.setattr("rulewright.engine.pool._Worker.__init__", lambda *given: started.append(given))
    work = work_on([tmp_path], [document(PLAIN)], JudgeOptions())
    assert len(work.good) == 5 and not started


def test_a_slow_worker_keeps_nothing_from_being_judged_here() -> None:
    slow = Request(document(LEFT["nested relations"]).action, "foo(1)\n" * 20_000, "python")
    read: list[int] = []

    def requests() -> Iterator[Request]:
        yield slow
        for number in range(30):
            read.append(number)
            yield Request(document(PLAIN).action, f"foo({number})\n", "python")

    with Engine(in_process=True, deadline_s=0.3) as engine:
        outcomes = engine.judge_many(requests())
        assert next(outcomes).verdict is Verdict.TIMEOUT
        assert len(read) == 30
        assert [one.post for one in outcomes] == [f"bar({number})\n" for number in range(30)]
