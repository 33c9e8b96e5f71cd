"""What docs/guide shows is what happens: its shell blocks run, print what is shown, and its Python runs.

In a guide a block fenced as `sh` or `python` is run, in one folder for the whole page, from top to bottom. A
`text` block after it must be among what was printed, line by line, in that order. Commands that need
a model, a network or hours stand in indented blocks; `tests/test_readme.py` reads those.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

GUIDES = sorted((Path(__file__).resolve().parents[1] / "docs/guide").glob("*.md"))


class Block(NamedTuple):
    language: str
    text: str
    line: int


def blocks(page: Path) -> list[Block]:
    """The fenced blocks of a page, with the line that each begins on."""
    text = page.read_text(encoding="utf-8")
    found = re.finditer(r"^```(\w*)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    return [Block(m[1], m[2], text.count("\n", 0, m.start()) + 1) for m in found]


def run(block: Block, folder: Path) -> str:
    """What a block prints; it must end with exit code 0."""
    argv = {"sh": ["bash", "-e", "-c", block.text], "python": [sys.executable, "-c", block.text]}
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        argv[block.language],
        cwd=folder,
        env={**os.environ, "PATH": path, "COLUMNS": "80"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, f"line {block.line}:\n{done.stdout}"
    return done.stdout


def shows(printed: str, wanted: str) -> str | None:
    """The first line of `wanted` that `printed` does not have after the line before it."""
    rest = iter(printed.splitlines())
    return next((w for w in wanted.splitlines() if not any(w.strip() in line for line in rest)), None)


@pytest.mark.timeout(900)
@pytest.mark.parametrize("page", GUIDES, ids=lambda page: page.stem)
def test_the_examples_of_a_guide(page: Path, tmp_path: Path) -> None:
    printed = ""
    for block in blocks(page):
        if block.language in ("sh", "python"):
            printed = run(block, tmp_path)
        elif block.language == "text":
            missing = shows(printed, block.text)
            assert missing is None, f"{page.name}:{block.line}: {missing!r} is not in\n{printed}"


def test_every_guide_has_an_example_that_runs() -> None:
    silent = [p.name for p in GUIDES if not any(b.language in ("sh", "python") for b in blocks(p))]
    assert not silent
