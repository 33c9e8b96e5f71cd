"""The user's rule file over the user's folder: which files, which places, what is written and said."""

from __future__ import annotations

import io
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from rulewright import cli
from rulewright.actions import Rejection
from rulewright.actions.rule_file import read_given, read_rule_file
from rulewright.engine.cli import binary

RULE = "id: r\nlanguage: Python\nrule: {pattern: $A == None}\nfix: $A is None\n"
GO = "id: g\nlanguage: Go\nrule: {pattern: $A == nil}\nfix: '!$A'\n"
OLD, NEW = "x == None\n", "x is None\n"


def put(folder: Path, **texts: str | bytes) -> None:
    """Write files; `__` in a name stands for a folder, `_dot_` for a dot."""
    for name, text in texts.items():
        path = folder / name.replace("__", "/").replace("_dot_", ".")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text if isinstance(text, bytes) else text.encode())


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    subprocess.run(["git", "init", "-q", "."], check=True)
    put(
        tmp_path,
        rule_dot_yml=RULE, _dot_gitignore="made/\n",
        app__a_dot_py=OLD, app__b_dot_bzl=OLD, app___dot_hid__h_dot_py=OLD, build__c_dot_py=OLD,
        made__m_dot_py=OLD, app__latin_dot_py=b"# \xe9\nx == None\n", other__o_dot_py=OLD,
    )  # fmt: skip
    (tmp_path / "app/link.py").symlink_to("../other/o.py")
    (tmp_path / "app/gone.py").symlink_to("nowhere.py")
    return tmp_path


def bytes_of(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and ".git/" not in str(path)
    }


def both(folder: Path, rule: str, *paths: str) -> tuple[dict[str, bytes], dict[str, bytes]]:
    """The files after `apply --exact --write`, and after `ast-grep scan -U` on a copy."""
    other = folder.parent / f"{folder.name}-cli"
    shutil.copytree(folder, other, symlinks=True)
    subprocess.run([binary(), "scan", "-r", rule, "-U", *paths], cwd=other, check=True, capture_output=True)
    accept = ["--accept", "lossy", "degenerate", "syntax_error"]
    assert cli.main(["apply", rule, *paths, "--exact", "--write", *accept]) == 0
    return bytes_of(folder), bytes_of(other)


