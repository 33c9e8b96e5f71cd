"""What `apply --write` leaves of the user's files, and what it says where it may not write."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from tests.launching import as_a_person

from rulewright import cli
from rulewright.errors import RulewrightError
from rulewright.replacing import Replacement, name_begin, replace_all

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


@pytest.mark.parametrize(("closed", "mode", "why"), [("a", 0o555, "folder"), ("a/x.py", 0o444, "read-only")])
def test_what_may_not_be_written_is_left_and_named_and_bars_no_other(
    here: Path, closed: str, mode: int, why: str
) -> None:
    (here / closed).chmod(mode)
    shown = as_a_person("apply", "rule.yml", ".")
    assert (shown.returncode, "2 of 2 files would change" in shown.stderr) == (0, True), shown.stderr
    held = as_a_person("apply", "rule.yml", ".", "--write", "--all-or-nothing")
    assert (held.returncode, (here / "b/y.py").read_text()) == (1, BEFORE), held.stderr
    assert "no file was written" in held.stderr
    done = as_a_person("apply", "rule.yml", ".", "--write")
    (here / closed).chmod(0o755)
    assert done.returncode == 1 and "Traceback" not in done.stderr
    assert "left out: a/x.py: " in done.stderr and why in done.stderr
    assert ((here / "a/x.py").read_text(), (here / "b/y.py").read_text()) == (BEFORE, AFTER)


def test_what_may_not_be_read_is_named_with_its_reason(here: Path) -> None:
    (here / "a/x.py").chmod(0)
    (here / "closed").mkdir()
    (here / "closed/z.py").write_text(BEFORE)
    (here / "closed").chmod(0)
    done = as_a_person("apply", "rule.yml", ".")
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


BUSY = [(), ("--exact",), ("--all-or-nothing",), ("--all-or-nothing", "--exact")]


@pytest.mark.skipif(not shutil.which("unshare"), reason="needs a mount of its own")
@pytest.mark.parametrize("more", BUSY)
def test_where_one_of_several_cannot_be_replaced(here: Path, more: tuple[str, ...]) -> None:
    """A file under a mount can be written to, and not be replaced."""
    (here / "c").mkdir()
    (here / "c/z.py").write_text(BEFORE)
    inodes = {name: (here / name).stat().st_ino for name in ("a/x.py", "b/y.py", "c/z.py")}
    script = 'mount --bind b/y.py b/y.py && exec "$0" -m rulewright apply rule.yml . --write "$@"'
    argv = ["unshare", "--map-root-user", "--mount", "sh", "-c", script, sys.executable, *more]
    done = subprocess.run(argv, capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False)
    if "unshare" in done.stderr or "mount:" in done.stderr:
        pytest.skip("no mounts here")
    assert done.returncode == 1 and "b/y.py: cannot be written" in done.stderr
    texts = [(here / name).read_text() for name in inodes]
    if "--all-or-nothing" in more:
        assert texts == [BEFORE] * 3 and "hint: no file was changed" in done.stderr
        assert {name: (here / name).stat().st_ino for name in inodes} == inodes
    else:
        assert texts == [AFTER, BEFORE, AFTER]
        assert "left out: b/y.py: " in done.stderr and "2 of 2 files changed" in done.stderr
    assert not list(here.rglob(".rulewright-*"))


WRITE = """
import sys
import tempfile
from pathlib import Path
from rulewright.replacing import Replacement, name_begin, replace_all
files = sorted(Path().glob("m/*/*.py"))
replace_all([Replacement(path, "x == None\\n", "x is None\\n") for path in files], {whole})
"""


@pytest.mark.parametrize("whole", [False, True])
def test_a_run_that_is_killed_leaves_whole_files_and_the_next_one_clears_up(here: Path, whole: bool) -> None:
    found = 0
    for number in range(8):
        shutil.rmtree(here / "m", ignore_errors=True)
        for folder in "abc":
            (here / "m" / folder).mkdir(parents=True)
            for file in range(30):
                (here / "m" / folder / f"{file}.py").write_text(BEFORE)
        running = subprocess.Popen([sys.executable, "-c", WRITE.format(whole=whole)])
        # Killed after another number of files each time, while it writes and while it replaces.
        while running.poll() is None and len(_left(here)) + _changed(here) < 1 + 13 * number:
            pass
        running.kill()
        running.wait()
        texts = {path.read_text() for path in here.glob("m/*/*.py")}
        assert texts <= {BEFORE, AFTER}
        found += bool(_left(here))
        mine = here / "m/c/.rulewright-of-a-person"
        mine.write_text(BEFORE)
        assert cli.main(["apply", "rule.yml", ".", "--write"]) == 0
        assert {path.read_text() for path in here.glob("m/*/*.py")} == {AFTER}
        assert _left(here) == [mine]
    assert found, "no run was killed while it wrote"


def _left(here: Path) -> list[Path]:
    return list((here / "m").glob("*/.rulewright-*"))


def _changed(here: Path) -> int:
    return sum(path.read_text() == AFTER for path in here.glob("m/*/*.py"))


def test_what_another_run_is_writing_is_left_alone(here: Path) -> None:
    with subprocess.Popen(["sleep", "60"]) as other:
        begin = name_begin().replace(str(os.getpid()), str(other.pid))
        handle, name = tempfile.mkstemp(prefix=begin, dir="a")
        os.close(handle)
        try:
            assert cli.main(["apply", "rule.yml", ".", "--write"]) == 0
            assert Path(name).exists()
        finally:
            other.kill()
    assert cli.main(["apply", "rule.yml", "."]) == 0 and Path(name).exists(), "a dry run removes nothing"
    assert cli.main(["apply", "rule.yml", ".", "--write"]) == 0
    assert not Path(name).exists()


def test_what_another_machine_left_is_removed_when_it_is_old(here: Path) -> None:
    other = here / "a/.rulewright-00000000-1-abcdefgh"
    other.write_text(BEFORE)
    assert cli.main(["apply", "rule.yml", ".", "--write"]) == 0
    assert other.exists()
    os.utime(other, (0, 0))
    assert cli.main(["apply", "rule.yml", ".", "--write"]) == 0
    assert not other.exists()


def test_a_file_that_changed_meanwhile_bars_all(here: Path) -> None:
    changes = [Replacement(here / "a/x.py", BEFORE, AFTER), Replacement(here / "b/y.py", "old", AFTER)]
    with pytest.raises(RulewrightError, match=r"y\.py: changed while") as caught:
        replace_all(changes)
    assert "no file was changed" in caught.value.hint
    assert (here / "a/x.py").read_text() == BEFORE and not list(here.rglob(".rulewright-*"))
