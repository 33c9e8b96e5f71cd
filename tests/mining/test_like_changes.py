"""A change of several files and several unlike parts, from wherever it comes."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest

from rulewright import cli
from rulewright.engine.cli import binary
from rulewright.verdict import Place

ONE = "import os\nfrom old_kit import choose\n\n\ndef f(xs):\n    return choose(xs, 3)\n\n\ndef g(p):\n    return os.path.join(p, 'x')\n"  # noqa: E501
TWO = "import os\nfrom old_kit import choose, other\n\n\ndef f(ys):\n    print(choose(ys, 4))\n    return other(ys)\n"  # noqa: E501
ONE_AFTER = "import os\nfrom pathlib import Path\n\n\ndef f(xs):\n    return xs.take(3)\n\n\ndef g(p):\n    return Path(p, 'x')\n"  # noqa: E501
TWO_AFTER = TWO.replace("choose, other", "other").replace("choose(ys, 4)", "ys.take(4)")
ELSEWHERE = {
    "three.py": (
        "import os\nfrom old_kit import choose\n\nprint(choose(range(9), 2), os.path.join('a', 'b'))\n",
        "import os\nfrom pathlib import Path\n\nprint(range(9).take(2), Path('a', 'b'))\n",
    ),
    # Another use of the name keeps the import.
    "four.py": (
        "from old_kit import choose\n\nkey = choose\nprint(choose([], 1))\n",
        "from old_kit import choose\n\nkey = choose\nprint([].take(1))\n",
    ),
    # The name comes from elsewhere.
    "five.py": ("from elsewhere import choose\n\nprint(choose([], 1))\n",) * 2,
    # One name of several goes.
    "six.py": (
        "from old_kit import choose, last\n\nprint(last(choose([], 1)))\n",
        "from old_kit import last\n\nprint(last([].take(1)))\n",
    ),
    # No import after which another could come: the use is no sure place.
    "seven.py": ("print(os.path.join('a', 'b'))\n",) * 2,
}


def git(*words: str) -> None:
    name = ("-c", "user.name=n", "-c", "user.email=a@b.c")
    subprocess.run(["git", *name, *words], check=True, capture_output=True)


@pytest.fixture
def repo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository in which two files were changed by hand, nothing committed yet."""
    monkeypatch.chdir(tmp_path)
    git("init", "-q", ".")
    texts = {"one.py": ONE, "two.py": TWO} | {name: pre for name, (pre, _) in ELSEWHERE.items()}
    for name, text in texts.items():
        (tmp_path / name).write_text(text)
    git("add", "-A")
    git("commit", "-qm", "start")
    (tmp_path / "one.py").write_text(ONE_AFTER)
    (tmp_path / "two.py").write_text(TWO_AFTER)
    return tmp_path


def test_uses_and_imports_go_and_come_together(repo: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["edit", "--like", "HEAD", "--json", "--write"]) == 0
    *rows, last = map(json.loads, capsys.readouterr().out.splitlines())
    assert {name: (repo / name).read_text() for name in ELSEWHERE} == {
        name: post for name, (_, post) in ELSEWHERE.items()
    }
    assert last["left_to_you"] == [] and set(last["tiers"]) == {"train"}
    assert {row["path"] for row in rows if not row["sure"]} == {"seven.py"}
    assert (repo / "one.py").read_text() == ONE_AFTER and (repo / "two.py").read_text() == TWO_AFTER


