"""Where interpreter and package lie: below /tmp, of which each job has its own, or one in the other."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

import rulewright

PROGRAM = """
import os, rulewright_library_below_tmp as library
try:
    open(library.__file__, "w")
except OSError as error:
    print("refused", error.errno)
open("MINE", "w").close()
print(library.VALUE)
"""

pytestmark = pytest.mark.skipif(shutil.which("bwrap") is None, reason="bubblewrap is not installed")


@pytest.fixture
def venv() -> Iterator[Path]:
    """A virtual environment below /tmp that finds what this one finds."""
    with tempfile.TemporaryDirectory(dir="/tmp") as folder:
        made = Path(folder, "venv")
        command = [sys.executable, "-m", "venv", "--without-pip", "--system-site-packages", str(made)]
        subprocess.run(command, check=True, capture_output=True)
        (packages_of(made) / "paths.pth").write_text("\n".join(p for p in sys.path if p))
        yield made


def packages_of(venv: Path) -> Path:
    return next(venv.glob("lib/python3*/site-packages"))


def run(venv: Path, program: Path) -> subprocess.CompletedProcess[str]:
    command = [str(venv / "bin/python"), "-m", "rulewright", "sandbox", "run", str(program)]
    return subprocess.run(
        [*command, "--sandbox", "bubblewrap"],
        capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip


def test_libraries_below_tmp_are_seen_read_only(venv: Path, tmp_path: Path) -> None:
    (packages_of(venv) / "rulewright_library_below_tmp.py").write_text("VALUE = 'seen'\n")
    program = tmp_path / "program.py"
    mine = Path(f"{venv.parent}-mine")
    program.write_text(PROGRAM.replace("MINE", str(mine)))
    done = run(venv, program)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == ["refused 30", "seen"]
    assert not mine.exists()


def test_an_installed_package_contains_programs_too(venv: Path, tmp_path: Path) -> None:
    source = Path(rulewright.__file__).parent
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(source, packages_of(venv) / "rulewright", ignore=ignored)
    program = tmp_path / "program.py"
    program.write_text("print('ran')\n")
    done = run(venv, program)
    assert (done.returncode, done.stdout) == (0, "ran\n"), done.stderr
