"""What keeps the house plain: no dead code, and one public class of a name."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

import pytest

# Names that several modules gave to a class before there was this test. No name may be added.
SEVERAL = frozenset(
    {
        "Applied", "Candidate", "Choice", "Config", "Edit", "Example", "Found", "General", "Parsed",
        "Source", "Task", "Tests",
    }
)  # fmt: skip
"""`Config` is the one name that every command has."""


def classes(root: Path) -> dict[str, list[str]]:
    """The modules that define each public class at their top."""
    found: dict[str, list[str]] = defaultdict(list)
    for path in sorted((root / "src").rglob("*.py")):
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                found[node.name].append(str(path.relative_to(root / "src")))
    return found


def test_a_name_stands_for_one_class(root: Path) -> None:
    several = {name: places for name, places in classes(root).items() if len(places) > 1}
    new = {name: places for name, places in several.items() if name not in SEVERAL}
    assert not new, "\n".join(f"{name}: {', '.join(places)}" for name, places in new.items())
    gone = SEVERAL - several.keys()
    assert not gone, f"one class of a name now: take {', '.join(sorted(gone))} out of SEVERAL"


def test_nothing_is_dead(root: Path) -> None:
    pytest.importorskip("vulture")
    done = subprocess.run(
        [sys.executable, "-m", "vulture"], cwd=root, capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_dead_code_is_found(root: Path, tmp_path: Path) -> None:
    pytest.importorskip("vulture")
    (tmp_path / "module.py").write_text("def nobody_calls_this() -> int:\n    return 1\n")
    settings = str(root / "pyproject.toml")
    command = [sys.executable, "-m", "vulture", "--config", settings, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 3
    assert "nobody_calls_this" in done.stdout