@pytest.mark.parametrize("way", ["stdin", "diff", "commit", "range", "staged", "pair"])
def test_the_change_may_come_from_anywhere(
    repo: Path, way: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    diff = subprocess.run(["git", "diff"], capture_output=True, check=True).stdout
    words = {"stdin": ["--like", "-"], "diff": ["--like", "../hand.diff"], "commit": ["--like", "HEAD"],
             "range": ["--like", "HEAD~1..HEAD"], "staged": ["--staged"],
             "pair": ["--like", "../before.py", "one.py"]}[way]  # fmt: skip
    (repo.parent / "hand.diff").write_bytes(diff)
    (repo.parent / "before.py").write_text(ONE)
    if way == "stdin":
        monkeypatch.setattr("sys.stdin", (repo.parent / "hand.diff").open())
    if way == "staged":
        git("add", "-A")
    if way in ("commit", "range"):
        git("commit", "-qam", "two")
    assert cli.main(["edit", *words, "--json"] + (["three.py"] if way == "pair" else [])) == 0
    *rows, last = map(json.loads, capsys.readouterr().out.splitlines())
    found = {(row["path"], row["old"], row["new"]) for row in rows if row["sure"]}
    assert ("three.py", "choose(range(9), 2)", "range(9).take(2)") in found
    assert ("three.py", "os.path.join('a', 'b')", "Path('a', 'b')") in found
    assert last["left_to_you"] == []


def test_a_rule_pack_passes_the_tests_of_ast_grep(repo: Path) -> None:
    assert cli.main(["edit", "--like", "HEAD", "--save", "pack"]) == 0
    done = subprocess.run([binary(), "test", "-c", "pack/sgconfig.yml"], capture_output=True, check=False)
    assert done.returncode == 0, done.stdout
    cases = list(Path("pack/tests").glob("*-test.yml"))
    assert len(cases) == len(list(Path("pack/rules").glob("*.yml"))) >= 4


def test_what_no_rule_makes_is_listed_by_hunk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    git("init", "-q", ".")
    functions = [f"def f{n}(x):\n    y = x + {n}\n    return [y, x, {n}]\n\n\n" for n in range(4)]
    (tmp_path / "a.py").write_text("a = os.getcwdu()\n\n\n" + "".join(functions))
    git("add", "-A")
    git("commit", "-qm", "start")
    moved = [functions[2], functions[1], functions[0], functions[3]]
    (tmp_path / "a.py").write_text("a = os.getcwd()\n\n\n" + "".join(moved))
    (tmp_path / "b.py").write_text("new = 1\n")
    (tmp_path / "c.py").write_text("c = os.getcwdu()\n")
    git("add", "b.py")
    assert cli.main(["edit", "--like", "HEAD", "--json", "--write"]) == 0
    last = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert (tmp_path / "c.py").read_text() == "c = os.getcwd()\n"
    assert "b.py: a new file" in last["left_to_you"]
    assert any(line.startswith("a.py:") and "→" in line for line in last["left_to_you"])


_NOW = "from datetime import datetime\n\n\ndef f():\n    return datetime.utcnow()\n"
_NOW_AFTER = _NOW.replace("import datetime", "import datetime, timezone").replace("utc", "", 1)
_NOW_AFTER = _NOW_AFTER.replace("now()", "now(timezone.utc)")

CHANGES = [
    ("a.js", "import moment from 'moment';\nimport x from './x';\n\nlog(moment(x).valueOf());\n",
     "import x from './x';\n\nlog(new Date(x).getTime());\n",
     "import moment from \"moment\"\nimport y from './y'\n\nsend(moment(y.z).valueOf(), 2)\n",
     "import y from './y'\n\nsend(new Date(y.z).getTime(), 2)\n"),
    ("a.js", "const odd = require('is-odd');\nconst q = require('q');\n\nq(odd(3));\n",
     "const q = require('q');\n\nq(3 % 2 === 1);\n",
     "const odd = require('is-even');\n\nodd(4);\n", "const odd = require('is-even');\n\nodd(4);\n"),
    ("a.ts", "import { join, fold } from './kit';\n\nexport const a: string = fold(join(b));\n",
     "import { fold } from './kit';\n\nexport const a: string = fold(b.joined());\n",
     "import { fold, join } from './kit';\n\nfold(join(c));\n",
     "import { fold } from './kit';\n\nfold(c.joined());\n"),
    ("A.java", "import a.Old;\nimport a.Z;\n\nclass A {\n    Z f() { return Old.make(1); }\n}\n",
     "import a.Z;\nimport a.Fresh;\n\nclass A {\n    Z f() { return Fresh.of(1); }\n}\n",
     "import a.Old;\nimport a.Z;\n\nclass B {\n    Z g(Z q) { return Old.make(q); }\n}\n",
     "import a.Z;\nimport a.Fresh;\n\nclass B {\n    Z g(Z q) { return Fresh.of(q); }\n}\n"),
    ("a.rs", "use kit::old_fold;\nuse kit::Z;\n\nfn f(z: Z) -> u8 {\n    old_fold(z, 1)\n}\n",
     "use kit::Z;\n\nfn f(z: Z) -> u8 {\n    z.folded(1)\n}\n",
     "use kit::old_fold;\nuse kit::Z;\n\nfn g(y: Z) -> u8 {\n    old_fold(y, 2)\n}\n",
     "use kit::Z;\n\nfn g(y: Z) -> u8 {\n    y.folded(2)\n}\n"),
    ("a.py", '"""Doc."""\n\nimport old\nimport z\n\nz.g(old.make(1))\n',
     '"""Doc."""\n\nimport z\nimport fresh\n\nz.g(fresh.of(1))\n',
     '"""Other."""\n\nimport old\nimport z\n\nz.h(old.make(7))\n',
     '"""Other."""\n\nimport z\nimport fresh\n\nz.h(fresh.of(7))\n'),
    ("a.kt", "import a.Old\nimport a.Z\n\nfun f(): Z = Old.make(1)\n",
     "import a.Z\nimport a.Fresh\n\nfun f(): Z = Fresh.of(1)\n",
     "import a.Old\nimport a.Z\n\nfun g(q: Z): Z {\n    return Old.make(q)\n}\n",
     "import a.Z\nimport a.Fresh\n\nfun g(q: Z): Z {\n    return Fresh.of(q)\n}\n"),
    ("a.php", "<?php\n\nuse A\\Old;\nuse A\\Z;\n\nfunction f(): Z\n{\n    return Old::make(1);\n}\n",
     "<?php\n\nuse A\\Z;\nuse A\\Fresh;\n\nfunction f(): Z\n{\n    return Fresh::of(1);\n}\n",
     "<?php\n\nuse A\\Old;\nuse A\\Z;\n\nfunction g(Z $q): Z\n{\n    return Old::make($q);\n}\n",
     "<?php\n\nuse A\\Z;\nuse A\\Fresh;\n\nfunction g(Z $q): Z\n{\n    return Fresh::of($q);\n}\n"),
    # A name joins an import of its module, in one line or several, but not one for types or elsewhere.
    ("a.py", _NOW, _NOW_AFTER,
     "import os\nfrom datetime import date as d, datetime  # noqa\n\nx = datetime.utcnow()\n",
     "import os\nfrom datetime import date as d, datetime, timezone  # noqa\n\n"
     "x = datetime.now(timezone.utc)\n"),
    ("a.py", _NOW, _NOW_AFTER,
     "if CHECKED:\n    from datetime import date\nfrom datetime import (\n    datetime,\n)\n\n"
     "x = datetime.utcnow()\n",
     "if CHECKED:\n    from datetime import date\nfrom datetime import (\n    datetime,\n    timezone,\n)\n\n"
     "x = datetime.now(timezone.utc)\n"),
    ("a.py", _NOW, _NOW_AFTER,
     "from datetime import (\n    datetime,  # why\n)\n\nx = datetime.utcnow()\n",
     "from datetime import (\n    datetime,  # why\n)\nfrom datetime import timezone\n\n"
     "x = datetime.now(timezone.utc)\n"),
    ("a.ts", "import { a } from 'm';\n\na.oldCall(1);\na.oldCall(2);\n",
     "import { a, b } from 'm';\n\nb(a, 1);\nb(a, 2);\n",
     "import type { T } from 'm';\nimport { c as d, a } from 'm';\n\na.oldCall(x);\n",
     "import type { T } from 'm';\nimport { c as d, a, b } from 'm';\n\nb(a, x);\n"),
    ("a.js", "import { a } from 'm';\n\na.oldCall(1);\na.oldCall(2);\n",
     "import { a, b } from 'm';\n\nb(a, 1);\nb(a, 2);\n",
     "import a from 'm';\n\na.oldCall(x);\n", "import a from 'm';\nimport { b } from 'm';\n\nb(a, x);\n"),
    # Two imports become one.
    ("A.java", "import a.Old;\nimport a.Two;\n\nclass A {\n    int x = Old.of(Two.get(1));\n}\n",
     "import b.Fresh;\n\nclass A {\n    int x = Fresh.make(1);\n}\n",
     "import a.Old;\nimport a.Two;\n\nclass B {\n    int y = Old.of(Two.get(z));\n}\n",
     "import b.Fresh;\n\nclass B {\n    int y = Fresh.make(z);\n}\n"),
    # What is noted behind an import would stand behind another one.
    ("a.py", "import old\nimport z\n\nz.g(old.make(1))\n", "import z\n\nz.g(made(1))\n",
     "import z\nimport old  # late\n\nz.h(old.make(7))\n", "import z\nimport old  # late\n\nz.h(made(7))\n"),
    # The path of what goes is more than a word.
    ("a.js", "import odd from 'is-odd';\nimport q from './lib/q';\n\nq(odd(3));\n",
     "import q from './lib/q';\n\nq(3 % 2 === 1);\n",
     "import r from './lib/r';\nimport odd from 'is-odd';\n\nr(odd(5), 1);\n",
     "import r from './lib/r';\n\nr(5 % 2 === 1, 1);\n"),
    # A package that a file imports already is not imported twice.
    ("a.go", 'package p\n\nimport (\n\t"fmt"\n\t"io/ioutil"\n)\n\nfunc f() { fmt.P(ioutil.ReadFile()) }\n',
     'package p\n\nimport (\n\t"fmt"\n\t"os"\n)\n\nfunc f() { fmt.P(os.ReadFile()) }\n',
     'package p\n\nimport (\n\t"io/ioutil"\n\t"os"\n)\n\nfunc g() { os.Exit(len(ioutil.ReadFile(n))) }\n',
     'package p\n\nimport (\n\t"os"\n)\n\nfunc g() { os.Exit(len(os.ReadFile(n))) }\n'),
    # What the new package has of the old one is known of `ReadFile` only.
    ("a.go", 'package p\n\nimport "io/ioutil"\n\nfunc f() { ioutil.ReadFile("a") }\n',
     'package p\n\nimport "os"\n\nfunc f() { os.ReadFile("a") }\n',
     *['package p\n\nimport "io/ioutil"\n\nfunc g() { ioutil.ReadFile(ioutil.TempDir("", "")) }\n'] * 2),
    ("A.java", "import a.Old;\nimport a.Z;\n\nclass A {\n    Z f() { return Old.same(1); }\n}\n",
     "import a.Z;\nimport b.New;\n\nclass A {\n    Z f() { return New.same(1); }\n}\n",
     "import a.Old;\nimport a.Z;\n\nclass B {\n    Z g() { Old.same(Old.other()); }\n}\n",
     "import a.Old;\nimport a.Z;\nimport b.New;\n\nclass B {\n    Z g() { New.same(Old.other()); }\n}\n"),
    # A class from another package, by itself.
    ("A.java", "import a.Old;\nimport a.Z;\n\nclass A {\n    Z f(Old o) { return new Old(o); }\n}\n",
     "import a.Z;\nimport b.New;\n\nclass A {\n    Z f(New o) { return new New(o); }\n}\n",
     "import a.Old;\nimport a.Z;\n\nclass B {\n    Z g() { return new Old(1); }\n}\n",
     "import a.Z;\nimport b.New;\n\nclass B {\n    Z g() { return new New(1); }\n}\n"),
    # One class of a package moves, others stay.
    ("A.java", "package k.in;\n\nimport k.in.make.Mode;\nimport k.in.make.Z;\n\nclass A { Mode m; Z z; }\n",
     "package k.in;\n\nimport k.make.Mode;\nimport k.in.make.Z;\n\nclass A { Mode m; Z z; }\n",
     "package k.in.other;\n\nimport k.in.make.Mode;\nimport k.in.make.ModeFactory;\n\nclass B { Mode m; }\n",
     "package k.in.other;\n\nimport k.make.Mode;\nimport k.in.make.ModeFactory;\n\nclass B { Mode m; }\n"),
    # A file that defines the name does not import it.
    ("a.py", "import os\n\n\ndef f(x):\n    return os.look(x)\n",
     "import os\nfrom kit import look\n\n\ndef f(x):\n    return look(x)\n",
     *["import sys\n\n\ndef look(x):\n    return sys.path\n\n\nlook(1)\n"] * 2),
    # A name that only comes from elsewhere: alone, beside another one, already there.
    ("a.py", "from kit import Map\nfrom z import y\n\nprint(isinstance(y, Map))\n",
     "from kit.base import Map\nfrom z import y\n\nprint(isinstance(y, Map))\n",
     "from kit import Map, Order\nfrom kit.base import Seq\n\nf(Map, Order, Seq)\n",
     "from kit import Order\nfrom kit.base import Seq, Map\n\nf(Map, Order, Seq)\n"),
    ("a.py", "import os\nfrom kit import (\n    Map,\n    Seq,\n)\n\nf(Map, Seq)\n",
     "import os\nfrom base import (\n    Map,\n    Seq,\n)\n\nf(Map, Seq)\n",
     "from kit import (\n    Map,\n    Seq,\n)\nfrom kit import Other\n\ng(Map)\n",
     "from base import (\n    Map,\n    Seq,\n)\nfrom kit import Other\n\ng(Map)\n"),
    ("a.py", "import a.cTree as ET\n\nET.parse(1)\n", "import a.Tree as ET\n\nET.parse(1)\n",
     "import json\nimport a.cTree as ET\n\nET.dump(2)\n",
     "import json\nimport a.Tree as ET\n\nET.dump(2)\n"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "pre", "post", "other", "wanted"), CHANGES)
def test_imports_are_tied_to_their_uses_in_every_language(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
    name: str, pre: str, post: str, other: str, wanted: str,
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    suffix = Path(name).suffix
    (tmp_path / f"before{suffix}").write_text(pre)
    (tmp_path / name).write_text(post)
    (tmp_path / f"other{suffix}").write_text(other)
    words = ["edit", "--like", f"before{suffix}", name, f"other{suffix}", "--json"]
    cli.main(words)
    *rows, last = map(json.loads, capsys.readouterr().out.splitlines())
    assert last["left_to_you"] == []
    only = [f"other{suffix}:{row['line']}" for row in rows]
    cli.main([*words, "--write", *(["--only", *only] if only else [])])
    assert (tmp_path / f"other{suffix}").read_text() == wanted


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["--staged"], 0), (["--like", "HEAD..HEAD"], 0), (["--like", "../empty.diff"], 0),
        (["--like", "three.py", "four.py"], 0), (["--like", "../modes.diff"], 0),
        (["--like", "../words.txt"], 2), (["--like", "../new.diff"], 1),
    ],
)  # fmt: skip
def test_a_change_of_nothing_is_no_failure(
    repo: Path, words: list[str], code: int, capsys: pytest.CaptureFixture[str]
) -> None:
    git("checkout", "-q", ".")
    (repo / "four.py").write_text((repo / "three.py").read_text())
    for name, text in (
        ("empty.diff", "\n"), ("words.txt", "no diff\n"),
        ("modes.diff", "diff --git a/x.py b/x.py\nold mode 100644\nnew mode 100755\n"),
        ("new.diff", "--- /dev/null\n+++ b/n.py\n@@ -0,0 +1 @@\n+a = 1\n"),
    ):  # fmt: skip
        (repo.parent / name).write_text(text)
    assert cli.main(["edit", *words, "--json"]) == code
    told = capsys.readouterr()
    if code == 0:
        assert json.loads(told.out) == {"matches": 0, "sure": 0, "written": []}
        assert "there is no change to learn from" in told.err
    if code == 1:
        assert "n.py: a new file" in told.err


