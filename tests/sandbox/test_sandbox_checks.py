"""Verdicts: right programs pass, wrong ones fail, forged passes are seen."""

# Programs and their tests on one line each.
# ruff: noqa: E501

from __future__ import annotations

import random
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rulewright.sandbox.inside.recorder import has_object, plain
from rulewright.sandbox.instrument import instrument
from rulewright.sandbox.job import Limits
from rulewright.sandbox.judging import NotPlain, decoys, judge, read, rebuilt
from rulewright.sandbox.runner import Sandbox

SHORT = Limits(wall_s=4)

# (program, tests): the program is right, the tests are of many shapes.
HONEST = {
    "literals": ("def f(x): return x", "assert f(1) == 1\nassert 2 == f(2)\nassert f('a') == 'a' and f(None) is None"),
    "containers": ("def f(): return {'a': [1, (2.5, {3})], 4: b'x'}", "assert f() == {'a': [1, (2.5, {3})], 4: b'x'}"),
    "negations": ("def f(x): return x > 0", "assert not f(-1)\nassert f(1) is not False\nassert f(2) != 3\nassert not f(0) == True"),
    "order": ("def f(): return [1, 2]", "assert len(f()) < 3\nassert 1 in f()\nassert 9 not in f()\nassert f()[0] <= f()[1]"),
    "own class": (
        "class P:\n    def __init__(self, x): self.x = x\n    def __eq__(self, o): return isinstance(o, P) and self.x == o.x",
        "assert P(1) == P(1)\nassert P(1) != P(2)\nassert [P(1)] == [P(1)]",
    ),
    "equal to a literal": (
        "class N:\n    def __init__(self, v): self.v = v\n    def __eq__(self, o): return self.v == o",
        "assert N(5) == 5\nassert N([1]) == [1]",
    ),
    "fractions and decimals": (
        "from fractions import Fraction\nfrom decimal import Decimal\ndef f(): return Fraction(1, 2)\ndef g(): return Decimal('1.5')",
        "assert f() == 0.5\nassert g() == 1.5",
    ),
    "loops and functions": (
        "def sq(x): return x * x",
        "for a, b in [(1, 1), (2, 4)]:\n    assert sq(a) == b\ndef check(f):\n    assert f(3) == 9\ncheck(sq)",
    ),
    "raises": (
        "def f(x):\n    if x: raise KeyError('k')",
        "try:\n    f(1)\n    assert False\nexcept KeyError:\n    pass\nassert f(0) is None",
    ),
    "unittest in a script": (
        "def add(a, b): return a + b",
        "import unittest\nclass T(unittest.TestCase):\n    def setUp(self): self.n = 1\n    def test_a(self):\n"
        "        self.assertEqual(add(self.n, 1), 2)\n        self.assertAlmostEqual(add(0.1, 0.2), 0.3)\n"
        "        self.assertIsInstance(add(1, 1), int)\n        with self.assertRaises(TypeError) as c: add(1, '')\n"
        "        self.assertIn('int', str(c.exception))\nif __name__ == '__main__':\n    unittest.main()",
    ),
    "walrus, chained, conditional": (
        "def f(x): return x",
        "assert (y := f(3)) == 3\nassert 0 < f(1) < 2\nassert f(1) == (2 if y > 9 else 1)",
    ),
    "generators and comprehensions": ("def g(n):\n    yield from range(n)", "assert list(g(3)) == [0, 1, 2]\nassert all(x < 3 for x in g(3))"),
    "floats": ("def f(): return 0.1 + 0.2", "assert abs(f() - 0.3) < 1e-9\nassert f() != 0.3\nassert round(f(), 2) == 0.3"),
    "async": ("import asyncio\nasync def f(): return 4", "async def main():\n    assert await f() == 4\nasyncio.run(main())"),
    "source": ("def f():\n    return 1", "import inspect\nassert 'return 1' in inspect.getsource(f)"),
    "strings with quotes": ("def f(): return 'it\\'s \"x\"\\n'", "assert f() == 'it\\'s \"x\"\\n'\nassert f'{f()}' == f()"),
    "exit at the end": ("def f(): return 1", "import sys\nassert f() == 1\nsys.exit(0)"),
}  # fmt: skip


