"""`ingest rules` on packs, rule files and catalogs of our own; `ingest jsonl` with an `action` column."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from rulewright.actions import parse_action
from rulewright.actions.action import Action
from rulewright.data import verified
from rulewright.data.drafts import Drop
from rulewright.engine import judge
from rulewright.environment import task_of

Ingest = Callable[..., int]
MIT = "MIT License\n\nPermission is hereby granted, free of charge, to any person obtaining a copy\n"


def filler(word: str) -> str:
    """Other code, different for each word: no near copies of each other."""
    return "".join(f"\n\ndef {word}_{k}({word}):\n    return {word}.{word}_{k}({k})\n" for k in range(12))


FILLER = filler("other")


def write(root: Path, **files: str) -> Path:
    for name, text in files.items():
        path = root / name.replace("__", "/").replace("_DOT_", ".")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return root


def rule(name: str, pattern: str, fix: str | None, more: str = "", language: str = "python") -> str:
    text = f"id: {name}\nlanguage: {language}\n{more}rule:\n  pattern: {json.dumps(pattern)}\n"
    return text + (f"fix: {json.dumps(fix)}\n" if fix is not None else "")


def cases_of(name: str, invalid: list[str], valid: list[str] = []) -> str:  # noqa: B006
    return json.dumps({"id": name, "valid": valid, "invalid": invalid})


@pytest.fixture
def pack(tmp_path: Path) -> Path:
    """A pack as `ast-grep new` lays it out, with utilities, snapshots and what gives no record."""
    return write(
        tmp_path / "shop-rules",
        LICENSE=MIT,
        sgconfig_DOT_yml="ruleDirs: [rules]\ntestConfigs:\n- testDir: rule-tests\nutilDirs: [utils]\n",
        rules__none_DOT_yml=rule(
            "no-eq-none", "$A == None", "$A is None", "message: Compare $A with None by identity\n"
        ),
        rules__deep__log_DOT_yaml=(
            "id: no-log\nlanguage: python\nnote: Write through the logger.\nseverity: warning\n"
            "files: ['src/**']\nrule:\n  all:\n  - pattern: print($X)\n  - matches: in-function\n"
            "fix: log.info($X)\n"
        ),
        rules__find_DOT_yml=rule("find-only", "eval($A)", None),
        rules__lonely_DOT_yml=rule("lonely", "old($A)", "new($A)"),
        rules__wrong_DOT_yml=rule("contradicts", "f($A)", "g($A)", "message: Call g\n"),
        rules__silent_DOT_yml=rule("silent", "absent($A)", "present($A)", "message: Call present\n"),
        rules__lua_DOT_yml=rule("for-lua", "print($A)", "put($A)", language="lua"),
        rules__broken_DOT_yml="id: [unclosed\n",
        utils__fn_DOT_yml=(
            "id: in-function\nlanguage: python\nrule:\n  inside: {kind: function_definition, stopBy: end}\n"
        ),
        rule_tests__a_DOT_yml="", **{
            "rule-tests__none-test_DOT_yml": cases_of(
                "no-eq-none",
                [f"if left == None:\n    go(left)\n{FILLER}", f"x = [right == None, 1]\n{filler('right')}"],
                ["a is None\n"],
            ),
            "rule-tests__log-test_DOT_yml": cases_of(
                "no-log", [f"def f():\n    print(total)\n{filler('log')}"], ["print(outside)\n"]
            ),
            "rule-tests__find-test_DOT_yml": cases_of("find-only", ["eval(x)\n"]),
            "rule-tests__wrong-test_DOT_yml": cases_of("contradicts", [f"f(1)\n{FILLER}"], ["f(2)\n"]),
            "rule-tests__silent-test_DOT_yml": cases_of("silent", [f"nothing()\n{FILLER}"]),
            "rule-tests__lua-test_DOT_yml": cases_of("for-lua", ["print(1)\n"]),
            "rule-tests____snapshots____none-snapshot_DOT_yml": "id: no-eq-none\nsnapshots: {}\n",
        },
    )  # fmt: skip


def test_a_pack_becomes_records_with_executed_results(
    pack: Path, out: Path, ingest: Ingest, lay: SimpleNamespace
) -> None:
    assert ingest("rules", "--input", pack) == 0
    made = {r.pre.partition("\n")[0]: r for r in lay.records(out, "rules")}
    assert set(made) == {"if left == None:", "x = [right == None, 1]", "def f():"}
    first = made["if left == None:"]
    assert first.instruction == "Compare left with None by identity", "filled in from the first match"
    assert first.post == first.pre.replace("left == None", "left is None")
    assert first.metadata.license == "mit" and first.metadata.group == "shop-rules:no-eq-none"
    assert first.tags == ["rule"]
    log = made["def f():"]
    assert log.instruction == "Write through the logger." and "log.info(total)" in log.post
    for record in made.values():
        action = parse_action(record.metadata.action or "", "python")
        assert isinstance(action, Action) and judge(action, record.pre, record.post).ok
    assert "utils" in (log.metadata.action or ""), "a global utility rule travels with the rule"
    # The other case of a rule judges its generality; valid cases must stay as they are.
    assert [pre.partition("\n")[0] for pre, _ in task_of(first).held_out] == [
        "x = [right == None, 1]", "a is None",
    ]  # fmt: skip
    assert first.metadata.negatives == ("a is None\n",)
    reasons = Counter(r["reason"] for r in lay.rejects(out, "rules"))
    assert reasons == {
        "no_fix": 1, "no_example": 1, "valid_case_changed": 1, "action_no_match": 1, "language": 1,
        "not_yaml": 1,
    }  # fmt: skip


def test_a_sibling_that_an_evaluation_set_holds_is_taken_out(
    pack: Path, out: Path, tmp_path: Path, ingest: Ingest, lay: SimpleNamespace
) -> None:
    held = {"instruction": "i", "pre": f"x = [right == None, 1]\n{filler('right')}", "post": "y = 1\n"}
    (tmp_path / "held.jsonl").write_text(json.dumps(held) + "\n", encoding="utf-8")
    assert ingest("rules", "--input", pack, "--against", tmp_path / "held.jsonl") == 0
    made = {r.pre.partition("\n")[0]: r for r in lay.records(out, "rules")}
    assert "x = [right == None, 1]" not in made
    first = made["if left == None:"].metadata
    assert (first.siblings, first.negatives) == (None, ("a is None\n",))
    assert json.loads((out / "rules.metadata.json").read_text())["flagged"]["contaminated_sibling"] == 1


def test_one_rule_file_finds_its_tests(pack: Path, out: Path, ingest: Ingest, lay: SimpleNamespace) -> None:
    assert ingest("rules", "--input", pack / "rules/none.yml") == 0
    assert len(lay.records(out, "rules")) == 2
    assert not lay.rejects(out, "rules")


def test_a_folder_without_a_configuration(
    tmp_path: Path, out: Path, ingest: Ingest, lay: SimpleNamespace
) -> None:
    folder = write(
        tmp_path / "mine",
        one_DOT_yml=rule("use-get-item", "fetch($$$A)", "get_item($$$A)"),
        **{"rule-tests__one-test_DOT_yml": cases_of("use-get-item", [f"fetch(1, 2)\n{FILLER}"])},
    )
    assert ingest("rules", "--input", folder, "--license", "mit") == 0
    (record,) = lay.records(out, "rules")
    assert record.instruction == "Apply the `use-get-item` fix to this code."
    assert record.tags == ["instruction_fallback", "rule"]


def test_catalog_rows(tmp_path: Path, out: Path, ingest: Ingest, lay: SimpleNamespace) -> None:
    code = f"a = fetch(1)\n{FILLER}"
    rows: list[dict[str, Any]] = [
        {"id": "py/a", "title": "Use get_item", "rule_yaml": rule("a", "fetch($A)", "get_item($A)"),
         "language": "python", "example_before": code, "expected_after": "not believed",
         "licence": "MIT (a site)", "valid": "a = get_item(1)\n"},
        {"id": "py/b", "title": "", "description": "Read items by name.\n\nMore words.", "language": "python",
         "cli": "sg -p 'fetch($A)' -r 'items[$A]'", "example_before": f"a = fetch(2)\n{filler('two')}",
         "license": "mit"},
        {"id": "py/c", "title": "Find", "cli": "ast-grep run -p 'fetch($A)' -l python", "language": "python",
         "example_before": code, "license": "mit"},
        {"id": "py/d", "title": "Bad", "rule_yaml": rule("d", "fetch(", "x"), "language": "python",
         "example_before": code, "license": "mit"},
        {"id": "py/e", "title": "No id", "rule_yaml": "rule:\n  pattern: fetch($A)\nfix: take($A)\n",
         "language": "python", "example_before": f"a = fetch(3)\n{filler('three')}", "license": "mit"},
    ]  # fmt: skip
    assert ingest("rules", "--input", lay.write(tmp_path / "catalog.jsonl", rows)) == 0
    made = {r.instruction: r for r in lay.records(out, "rules")}
    assert set(made) == {"Use get_item", "Read items by name.", "No id"}
    assert made["Use get_item"].metadata.negatives == ("a = get_item(1)\n",)
    assert made["Use get_item"].post == code.replace("fetch", "get_item")
    assert made["Read items by name."].post.startswith("a = items[2]\n")
    assert {r["reason"] for r in lay.rejects(out, "rules")} == {"no_fix", "action_bad_rule"}


def test_what_holds_no_rule_is_refused(
    tmp_path: Path, ingest: Ingest, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "empty").mkdir()
    for path, message in (("empty", "no ast-grep rule in it"), ("absent", "no such file or folder")):
        assert ingest("rules", "--input", tmp_path / path) == 2
        said = capsys.readouterr().err
        assert message in said and "hint: " in said


def test_the_action_column_of_jsonl_is_executed_and_kept(
    tmp_path: Path, out: Path, ingest: Ingest, lay: SimpleNamespace
) -> None:
    def row(i: int, action: Any) -> dict[str, Any]:
        pre = (
            f"def f{i}(x_{i}):\n    if x_{i} == None:\n        return load_{i}()\n    return x_{i}.run_{i}\n"
        )
        return {
            "instruction": f"Compare by identity in {i}", "pre": pre, "group": f"g{i}", "license": "mit",
            "post": pre.replace("== None", "is None"), "language": "python", "action": action,
        }  # fmt: skip

    good = rule("r", "$A == None", "$A is None")
    wire = {"action": {"type": "ast_grep", "language": "python", "mode": "yaml", "rule_yaml": good}}
    rows = [
        row(0, good), row(1, json.dumps(wire)), row(2, wire), row(3, None), row(4, ""),
        row(5, rule("r", "$A == None", "$A is not None")), row(6, rule("r", "$A != None", "x")),
        row(7, "no rule at all"),
    ]  # fmt: skip
    path = lay.write(tmp_path / "own.jsonl", rows)
    assert ingest("jsonl", "--name", "own", "--input", path) == 0
    made = {r.metadata.group: r for r in lay.records(out, "own")}
    assert sorted(made) == ["g0", "g1", "g2", "g3", "g4"]
    for name in ("g0", "g1", "g2"):
        action = json.loads(made[name].metadata.action or "")["action"]
        assert action["mode"] == "yaml" and "$A is None" in action["rule_yaml"]
    assert made["g3"].metadata.action is None and made["g4"].metadata.action is None
    reasons = {r["row"]["group"]: r["reason"] for r in lay.rejects(out, "own")}
    assert reasons["g5"] == "action_wrong_result" and reasons["g6"] == "action_no_match"
    assert reasons["g7"].startswith("action_bad_")
    renamed = [{**{k: v for k, v in r.items() if k != "action"}, "my_rule": r["action"]} for r in rows[:1]]
    path = lay.write(tmp_path / "renamed.jsonl", renamed)
    assert ingest("jsonl", "--name", "renamed", "--input", path, "--columns", "action=my_rule",
                  "--near-threshold", "2", "--out", tmp_path / "two") == 0  # fmt: skip
    assert lay.records(tmp_path / "two", "renamed")[0].metadata.action


def test_what_ast_grep_makes_of_a_text_is_tidied_and_nothing_else() -> None:
    gone = Action("python", ({"rule": {"pattern": "gone()"}, "fix": ""},))
    assert verified.execute(gone, "if x:\n    gone()\n    left()\n") == "if x:\n\n    left()\n"
    assert verified.execute(gone, "left()\n") == Drop("action_no_match", "ast-grep changes nothing")
    assert verified.matches(gone, "gone()\n") and not verified.matches(gone, "left()\n")
