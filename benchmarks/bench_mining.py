"""Benchmarks of the rule miner: run with `pytest benchmarks/bench_mining.py --benchmark-only`."""

from __future__ import annotations

from typing import Any

import pytest

from rulewright.languages import Language
from rulewright.mining import Example, mine, mine_many

_BODY = "".join(f"def f{i}(a, b):\n    return a.get_all(b, {i})\n\n\n" for i in range(120))
_SNIPPETS: dict[str, tuple[Language, str, str]] = {
    "snippet": ("python", "total = set([x for x in rows])\n", "total = {x for x in rows}\n"),
    "file of 6 kB, one place": ("python", _BODY, _BODY.replace("get_all(b, 7)", "fetch(b, 7)")),
    "file of 6 kB, every place": ("python", _BODY, _BODY.replace("get_all", "fetch")),
}


@pytest.mark.parametrize("name", _SNIPPETS)
def test_mine(benchmark: Any, name: str) -> None:
    language, pre, post = _SNIPPETS[name]
    mined = benchmark.pedantic(mine, args=(pre, post, language), rounds=5)
    assert mined.action is not None


def test_mine_many(benchmark: Any) -> None:
    group = [Example(f"x = old({i}, mode={i})\n", f"x = new({i})\n", "python") for i in range(6)]
    rules = benchmark.pedantic(mine_many, args=(group,), rounds=3)
    assert rules[0].support == 6