def test_it_walks_as_ast_grep_does_and_says_what_it_left_out(
    tree: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ours, theirs = both(tree, "rule.yml", "app", "build")
    assert ours == theirs
    assert ours["build/c.py"] == ours["app/b.bzl"] == NEW.encode()
    assert ours["app/.hid/h.py"] == ours["made/m.py"] == ours["other/o.py"] == OLD.encode()
    capsys.readouterr()
    assert cli.main(["apply", "rule.yml", "."]) == 0
    said = capsys.readouterr().err
    assert "left out: app/latin.py: not UTF-8 text" in said
    assert "1 file that an ignore file names" in said and "1 file hidden" in said
    assert "app/link.py: a link" in said


def test_nothing_is_written_through_a_link(tree: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["apply", "rule.yml", "app/link.py", "--write"]) == 0
    assert "a link" in capsys.readouterr().err
    assert (tree / "other/o.py").read_text() == OLD
    assert cli.main(["apply", "rule.yml", "app/gone.py"]) == 2
    assert "a link to nowhere" in capsys.readouterr().err


@pytest.mark.parametrize(
    "scope",
    ['files: ["app/**"]', 'ignores: ["app/**", "**/b.*"]', 'files: [{glob: "APP/*", caseInsensitive: true}]'],
)
@pytest.mark.parametrize("paths", [["app", "build", "other"], ["."], ["./app", "build"]])
def test_the_globs_of_a_rule_hold(tree: Path, scope: str, paths: list[str]) -> None:
    second = "---\n" + RULE.replace("id: r", "id: s").replace("$A == None", "$A != None")
    put(tree, scoped_dot_yml=RULE + scope + "\n" + second, app__a_dot_py=OLD + "y != None\n")
    ours, theirs = both(tree, "scoped.yml", *paths)
    assert ours == theirs
    if paths[0] == "app":
        assert (b"x is None" in ours["app/a.py"]) != (b"x is None" in ours["build/c.py"])


@pytest.mark.parametrize("place", ["rule.yml", "app/rule.yml", "rules/rule.yml", "../rule.yml"])
@pytest.mark.parametrize("glob", ["app/**", "deep/**", "{}/app/**", "**/deep/*"])
def test_globs_are_read_from_where_the_rule_file_lies(tree: Path, place: str, glob: str) -> None:
    work = tree / "work"
    put(work, app__a_dot_py=OLD, app__deep__d_dot_py=OLD, deep__e_dot_py=OLD, rules__x_dot_py=OLD)
    os.chdir(work)
    (work / place).write_text(f'{RULE}files: ["{glob.format(work.name)}"]\n')
    ours, theirs = both(work, place, ".")
    if glob.startswith("{") and place.startswith(".."):
        # The copy has another name, which the glob does not hold.
        assert NEW.encode() in ours.values() and NEW.encode() not in theirs.values()
    else:
        assert ours == theirs


def test_absolute_paths_are_within_the_globs_of_a_rule_beside_them(tree: Path) -> None:
    put(tree, scoped_dot_yml=RULE + 'files: ["app/**"]\n')
    listed = subprocess.run(
        [binary(), "scan", "-r", "scoped.yml", "--files-with-matches", str(tree)],
        capture_output=True, text=True, check=False,
    ).stdout.split()  # fmt: skip
    assert cli.main(["apply", "scoped.yml", str(tree), "--write"]) == 0
    changed = {str(path) for path in tree.rglob("*.*") if path.is_file() and path.read_text("latin-1") == NEW}
    assert changed - {str(tree / "app/link.py")} == set(listed)


def test_a_rule_that_is_off_changes_nothing(tree: Path, capsys: pytest.CaptureFixture[str]) -> None:
    put(tree, off_dot_yml=RULE + "severity: off\n")
    assert cli.main(["apply", "off.yml", "app", "--write"]) == 0
    shown = capsys.readouterr()
    assert not shown.out and "severity: off" in shown.err
    assert (tree / "app/a.py").read_text() == OLD


def test_scope_means_nothing_in_the_action_of_a_model(tree: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = RULE + 'severity: off\nfiles: ["nowhere/**"]\n'
    body = {"type": "ast_grep", "language": "python", "mode": "yaml", "rule_yaml": text}
    put(tree, action_dot_json=json.dumps({"action": body}))
    assert cli.main(["apply", "action.json", "app/a.py", "--write"]) == 0
    assert (tree / "app/a.py").read_text() == NEW


def test_rules_for_two_languages_each_on_its_files(tree: Path) -> None:
    put(tree, two_dot_yml=f"{RULE}---\n{GO}")
    put(tree, app__g_dot_go="package p\n\nvar a = b == nil\n")
    assert cli.main(["apply", "two.yml", "app", "--write"]) == 0
    assert "var a = !b" in (tree / "app/g.go").read_text() and (tree / "app/a.py").read_text() == NEW


@pytest.mark.parametrize(
    ("name", "file", "code"),
    [
        ("Ruby", "a.gemspec", "{}\n"), ("rb", "a.rb", "{}\n"), ("Php", "a.php", "<?php\n{};\n"),
        ("CSharp", "A.cs", "class A\n{{\n    int b = {};\n}}\n"),
        ("cs", "A.cs", "class A {{ int b = {}; }}\n"),
        ("Kotlin", "a.kts", "{}\n"), ("kt", "A.kt", "fun f() = {}\n"),
    ],
)  # fmt: skip
def test_files_of_a_language_are_found_by_all_its_names_and_endings(
    tree: Path, name: str, file: str, code: str
) -> None:
    put(tree, rule_dot_yml=f"id: r\nlanguage: {name}\nrule: {{pattern: old($$$A)}}\nfix: fresh($$$A)\n")
    (tree / "app" / file).write_text(code.format("old(1, 2)"))
    assert cli.main(["apply", "rule.yml", "app", "--write"]) == 0
    assert (tree / "app" / file).read_text() == code.format("fresh(1, 2)")


@pytest.mark.parametrize("name", ["lua", "json"])
def test_a_language_that_only_ast_grep_takes_is_told_as_that(
    tree: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    put(tree, rule_dot_yml=RULE.replace("Python", name))
    assert cli.main(["apply", "rule.yml", "app"]) == 1
    said = capsys.readouterr().err
    assert "that rulewright does not take" in said and "Python, JavaScript" in said
    assert "did you mean" not in said


CHAIN = (
    "id: a\nlanguage: Python\nrule: {pattern: old_api($A)}\nfix: mid_api($A)\n---\n"
    "id: b\nlanguage: Python\nrule: {pattern: mid_api($A)}\nfix: new_api($A)\n"
)
NESTED = (
    "id: outer\nlanguage: Python\nrule: {pattern: f($A)}\nfix: F($A)\n---\n"
    "id: inner\nlanguage: Python\nrule: {pattern: g($A)}\nfix: G($A)\n"
)


@pytest.mark.parametrize(
    ("rules", "code"), [(CHAIN, "old_api(1)\nmid_api(2)\n"), (NESTED, "f(g(1))\ng(f(2))\nf(1); g(2)\n")]
)
def test_exact_with_several_rules_is_one_pass(tree: Path, rules: str, code: str) -> None:
    put(tree, many_dot_yml=rules, app__a_dot_py=code)
    ours, theirs = both(tree, "many.yml", "app/a.py")
    assert ours == theirs


def test_rules_of_an_action_run_one_after_the_other(tree: Path) -> None:
    put(tree, many_dot_yml=CHAIN, app__a_dot_py="old_api(1)\nmid_api(2)\n")
    assert cli.main(["apply", "many.yml", "app/a.py", "--write"]) == 0
    assert (tree / "app/a.py").read_text() == "new_api(1)\nnew_api(2)\n"


@pytest.mark.parametrize("name", ["@crew/no.trace", "a.b", "no trace", "ü-1"])
def test_a_comment_suppresses_a_rule_of_any_name(tree: Path, name: str) -> None:
    put(tree, odd_dot_yml=json.dumps({
        "id": name, "language": "Python", "rule": {"pattern": "$A == None"}, "fix": "$A is None"
    }), app__a_dot_py=f"# ast-grep-ignore: {name}\n{OLD}# ast-grep-ignore: rule\ny == None\n")  # fmt: skip
    ours, theirs = both(tree, "odd.yml", "app/a.py")
    assert ours == theirs
    assert b"y is None" in ours["app/a.py"]


def test_a_bad_rule_is_said_once(tree: Path, capsys: pytest.CaptureFixture[str]) -> None:
    put(tree, **{f"many__m{n}_dot_py": OLD for n in range(30)})
    put(tree, bad_dot_yml=RULE.replace("$A == None}", "$A == None, inside: {kind: no_such}}"))
    assert cli.main(["apply", "bad.yml", "many"]) == 1
    assert capsys.readouterr().err.count("no_such") == 1


def test_nothing_to_do_is_no_failure(tree: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for _ in range(2):
        assert cli.main(["apply", "rule.yml", "app", "--write"]) == 0
    assert "0 of 2 files changed, 0 places" in capsys.readouterr().err


def test_a_person_may_write_a_long_rule(tree: Path) -> None:
    words = [{"pattern": f"call_{n:05}($A)"} for n in range(2_000)]
    rule = {"any": [*words, {"pattern": "$A == None"}]}
    put(tree, long_dot_yml=json.dumps({"id": "r", "language": "Python", "rule": rule, "fix": "$A is None"}))
    assert (tree / "long.yml").stat().st_size > 40_000
    assert cli.main(["apply", "long.yml", "app/a.py", "--write"]) == 0
    assert (tree / "app/a.py").read_text() == NEW


def test_only_the_places_that_are_named(tree: Path, capsys: pytest.CaptureFixture[str]) -> None:
    put(tree, app__a_dot_py=OLD + "pass\n" + OLD)
    assert cli.main(["apply", "rule.yml", "app", "--only", "app/a.py:3", "--write"]) == 0
    assert (tree / "app/a.py").read_text() == OLD + "pass\n" + NEW
    assert (tree / "app/b.bzl").read_text() == OLD
    assert cli.main(["apply", "rule.yml", "app", "--only", "app/a.py:2"]) == 1
    assert "changes nothing there" in capsys.readouterr().err
    assert cli.main(["apply", "rule.yml", "app", "--only", "app/a.py"]) == 2


def test_lines_of_later_rules_are_those_of_the_file(tree: Path) -> None:
    rules = (
        "id: a\nlanguage: Python\nrule: {pattern: 'import a'}\nfix: |-\n  import b\n  import c\n---\n"
        "id: b\nlanguage: Python\nrule: {pattern: $A == None}\nfix: $A is None\n"
    )
    put(tree, many_dot_yml=rules, app__a_dot_py="import a\n" + OLD + OLD)
    assert cli.main(["apply", "many.yml", "app", "--only", "app/a.py:1", "app/a.py:3", "--write"]) == 0
    assert (tree / "app/a.py").read_text() == "import b\nimport c\n" + OLD + NEW


def test_asked_at_each_place(
    tree: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    put(tree, app__a_dot_py=OLD * 5)
    editor = tree / "editor.sh"
    editor.write_text('#!/bin/sh\necho "x is not Ellipsis" > "$1"\n')
    editor.chmod(0o755)
    monkeypatch.setenv("VISUAL", str(editor))
    monkeypatch.setattr(sys, "stdin", io.StringIO("what\nn\ny\ne\nq\n"))
    assert cli.main(["apply", "rule.yml", "app/a.py", "--interactive"]) == 0
    assert (tree / "app/a.py").read_text() == OLD + NEW + "x is not Ellipsis\n" + OLD + OLD
    assert "app/a.py:4" in capsys.readouterr().err
    assert cli.main(["apply", "-", "app/a.py", "--interactive"]) == 2


def test_documents_are_counted_from_one() -> None:
    for text, says in ((f"{RULE}---\nid: x\n", "document 2: "), (f"id: x\n---\n{RULE}", "document 1: ")):
        found = read_rule_file(text)
        assert isinstance(found, Rejection) and found.detail.startswith(says)
    alone = read_rule_file("id: x\n")
    assert isinstance(alone, Rejection) and "document" not in alone.detail


def test_documents_keep_their_scope() -> None:
    found = read_rule_file(RULE + 'files: ["a"]\nseverity: off\n')
    assert isinstance(found, tuple)
    assert (found[0].files, found[0].ignores, found[0].off) == (("a",), (), True)
    assert "files" not in found[0].action.rules[0]
    flow = read_given("{id: r, language: Python, rule: {kind: pass_statement}, severity: off}")
    assert isinstance(flow, tuple) and flow[0].off


@pytest.mark.parametrize(
    "rule",
    [
        RULE.replace("id: r\n", ""),
        f"{RULE.replace('id: r', '')}---\n{RULE.replace('id: r', '')}",
        "id: q\nlanguage: Python\nrule: {pattern: $A == None}\nfix: f($B, $C)\ntransform:\n"
        "  B: {rewrite: {rewriters: [gone], source: $A}}\n"
        "  C: {rewrite: {rewriters: [gone], source: $A, joinBy: ', '}}\n",
    ],
    ids=["no id", "no ids", "no such rewriter"],
)
def test_what_ast_grep_takes_without_saying_is_taken_alike(tree: Path, rule: str) -> None:
    texts = [
        f"x == None  # ast-grep-ignore{name}\ny == None\n" for name in ("", ": rule", ": rule-0", ": rule-1")
    ]
    put(tree, rule_dot_yml=rule, **{f"app__i{n}_dot_py": text for n, text in enumerate(texts)})
    ours, theirs = both(tree, "rule.yml", "app")
    assert ours == theirs
    assert ours["app/i0.py"] != texts[0].encode()
