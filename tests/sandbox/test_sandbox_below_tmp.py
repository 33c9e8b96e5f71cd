"""A checkout below /tmp: each job has a /tmp of its own, and still its interpreter's libraries."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

PROGRAM = """
import os, rulewright_library_below_tmp as library
try:
    open(library.__file__, "w")
except OSError as error:
    print("refused", error.errno)
open("/tmp/mine", "w").close()
print(library.VALUE)
"""


@pytest.mark.skipif(shutil.which("bwrap") is None, reason="bubblewrap is not installed")
def test_libraries_below_tmp_are_seen_read_only(tmp_path: Path) -> None:
    with tempfile.TemporaryDirectory(dir="/tmp") as folder:  # below /tmp is the point
        library = Path(folder) / "library"
        library.mkdir()
        (library / "rulewright_library_below_tmp.py").write_text("VALUE = 'seen'\n")
        site = subprocess.run(
            [sys.executable, "-m", "venv", "--without-pip", "--system-site-packages", f"{folder}/venv"],
            check=True, capture_output=True,
        )  # fmt: skip
        assert site.returncode == 0
        packages = next(Path(folder, "venv").glob("lib/python3*/site-packages"))
        paths = [*(p for p in sys.path if p), str(library)]
        (packages / "paths.pth").write_text("\n".join(paths))
        (packages / "rulewright_library_below_tmp.py").write_text("VALUE = 'seen'\n")
        program = tmp_path / "program.py"
        program.write_text(PROGRAM)
        command = [f"{folder}/venv/bin/python", "-m", "rulewright", "sandbox", "run", str(program)]
        done = subprocess.run(
            [*command, "--sandbox", "bubblewrap"],
            capture_output=True, text=True, check=False, timeout=120,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        assert done.stdout.splitlines() == ["refused 30", "seen"]
        assert not Path("/tmp/mine").exists()
