"""What keeps the house plain: no dead code, and one public class of a name."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

import pytest

# Names that several modules gave to a class before there was this test. No name may be added.
SEVERAL = frozenset({"Config"})
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


THEIRS = frozenset(
    {
        "_replace",  # of named tuples
        "_exit",  # of os
        "_cdata", "_python_dispatch", "_pytree",  # of torch
        "_attn_implementation",  # of transformers
        "_CHUNKED_LOGPROB_CHUNK_SIZE", "_metrics",  # of TRL, as are the methods that our trainer overrides
        "_generate_and_score_completions", "_generate_single_turn", "_get_per_token_logps_and_entropies",
        "_compute_loss",
    }
)  # fmt: skip
"""Private names of libraries for which there is no other way in."""


def private_names(code: str) -> set[str]:
    """Names with a leading underscore that a test takes from something else than `self` or itself."""
    found = set()
    tree = ast.parse(code)
    for node in ast.walk(tree):
        match node:
            case ast.Attribute(value=ast.Name(id="self")):
                continue
            case ast.Attribute(attr=name) if _is_private(name):
                found.add(name)
            case ast.ImportFrom(names=names):
                found |= {name.name for name in names if _is_private(name.name)}
            case ast.Call(func=ast.Attribute(attr="setattr"), args=[_, ast.Constant(value=str(name)), *_]):
                found |= {part for part in name.split(".") if _is_private(part)}
    return found


def _is_private(name: str) -> bool:
    return name.startswith("_") and not name.startswith("__")


def test_tests_use_public_names_only(root: Path) -> None:
    cases = root / "tests/mining/cases"
    files = [path for path in sorted((root / "tests").rglob("*.py")) if cases not in path.parents]
    found = {path.name: private_names(path.read_text(encoding="utf-8")) - THEIRS for path in files}
    assert not {name: names for name, names in found.items() if names}
    assert private_names("a._b\nfrom c import _d\npatch.setattr(e, '_f', 1)\nself._g\n") == {"_b", "_d", "_f"}


def test_measuring_a_folder_without_code_is_told_in_one_line(root: Path, tmp_path: Path) -> None:
    measure = [sys.executable, str(root / "tools" / "house.py")]
    done = subprocess.run(measure, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 1 and done.stdout == ""
    assert done.stderr.startswith("src/rulewright: no Python files there") and done.stderr.count("\n") == 1
