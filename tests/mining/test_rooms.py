"""The rooms of the miner: text knows no rule, a proposal no judgment, a judgment no plan."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import rulewright

ROOMS = ("text", "propose", "judge", "learn")
MAY_USE = {
    "text": {"text"},
    "propose": {"text", "propose"},
    "judge": {"text", "propose", "judge"},
    "learn": set(ROOMS),
}


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
    wrong = {path.name: rooms_used(path) - MAY_USE[room] for path in modules}
    assert not any(wrong.values()), wrong
