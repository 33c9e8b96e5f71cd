"""The tool that changes one thing of the code at a time, `tools/mutants.py`: where it looks."""

from __future__ import annotations

import importlib
import subprocess
import sys
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


@pytest.mark.parametrize(
    ("holds", "fate"), [("True", "survived"), ("False", "killed"), ("nothing", "killed")]
)
def test_tests_of_several_folders_decide_a_mutants_fate(
    holds: str, fate: str, tmp_path: Path, root: Path, tools: Any
) -> None:
    """Each folder has settings of its own, as those of a room have."""
    made = {"first": "assert True", "second": f"assert {holds}"}
    for folder, line in made.items():
        (tmp_path / "tests" / folder).mkdir(parents=True)
        (tmp_path / "tests" / folder / "conftest.py").write_text("")
        (tmp_path / f"tests/{folder}/test_{folder}.py").write_text(f"def test_it():\n    {line}\n")
    tests = [f"tests/{folder}/test_{folder}.py::test_it" for folder in made]
    program = (
        "import pathlib, sys, mutants\n"
        "mutants.ROOT = here = pathlib.Path(sys.argv[1])\n"
        "print(mutants.tried(sys.argv[2:], here, 30, here / 'log'))\n"
    )
    said = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path), *tests],
        capture_output=True, text=True, check=True, cwd=root / "tools",
    )  # fmt: skip
    assert said.stdout.strip() == fate


def test_a_run_that_breaks_off_says_nothing_of_a_mutant(tmp_path: Path, root: Path, tools: Any) -> None:
    (tmp_path / "tests").mkdir()
    (tmp_path / "tests/test_it.py").write_text("def test_it():\n    pass\n")
    (tmp_path / "tests/conftest.py").write_text("def pytest_runtest_logfinish():\n    raise ValueError\n")
    program = (
        "import pathlib, sys, mutants\n"
        "mutants.ROOT = here = pathlib.Path(sys.argv[1])\n"
        "print(mutants.tried(['tests/test_it.py::test_it'], here, 30, here / 'log'))\n"
    )
    said = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path)],
        capture_output=True, text=True, check=True, cwd=root / "tools",
    )  # fmt: skip
    assert said.stdout.strip() == "unknown"