@pytest.mark.parametrize("name", HONEST)
@pytest.mark.parametrize("with_reference", [False, True])
def test_a_right_program_passes_twice(best: Sandbox, name: str, with_reference: bool) -> None:
    program, tests = HONEST[name]
    verdict = best.check(program, tests, reference=program if with_reference else None)
    assert verdict.official, verdict.result
    assert verdict.strict, verdict.detail
    assert verdict.n_passed > 0
    assert verdict.n_failed == 0
    assert not verdict.alarm


WRONG = "def f(x): return 0\n"
TESTS = "assert f(2) == 4\nassert f(3) == 9\nassert f(-1)\n"
RIGHT = "def f(x): return x * x"
TRICKS = {
    "exit": "import os; os._exit(0)",
    "atexit": "import atexit, os; atexit.register(os._exit, 0)",
    "system exit": "raise SystemExit",
    "exit in the function": "def f(x): raise SystemExit(0)",
    "equal to all": "class A:\n    def __eq__(s, o): return True\ndef f(x): return A()",
    "int equal to all": "class A(int):\n    def __eq__(s, o): return True\ndef f(x): return A(1)",
    "excepthook": "import sys, os; sys.excepthook = lambda *a: os._exit(0)",
    "optimized away": "import builtins; builtins.exec = lambda *a: None",
    "open string": "'''",
    "exec": "import os; os.execv('/bin/true', ['true'])",
    "thread": "import threading, os; threading.Timer(0, os._exit, [0]).start(); import time; time.sleep(0.2)",
    "lambda": "f = lambda x: type('T', (), {'__eq__': lambda s, o: True})()",
    "first one right": "n = []\ndef f(x):\n    n.append(1)\n    if len(n) > 1: raise SystemExit(0)\n    return 4",
}


@pytest.mark.parametrize("name", TRICKS)
@pytest.mark.parametrize("with_reference", [False, True])
def test_a_trick_is_seen(best: Sandbox, name: str, with_reference: bool) -> None:
    verdict = best.check(
        WRONG + TRICKS[name], TESTS, reference=RIGHT if with_reference else None, limits=SHORT
    )
    assert not verdict.strict
    assert verdict.alarm == verdict.official


def test_wrong_program_counts_its_checks(box: Sandbox) -> None:
    verdict = box.check("def f(x): return 4", TESTS)
    assert (verdict.official, verdict.strict, verdict.n_passed, verdict.n_failed) == (False, False, 3, 1)
    assert verdict.detail == "line 2: assert f(3) == 9: saw 4"


def test_expectations_never_enter_the_sandbox() -> None:
    source = instrument("assert f(2) == 'needle'\nassert 'straw' == f(1)", "script", "_r").source
    assert "needle" not in source
    assert "straw" not in source


def test_reference_fixes_the_number_of_checks(best: Sandbox) -> None:
    tests = "for x in f():\n    assert x > 0"
    assert best.check("def f(): return []", tests).strict  # nothing says that a check had to run
    verdict = best.check("def f(): return []", tests, reference="def f(): return [1, 2]")
    assert not verdict.strict
    assert verdict.alarm
    assert "ran 0 of 2 times" in verdict.detail


def test_reference_that_fails_its_tests_is_said(best: Sandbox) -> None:
    verdict = best.check(RIGHT, TESTS, reference="def f(x): return 1 / 0")
    assert not verdict.strict
    assert "reference" in verdict.detail


