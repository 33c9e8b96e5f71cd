"""The tool that changes one thing of the code at a time, `tools/mutants.py`: where it looks."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import pytest

from rulewright.mining.rules.reading import text_bits


@pytest.fixture
def tools(root: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    pytest.importorskip("cosmic_ray", reason="`pip install cosmic-ray` brings what makes the changes")
    monkeypatch.syspath_prepend(str(root / "tools"))
    return importlib.import_module("mutants"), importlib.import_module("mutation")


def test_every_room_names_modules_and_tests_that_are_there(root: Path, tools: Any) -> None:
    mutants, _ = tools
    for name, room in mutants.ROOMS.items():
        for pattern in room.modules:
            assert list((root / "src/rulewright").glob(pattern)), f"{name}: no module matches {pattern}"
        assert all((root / test).exists() for test in room.tests), name


def test_what_is_listed_as_without_effect_stands_in_the_code(root: Path) -> None:
    listed = (root / "tools/mutants_equal.txt").read_text("utf-8").splitlines()
    for module, _, change in (line.partition(": ") for line in listed if line and line[0] not in " #"):
        lines = (root / "src/rulewright" / module).read_text("utf-8").splitlines()
        assert change.partition("  →  ")[0] in map(str.strip, lines), f"{module}: {change}"


def test_a_room_without_its_modules_is_an_error(tmp_path: Path, tools: Any) -> None:
    _, mutation = tools
    (tmp_path / "here.py").write_text("LIMIT = 3\n")
    assert len(list(mutation.places("a", tmp_path, ("here.py",)))) == 2
    with pytest.raises(FileNotFoundError, match=r"room a: no module .* gone/\*\.py"):
        list(mutation.places("a", tmp_path, ("here.py", "gone/*.py")))


def test_what_a_cache_knows_is_forgotten_before_a_test_is_watched(tools: Any) -> None:
    mutants, _ = tools
    text_bits("os.getcwdu()")
    assert text_bits.cache_info().currsize
    mutants.forget()
    assert not text_bits.cache_info().currsize
