"""`rulewright check`: what is wrong with rules, each kind on a rule that has it and one that has not."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from rulewright import cli
from rulewright.engine import cli as ast_grep
from rulewright.engine.audit import KINDS

GOOD = "id: good\nlanguage: Python\nrule: {pattern: $A == None}\nfix: $A is None\n"


def rule(name: str, matcher: dict[str, Any], **more: Any) -> str:
    return json.dumps({"id": name, "language": "Python", "rule": matcher, **more})


def put(folder: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")


@pytest.fixture
def check(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Any:
    monkeypatch.chdir(tmp_path)

    def run(files: dict[str, str], *words: str) -> tuple[int, list[dict[str, Any]], dict[str, Any]]:
        put(tmp_path, files)
        code = cli.main(["check", *(words or ("rules",)), "--json"])
        *rows, last = map(json.loads, capsys.readouterr().out.splitlines())
        return code, rows, last

    return run


def test_a_good_rule_has_no_findings(check: Any) -> None:
    tests = "id: good\nvalid: ['a is None']\ninvalid: ['a == None', 'f(a == None)']\n"
    code, rows, last = check({"rules/good.yml": GOOD, "rules/good-test.yml": tests})
    assert (code, rows, last["rules"]) == (0, [], 1)


CASES = [
    ("refused", rule("r", {"kind": "calll"}), "did you mean `call`"),
    ("refused", rule("r", {"kind": "call_expression"}), "did you mean `call`?"),
    ("refused", rule("r", {"kind": "import_declaration"}), "or `import_statement`"),
    ("refused", rule("r", {"pattern": "f($A)", "inside": {"kind": "module", "field": "bdy"}}), "field `bdy`"),
    ("refused", rule("r", {"regex": "x"}), "kind"),
    ("refused", rule("r", {"pattern": "f($A)"}, fix="$B"), "undefined variable `$B`"),
    ("refused", rule("r", {"pattern": "f($A)"}, fixx="x"), "unknown field `fixx`"),
    ("refused", "id: r\nlanguage: Pyton\nrule: {kind: call}\n", "unknown language"),
    ("refused", rule("r", {"kind": "call"}, files=["src/["]), "unclosed character class"),
    ("not-yaml", "id: [r\n", "not YAML"),
    ("matches-nothing", rule("r", {"pattern": "f($A)", "kind": "string"}), "exclude"),
    ("matches-nothing", rule("r", {"all": [{"kind": "call"}, {"kind": "string"}]}), "exclude"),
    ("matches-nothing", rule("r", {"kind": "call", "any": []}), "exclude"),
    (
        "matches-nothing",
        rule(
            "r", {"pattern": "f($A)"}, constraints={"A": {"all": [{"kind": "string"}, {"kind": "integer"}]}}
        ),
        "constraint on `$A`: its kinds",
    ),
    (
        "matches-nothing",
        rule("r", {"pattern": "f($A)", "inside": {"kind": "call", "pattern": "[$B]"}}),
        "`inside`",
    ),
    ("matches-nothing", rule("r", {"kind": "call", "nthChild": 0}), "count from 1"),
    ("matches-nothing", rule("r", {"kind": "call", "nthChild": {"position": "-2n"}}), "count from 1"),
    ("refused", rule("r", {"pattern": "f($A); g($A)"}), "`f($A); g($A)` is several nodes"),
    ("refused", rule("r", {"kind": "call", "nthChild": "2n+z"}), "`nthChild`: "),
    (
        "refused",
        rule(
            "r", {"pattern": "f($A)"}, transform={"B": {"convert": {"source": "$A", "toCase": "x"}}}, fix="$B"
        ),
        "transform `B`: ",
    ),
    ("refused", "id: r\nlanguage: Python\nfix: x\n", "missing field `rule`"),
    (
        "no-effect",
        rule("r", {"pattern": "f($A)"}, fix={"template": "g($A)", "expandStrt": {"regex": ","}}),
        "did you mean `expandStart`",
    ),
    (
        "no-effect",
        rule(
            "r",
            {"pattern": "f($A)"},
            fix="g($B)",
            transform={"B": {"rewrite": {"rewriters": ["q"], "source": "$A"}}},
        ),
        "no rewriter `q`",
    ),
    ("broken-pattern", rule("r", {"pattern": "f($a)"}), "upper case"),
    ("not-checked", "id: r\nlanguage: lua\nrule: {kind: function_call}\n", "lua"),
]


@pytest.mark.parametrize(("kind", "text", "words"), CASES)
def test_what_a_rule_shows_by_itself(check: Any, kind: str, text: str, words: str) -> None:
    code, rows, _ = check({"rules/r.yml": text, "rules/good.yml": GOOD})
    found = [row for row in rows if row["kind"] == kind]
    assert len(found) == 1 and words in found[0]["detail"], rows
    assert found[0]["path"].endswith("r.yml")
    assert code == (1 if KINDS[kind][0] == "error" else 0)


@pytest.mark.parametrize(
    ("matcher", "fix", "cases", "kind"),
    [
        ({"pattern": "$A == None"}, "$A is None", "valid: ['b == None']\n", "test-noisy"),
        ({"pattern": "$A == None"}, "$A is None", "invalid: ['b != None']\n", "test-missing"),
        ({"pattern": "if $A:\n  $B"}, "$B", 'invalid: ["if a:\\n  b()\\nelse:\\n  c()\\n"]\n', "lossy"),
        ({"pattern": "f($A)"}, "f($A", "invalid: ['f(1)']\n", "syntax-error"),
        ({"pattern": "f($A)"}, "f(f($A))", "invalid: ['f(1)']\n", "no-rest"),
    ],
)
def test_what_the_cases_of_a_rule_show(
    check: Any, matcher: dict[str, Any], fix: str, cases: str, kind: str
) -> None:
    _, rows, _ = check({"rules/r.yml": rule("r", matcher, fix=fix), "rules/r-test.yml": "id: r\n" + cases})
    assert kind in {row["kind"] for row in rows}


def test_nested_matches_need_passes_and_come_to_rest(check: Any) -> None:
    text = rule("r", {"pattern": "f($A)"}, fix="g($A)")
    _, rows, _ = check({"rules/r.yml": text, "rules/t.yml": "id: r\ninvalid: ['f(f(f(1)))']\n"})
    assert rows == []


def test_a_project_is_read_as_ast_grep_reads_it(check: Any) -> None:
    config = "ruleDirs: [mine]\ntestConfigs: [{testDir: tests}]\nutilDirs: [shared]\n"
    uses = rule("uses", {"pattern": "f($A)", "has": {"matches": "is-lit", "stopBy": "end"}}, fix="g($A)")
    files = {
        "p/sgconfig.yml": config, "p/mine/uses.yml": uses, "p/elsewhere/bad.yml": "id: x\nrule: 3\n",
        "p/shared/lit.yml": "id: is-lit\nlanguage: Python\nrule: {kind: integer}\n",
        "p/tests/uses.yml": "id: uses\nvalid: ['f(a)']\ninvalid: ['f(1)']\n",
    }  # fmt: skip
    assert check(files, "p")[:2] == (0, [])
    files["p/tests/uses.yml"] = "id: uses\nvalid: ['f(2)']\n"
    assert [row["kind"] for row in check(files, "p")[1]] == ["test-noisy"]


def test_a_global_utility_rule_brings_its_own_ones(check: Any) -> None:
    shared = "id: {id}\nlanguage: Python\nrule: {{any: [{{matches: plain}}, {{kind: tuple, has: {{matches: {other}}}}}]}}\nutils: {{plain: {{kind: {kind}}}}}\n"  # noqa: E501
    files = {
        "p/sgconfig.yml": "ruleDirs: [mine]\ntestConfigs: [{testDir: tests}]\nutilDirs: [shared]\n",
        "p/mine/uses.yml": rule("uses", {"pattern": "f($A)", "has": {"matches": "one", "stopBy": "end"}}),
        "p/shared/one.yml": shared.format(id="one", other="two", kind="integer"),
        "p/shared/two.yml": shared.format(id="two", other="one", kind="string"),
        "p/tests/uses.yml": "id: uses\nvalid: ['f(a)', \"f('s')\"]\ninvalid: ['f(1)', \"f(('s',))\"]\n",
    }
    assert check(files, "p")[:2] == (0, [])


def test_what_a_repository_shows(check: Any) -> None:
    code = "def f(a):\n    return a == None\n" + "pass\n" * 10
    files = {f"src/m{n}.py": code for n in range(6)} | {
        "rules/good.yml": GOOD,
        "rules/never.yml": rule("never", {"pattern": "absent($A)"}),
        "rules/all.yml": rule("all", {"kind": "identifier"}),
        "rules/other.yml": rule("other", {"pattern": "$A == None"}, fix="not $A"),
        "rules/go.yml": "id: go\nlanguage: Go\nrule: {kind: call_expression}\n",
    }
    _, rows, _ = check(files, "rules", "--against", "src")
    found = {(row["rule"], row["kind"]) for row in rows}
    assert found == {
        ("never", "never-fires"),
        ("all", "fires-everywhere"),
        ("other", "overlap"),
        ("go", "never-fires"),
    }


EMPTY = {"all": [{"kind": "string"}, {"kind": "integer"}]}


@pytest.mark.parametrize(
    ("matcher", "more", "code"),
    [
        ({"pattern": "f($$$A)"}, {"constraints": {"A": EMPTY}}, "f(1)\n"),
        ({"any": [{"pattern": "f($A)"}, {"pattern": "g($B)"}]}, {"constraints": {"A": EMPTY}}, "g(1)\n"),
        ({"pattern": "f($A)", "any": [{"inside": EMPTY}, {"regex": "f"}]}, {}, "f(1)\n"),
        ({"pattern": "f($A)", "not": {"inside": EMPTY}}, {}, "f(1)\n"),
        ({"kind": "identifier", "nthChild": "-n + 1"}, {}, "f(1)\n"),
    ],
)
def test_a_rule_that_ast_grep_finds_is_none_that_matches_nothing(
    check: Any, matcher: dict[str, Any], more: dict[str, Any], code: str
) -> None:
    files = {"rules/r.yml": rule("r", matcher, **more), "src/a.py": code + "\n" * 30}
    assert check(files, "rules", "--against", "src")[1] == []


def test_a_glob_that_holds_for_no_file_is_named(check: Any) -> None:
    files = {"src/a.py": "f(1)\n" + "\n" * 30, "lib/b.py": "x\n"}
    files["rules/r.yml"] = rule("r", {"pattern": "f($A)"}, files=["**/src/**", "**/app/**/*.py"])
    rows = check(files, "rules", "--against", "src", "lib")[1]
    assert [row["kind"] for row in rows if "app/**/*.py" in row["detail"]] == ["never-fires"]
    assert not [row for row in rows if "src/**" in row["detail"]], rows


def test_examples_of_ones_own(check: Any) -> None:
    rows = [
        {"id": "good", "pre": "a == None\n", "post": "a is None\n"},
        {"id": "good", "valid": ["b == None"]},
        {"id": "good", "pre": "a == None\n", "post": "not a\n"},
    ]
    files = {"rules/good.yml": GOOD, "cases.jsonl": "".join(json.dumps(row) + "\n" for row in rows)}
    code, found, _ = check(files, "rules", "--examples", "cases.jsonl")
    assert code == 1
    assert [(row["kind"], row["where"]) for row in found] == [
        ("test-noisy", ""),
        ("wrong-result", "example 2"),
    ]


def test_a_broken_pattern_is_a_finding_only_where_it_matched_nothing(check: Any) -> None:
    odd = {"pattern": {"context": "def f($A) g: $B $$$C", "selector": "function_definition"}}
    files = {"rules/r.yml": rule("r", odd)}
    _, rows, _ = check(files)
    assert rows == []
    files |= {"src/a.py": "f(1)\n"}
    found = {row["kind"] for row in check(files, "rules", "--against", "src")[1]}
    assert found == {"never-fires", "broken-pattern"}
    files |= {"rules/t.yml": "id: r\ninvalid: ['f(1)']\n"}
    assert {row["kind"] for row in check(files)[1]} == {"test-missing", "broken-pattern"}


def test_rules_and_tests_in_two_folders(check: Any) -> None:
    files = {"rules/good.yml": GOOD, "cases/good-test.yml": "id: good\nvalid: ['a == None']\n"}
    assert [row["kind"] for row in check(files, "rules", "cases")[1]] == ["test-noisy"]


def test_a_language_of_the_project_itself_is_no_mistake(check: Any) -> None:
    own = "customLanguages: {mojo: {libraryPath: m.so, extensions: [mojo]}}\n"
    files = {"sgconfig.yml": own, "rules/r.yml": "id: r\nlanguage: mojo\nrule: {kind: call}\n"}
    assert [row["kind"] for row in check(files)[1]] == ["not-checked"]


def test_a_variable_alone_is_no_broken_pattern(check: Any) -> None:
    text = "id: r\nlanguage: Rust\nrule: {kind: if_expression, pattern: $ROOT}\n"
    _, rows, _ = check({"rules/r.yml": text, "src/a.rs": "fn f() {}\n"}, "rules", "--against", "src")
    assert [row["kind"] for row in rows] == ["never-fires"]


def test_ids_are_told_twice_and_lines_are_right(check: Any) -> None:
    _, rows, _ = check(
        {"rules/a.yml": f"{GOOD}---\n{GOOD.replace('None', '0')}", "rules/b.yml": "# x\n" + GOOD}
    )
    assert {row["kind"] for row in rows} == {"duplicate-id"} and len(rows) == 2
    assert rows[1]["path"] == "rules/b.yml" and rows[1]["line"] == 2


def test_files_as_a_hook_names_them(check: Any) -> None:
    files = {
        "rules/good.yml": GOOD,
        "rules/good-test.yml": "id: good\nvalid: ['a == None']\n",
        "rules/x.yml": "a: [",
    }
    code, rows, last = check(files, "rules/good.yml", "rules/good-test.yml", "rules/x.yml")
    assert (code, last["rules"]) == (1, 1)
    assert [(row["kind"], row["path"]) for row in rows] == [
        ("not-yaml", "rules/x.yml"), ("test-noisy", "rules/good.yml"),
    ]  # fmt: skip
    assert check(files, "rules/good-test.yml")[:2] == (0, [])


def test_sarif_and_exit_codes(check: Any, tmp_path: Path) -> None:
    files = {"rules/r.yml": rule("r", {"pattern": "f($A)", "kind": "string"})}
    assert check(files, "rules", "--sarif", "out.sarif", "--fail-on", "never")[0] == 0
    log = json.loads((tmp_path / "out.sarif").read_text())
    jsonschema.validate(log, SARIF)
    (made,) = log["runs"]
    assert log["version"] == "2.1.0" and made["tool"]["driver"]["rules"][0]["id"] == "matches-nothing"
    (result,) = made["results"]
    place = result["locations"][0]["physicalLocation"]
    assert result["level"] == "error" and result["ruleIndex"] == 0
    assert place["artifactLocation"]["uri"] == "rules/r.yml" and place["region"]["startLine"] >= 1
    files = {"rules/r.yml": rule("r", {"pattern": "absent($A)"}), "src/a.py": "b\n"}
    assert check(files, "rules", "--against", "src")[0] == 0
    assert check(files, "rules", "--against", "src", "--fail-on", "note")[0] == 1


def an_object(required: str, **properties: Any) -> dict[str, Any]:
    return {"type": "object", "additionalProperties": False, "required": required.split(),
            "properties": properties}  # fmt: skip


def a_list(items: dict[str, Any], unique: bool = False) -> dict[str, Any]:
    return {"type": "array", "items": items, "uniqueItems": unique}


TEXT = {"type": "string"}
SAID = an_object("text", text=TEXT)
LEVEL = {"enum": ["none", "note", "warning", "error"]}
URI = {"type": "string", "pattern": r"^([A-Za-z0-9._~:/?#\[\]@!$&'()*+,;=-]|%[0-9A-Fa-f]{2})*$"}
DESCRIPTOR = an_object("id", id=TEXT, shortDescription=SAID, defaultConfiguration=an_object("", level=LEVEL))
PLACE = an_object(
    "",
    physicalLocation=an_object(
        "artifactLocation",
        artifactLocation=an_object("uri", uri=URI),
        region=an_object("startLine", startLine={"type": "integer", "minimum": 1}),
    ),
)
RESULT = an_object(
    "message", ruleId=TEXT, ruleIndex={"type": "integer", "minimum": -1}, level=LEVEL, message=SAID,
    locations=a_list(PLACE),
)  # fmt: skip
DRIVER = an_object("name", name=TEXT, version=TEXT, rules=a_list(DESCRIPTOR, unique=True))
RUN = an_object(
    "tool", tool=an_object("driver", driver=DRIVER), results=a_list(RESULT),
    columnKind={"enum": ["utf16CodeUnits", "unicodeCodePoints"]},
)  # fmt: skip
# What SARIF 2.1.0's own schema demands of the properties that we write; it knows more of them.
SARIF = an_object("version runs", **{"$schema": URI, "version": {"const": "2.1.0"}, "runs": a_list(RUN)})


def test_sarif_meets_its_schema_whatever_the_files_are_called(check: Any, tmp_path: Path) -> None:
    names = ("rules/two words.yml", "rules/100%.yml", "rules/ä[1].yml")
    wrong = {name: rule(f"r{n}", {"pattern": f"f{n}($A)", "kind": "string"}) for n, name in enumerate(names)}
    assert check(wrong, "rules", "--sarif", "out.sarif")[0] == 1
    log = json.loads((tmp_path / "out.sarif").read_text())
    jsonschema.validate(log, SARIF)
    uris = {one["locations"][0]["physicalLocation"]["artifactLocation"]["uri"]
            for one in log["runs"][0]["results"]}  # fmt: skip
    assert uris == {"rules/two%20words.yml", "rules/100%25.yml", "rules/%C3%A4%5B1%5D.yml"}
    check({"rules/a.yml": GOOD}, "rules/a.yml", "--sarif", "empty.sarif")
    jsonschema.validate(json.loads((tmp_path / "empty.sarif").read_text()), SARIF)


def test_mistakes_of_a_person(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    assert cli.main(["check"]) == 2
    assert cli.main(["check", "none.yml"]) == 2
    assert cli.main(["check", "empty"]) == 2


def test_a_rule_without_an_id_is_called_as_its_file(check: Any) -> None:
    text = GOOD.replace("id: good\n", "")
    code, rows, last = check(
        {"rules/one.yml": text, "rules/bad.yml": f"{text}---\n{text}".replace("Python", "Pyton", 1)}
    )
    assert (code, [row["rule"] for row in rows], last["rules"]) == (1, ["bad-0"], 3)


@pytest.mark.parametrize("text", ["", "- id: a\n", "words\n"], ids=["empty", "list", "text"])
def test_a_file_without_rules_is_no_clean_one(
    text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    put(tmp_path, {"a.yml": text, "other.yml": "a: [\n"})
    assert cli.main(["check", "a.yml"]) == 2
    assert "no ast-grep rule in it" in capsys.readouterr().err


@pytest.mark.parametrize("named", [(), ("rules/tab.yml",)], ids=["folder", "file"])
def test_a_text_that_is_no_yaml_is_shown_at_its_line(check: Any, named: tuple[str, ...]) -> None:
    _, rows, last = check({"rules/tab.yml": "id: r\nrule:\n\tkind: call\n"}, *named)
    assert [(row["kind"], row["line"]) for row in rows] == [("not-yaml", 3)]
    assert "a tab" in rows[0]["detail"] and last["rules"] == 0


def test_a_project_names_the_folder_that_is_not_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    put(tmp_path, {"sgconfig.yml": "ruleDirs: [here, gone]\n", "here/good.yml": GOOD})
    assert cli.main(["check", "."]) == 2
    assert "no folder `gone`" in capsys.readouterr().err


@pytest.mark.parametrize("text", ["- id: a\n", "words\n", f"{GOOD}---\n- a\n", "id: a\n"])
def test_what_is_no_rule_in_a_folder_of_rules_is_refused_as_by_ast_grep(check: Any, text: str) -> None:
    files = {"sgconfig.yml": "ruleDirs: [rules]\n", "rules/good.yml": GOOD.replace("good", "other")}
    code, rows, _ = check({**files, "rules/odd.yml": text, "elsewhere/odd.yml": text}, ".")
    assert (code, [(Path(row["path"]).name, row["kind"]) for row in rows]) == (1, [("odd.yml", "refused")])


def test_a_row_of_a_catalog_without_a_rule_is_shown_at_its_line(check: Any) -> None:
    code, rows, _ = check({"rows.jsonl": '{"rule": "' + '"}\n{"a": 1}\nhello\n'}, "rows.jsonl")
    assert code == 1
    assert [(row["path"], row["line"], row["kind"]) for row in rows] == [
        ("rows.jsonl", 1, "refused"), ("rows.jsonl", 2, "refused"), ("rows.jsonl", 3, "not-yaml"),
    ]  # fmt: skip
    assert "expected `rule_yaml`, `rule` or `cli`" in rows[0]["detail"]


@pytest.mark.parametrize("named", [(), ("rules/old.yml",)], ids=["folder", "file"])
def test_a_rule_file_in_another_encoding_is_shown_at_its_line(
    tmp_path: Path, check: Any, named: tuple[str, ...]
) -> None:
    (tmp_path / "rules").mkdir()
    (tmp_path / "rules/old.yml").write_bytes(f"{GOOD}note: ".encode() + b"\xe9\n")
    _, rows, _ = check({}, *named)
    assert [(row["line"], row["detail"]) for row in rows] == [(5, "not UTF-8 text")]


@pytest.fixture
def project_with_tests(tmp_path: Path) -> None:
    tests = "id: good\nvalid: ['a == b', 'x == None']\ninvalid: ['a == None']\n---\nid: nobody\nvalid: [x]\n"
    settings = "ruleDirs: [rules]\ntestConfigs: [{testDir: rule-tests}]\n"
    files = {"sgconfig.yml": settings, "rules/good.yml": GOOD, "rule-tests/good-test.yml": tests}
    put(tmp_path, {**files, "rule-tests/__snapshots__/good-snapshot.yml": "id: good\nsnapshots: {}\n"})


@pytest.mark.parametrize(
    "words",
    [("rule-tests/good-test.yml",), ("sgconfig.yml",), ("rules/good.yml", "rule-tests/good-test.yml")],
    ids=["tests", "settings", "rule and tests"],
)
def test_any_file_of_a_project_has_its_rules_checked(
    check: Any, project_with_tests: None, words: tuple[str, ...]
) -> None:
    code, rows, last = check({}, *words)
    found = [(row["kind"], row["path"]) for row in rows]
    assert found == [("test-noisy", "rules/good.yml"), ("test-of-none", "rule-tests/good-test.yml")]
    assert (code, last["rules"]) == (1, 1)


def test_a_snapshot_alone_is_no_rule_and_no_failure(check: Any, project_with_tests: None) -> None:
    code, rows, last = check({}, "rule-tests/__snapshots__/good-snapshot.yml")
    assert (code, rows, last["rules"]) == (0, [], 0)


@pytest.mark.parametrize(
    ("key", "config"),
    [("ruleDirs", "ruleDirs: rules\n"), ("testConfigs", "ruleDirs: [rules]\ntestConfigs: 5\n")],
)
def test_folders_of_a_project_are_a_list(
    check: Any, capsys: pytest.CaptureFixture[str], key: str, config: str
) -> None:
    put(Path(), {"sgconfig.yml": config, "rules/good.yml": GOOD})
    assert cli.main(["check", "."]) == 2
    assert f"sgconfig.yml: `{key}` must be a list" in capsys.readouterr().err


@pytest.mark.parametrize("stray", ["- x\n", "id: b\nlanguage: Python\npattern: x\n"])
def test_a_document_that_is_no_rule_is_told(check: Any, stray: str) -> None:
    code, rows, _ = check({"rules/r.yml": f"{GOOD}---\n{stray}"}, "rules/r.yml")
    assert code == 1
    assert [(row["kind"], row["detail"]) for row in rows] == [
        ("refused", "document 2 is no rule, so ast-grep reads none of this file")
    ]


def test_a_pipe_among_rules_is_not_waited_for(check: Any) -> None:
    put(Path(), {"rules/good.yml": GOOD})
    os.mkfifo("rules/pipe.yml")
    assert check({})[0] == 0


def test_sarif_goes_to_stdout_for_a_pipe(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    put(tmp_path, {"r.yml": rule("r", {"kind": "calll"})})
    assert cli.main(["check", str(tmp_path / "r.yml"), "--sarif", "-"]) == 1
    log = json.loads(capsys.readouterr().out)
    jsonschema.validate(log, SARIF)
    assert len(log["runs"][0]["results"]) == 1
    assert cli.main(["check", str(tmp_path / "r.yml"), "--sarif", "-", "--json"]) == 2
    assert "--json cannot both write to stdout" in capsys.readouterr().err


def test_places_in_sarif_are_below_here_or_in_full(check: Any, tmp_path: Path) -> None:
    bad = rule("r", {"kind": "calll"})
    put(tmp_path, {"in/a b#.yml": bad, "out/c.yml": bad.replace('"r"', '"s"')})
    Path(os.fsdecode(b"in/caf\xe9.yml")).write_text(bad.replace('"r"', '"t"'))
    os.chdir("in")
    check({}, str(tmp_path / "in"), "../out", "--sarif", "o.sarif")
    results = json.loads(Path("o.sarif").read_text())["runs"][0]["results"]
    places = [one["locations"][0]["physicalLocation"]["artifactLocation"]["uri"] for one in results]
    assert sorted(places) == ["a%20b%23.yml", "caf%E9.yml", f"file://{tmp_path}/out/c.yml"]


SNAPPED = (
    {"id": "eq", "rule": {"pattern": "$A == None"}, "fix": "$A is None"},
    {"id": "arg", "rule": {"kind": "keyword_argument"}, "fix": {"template": "", "expandEnd": {"regex": ","}}},
    {"id": "plain", "rule": {"pattern": "f($A)"}},
    {"id": "gone", "rule": {"pattern": "gone()"}, "fix": ""},
)


@pytest.fixture
def snapped(tmp_path: Path) -> Path:
    """A project of four rules with the snapshots that the pinned ast-grep writes."""
    cases = ["f(a == None, b == None)\n", "x = (c == None) == None", "f(1)", "g(a=1, b=2)",
             "if x:\n    gone()\n    left()\n"]  # fmt: skip
    rules = {
        f"rules/{one['id']}.yml": json.dumps({**one, "language": "Python", "severity": "hint"})
        for one in SNAPPED
    }
    of = {"eq": cases[:2], "arg": cases[3:4], "plain": cases[2:3], "gone": cases[4:]}
    tests = {f"t/{name}-test.yml": json.dumps({"id": name, "invalid": some}) for name, some in of.items()}
    config = "ruleDirs: [rules]\ntestConfigs: [{testDir: t, snapshotDir: kept}]\n"
    put(tmp_path, {"sgconfig.yml": config, **rules, **tests})
    with ast_grep.start("test", "--update-all", cwd=tmp_path, stdout=subprocess.DEVNULL) as running:
        assert running.wait() == 0
    return tmp_path


def test_a_list_of_no_fixes_is_no_fix(check: Any, snapped: Path) -> None:
    file = snapped / "rules/plain.yml"
    code, rows, _ = check({"rules/plain.yml": json.dumps({**json.loads(file.read_text()), "fix": []})}, ".")
    assert code == 0 and not rows


def test_snapshots_of_ast_grep_agree_with_its_rules(check: Any, snapped: Path) -> None:
    assert len(list((snapped / "t/kept").iterdir())) == 4
    code, rows, _ = check({}, ".")
    assert code == 0 and not rows


@pytest.mark.parametrize(
    ("name", "kept", "instead", "said"),
    [
        (
            "eq",
            "f(a is None, b == None)",
            "f(a is None, b is None)",
            "the rule gives `f(a is None, b == None)`",
        ),
        ("plain", "snapshots:\n  f(1):\n", "snapshots:\n  f(1):\n    fixed: g(1)\n", "the rule gives no fix"),
        ("arg", "    fixed: g(, b=2)\n", "", "the snapshot has no fix"),
    ],
)
def test_a_snapshot_that_the_rule_no_longer_gives_is_a_wrong_result(
    check: Any, snapped: Path, name: str, kept: str, instead: str, said: str
) -> None:
    file = snapped / f"t/kept/{name}-snapshot.yml"
    text = file.read_text()
    assert kept in text
    code, [row], _ = check({str(file.relative_to(snapped)): text.replace(kept, instead)}, ".")
    assert (code, row["kind"]) == (1, "wrong-result") and said in row["detail"]


def test_a_snapshot_that_is_something_else_expects_nothing(check: Any, snapped: Path) -> None:
    files = {"t/kept/eq-snapshot.yml": "snapshots: {f: 1}\n", "t/kept/arg-snapshot.yml": "- 1\n"}
    code, rows, _ = check(files, ".")
    assert code == 0 and not rows
