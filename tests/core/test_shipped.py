"""The configurations that travel with the package: found by name, copied, described to editors."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from rulewright import cli, shipped, yaml12
from rulewright.commands import configs

EVERYTHING = shipped.everything()
OURS = [one for one in EVERYTHING if one.command]


def rulewright(*argv: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "rulewright", *argv]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False, timeout=120)


def validator(command: str) -> jsonschema.Draft202012Validator:
    schema = configs.schema(command)
    jsonschema.Draft202012Validator.check_schema(schema)
    return jsonschema.Draft202012Validator(schema)


def values(one: shipped.Shipped) -> dict[str, Any]:
    loaded: dict[str, Any] = yaml12.load(one.path.read_text(encoding="utf-8"))
    return loaded


@pytest.mark.parametrize("one", EVERYTHING, ids=lambda one: one.name)
def test_every_file_says_what_it_is_and_who_reads_it(one: shipped.Shipped) -> None:
    assert one.command in cli.COMMANDS or one.name.startswith("accelerate/")
    assert 10 < len(one.about) < 200 and one.about.endswith(".")
    assert shipped.find(one.name) == one


@pytest.mark.parametrize("one", OURS, ids=lambda one: one.name)
def test_every_file_is_valid_by_its_schema(one: shipped.Shipped) -> None:
    assert not list(validator(one.command).iter_errors(values(one)))


@pytest.mark.parametrize("one", OURS, ids=lambda one: one.name)
def test_a_wrong_key_fails_by_the_schema(one: shipped.Shipped) -> None:
    check = validator(one.command)
    wrong = {**values(one), "sede": 1}
    assert ["'sede' was unexpected" in error.message for error in check.iter_errors(wrong)] == [True]
    for key, inner in values(one).items():
        # Keys of lists and mappings that have a form of their own are known too.
        if isinstance(inner, list) and inner and isinstance(inner[0], dict):
            deeper = {**values(one), key: [{**inner[0], "wieght": 1}]}
            assert any("'wieght'" in error.message for error in check.iter_errors(deeper)), key


def test_the_schema_knows_types_bounds_and_what_a_key_is() -> None:
    check = validator("train sft")
    for wrong in ({"limit": "many"}, {"limit": -1}, {"task": "both"}, {"lora": {"rank": 8}}):
        assert list(check.iter_errors(wrong)), wrong
    properties = configs.schema("train sft")["properties"]
    undescribed = [key for key, value in properties.items() if not value.get("description")]
    assert not undescribed


def test_init_copies_everything_with_a_schema_beside_it(tmp_path: Path) -> None:
    done = rulewright("init", "here", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "next: cd here; rulewright demo --config configs/tiny/demo.yaml" in done.stderr
    for one in EVERYTHING:
        copy = tmp_path / "here/configs" / f"{one.name}.yaml"
        text = copy.read_text(encoding="utf-8")
        assert text.endswith(one.path.read_text(encoding="utf-8"))
        if one.command:
            found = re.match(r"# yaml-language-server: \$schema=(\S+)\n", text)
            assert found is not None
            schema = json.loads((copy.parent / found[1]).read_text(encoding="utf-8"))
            assert schema["title"] == f"rulewright {one.command}"
            jsonschema.validate(yaml12.load(text), schema, jsonschema.Draft202012Validator)


def test_init_keeps_what_was_changed(tmp_path: Path) -> None:
    assert rulewright("init", cwd=tmp_path).returncode == 0
    assert rulewright("init", cwd=tmp_path).returncode == 0
    mine = tmp_path / "configs/tiny/stage1.yaml"
    mine.write_text("seed: 3\n")
    refused = rulewright("init", cwd=tmp_path)
    assert refused.returncode == 2
    assert (
        "configs/tiny/stage1.yaml: exists and differs" in refused.stderr and "--overwrite" in refused.stderr
    )
    assert mine.read_text() == "seed: 3\n"
    assert rulewright("init", "--overwrite", cwd=tmp_path).returncode == 0
    assert mine.read_text() != "seed: 3\n"


def test_the_packages_own_copy_is_never_written(tmp_path: Path) -> None:
    (tmp_path / "configs").symlink_to(shipped.ROOT)
    refused = rulewright("init", "--overwrite", cwd=tmp_path)
    assert refused.returncode == 2 and "the folder of the package itself" in refused.stderr


@pytest.mark.parametrize("name", ["tiny/stage1", "tiny/stage1.yaml", "configs/tiny/stage1.yaml"])
def test_a_name_is_found_where_no_file_is(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert shipped.locate(Path(name)) == shipped.ROOT / "tiny/stage1.yaml"
    assert "it comes with rulewright" in capsys.readouterr().err
    own = tmp_path / name
    own.parent.mkdir(parents=True)
    own.write_text("seed: 3\n")
    assert shipped.locate(Path(name)) == Path(name)


def test_what_is_nowhere_stays_as_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("tiny/stage9", "../configs/tiny/stage1.yaml", "configs", str(tmp_path / "tiny/stage1")):
        assert shipped.locate(Path(name)) == Path(name)


def test_commands_take_a_name_anywhere(tmp_path: Path) -> None:
    listed = rulewright("configs", "--json", cwd=tmp_path)
    assert [json.loads(line)["name"] for line in listed.stdout.splitlines()] == [o.name for o in EVERYTHING]
    done = rulewright("synth", "--config", "tiny/synth", "--limit", "0", "--help", cwd=tmp_path)
    assert done.returncode == 0 and "[72]" in done.stdout  # its max_chars, not the command's
    typo = rulewright("train", "sft", "--config", "tiny/stge1", cwd=tmp_path)
    assert typo.returncode == 2 and "did you mean tiny/stage1?" in typo.stderr
    printed = rulewright("configs", "accelerate/ddp", "--path", cwd=tmp_path)
    assert Path(printed.stdout.strip()) == shipped.ROOT / "accelerate/ddp.yaml"
    schema = rulewright("configs", "--schema", "tiny/stage1", cwd=tmp_path)
    assert json.loads(schema.stdout)["title"] == "rulewright train sft"
    for wrong in ("nonsense", "accelerate/ddp"):
        assert rulewright("configs", "--schema", wrong, cwd=tmp_path).returncode == 2
