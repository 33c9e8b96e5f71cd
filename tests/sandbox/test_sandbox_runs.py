"""Running programs: what goes in, what comes out, which limits hold."""

from __future__ import annotations

import os
import shutil
from concurrent.futures import ThreadPoolExecutor

import pytest

from rulewright.errors import UsageError
from rulewright.sandbox.job import Entry, Job, Limits, Status
from rulewright.sandbox.runner import Sandbox
from rulewright.verdict import Verdict


def program(text: str, **limits: object) -> Job:
    return Job({"main.py": text}, limits=Limits(**limits))  # type: ignore[arg-type]


def test_output_and_exit_code(box: Sandbox) -> None:
    result = box.run(program("import sys\nprint('out')\nprint('err', file=sys.stderr)\nsys.exit(3)"))
    assert (result.status, result.exit_code, result.stdout, result.stderr) == (
        Status.FAIL,
        3,
        "out\n",
        "err\n",
    )
    assert result.tier == box.tier
    assert result.verdict is Verdict.TESTS_FAILED


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("", 0),
        ("raise SystemExit", 0),
        ("raise SystemExit('no')", 1),
        ("import os; os._exit(7)", 7),
        ("import sys; sys.exit(256 + 4)", 4),
        ("1 / 0", 1),
        ("import atexit, os; atexit.register(os._exit, 5)", 5),
        ("def f(:", 1),
        ("import os; os._exit = print", 0),
        ("class Code(int):\n    def __and__(self, other): return 'x'\nraise SystemExit(Code(3))", 3),
    ],
)  # fmt: skip
def test_exit_codes_are_those_of_python(best: Sandbox, text: str, code: int) -> None:
    assert best.run(program(text)).exit_code == code


def test_traceback_names_only_the_program(best: Sandbox) -> None:
    lines = best.run(program("def f():\n    return 1 / 0\nf()")).stderr.splitlines()
    assert lines[-1] == "ZeroDivisionError: division by zero"
    assert [line for line in lines if "File" in line] == [
        '  File "/ws/main.py", line 3, in <module>',
        '  File "/ws/main.py", line 2, in f',
    ] or best.tier != "bubblewrap"


def test_non_daemon_threads_are_awaited(best: Sandbox) -> None:
    text = "import threading, time\nthreading.Thread(target=lambda: (time.sleep(0.1), print('done'))).start()"
    assert best.run(program(text)).stdout == "done\n"


def test_source_is_a_file_and_main_is_main(best: Sandbox) -> None:
    text = "import inspect\ndef f(): return 1\nprint(inspect.getsource(f).strip(), __name__)"
    assert best.run(program(text)).stdout == "def f(): return 1 __main__\n"


def test_stdin(box: Sandbox) -> None:
    job = Job({"main.py": "print(input(), end='')"}, stdin="hello\nrest")
    assert box.run(job).stdout == "hello"
    assert "EOFError" in box.run(Job({"main.py": "input()"})).stderr


def test_deadline_kills_and_keeps_partial_output(box: Sandbox) -> None:
    result = box.run(program("print('so far', flush=True)\nwhile True: pass", wall_s=0.7))
    assert (result.status, result.stdout) == (Status.TIMEOUT, "so far\n")
    assert result.verdict is Verdict.TIMEOUT


def test_cpu_limit_is_a_timeout(best: Sandbox) -> None:
    result = best.run(program("while True: pass", wall_s=20, cpu_s=1))
    assert result.status is Status.TIMEOUT
    assert result.detail == "CPU time used up"


def test_output_is_capped(box: Sandbox) -> None:
    result = box.run(program("while True: print('x' * 1000)", output_bytes=5000))
    assert result.status is Status.OUTPUT_LIMIT
    assert len(result.stdout) == 5000
    assert result.verdict is Verdict.CRASHED


def test_control_sequences_are_stripped(best: Sandbox) -> None:
    result = best.run(program(r"print('a\x1b[31mred\x1b]0;title\x07\x9b2J\r\x00b')"))
    assert not any(
        (ord(letter) < 32 and letter != "\n") or 127 <= ord(letter) < 160 for letter in result.stdout
    )


def test_signal_is_named(best: Sandbox) -> None:
    result = best.run(program("import os, signal\nos.kill(os.getpid(), signal.SIGSEGV)"))
    assert (result.status, result.detail, result.exit_code) == (Status.SIGNAL, "killed by SIGSEGV", None)


