"""The hostile folders, the system-call filter, and the tiers' honesty."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from rulewright.sandbox import attacks, hostwatch, tiers
from rulewright.sandbox.inside import seccomp
from rulewright.sandbox.job import Limits
from rulewright.sandbox.runner import Sandbox, open_sandbox

OWN = Path(__file__).parent / "attacks"
# Time enough for an honest control on a busy machine; programs that hang are cut sooner.
PATIENT = dataclasses.replace(attacks.LIMITS, wall_s=5.0)
HASTY = dataclasses.replace(attacks.LIMITS, wall_s=1.0)
QUICK = ("network", "filesystem", "process", "workspace")


def run_all(
    folder: Path, sandbox: Sandbox, kinds: tuple[str, ...] = attacks.KINDS, limits: Limits = PATIENT
) -> None:
    names = [case.name for case in attacks.read_index(folder) if case.kind in kinds]
    reports = list(attacks.run_folder(folder, sandbox, limits, names))
    assert len(reports) == len(names) > 0
    assert [(r.name, r.outcome, r.detail) for r in reports if not r.contained] == []


def test_what_a_run_left_on_the_host_is_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "cases"
    folder.mkdir()
    (folder / "a.py").write_text("1")
    before = hostwatch.take(None, folder)

    def differences() -> list[str]:  # of all that goes on here
        return [one for one in before.differences(hostwatch.take(None, folder)) if str(tmp_path) in one]

    (tmp_path / "of_another").write_text("")
    assert differences() == []
    (tmp_path / "PWNED.txt").write_text("")
    (folder / "a.py").write_text("12")
    assert differences() == [f"file {tmp_path}/PWNED.txt", f"changed {folder}/a.py"]


def test_own_programs_are_contained(box: Sandbox) -> None:
    run_all(OWN, box, QUICK)


def test_own_forgeries_are_seen(best: Sandbox) -> None:
    run_all(OWN, best, ("verdict",))


@pytest.mark.slow
def test_everything_of_ours_in_every_tier(box: Sandbox) -> None:
    run_all(OWN, box)


def test_resource_attacks(best: Sandbox) -> None:
    run_all(OWN, best, ("resource",), HASTY)


@pytest.mark.slow
def test_shared_attacks_in_every_tier(box: Sandbox, shared: Path) -> None:
    run_all(shared / "attacks", box)


def test_shared_verdicts(best: Sandbox, shared: Path) -> None:
    run_all(shared / "attacks", best, ("verdict", "workspace", "filesystem", "network"))


def test_as_many_cases_of_our_own_as_were_given(shared: Path) -> None:
    assert len(attacks.read_index(OWN)) >= len(attacks.read_index(shared / "attacks"))


@pytest.mark.parametrize("line", ['{"name": "x"}', '{"name": "x", "kind": "magic", "file": "f"}', "no json"])
def test_a_bad_index_is_refused_with_its_line(tmp_path: Path, line: str) -> None:
    (tmp_path / "index.jsonl").write_text(line + "\n")
    with pytest.raises(Exception, match=r"index\.jsonl:1"):
        attacks.read_index(tmp_path)


# The filter, run by a small interpreter of classic BPF.


def answer(program: list[seccomp.Instruction], number: int, arch: int, *arguments: int) -> int:
    data = {0: number, 4: arch}
    for i, argument in enumerate(arguments):
        data[16 + 8 * i] = argument
    accumulator = at = 0
    while True:
        code, if_true, if_false, k = program[at]
        at += 1
        if code == 0x06:
            return k
        if code == 0x20:
            accumulator = data.get(k, 0)
        else:
            holds = {0x15: accumulator == k, 0x35: accumulator >= k, 0x45: bool(accumulator & k)}[code]
            at += if_true if holds else if_false


X86, ARM = 0xC000003E, 0xC00000B7
ALLOW, ERRNO, KILL = 0x7FFF0000, 0x00050000, 0x80000000


@pytest.mark.parametrize(
    ("machine", "arch", "ptrace", "socket", "clone"),
    [("x86_64", X86, 101, 41, 56), ("aarch64", ARM, 117, 198, 220)],
)
def test_filter(machine: str, arch: int, ptrace: int, socket: int, clone: int) -> None:
    program = seccomp.program(own_network=True, own_user=True, machine=machine)
    assert len(program) < 4096
    assert answer(program, ptrace, arch) == ERRNO | 1
    assert answer(program, 435, arch) == ERRNO | 38  # clone3: libc falls back to clone
    assert (
        answer(program, socket, arch, 1)
        == answer(program, socket, arch, 2)
        == answer(program, socket, arch, 10)
        == ALLOW
    )
    assert answer(program, socket, arch, 40) == answer(program, socket, arch, 16) == ERRNO | 97
    assert answer(program, clone, arch, 0x01200011) == ALLOW
    assert answer(program, clone, arch, 0x10000011) == ERRNO | 1
    assert answer(program, ptrace, 0x40000003) == KILL
    assert (
        answer(seccomp.program(own_network=False, own_user=True, machine=machine), socket, arch, 1)
        == ERRNO | 13
    )


def test_filter_has_no_second_door() -> None:
    program = seccomp.program(own_network=True, own_user=True, machine="x86_64")
    assert answer(program, 0x40000000 + 1, X86) == ERRNO | 38
    for allowed in (0, 1, 9, 57, 59, 61, 202, 231, 257, 293):  # read, write, mmap, fork, execve, …
        assert answer(program, allowed, X86) == ALLOW


def test_filter_pretends_metadata_where_the_uid_is_shared() -> None:
    shared_uid = seccomp.program(own_network=True, own_user=False, machine="x86_64")
    own_uid = seccomp.program(own_network=True, own_user=True, machine="x86_64")
    assert answer(shared_uid, 90, X86) == ERRNO  # chmod: success without effect
    assert answer(own_uid, 90, X86) == ALLOW


def test_unknown_processor_is_refused() -> None:
    with pytest.raises(OSError, match="no system call table"):
        seccomp.program(own_network=True, own_user=True, machine="sparc")


def test_no_silent_step_down(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))  # no bwrap to be found
    with pytest.raises(tiers.SandboxRefused, match="bubblewrap is not installed") as refused:
        open_sandbox("bubblewrap")
    assert "apt-get install bubblewrap" in refused.value.hint


def test_auto_says_what_it_passed_over(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    if not tiers.probe("landlock").works:
        pytest.skip("no Landlock here")
    monkeypatch.setenv("PATH", str(tmp_path))
    with open_sandbox("auto") as sandbox:
        assert sandbox.tier == "landlock"
        assert "bubblewrap is not installed" in sandbox.reason


def test_unsafe_is_only_by_name() -> None:
    assert "unsafe" not in tiers.AUTOMATIC
    with open_sandbox("unsafe") as sandbox:
        assert sandbox.tier == "unsafe"
        assert sandbox.check("def f(): return 1", "assert f() == 1").strict


def test_unknown_tier_is_refused() -> None:
    with pytest.raises(Exception, match="no sandbox tier 'jail'"):
        open_sandbox("jail")
