"""What `apply --write` leaves of a person's files, and what it says where it may not write."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from rulewright import cli
from rulewright.errors import RulewrightError
from rulewright.replacing import Replacement, replace_all

RULE = "id: r\nlanguage: python\nrule:\n  pattern: $A == None\nfix: $A is None\n"
BEFORE, AFTER = "x == None\n", "x is None\n"


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "rule.yml").write_text(RULE)
    for name in ("a/x.py", "b/y.py"):
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).write_text(BEFORE)
    return tmp_path


def _as_a_person(*words: str) -> subprocess.CompletedProcess[str]:
    """Run a command under permissions, which do not count for root."""
    less = ["setpriv", "--bounding-set=-dac_override,-dac_read_search"] if os.geteuid() == 0 else []
    if less and shutil.which("setpriv") is None:
        pytest.skip("root may write everything here")
    argv = [*less, sys.executable, "-m", "rulewright", *words]
    return subprocess.run(argv, capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False)


@pytest.mark.parametrize(("closed", "mode", "why"), [("a", 0o555, "folder"), ("a/x.py", 0o444, "read-only")])
def test_what_may_not_be_written_is_left_and_named_and_bars_no_other(
    here: Path, closed: str, mode: int, why: str
) -> None:
    (here / closed).chmod(mode)
    shown = _as_a_person("apply", "rule.yml", ".")
    assert (shown.returncode, "2 of 2 files would change" in shown.stderr) == (0, True), shown.stderr
    held = _as_a_person("apply", "rule.yml", ".", "--write", "--all-or-nothing")
    assert (held.returncode, (here / "b/y.py").read_text()) == (1, BEFORE), held.stderr
    assert "nothing was written" in held.stderr
    done = _as_a_person("apply", "rule.yml", ".", "--write")
    (here / closed).chmod(0o755)
    assert done.returncode == 1 and "Traceback" not in done.stderr
    assert "left out: a/x.py: " in done.stderr and why in done.stderr
    assert ((here / "a/x.py").read_text(), (here / "b/y.py").read_text()) == (BEFORE, AFTER)


def test_what_may_not_be_read_is_named_with_its_reason(here: Path) -> None:
    (here / "a/x.py").chmod(0)
    (here / "closed").mkdir()
    (here / "closed/z.py").write_text(BEFORE)
    (here / "closed").chmod(0)
    done = _as_a_person("apply", "rule.yml", ".")
    (here / "closed").chmod(0o755)
    assert done.returncode == 0
    assert "left out: a/x.py: cannot be read" in done.stderr
    assert "left out: closed: cannot be read (Permission denied)" in done.stderr
    assert "ignore file" not in done.stderr


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
def test_a_file_keeps_its_owner(here: Path) -> None:
    os.chown("a/x.py", 65534, 65534)
    (here / "a/x.py").chmod(0o640)
    assert cli.main(["apply", "rule.yml", "a", "--write"]) == 0
    found = (here / "a/x.py").stat()
    assert (found.st_uid, found.st_gid, found.st_mode & 0o777) == (65534, 65534, 0o640)


def test_a_file_with_the_longest_name_is_written(here: Path) -> None:
    long = here / f"{'é' * 126}.py"
    long.write_text(BEFORE)
    assert cli.main(["apply", "rule.yml", ".", "--write"]) == 0
    assert long.read_text() == AFTER


@pytest.mark.skipif(not shutil.which("unshare"), reason="needs a mount of its own")
def test_where_replacing_fails_halfway_the_message_says_what_was_done(here: Path) -> None:
    script = 'mount --bind b/y.py b/y.py && exec "$0" -m rulewright apply rule.yml . --write'
    argv = ["unshare", "--map-root-user", "--mount", "sh", "-c", script, sys.executable]
    done = subprocess.run(argv, capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False)
    if "unshare" in done.stderr or "mount:" in done.stderr:
        pytest.skip("no mounts here")
    assert done.returncode == 1 and "error: " in done.stderr
    assert "b/y.py: cannot be written" in done.stderr
    assert "hint: changed already: " in done.stderr and "a/x.py" in done.stderr
    assert ((here / "a/x.py").read_text(), (here / "b/y.py").read_text()) == (AFTER, BEFORE)
    assert not list(here.rglob(".rulewright-*"))


def test_a_file_that_changed_meanwhile_bars_all(here: Path) -> None:
    changes = [Replacement(here / "a/x.py", BEFORE, AFTER), Replacement(here / "b/y.py", "old", AFTER)]
    with pytest.raises(RulewrightError, match=r"y\.py: changed while") as caught:
        replace_all(changes)
    assert "no file was changed" in caught.value.hint
    assert (here / "a/x.py").read_text() == BEFORE and not list(here.rglob(".rulewright-*"))
