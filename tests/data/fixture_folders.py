"""Small repositories with fixtures, laid out on disk, and the rows that are read from them."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

from rulewright.data.sources import fixtures

MIT = "MIT License\n\nPermission is hereby granted, free of charge, to any person obtaining a copy\n"


def lay(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return root


def rows(root: Path, files: dict[str, str], *layouts: str) -> list[dict[str, Any]]:
    return [row for row in fixtures.rows_of([lay(root, files)], layouts) if "dropped" not in row]


def sides(found: list[dict[str, Any]]) -> list[tuple[str, str]]:
    return [(row["pre"], row["post"]) for row in found]


def repository(root: Path) -> Path:
    """A clone with three edits of one fixer, one of another, and code that stays."""
    cases = "".join(f'        ("stale({n})", "fresh({n})"),\n' for n in ("alpha", "beta", "gamma"))
    lay(
        root,
        {
            "LICENSE": MIT,
            "tests/test_stale.py": "import pytest\n@pytest.mark.parametrize(('s', 'expected'), [\n"
            + cases
            + "])\n"
            "def test_it(s, expected): ...\n"
            "@pytest.mark.parametrize('s', ['stale.alpha', 'stale'])\ndef test_noop(s): ...\n",
            "tests/test_one.py": "def test_one():\n    check_transformed('x == None', 'x is None')\n",
        },
    )  # fmt: skip
    for argv in (["init", "-q"], ["add", "-A"], ["commit", "-qm", "Add the tests of two fixers"]):
        subprocess.run(
            ["git", "-c", "user.name=a", "-c", "user.email=a@b", *argv],
            cwd=root,
            check=True,
            capture_output=True,
        )
    return root