@pytest.mark.parametrize(
    ("suffix", "pre", "post", "other", "why"),
    [
        (".java", "class A {\n    void f() {\n        filterAll();\n    }\n}\n",
         "class A {\n    void f() {\n        filterSome();\n    }\n}\n",
         "class B {\n    void g() {\n        filterAll();\n        x.filterAll();\n    }\n}\n", "literal"),
        (".py", 'def f():\n    """Returns it all."""\n\ndef g():\n    """Returns a part, or nothing."""\n',
         'def f():\n    """Return it all."""\n\ndef g():\n    """Return a part, or nothing."""\n',
         'def g():\n    """Returns more of it."""\n', "only words of a text change"),
    ],
)  # fmt: skip
def test_what_may_mean_something_else_there_is_only_possible(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
    suffix: str, pre: str, post: str, other: str, why: str,
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    for name, text in (("before", pre), ("after", post), ("other", other)):
        (tmp_path / f"{name}{suffix}").write_text(text)
    words = [f"before{suffix}", f"after{suffix}", f"other{suffix}"]
    cli.main(["edit", "--like", *words, "--json", "--write"])
    *rows, last = map(json.loads, capsys.readouterr().out.splitlines())
    assert rows and last["sure"] == 0 and last["written"] == []
    assert all(why in row["why"] for row in rows)


def test_a_version_before_may_have_a_name_of_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.py.orig").write_text("x = os.getcwdu()\n")
    (tmp_path / "a.py").write_text("x = os.getcwd()\n")
    (tmp_path / "b.py").write_text("y = os.getcwdu()\n")
    (tmp_path / "b.js").write_text("y = 1\n")
    assert cli.main(["edit", "--like", "a.py.orig", "a.py", "b.py", "--write"]) == 0
    assert (tmp_path / "b.py").read_text() == "y = os.getcwd()\n"
    assert cli.main(["edit", "--like", "a.py", "b.js", "b.py"]) == 2
    assert "b.js: after the change of a.py, a file of python was expected" in capsys.readouterr().err
    assert cli.main(["edit", "--like", "a.py", "nowhere.py"]) == 2
    assert "no file after the change is named" in capsys.readouterr().err


def test_a_name_that_is_an_option_of_git_is_none(repo: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["edit", "--like=--output=made..HEAD", "."]) == 2
    assert not list(repo.glob("made*")) and "error" in capsys.readouterr().err


def test_a_change_that_is_no_utf8_is_named_and_the_rest_goes_on(
    repo: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Where nothing else is uncommitted, the last commit is meant; the file is named all the same."""
    (repo / "old.py").write_text("a = 1\nname = 'x'\n")
    git("add", "-A")
    git("commit", "-qm", "second")
    (repo / "old.py").write_bytes(b"a = 1\nname = '\xe9'\n")
    assert cli.main(["edit", "--like", "HEAD"]) == 0
    told = capsys.readouterr()
    assert told.err.count("old.py: not UTF-8 text, at byte 14 (line 2)") == 1
    assert "x.take" in told.out or ".take(" in told.out
    (repo / "one.py").write_text(ONE_AFTER.replace("x'", "z'"))
    assert cli.main(["edit", "--like", "HEAD"]) == 0
    assert capsys.readouterr().err.count("old.py: not UTF-8 text, at byte 14 (line 2)") == 1


@pytest.mark.parametrize("named", ["hand.diff", "before.py"])
def test_a_file_that_is_no_utf8_is_not_learned_from(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], named: str
) -> None:
    """Read with marks for what is no text, it would be learned from as something else than it is."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "before.py").write_bytes(b"x = old(1)  # \xe9\n")
    (tmp_path / "after.py").write_bytes(b"x = new(1)  # \xe9\n")
    diff = "--- a/after.py\n+++ b/after.py\n@@ -1 +1 @@\n-x = old(1)  # \ufffd\n+x = new(1)  # \ufffd\n"
    (tmp_path / "hand.diff").write_text(diff)
    words = [named, "."] if named == "hand.diff" else [named, "after.py", "."]
    assert cli.main(["edit", "--like", *words]) != 0
    assert "not UTF-8 text, at byte 14 (line 1)" in capsys.readouterr().err


@pytest.mark.parametrize("sign", ["\f", "\u2028", "\x85"], ids=["form feed", "U+2028", "U+0085"])
def test_only_a_newline_ends_a_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], sign: str
) -> None:
    """What no rule makes is named by its line as diffs count it, and the diff has that many lines."""
    monkeypatch.chdir(tmp_path)
    before = f"# {sign} {sign}\nx = old(1)\ny = 2\n"
    files = {"before.py": before, "after.py": before.replace("old", "new"), "other.py": f"# {sign}\nold(3)\n"}
    for name, text in files.items():
        (tmp_path / name).write_bytes(text.encode())
    cli.main(["edit", "--like", "before.py", "after.py", "other.py", "--write"])
    told = capsys.readouterr()
    assert "other.py:2: old  →  new" in told.out
    assert "no rule reproduces this part" not in told.err
    assert (tmp_path / "other.py").read_bytes() == f"# {sign}\nnew(3)\n".encode()
    assert "@@ -1,2 +1,2 @@" in told.err


def test_a_doubt_is_asked_for_once_a_place(tmp_path: Path) -> None:
    from rulewright.codemod.offer import offer_learned
    from rulewright.codemod.work import JudgeOptions, work_on
    from rulewright.mining.by_hand.diffs import Change
    from rulewright.mining.by_hand.learn import learn
    from rulewright.mining.by_hand.learned import LearnedRules

    (tmp_path / "a.py").write_text("old(1)\nold(2)\n")
    change = Change(tmp_path / "one.py", "python", "x = old(1)\n", "x = new(1)\n")
    asked: list[int] = []

    class Asked(LearnedRules):
        def doubt(self, path: Path, place: Place, lines: Sequence[str] = ()) -> str:
            asked.append(place.line)
            return super().doubt(path, place, lines)

    found = learn([change], 1.0)
    learned = Asked(found.rules, found.problems, found.changes, found.names)
    offer = offer_learned(work_on([tmp_path], learned.documents, JudgeOptions(listed=True)), learned)
    assert [len(places) for _, places, _ in (*offer.listing(), *offer.listing())] == [2, 2]
    assert sorted(asked) == [1, 2]
