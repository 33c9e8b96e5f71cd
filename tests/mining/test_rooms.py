"""The packages of the miner: text knows no rule, a proposal no judgment, a judgment no plan."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import rulewright

ROOMS = ("text", "rules", "propose", "judge", "learn", "by_hand")
"""Each may use itself and those before it."""


def rooms_used(path: Path) -> set[str]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    names = {
        f"{node.module}.{alias.name}"
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node.module
        for alias in node.names
    }
    return {name.split(".")[2] for name in names if name.startswith("rulewright.mining.")} & set(ROOMS)


@pytest.mark.parametrize("room", ROOMS)
def test_a_room_uses_only_the_rooms_below(room: str) -> None:
    folder = Path(rulewright.__file__).parent / "mining" / room
    modules = sorted(folder.glob("*.py"))
    assert len(modules) > 3
    may_use = set(ROOMS[: ROOMS.index(room) + 1])
    wrong = {path.name: rooms_used(path) - may_use for path in modules}
    assert not any(wrong.values()), wrong