@pytest.mark.parametrize("kind", ["unittest", "pytest"])
def test_test_files(box: Sandbox, kind: str) -> None:
    tests = (
        "import unittest\nfrom mod import f\nclass T(unittest.TestCase):\n"
        "    def test_f(self):\n        self.assertEqual(f(2), 4)\n        self.assertTrue(f(1))\n"
    )
    if kind == "pytest":
        tests = (
            "import pytest\nfrom mod import f\n@pytest.mark.parametrize('x, y', [(1, 1), (2, 4)])\n"
            "def test_f(x, y):\n    assert f(x) == y\n@pytest.fixture\ndef three(): return 3\n"
            "def test_g(three):\n    with pytest.raises(TypeError, match='NoneType'):\n        f(None)\n    assert f(three) == 9\n"
        )
    right = box.check(RIGHT, tests, kind=kind)  # type: ignore[arg-type]
    assert right.strict, right.detail
    for program in (
        WRONG,
        "import os; os._exit(0)",
        WRONG + "import unittest; unittest.TestCase.run = lambda s, r: None",
    ):
        assert not box.check(program, tests, kind=kind).strict  # type: ignore[arg-type]


def test_timeout_is_a_timeout(best: Sandbox) -> None:
    verdict = best.check("while True: pass", TESTS, limits=Limits(wall_s=0.5))
    assert (verdict.official, verdict.strict, verdict.status) == (False, False, "timeout")


def test_flags_name_constructs(best: Sandbox) -> None:
    assert "os._exit" in best.check("import os; os._exit(0)", TESTS).flags
    assert best.check(RIGHT, TESTS).flags == ()


PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text() | st.binary(),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.tuples(inner, inner)
        | st.dictionaries(st.text(max_size=3) | st.integers(), inner, max_size=4)
        | st.frozensets(st.integers() | st.text(max_size=3), max_size=4)
    ),
    max_leaves=12,
)


@given(PLAIN)
def test_plain_values_survive_the_wire(value: object) -> None:
    sent = plain(value)
    assert not has_object(sent)
    back = rebuilt(sent)
    assert back == value
    assert type(back) is type(value)


@given(PLAIN, st.integers())
def test_decoys_differ(value: object, seed: int) -> None:
    for decoy in decoys(value, random.Random(seed)):
        assert decoy != value


@given(st.binary(max_size=300))
def test_any_bytes_can_be_read_as_a_report(report: bytes) -> None:
    checks = instrument("assert f() == 1", "script", "_r").checks
    assert not judge(checks, read(report), None).ok


@pytest.mark.parametrize(
    "answer",
    [
        None,
        [],
        ["i"],
        ["i", 5],
        ["l", [["l", []]] * 3],
        ["d", [[]]],
        ["b", 1],
        ["q", "1", "0x0"],
        [["n"]],
        {"a": 1},
    ],
)
def test_malformed_answers_are_no_values(answer: object) -> None:
    checks = instrument("assert f() == 1", "script", "_r").checks
    assert not judge(checks, [(0, "v", answer), (1, "r", True)], None).ok


def test_deep_answers_do_not_break_the_judge() -> None:
    checks = instrument("assert f() == 1", "script", "_r").checks
    deep = b'[0,"v",' + b'["l",[' * 5000 + b"]]" * 5000 + b"]"
    assert not judge(checks, read(deep), None).ok


def test_a_number_too_long_to_write_out_is_only_wrong(best: Sandbox) -> None:
    verdict = best.check("def f(): return [10 ** 9000]", "assert f() == [1]")
    assert not verdict.strict and "too long to show" in verdict.detail


MODULUS = 2**61 - 1
"""Integers have their rest by it as their hash."""


@pytest.mark.parametrize("form", ["s", "d"])
def test_keys_made_to_share_a_hash_do_not_hold_up_the_judge(form: str) -> None:
    def sent(n: int) -> list[object]:
        keys = [["i", hex(i * MODULUS)] for i in range(n)]
        return [form, keys if form == "s" else [[key, ["n"]] for key in keys]]

    assert len(rebuilt(sent(100))) == 100
    with pytest.raises(NotPlain):
        rebuilt(sent(5_000))
    assert len(rebuilt(["s", [["i", hex(i)] for i in range(5_000)]])) == 5_000


def test_a_fraction_too_long_to_reduce_is_no_value() -> None:
    assert rebuilt(["q", "0x6", "0x4"]) == Fraction(3, 2)
    with pytest.raises(NotPlain):
        rebuilt(["q", hex(10**30_000), "0x3"])
