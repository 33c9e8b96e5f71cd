"""`rulewright apply` and `rulewright verify`, run as the user runs them."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest

from rulewright import cli

RULE = "id: r\nlanguage: python\nrule:\n  pattern: $A == None\nfix: $A is None\n"
ACTION = json.dumps({"action": {"type": "ast_grep", "language": "python", "mode": "yaml", "rule_yaml": RULE}})


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "rule.yml").write_text(RULE)
    (tmp_path / "a.py").write_bytes(b"if x == None:\r\n    y = 1\r\n")
    (tmp_path / "b.py").write_text("pass\n")
    (tmp_path / "a.py").chmod(0o750)
    return tmp_path


@pytest.mark.parametrize("form", [RULE, ACTION, f"<think>t</think>\n<action>{ACTION}</action>"])
def test_it_shows_the_diff_and_writes_only_when_told(
    folder: Path, form: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "action.txt").write_text(form)
    arguments = ["apply", str(folder / "action.txt"), str(folder / "a.py"), str(folder / "b.py")]
    assert cli.main(arguments) == 0
    shown = capsys.readouterr()
    assert "-if x == None:" in shown.out and "+if x is None:" in shown.out
    assert "no_match: the pattern `$A == None`" in shown.err
    assert (folder / "a.py").read_bytes().startswith(b"if x == None")
    assert cli.main([*arguments, "--write"]) == 0
    assert (folder / "a.py").read_bytes() == b"if x is None:\r\n    y = 1\r\n"
    assert (folder / "a.py").stat().st_mode & 0o777 == 0o750
    assert not list(folder.glob(".*"))


def test_of_a_folder_only_a_rule_that_matches_nowhere_is_explained(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for number in range(30):
        (folder / f"c{number:02}.py").write_text("x != 1\n")
    arguments = ["apply", str(folder / "rule.yml"), str(folder)]
    assert cli.main(arguments) == 0
    said = capsys.readouterr().err
    assert "no_match" not in said and "31 files with nothing to change" in said
    (folder / "a.py").unlink()
    assert cli.main(arguments) == 0
    assert capsys.readouterr().err.count("no_match: the pattern `$A == None`") == 3
    (folder / "c17.py").write_text("load_rows(1)\n")
    (folder / "rule.yml").write_text(RULE.replace("$A == None", "load_row($A)"))
    assert cli.main(arguments) == 0
    assert "c17.py: no_match" in capsys.readouterr().err, "the file that holds the nearest word"
    (folder / "rule.yml").write_text(
        RULE.replace("$A == None", "load_rows($A)").replace("$A is None", "load_rows($A)")
    )
    assert cli.main(arguments) == 0
    told = capsys.readouterr().err
    assert "c17.py: no_change" in told and "no_match" not in told


def test_a_rule_without_a_fix_lists_its_places(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "rule.yml").write_text(RULE.partition("fix")[0])
    (folder / "b.py").write_text("x = 1\nif y == None: f(z == None)\n")
    assert cli.main(["apply", str(folder / "rule.yml"), str(folder), "--write"]) == 0
    shown = capsys.readouterr()
    lines = [line.removeprefix(f"{folder}/") for line in shown.out.splitlines()]
    assert lines == ["a.py:1: x == None", "b.py:2: y == None", "b.py:2: z == None"]
    assert "3 places in 2 files; nothing to change, because the rule has no `fix`" in shown.err


def test_one_file_that_fails_bars_the_others_only_if_asked(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "a.py").write_text("if x:\n    y()\n")
    (folder / "b.py").write_text("if x:\n    y()\nelse:\n    z()\n")
    (folder / "rule.yml").write_text(
        "id: r\nlanguage: python\nrule:\n  pattern: |-\n    if $A:\n        $B\nfix: $B\n"
    )
    arguments = ["apply", str(folder / "rule.yml"), str(folder), "--write"]
    assert cli.main([*arguments, "--all-or-nothing"]) == 1
    assert "nothing was written" in capsys.readouterr().err
    assert (folder / "a.py").read_text() == "if x:\n    y()\n"
    assert cli.main(arguments) == 1
    said = capsys.readouterr().err
    assert "b.py: lossy" in said and "--accept lossy" in said
    assert (folder / "a.py").read_text() == "y()\n"
    assert "else" in (folder / "b.py").read_text()
    (folder / "a.py").write_text("if x:\n    y()\n")
    assert cli.main([*arguments, "--accept", "lossy", "--json"]) == 0
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [(Path(row["file"]).name, row["written"]) for row in rows] == [("a.py", True), ("b.py", True)]
    assert (folder / "a.py").read_text() == "y()\n"


def test_mistakes_of_a_person(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "x.go").write_text("package x\n")
    rule = str(folder / "rule.yml")
    assert cli.main(["apply", str(folder / "none.yml"), str(folder / "a.py")]) == 2
    assert cli.main(["apply", rule, str(folder / "none.py")]) == 2
    assert cli.main(["apply", rule, str(folder / "x.go")]) == 2
    (folder / "rule.yml").write_text(RULE.replace("pattern", "patern"))
    assert cli.main(["apply", rule, str(folder / "a.py")]) == 1
    assert "did you mean `pattern`" in capsys.readouterr().err


def test_verify_says_a_verdict_a_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    meta = {"id": "record-0001", "source": "t", "license": "mit", "group": "g"}
    record = {
        "instruction": "i",
        "pre": "x == None\n",
        "post": "x is None\n",
        "language": "python",
        "tags": [],
    }
    step = {
        "task_id": "t", "step": 0, "language": "python", "instruction": "i", "pre_code": "x == None\n",
        "teacher": {"action": json.loads(ACTION)}, "env": {"verdict": "ok", "post_code": "x is None\n"},
    }  # fmt: skip
    rows = [
        {**record, "metadata": {**meta, "action": ACTION}},
        {**record, "metadata": meta},
        {"action": json.loads(ACTION), "pre": "y == None\n", "post": "y is None\n", "language": "Python"},
        step,
        {**step, "env": {"verdict": "bad_rule"}},
    ]
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert cli.main(["verify", str(path), "--json"]) == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["verdict"] for line in lines[:-1]] == ["ok", "no action", "ok", "ok", "rejected step"]
    assert lines[-1] == {
        "summary": {"ok": 3, "no action": 1, "rejected step": 1}, "checked": 3, "failed": 0,
    }  # fmt: skip
    for limit, counted in (("4", {"ok": 3, "no action": 1}), ("1", {"ok": 1})):
        assert cli.main(["verify", str(path), "--json", "--failures-only", "--limit", limit]) == 0
        assert json.loads(capsys.readouterr().out)["summary"] == counted
    with path.open("a") as stream:
        stream.write(
            json.dumps({**record, "post": "x\n", "metadata": {**meta, "action": ACTION}}) + "\nnot json\n"
        )
    assert cli.main(["verify", str(path), "--workers", "2"]) == 1
    shown = capsys.readouterr()
    assert ":6 record-0001 wrong_result: line 1 is 'x is None', wanted 'x'" in shown.out
    assert ":7  unreadable" in shown.out and "5 claims checked, 2 failed" in shown.err


@pytest.mark.parametrize("n", [1, 4096, 4097])
def test_verify_counts_every_line_of_a_long_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], n: int
) -> None:
    row = {"pre": "x == None\n", "post": "x is None\n", "language": "python"}
    path = tmp_path / "rows.jsonl"
    claimed = json.dumps({**row, "action": json.loads(ACTION)}) + "\n"
    path.write_text((json.dumps(row) + "\n") * (n - 1) + claimed)
    assert cli.main(["verify", str(path), "--json", "--failures-only"]) == 0
    summary = json.loads(capsys.readouterr().out)
    assert summary["checked"] == 1 and summary["summary"].get("no action", 0) == n - 1


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "rule.yml: is empty"),
        (
            RULE.replace("pattern: $A == None", "kind: calll"),
            "rule.yml: bad_rule: kind `calll`",
        ),
        (
            RULE + "---\n" + RULE.replace("$A is", "$B is"),
            "rule.yml: bad_rule: document 2: undefined",
        ),
    ],
)
def test_what_is_wrong_with_a_rule_file_is_said_with_its_name(
    folder: Path, text: str, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "rule.yml").write_text(text)
    assert cli.main(["apply", str(folder / "rule.yml"), str(folder)]) != 0
    assert said in capsys.readouterr().err


@pytest.mark.parametrize("bound", [("--workers", "0"), ("--deadline-s", "-1")])
def test_bounds_that_make_no_sense_are_refused(
    folder: Path, bound: tuple[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["apply", str(folder / "rule.yml"), str(folder), *bound]) == 2
    assert f"{bound[0]}: must be greater than" in capsys.readouterr().err


@pytest.mark.parametrize(
    "step",
    [
        {"pre_code": "x == None\n", "teacher": {"action": {}}, "env": [1]},
        {"pre_code": "x == None\n", "teacher": "miner", "env": {"verdict": "ok"}},
        {"pre_code": 1, "teacher": {"action": {}}, "env": {"verdict": "ok", "post_code": "x\n"}},
    ],
)
def test_a_damaged_step_fails_and_the_lines_after_it_are_checked(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], step: dict[str, object]
) -> None:
    good = {"pre": "x == None\n", "post": "x is None\n", "language": "python", "action": json.loads(ACTION)}
    path = tmp_path / "rows.jsonl"
    path.write_text(json.dumps(step) + "\n" + json.dumps(good) + "\n")
    assert cli.main(["verify", str(path)]) == 1
    shown = capsys.readouterr()
    assert ":1 " in shown.out and "unreadable" in shown.out and "2 claims checked, 1 failed" in shown.err


@pytest.mark.parametrize("only", [("--only",), ("--only=",), ("--only", "")])
def test_no_place_after_only_is_not_every_place(folder: Path, only: tuple[str, ...]) -> None:
    before = (folder / "a.py").read_bytes()
    assert cli.main(["apply", str(folder / "rule.yml"), str(folder), "--write", *only]) == 2
    assert (folder / "a.py").read_bytes() == before


@pytest.mark.parametrize("editor", ["false", "sh -c 'printf \\\\351 > $0'", "no-such-editor"])
def test_a_place_whose_editor_fails_is_left_alone_and_the_others_are_asked_for(
    folder: Path, editor: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "a.py").write_text("x == None\ny == None\n")
    monkeypatch.delenv("VISUAL", raising=False)
    monkeypatch.setenv("EDITOR", editor)
    monkeypatch.setattr("sys.stdin", io.StringIO("e\ny\n"))
    assert cli.main(["apply", str(folder / "rule.yml"), str(folder / "a.py"), "--interactive"]) == 0
    assert "this place is not changed" in capsys.readouterr().err
    assert (folder / "a.py").read_text() == "x == None\ny is None\n"


@pytest.mark.parametrize("exact", [False, True])
@pytest.mark.parametrize("last", ["\r\n", "\n"], ids=["all of Windows", "mixed"])
def test_new_lines_end_as_all_lines_of_the_file_do(tmp_path: Path, last: str, exact: bool) -> None:
    matcher = "pattern: |-\n    if $A == None:\n        $$$B"
    fix = "|-\n  if $A is None:\n      $$$B\n      done()"
    (tmp_path / "r.yml").write_text(f"id: r\nlanguage: python\nrule:\n  {matcher}\nfix: {fix}\n")
    file = tmp_path / "a.py"
    file.write_bytes(f"if x == None:\r\n    y = 1\r\n\r\nz = 2{last}".encode())
    options = ["--exact"] if exact else []
    assert cli.main(["apply", str(tmp_path / "r.yml"), str(file), "--write", *options]) == 0
    end = "\n" if exact or last == "\n" else "\r\n"
    wanted = f"if x is None:{end}    y = 1{end}    done()\r\n\r\nz = 2{last}"
    assert file.read_bytes() == wanted.encode()
