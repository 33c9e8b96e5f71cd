"""ast-grep projects: shared utility rules, and folders and files of them named one by one."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from rulewright import cli
from rulewright.engine import cli as ast_grep
from rulewright.engine.project import Unread, documents_of, misplaced_util, read, with_utils

CODE = "x == None\ny == None\nf(1)\nf(f(a == None), 's')\ng(x)\nif a:\n    f('x')\n"
CONFIG = "ruleDirs: [rules]\nutilDirs: [utils]\ntestConfigs: [{testDir: tests}]\n"
UTILS: dict[str, dict[str, Any]] = {
    "is-none": {"rule": {"pattern": "$A == None"}},
    "literal": {"rule": {"any": [{"kind": "integer"}, {"matches": "text"}]}},
    "text": {"rule": {"kind": "string"}, "severity": "off", "fix": "unused"},
    "call": {
        "rule": {"all": [{"matches": "it"}, {"has": {"matches": "literal", "stopBy": "end"}}]},
        "utils": {"it": {"pattern": "f($A, $$$REST)"}, "text": {"kind": "integer"}},
    },
    "outer": {"rule": {"pattern": "f($$$A)", "not": {"inside": {"matches": "outer", "stopBy": "end"}}}},
    "named": {"rule": {"pattern": "$A == None"}, "constraints": {"A": {"regex": "^x"}}},
    "twice": {"rule": {"pattern": "f($A, $A)"}},
    "foreign": {"language": "JavaScript", "rule": {"kind": "call_expression"}},
}
RULES: dict[str, dict[str, Any]] = {
    "plain": {"rule": {"matches": "is-none"}, "fix": "none"},
    "own-variable": {
        "rule": {"all": [{"matches": "is-none"}, {"pattern": "$B == $A"}]}, "fix": "$B is $A",
    },
    "both": {"rule": {"pattern": "f($A)", "has": {"matches": "is-none", "stopBy": "end"}}, "fix": "g($A)"},
    "chain": {"rule": {"matches": "call"}, "fix": "literal"},
    "own": {"utils": {"text": {"kind": "integer"}}, "rule": {"any": [{"matches": "literal"}]}, "fix": ""},
    "of-one": {"rule": {"pattern": "f($A)"}, "constraints": {"A": {"matches": "literal"}}, "fix": "g($A)"},
    "round": {"rule": {"matches": "outer"}, "fix": "outermost"},
    "unbound": {"rule": {"matches": "is-none"}, "fix": "$A is None"},
    "nowhere": {"rule": {"matches": "is-nome"}, "fix": "x"},
}  # fmt: skip


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project in whose folder the command runs."""
    root = tmp_path / "p"
    for name, found in (("rules", RULES), ("utils/deep", UTILS)):
        (root / name).mkdir(parents=True)
        for one, body in found.items():
            text = json.dumps({"id": one, "language": "Python", **body})
            (root / name / f"{one}.yml").write_text(text)
    (root / "tests").mkdir()
    (root / "sgconfig.yml").write_text(CONFIG)
    (root / "a.py").write_text(CODE)
    monkeypatch.chdir(root)
    return root