def test_nothing_of_the_person_is_in_the_environment(box: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "secret-value")
    result = box.run(program("import os\nprint(sorted(os.environ), open('/proc/self/environ').read())"))
    assert "HF_TOKEN" not in result.stdout
    assert "secret-value" not in result.stdout


def test_files_come_back_only_if_regular(box: Sandbox) -> None:
    text = (
        "import os\nos.mkdir('d')\nopen('d/r.json', 'w').write('{}')\nos.symlink('/etc/passwd', 'link')\n"
        "os.symlink('d', 'dlink')\nos.mkfifo('pipe')"
    )
    names = ("d/r.json", "link", "dlink/r.json", "pipe", "absent")
    result = box.run(Job({"main.py": text}, collect=names))
    assert result.files["d/r.json"] == b"{}"
    assert [result.files[name] for name in names[1:]] == [None] * 4


def test_each_run_starts_afresh(box: Sandbox) -> None:
    text = "import os, sys\nprint(sorted(os.listdir('.')))\nopen('left', 'w').close()\nsys.left = 1"
    assert [box.run(program(text)).stdout for _ in range(2)] == ["['main.py']\n"] * 2


def test_memory_limit(box: Sandbox) -> None:
    result = box.run(program("x = [bytearray(b'1') * 2**20 for _ in range(4000)]", memory_bytes=100 << 20))
    assert result.status in (Status.OOM, Status.FAIL)
    assert result.exit_code != 0
    assert result.memory_peak_bytes < 300 << 20


def test_a_worker_survives_its_jobs(best: Sandbox) -> None:
    best.run(program("x = [bytearray(b'1') * 2**20 for _ in range(4000)]", memory_bytes=50 << 20))
    assert best.run(program("print(1)")).stdout == "1\n"


@pytest.mark.parametrize("name", ["/etc/passwd", "../x", "a/../../b", ""])
def test_file_names_stay_inside(name: str) -> None:
    with pytest.raises(UsageError, match="not a relative path"):
        Job({name: ""})


def test_tests_folder_is_read_only(best: Sandbox) -> None:
    if best.tier != "bubblewrap":
        pytest.skip("only the bubblewrap tier has a folder that the program cannot write")
    text = "import os, sys\np = sys.argv[1]\nprint(open(p).read())\nopen(p, 'w')"
    result = best.run(
        Job({"main.py": text}, Entry("script", ("main.py", "{tests}/t.txt")), tests={"t.txt": "T"})
    )
    assert result.stdout == "T\n"
    assert "Read-only file system" in result.stderr


def test_pytest_and_unittest_entries(best: Sandbox) -> None:
    tests = "import unittest\nclass T(unittest.TestCase):\n    def test_a(self): self.assertEqual({}, 1)\n"
    for kind in ("pytest", "unittest"):
        for value, passes in (("1", True), ("2", False)):
            job = Job({"test_x.py": tests.format(value)}, Entry(kind, ("test_x.py",)))
            assert best.run(job).ok is passes


@pytest.mark.skipif(shutil.which("node") is None, reason="node is not installed")
def test_node(box: Sandbox) -> None:
    node = shutil.which("node") or ""
    text = "const assert = require('assert'); assert.strictEqual(1 + 1, 2); console.log('fine')"
    job = Job({"t.js": text}, Entry("argv", (node, "{ws}/t.js")), limits=Limits(memory_bytes=2 << 30))
    assert box.run(job).stdout == "fine\n"
    bad = Job({"t.js": text.replace("2)", "3)")}, job.entry, limits=job.limits)
    assert box.run(bad).exit_code == 1


def test_absent_program(best: Sandbox) -> None:
    assert best.run(Job({}, Entry("argv", ("/no/such/program",)))).exit_code == 127


def test_many_threads_share_a_sandbox(best: Sandbox) -> None:
    with ThreadPoolExecutor(4) as threads:
        results = threads.map(best.run, [program(f"print({n})") for n in range(12)])
    assert [result.stdout for result in results] == [f"{n}\n" for n in range(12)]


def test_uid_and_pids_are_its_own(best: Sandbox) -> None:
    if best.tier != "bubblewrap":
        pytest.skip("namespaces are the bubblewrap tier's")
    result = best.run(
        program("import os\nprint(os.getpid(), os.getppid(), os.getuid(), len(os.listdir('/proc/self/fd')))")
    )
    pid, parent, uid, descriptors = map(int, result.stdout.split())
    assert (pid, parent, descriptors) == (2, 1, 4)  # the listing itself is the fourth
    assert uid != 0
    assert uid != os.getuid() or os.getuid() != 0
