"""A change made by hand: what is learned, offered and written, and what the user's own lines say."""

from __future__ import annotations

import difflib
import json
import re
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from rulewright import cli
from rulewright.errors import RulewrightError
from rulewright.mining.by_hand.diffs import Change
from rulewright.mining.by_hand.learn import learn
from rulewright.mining.by_hand.learned import LearnedRules
from rulewright.verdict import Place


def change(folder: Path, name: str, pre: str, post: str, context: int = 3) -> None:
    """Write a file as it is after a change, and add the change to `hand.diff`."""
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(post, encoding="utf-8")
    old, new = pre.splitlines(keepends=True), post.splitlines(keepends=True)
    with (folder / "hand.diff").open("a", encoding="utf-8") as stream:
        stream.writelines(difflib.unified_diff(old, new, f"a/{name}", f"b/{name}", n=context))


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


CWD = ("a = os.getcwdu()\n", "a = os.getcwd()\n")


def test_links_and_bytes_that_are_no_text_are_named(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    change(here, "src/a.py", *CWD)
    (here / "src/b.py").write_text("b = os.getcwdu()\n")
    (here / "src/gone.py").symlink_to("nowhere.py")
    (here / "src/old.py").write_bytes(b"# \xe9\nb = os.getcwdu()\n")
    assert cli.main(["edit", "--like", "hand.diff", "src", "--write"]) == 0
    said = capsys.readouterr().err
    assert "src/old.py: not UTF-8" in said and "src/gone.py: a link" in said
    assert (here / "src/b.py").read_text() == "b = os.getcwd()\n"


@pytest.mark.parametrize("command", [["edit", "--like"], ["mine", "--from-diff"]])
def test_ignored_and_hidden_files_are_left_out(here: Path, command: list[str]) -> None:
    subprocess.run(["git", "init", "-q", "."], check=True)
    change(here, "src/a.py", *CWD)
    (here / ".gitignore").write_text("made/\n")
    for folder in ("vendor", "made", ".hid"):
        (here / folder).mkdir()
        (here / folder / "f.py").write_text(CWD[0])
    assert cli.main([*command, "hand.diff", ".", "--write"]) == 0
    texts = {folder: (here / folder / "f.py").read_text() for folder in ("vendor", "made", ".hid")}
    assert texts == {"vendor": CWD[1], "made": CWD[0], ".hid": CWD[0]}


def test_the_rule_is_saved(here: Path) -> None:
    change(here, "src/a.py", *CWD)
    assert cli.main(["edit", "--like", "hand.diff", "src", "--save", "kept.yml"]) == 0
    (here / "src/b.py").write_text("b = os.getcwdu()\n")
    assert cli.main(["apply", "kept.yml", "src/b.py", "--write"]) == 0
    assert (here / "src/b.py").read_text() == "b = os.getcwd()\n"


LOSSY = (
    "class A {\n    @interface K {\n        public String a();\n        public int[] b();\n    }\n}\n",
    "class A {\n    @interface K {\n        String a();\n        int[] b();\n    }\n}\n",
)


def test_a_rule_that_is_not_trusted_writes_nothing_unseen(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    change(here, "src/A.java", *LOSSY)
    other = "class B {\n    public int size() { return 1; }\n    public B() {}\n}\n"
    (here / "src/B.java").write_text(other)
    cli.main(["edit", "--like", "hand.diff", "src", "--write"])
    assert (here / "src/B.java").read_text() == other


def test_a_literal_rule_lists_candidates_that_can_be_named(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    change(here, "a.py", "limit = 5\n", "limit = 50\n")
    (here / "b.py").write_text("x = 1\nlimit = 5\n")
    arguments = ["edit", "--like", "hand.diff", "b.py", "--json"]
    code = cli.main([*arguments, "--write"])
    *rows, last = map(json.loads, capsys.readouterr().out.splitlines())
    assert last["tier"] != "train" and rows, "a rule that is not trusted, elsewhere"
    assert code == 1 and not last["written"] and (here / "b.py").read_text() == "x = 1\nlimit = 5\n"
    assert [row["sure"] for row in rows] == [False]
    assert cli.main([*arguments, "--write", "--only", "b.py:2"]) == 0
    assert (here / "b.py").read_text() == "x = 1\nlimit = 50\n"


def test_a_line_that_the_diff_shows_unchanged_stays(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pre = "class P:\n    def stop(self):\n        self.pump.stop()\n\n    def f(self):\n        self.stop()\n"
    post = pre.replace("def stop(self)", "def halt(self)").replace(
        "        self.stop()", "        self.halt()"
    )
    change(here, "py/pipe.py", pre, post)
    cli.main(["edit", "--like", "hand.diff", "py", "--write"])
    assert "pipe.py:3" not in capsys.readouterr().out
    assert (here / "py/pipe.py").read_text() == post


def test_places_that_were_left_in_a_changed_file_are_possible_ones(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pre = "a = os.getcwdu()\n" * 4 + "pass\n" * 9 + "b = os.getcwdu() + c\n"
    change(here, "one.py", pre, pre.replace("getcwdu()\n", "getcwd()\n"))
    (here / "two.py").write_text("d = os.getcwdu()\n")
    assert cli.main(["edit", "--like", "hand.diff", "one.py", "two.py", "--json", "--write"]) == 0
    *rows, last = map(json.loads, capsys.readouterr().out.splitlines())
    assert [(row["path"], row["line"], row["sure"]) for row in rows] == [
        ("one.py", 14, False),
        ("two.py", 1, True),
    ]
    assert last["written"] == ["two.py"]


def test_places_that_were_left_tell_against_a_rule(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pre = "a = os.getcwdu()\n" + "pass\n" * 9 + "b = os.getcwdu() + c\n" * 6
    change(here, "one.py", pre, pre.replace("getcwdu()\npass", "getcwd()\npass"))
    (here / "two.py").write_text("d = os.getcwdu()\n")
    assert cli.main(["edit", "--like", "hand.diff", "two.py", "--write"]) == 1
    assert "hold 6 more places like the 1 that you changed" in capsys.readouterr().err
    assert "getcwdu" in (here / "two.py").read_text()


def test_two_files_of_two_languages_give_a_rule_each(here: Path) -> None:
    change(here, "a.py", *CWD)
    change(here, "a.js", "const a = fs.existsync(b)\n", "const a = fs.existsSync(b)\n")
    (here / "src").mkdir()
    (here / "src/b.py").write_text("b = os.getcwdu()\n")
    (here / "src/b.js").write_text("let c = fs.existsync(d)\n")
    assert cli.main(["edit", "--like", "hand.diff", "src", "--write"]) == 0
    assert (here / "src/b.py").read_text() == "b = os.getcwd()\n"
    assert (here / "src/b.js").read_text() == "let c = fs.existsSync(d)\n"


def test_asking_and_a_diff_on_stdin_exclude_each_other(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["edit", "--like", "-", ".", "--interactive"]) == 2
    assert "--interactive" in capsys.readouterr().err


def test_an_import_and_its_uses_are_two_rules(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pre = "from old_kit import choose\nimport os\n\n\ndef f(xs):\n    return choose(xs, 3)\n"
    post = pre.replace("from old_kit import choose\n", "").replace("choose(xs, 3)", "xs.take(3)")
    change(here, "src/a.py", pre, post)
    (here / "src/b.py").write_text("from old_kit import choose\n\nprint(choose(range(9), 2))\n")
    assert cli.main(["edit", "--like", "hand.diff", "src", "--json"]) == 0
    *rows, last = map(json.loads, capsys.readouterr().out.splitlines())
    assert len(last["action"]["rules"]) == 2
    assert ("choose(range(9), 2)", "range(9).take(2)") in {(row["old"], row["new"]) for row in rows}


def test_two_constants_of_two_functions_are_two_short_rules(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def body(one: str, two: str) -> str:
        middle = "func mid(w W) { w.Go() }\n\n" * 3
        calls = [f"func {name}(w W) {{\n\tw.Send({code})\n}}\n\n" for name, code in (("a", one), ("b", two))]
        return f"package p\n\n{calls[0]}{middle}{calls[1]}"

    change(here, "go/a.go", body("404", "403"), body("code.NotFound", "code.Forbidden"))
    assert cli.main(["edit", "--like", "hand.diff", "go", "--json"]) == 0
    last = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert len(last["action"]["rules"]) == 2 and len(json.dumps(last["action"])) < 400


CALLS = [
    ("a.rs", "fn a() -> P {{\n    {}\n}}\n", "Place::none()", "Place::zero()",
     "fn b(none: u8) -> u8 {\n    Other::none();\n    none\n}\n"),
    ("A.java", "class A {{\n    int f() {{ return {}; }}\n}}\n", "Files.open(x)", "Files.read(x)",
     "class B {\n    int open;\n    int open() { return Door.open(open); }\n}\n"),
    ("a.go", "package p\n\nfunc f() {{\n\t{}\n}}\n", "w.Send(1)", "w.Post(1)",
     "package p\n\nfunc g(t T) int {\n\treturn t.Send\n}\n"),
    ("a.ts", "function f() {{\n  {}\n}}\n", "conn.recv(1)", "conn.arecv(1)",
     "const recv = conn.recv\ntype T = {{ recv: number }}\n"),
    ("a.py", "{}\n", "old_run(1)", "run(1)", "def f(old_run):\n    return old_run\n"),
    ("a.py", "import os\n{}\n", "os.getcwdu()", "os.getcwd()", "def getcwdu():\n    return self.getcwdu()\n"),
    ("a.rb", "def f(w)\n  {}\nend\n", "w.send_it(1)", "w.post_it(1)", "def g(send_it)\n  send_it + 1\nend\n"),
    ("a.rb", "{}\n", "Place.nowhere?(1)", "Place.absent?(1)", "def nowhere?\n  self.nowhere?\nend\n"),
    ("a.php", "<?php\n{};\n", "$w->send(1)", "$w->post(1)",
     "<?php\nfunction send($a)\n{{\n    return $a->send;\n}}\n"),
    ("a.php", "<?php\n{};\n", "Place::nowhere(1)", "Place::absent(1)",
     "<?php\nfunction nowhere()\n{{\n    return self::nowhere();\n}}\n"),
    ("A.cs", "class A\n{{\n    void F(W w) {{ {}; }}\n}}\n", "w.Send(1)", "w.Post(1)",
     "class B\n{\n    int Send;\n    void G() { this.Send = 1; }\n}\n"),
    ("A.cs", "class A\n{{\n    void F() {{ {}; }}\n}}\n", "Place.Nowhere(1)", "Place.Absent(1)",
     "class B\n{\n    void Nowhere() { Nowhere(); }\n}\n"),
    ("A.kt", "fun f(w: W) {{\n    {}\n}}\n", "w.send(1)", "w.post(1)",
     "class B(val send: Int) {\n    fun g(b: B) = b.send\n}\n"),
    ("A.kt", "fun f() {{\n    {}\n}}\n", "Place.nowhere(1)", "Place.absent(1)", "fun nowhere() = 1\n"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "frame", "old", "new", "other"), CALLS)
def test_a_renamed_call_stays_a_call_with_its_qualifier(
    here: Path, name: str, frame: str, old: str, new: str, other: str
) -> None:
    change(here, f"src/{name}", frame.format(old), frame.format(new))
    left, same = here / f"src/other{Path(name).suffix}", here / f"src/same{Path(name).suffix}"
    left.write_text(other)
    same.write_text(frame.format(old))
    assert cli.main(["edit", "--like", "hand.diff", "src", "--write"]) == 0
    assert left.read_text() == other
    assert same.read_text() == frame.format(new)


def test_a_rename_by_spelling_alone_is_never_written_unseen(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    change(here, "src/a.py", "def stop(self):\n    pass\n", "def halt(self):\n    pass\n")
    (here / "src/b.py").write_text("def stop():\n    pass\n")
    assert cli.main(["edit", "--like", "hand.diff", "src", "--write"]) == 1
    assert "whatever that stands for" in capsys.readouterr().err
    assert "stop" in (here / "src/b.py").read_text()


def test_one_prefix_before_two_names_is_two_names(here: Path) -> None:
    pre = "def pull(link):\n    try:\n        return link.recv()\n    finally:\n        link.shut()\n"
    change(here, "src/a.py", pre, pre.replace("recv", "arecv").replace("shut", "ashut"))
    other = "def size(name):\n    return len(name.read())\n"
    (here / "src/b.py").write_text(other)
    (here / "src/c.py").write_text("self.link.recv(1)\n")
    assert cli.main(["edit", "--like", "hand.diff", "src", "--write"]) == 0
    assert (here / "src/b.py").read_text() == other
    assert (here / "src/c.py").read_text() == "self.link.arecv(1)\n"
    assert "aarecv" not in (here / "src/a.py").read_text()


def test_a_place_that_would_break_does_not_bar_the_others_of_its_file(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pre = "use(fetch(one))\nuse(fetch(two))\n"
    change(here, "a.py", pre, re.sub(r"fetch\((\w+)\)", r"(\1 := fetch())", pre))
    (here / "b.py").write_text("use(fetch(a))\nuse(fetch(b.c))\nuse(fetch(d))\n")
    assert cli.main(["edit", "--like", "hand.diff", "b.py", "--write"]) == 0
    assert (here / "b.py").read_text() == "use((a := fetch()))\nuse(fetch(b.c))\nuse((d := fetch()))\n"
    said = capsys.readouterr()
    assert "2 sure, 1 possible" in said.err
    assert "b.py:2: fetch(b.c)  →  (b.c := fetch())   (the result has 1 syntax error" in said.out


def test_a_list_without_room_for_what_comes_is_no_place(here: Path) -> None:
    pre = "run(one)\nrun(two, at=place)\n"
    change(here, "a.py", pre, pre.replace(")", ", check=True)"))
    (here / "b.py").write_text("run(x)\nrun(\n    y,\n)\nrun()\nrun(z, 1)\n")
    assert cli.main(["edit", "--like", "hand.diff", "b.py", "--write"]) == 0
    wanted = "run(x, check=True)\nrun(\n    y,\n)\nrun()\nrun(z, 1, check=True)\n"
    assert (here / "b.py").read_text() == wanted


def test_a_word_that_was_corrected_is_no_part_of_others(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    change(here, "a.py", 'x = "it is equivalen to y"\n', 'x = "it is equivalent to y"\n')
    (here / "b.py").write_text('z = "an equivalent of y"\n')
    (here / "c.py").write_text('z = "they are equivalen too"\n')
    cli.main(["edit", "--like", "hand.diff", "b.py", "c.py", "--write"])
    assert (here / "b.py").read_text() == 'z = "an equivalent of y"\n'


def test_comments_that_go_elsewhere_too_are_possible_places(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    change(here, "a.py", "f(a)  # noqa: X100\ng(a)\n", "f(a)\ng(a)\n")
    (here / "b.py").write_text("h(b)  # noqa: X100\n")
    cli.main(["edit", "--like", "hand.diff", "b.py", "--write"])
    assert (here / "b.py").read_text() == "h(b)  # noqa: X100\n"


def test_a_long_string_that_would_be_indented_is_a_possible_place(here: Path) -> None:
    change(here, "a.py", 'run("select 1")\n', 'with db:\n    run("select 1")\n')
    other = 'run("""\nselect 2\n""")\n'
    (here / "b.py").write_text(other)
    cli.main(["edit", "--like", "hand.diff", "b.py", "--write"])
    assert (here / "b.py").read_text() == other


def test_several_renames_at_once_are_calls_each(here: Path) -> None:
    change(here, "src/a.js", "db.find(x)\ndb.save(y)\n", "db.findAsync(x)\ndb.saveAsync(y)\n")
    (here / "src/b.js").write_text("const f = el.find\nrows.find(1)\ndb.find(2)\n")
    assert cli.main(["edit", "--like", "hand.diff", "src", "--write"]) == 0
    assert (here / "src/b.js").read_text() == "const f = el.find\nrows.find(1)\ndb.findAsync(2)\n"


def test_a_package_that_was_replaced_is_not_replaced_where_it_does_more(here: Path) -> None:
    pre = 'package p\n\nimport "io/ioutil"\n\nfunc f() { b, _ := ioutil.ReadAll(r) }\n'
    change(here, "src/a.go", pre, pre.replace("io/ioutil", "io").replace("ioutil.Read", "io.Read"))
    other = 'package p\n\nimport "io/ioutil"\n\nfunc g() { ioutil.WriteFile("x", c, 0) }\n'
    (here / "src/b.go").write_text(other)
    cli.main(["edit", "--like", "hand.diff", "src", "--write"])
    assert (here / "src/b.go").read_text() == other


def test_a_method_of_ones_own_class_is_none_of_another(here: Path) -> None:
    pre = "class A:\n    def f(self):\n        self.old(1)\n"
    change(here, "src/a.py", pre, pre.replace("old", "new"))
    other = "class B:\n    def old(self): pass\n    def g(self):\n        self.old(2)\n"
    (here / "src/b.py").write_text(other)
    cli.main(["edit", "--like", "hand.diff", "src", "--write"])
    assert (here / "src/b.py").read_text() == other


def test_lines_that_the_diff_shows_are_known_in_the_file_as_it_is() -> None:
    """Those that stayed, wherever they stand now, however often such a line stands in the file."""
    pre = "old(a)\n" + "go()\n" * 300 + "last()\n"
    change = Change(Path("a.py"), "python", pre, pre.replace("old(a)", "new(a)"), frozenset({2, 3, 302}))
    for top, wanted in (("", {2, 3, 302}), ("# top\n", {3, 4, 303})):
        learned = LearnedRules((), (), (replace(change, now=top + pre),))
        places = {line: Place(line, line, "", "", 0) for line in range(1, 305)}
        assert {line for line, place in places.items() if learned.is_excluded(Path("a.py"), place)} == wanted


def test_a_place_that_holds_a_line_of_the_change_is_not_hidden() -> None:
    pre = "old(a)\ngo()\nlast()\nend()\n"
    change = Change(Path("a.py"), "python", pre, pre.replace("old", "new"), frozenset({2, 3, 4}))
    for top, hidden in (("", [(2, 3), (3, 4)]), ("# top\n", [(3, 4)])):
        learned = LearnedRules((), (), (replace(change, now=top + change.post),))
        places = [(line, line + 1) for line in range(1, 4)]
        told = [at for at in places if learned.is_excluded(Path("a.py"), Place(*at, "", "", 0))]
        assert told == hidden


def test_a_message_names_so_many_reasons() -> None:
    changes = [Change(Path(f"{n}.py"), "python", "a\n", "b\0\n") for n in range(9)]
    with pytest.raises(RulewrightError) as told:
        learn(changes, 1.0)
    assert told.value.message.endswith("; ".join(f"{n}.py: binary" for n in range(8)))
    with pytest.raises(RulewrightError, match="the change is empty"):
        learn([], 1.0)


def test_imports_that_change_places_teach_nothing_that_is_trusted() -> None:
    """What is imported stays: a rule that moves one makes no part of the change."""
    pre = "import a.Names.single;\nimport b.List;\n\nclass A {\n  List f() {\n    return go();\n  }\n}\n"
    post = pre.replace("import a.Names.single;\nimport b.List;", "import b.List;\nimport a.Names.single;")
    learned = learn([Change(Path("A.java"), "java", pre, post)], 2.0)
    assert [rule.tier for rule in learned.rules] == ["literal"]