@pytest.mark.parametrize("name", RULES)
def test_shared_utility_rules_mean_what_they_mean_to_ast_grep(project: Path, name: str) -> None:
    words = ["scan", "--rule", f"rules/{name}.yml", "-U", "a.py"]
    with ast_grep.start(*words, cwd=project, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as running:
        running.communicate()
    wanted = (project / "a.py").read_text()
    (project / "a.py").write_text(CODE)
    code = cli.main(
        ["apply", f"rules/{name}.yml", "a.py", "--write", "--exact", "--accept", "lossy", "syntax_error"]
    )
    assert (project / "a.py").read_text() == wanted
    assert (wanted == CODE, code) == ((True, 1) if name in ("unbound", "nowhere") else (False, 0))


def test_the_project_is_that_of_the_rule_file_else_that_of_the_folder(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copy(project / "rules/plain.yml", tmp_path / "alone.yml")
    (project / "deep").mkdir()
    for folder, rule in ((tmp_path, "p/rules/plain.yml"), (project / "deep", "../../alone.yml")):
        monkeypatch.chdir(folder)
        (project / "a.py").write_text(CODE)
        assert cli.main(["apply", rule, str(project / "a.py"), "--write"]) == 0
        assert (project / "a.py").read_text().startswith("none\n")


@pytest.mark.parametrize(
    ("util", "why"), [("named", "`constraints`"), ("twice", "$A twice"), ("foreign", "JavaScript")]
)
def test_what_only_ast_grep_can_apply_is_said_with_the_next_step(
    project: Path, util: str, why: str, capsys: pytest.CaptureFixture[str]
) -> None:
    rule = {"id": "r", "language": "Python", "rule": {"kind": "call", "has": {"matches": util}}, "fix": "x"}
    (project / "rules/r.yml").write_text(json.dumps(rule))
    assert cli.main(["apply", "rules/r.yml", "a.py"]) == 1
    said = capsys.readouterr().err
    assert why in said and "hint: `ast-grep scan --rule rules/r.yml -U`" in said
    cli.main(["check", "rules/r.yml", "--json"])
    assert json.loads(capsys.readouterr().out.splitlines()[0])["kind"] == "not-checked"


def _kinds(capsys: pytest.CaptureFixture[str], *words: str) -> set[tuple[str, str]]:
    cli.main(["check", *words, "--json"])
    rows = map(json.loads, capsys.readouterr().out.splitlines()[:-1])
    return {(row["kind"], row["path"]) for row in rows}


def test_a_file_or_folder_of_a_project_is_read_with_its_utilities_and_tests(
    project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (project / "rules/unbound.yml").unlink()
    (project / "rules/nowhere.yml").unlink()
    (project / "tests/plain.yml").write_text("id: plain\nvalid: ['x == None']\n")
    noisy = {("test-noisy", "rules/plain.yml")}
    for words in (".", "rules", "rules/plain.yml"):
        assert _kinds(capsys, words) == noisy
    monkeypatch.chdir(project / "rules")
    assert {kind for kind, _ in _kinds(capsys, "plain.yml")} == {"test-noisy"}
    monkeypatch.chdir(project)
    (project / "more").mkdir()
    (project / "rules/plain.yml").rename(project / "more/plain.yml")
    assert _kinds(capsys, "more") == _kinds(capsys, "more/plain.yml") == set()


@pytest.mark.parametrize(
    "text", ["id: a\nlanguage: Python\nrule: {kind: call}\n---\nid: b\n", "language: Python\n"]
)
def test_a_file_of_utilities_that_ast_grep_refuses_is_a_finding(
    project: Path, text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (project / "utils/odd.yml").write_text(text)
    assert ("refused", "utils/odd.yml") in _kinds(capsys, ".")


def test_tests_of_a_rule_that_is_not_there_are_told(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("unbound", "nowhere"):
        (project / f"rules/{name}.yml").unlink()
    (project / "tests/old.yml").write_text("id: plaim\nvalid: ['x']\n---\nid: chain\nvalid: ['x']\n")
    assert _kinds(capsys, ".") == {("test-of-none", "tests/old.yml")}
    cli.main(["check", "."])
    said = capsys.readouterr()
    assert "no rule has the id `plaim`; did you mean `plain`?" in said.out and "7 rules: " in said.err
    assert _kinds(capsys, "rules", "tests") == _kinds(capsys, "rules/plain.yml") == set(), "not the whole"
    # Without a project the folders that are named are all that there is.
    (project / "sgconfig.yml").unlink()
    shutil.rmtree(project / "rules")
    (project / "rules").mkdir()
    (project / "rules/plain.yml").write_text("id: plain\nlanguage: Python\nrule: {pattern: f($A)}\n")
    assert _kinds(capsys, "rules", "tests/old.yml") == set()
    assert _kinds(capsys, "rules", "tests") == {("test-of-none", "tests/old.yml")}
    (project / "rules/old.yml").write_text("id: plaim\nvalid: ['x']\n")
    assert _kinds(capsys, "rules") == {("test-of-none", "rules/old.yml")}


@pytest.mark.parametrize("named", [["."], ["web", "api"], ["web/rules", "api/rules/one.yml"]], ids=" ".join)
def test_each_project_of_a_monorepo_has_rules_tests_and_utilities_of_its_own(
    named: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, called in (("web", "f"), ("api", "g")):
        for folder in ("rules", "utils", "tests"):
            (tmp_path / name / folder).mkdir(parents=True)
        rule = "id: one\nlanguage: Python\nrule: {kind: call, matches: ours}\nfix: h()\n"
        util = f"id: ours\nlanguage: Python\nrule: {{pattern: {called}($A)}}\n"
        (tmp_path / name / "rules/one.yml").write_text(rule)
        (tmp_path / name / "utils/ours.yml").write_text(util)
        (tmp_path / name / "tests/one.yml").write_text(f"id: one\ninvalid: ['{called}(1)']\n")
        (tmp_path / name / "sgconfig.yml").write_text(CONFIG)
    (tmp_path / "api/tests/one.yml").unlink()
    (tmp_path / "new").mkdir()
    (tmp_path / "new/sgconfig.yml").write_text("ruleDirs: [rules]\n")
    (tmp_path / "new/rules").mkdir()
    monkeypatch.chdir(tmp_path)
    assert _kinds(capsys, *named) == set()
    (tmp_path / "web/tests/one.yml").write_text("id: one\ninvalid: ['g(1)']\n")
    assert _kinds(capsys, *named) == {("test-missing", "web/rules/one.yml")}


def test_rules_below_a_project_that_cannot_be_read_are_read_by_themselves(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (project / "sgconfig.yml").write_text(CONFIG.replace("utils", "__UTILS__"))
    shutil.rmtree(project / "rules")
    (project / "rules").mkdir()
    (project / "rules/plain.yml").write_text("id: plain\nlanguage: Python\nrule: {pattern: f($A)}\n")
    assert _kinds(capsys, "rules") == _kinds(capsys, "rules/plain.yml") == set()
    assert cli.main(["check", "."]) == 2 and "no folder `__UTILS__`" in capsys.readouterr().err


def test_the_file_of_a_project_is_no_configuration(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["apply", "rules/plain.yml", "a.py", "--config", "sgconfig.yml"]) == 2
    said = capsys.readouterr().err
    assert "is the configuration of an ast-grep project" in said
    assert "found from the location of the rule file" in said


@pytest.mark.parametrize(
    ("settings", "tests", "utils"),
    [
        # A key without a value is as good as none, and of the tests only what names a folder counts.
        ("testConfigs:\nutilDirs:\n", [], []),
        ("testConfigs: [{testDir: t}, {snapshotDir: s}, 3]\nutilDirs: [u]\n", ["t"], ["u"]),
    ],
)
def test_the_folders_of_a_project(tmp_path: Path, settings: str, tests: list[str], utils: list[str]) -> None:
    for name in ("rules", "u"):
        (tmp_path / name).mkdir()
    (tmp_path / "sgconfig.yml").write_text(f"ruleDirs: [rules]\n{settings}")
    found = read(tmp_path)
    assert found is not None
    folders = [[str(one.relative_to(tmp_path)) for one in of] for of in (found.test_dirs, found.util_dirs)]
    assert found.rule_dirs == (tmp_path / "rules",) and folders == [tests, utils]


@pytest.mark.parametrize(
    ("documents", "why"),
    [
        ([], "missing field `id` of a utility rule"),
        ([["id"]], "missing field `id` of a utility rule"),
        ([{"id": "a"}], "missing field `language` of a utility rule"),
        ([{"id": "a", "language": "Python"}], "missing field `rule` of a utility rule"),
        ([{"id": "a", "language": "Python", "rule": {}}], ""),
        ([{}, {}], "2 documents, and a file of `utilDirs` holds one rule"),
    ],
)
def test_what_is_no_file_of_a_utility_rule(documents: list[object], why: str) -> None:
    assert misplaced_util(documents) == why


@pytest.mark.parametrize(
    ("content", "line", "why"),
    [
        (b"id: a\nrule: [\n", 3, "not YAML: "),
        (b"id: a\nrule: \x07\n", 1, "not YAML: "),  # the reader gives no line
        (b"id: a\nrule: \xff\n", 2, "not UTF-8 text"),
        (b"id: a\n1: b\n", 2, "not YAML: "),  # a key is text
        (None, 1, "cannot be read (No such file or directory)"),
    ],
)
def test_where_a_file_of_rules_cannot_be_read(
    content: bytes | None, line: int, why: str, tmp_path: Path
) -> None:
    file = tmp_path / "rule.yml"
    if content is not None:
        file.write_bytes(content)
    found = documents_of(file)
    assert isinstance(found, Unread) and found.line == line and found.why.startswith(why)


def test_shared_rules_stand_in_one_order_in_every_process() -> None:
    utils = {name: {"id": name, "language": "Python", "rule": {"kind": "string"}} for name in "fbgdace"}
    rule = {"language": "Python", "rule": {"any": [{"matches": name} for name in utils]}}
    assert list(with_utils(rule, utils)["utils"]) == sorted(utils)
