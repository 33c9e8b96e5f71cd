"""The command line: help, exit codes, imports."""

from __future__ import annotations

import importlib
import os
import subprocess
import sys
from pathlib import Path

import pytest
from tests.launching import as_a_person

from rulewright import cli, config
from rulewright.config import CommandConfig

TORCH = ("torch", "transformers", "trl", "datasets", "matplotlib", "pyarrow", "datasketch")


def rulewright(*argv: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "rulewright", *argv], capture_output=True, text=True, check=False, timeout=60
    )


def test_help_lists_every_command() -> None:
    done = rulewright("--help")
    assert done.returncode == 0
    assert all(name in done.stdout for name in cli.COMMANDS)


@pytest.mark.parametrize("name", cli.COMMANDS)
def test_every_command_is_there_and_explains_itself(name: str) -> None:
    module = importlib.import_module(f"rulewright.commands.{cli.COMMANDS[name].module}")
    assert issubclass(module.Config, CommandConfig)
    assert module.__doc__
    fields = module.Config.model_fields
    undocumented = [field for field, info in fields.items() if not info.description]
    assert not undocumented, f"fields without a docstring: {undocumented}"


@pytest.mark.parametrize("name", cli.COMMANDS)
def test_help_of_a_command_needs_no_heavy_import(name: str) -> None:
    code = (
        "import sys; from rulewright import cli\n"
        f"try: cli.main([*{name.split()!r}, '--help'])\n"
        "except SystemExit as end: assert not end.code, end.code\n"
        f"print([m for m in {TORCH!r} if m in sys.modules], file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stderr.strip().splitlines()[-1] == "[]"
    assert "usage:" in done.stdout


def test_the_list_of_commands_loads_three_modules() -> None:
    """What is slow to load (pydantic, tyro, the commands) is loaded by the command that needs it."""
    code = (
        "import sys; from rulewright import cli\n"
        "try: cli.main(['--help'])\n"
        "except SystemExit: pass\n"
        "names = ('rulewright', 'pydantic', 'tyro', 'yaml', 'numpy')\n"
        "print(*sorted(m for m in sys.modules if m.partition('.')[0] in names), file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    ours = ["rulewright", "rulewright.cli", "rulewright.console", "rulewright.errors"]
    assert done.stderr.split() == ours


@pytest.mark.parametrize(
    ("argv", "code", "message"),
    [
        (["trian", "sft"], 2, "no command"),
        (["train", "stf"], 2, "no command 'train stf'; did you mean 'train sft'?"),
        (["ingest", "comitpackft"], 2, "did you mean 'commitpackft'?"),
        (["train"], 2, ""),
        (["--version"], 0, ""),
    ],
)
def test_exit_codes(argv: list[str], code: int, message: str) -> None:
    done = rulewright(*argv)
    assert done.returncode == code
    assert message in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("name", cli.NEXT)
def test_the_next_command_is_one_that_parses(
    name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv(cli.STAGE_MARK, raising=False)
    model = importlib.import_module(f"rulewright.commands.{cli.COMMANDS[name].module}").Config
    values = {
        field: info.get_default(call_default_factory=True) for field, info in model.model_fields.items()
    }
    values |= {key: "somewhere" for key in ("out", "model") if str(values.get(key)) == "PydanticUndefined"}
    cli.say_next(name, values)
    words = capsys.readouterr().err.removeprefix("next: rulewright ").split()
    follower = next(n for k in (2, 1) if (n := " ".join(words[:k])) in cli.COMMANDS)
    module = importlib.import_module(f"rulewright.commands.{cli.COMMANDS[follower].module}")
    config.load(module.Config, words[len(follower.split()) :], follower)


def test_the_next_command_is_named_at_the_end_but_not_within_a_job(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "rulewright", "synth", "--config", "tiny/synth", "--limit", "4"]
    for mark, n in (("", 1), ("1", 0)):
        done = subprocess.run(
            [*command, "--out", str(tmp_path / f"data{mark}"), "--workers", "1"],
            cwd=tmp_path, capture_output=True, text=True, check=False, timeout=120,
            env={**os.environ, cli.STAGE_MARK: mark},
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        assert done.stderr.count("next: rulewright stats") == n


@pytest.mark.parametrize(
    ("line", "code", "message", "hint"),
    [
        ("verify empty.jsonl", 1, "empty.jsonl: the file is empty", "name a file"),
        ("show empty.jsonl", 2, "empty.jsonl: the file is empty", "name a file"),
        ("mine empty.jsonl", 2, "empty.jsonl: the file is empty", ""),
        ("synth --families comparisn", 2, "no family 'comparisn'; did you mean 'comparison'?", "known: "),
        ("trajs make", 2, "trajectories/raw/teacher: no such data file", "rulewright teacher run"),
        ("train sft", 2, "give either `model`", "--config smollm2/stage0"),
        ("demo", 2, "no configuration is given", "--config smollm2/demo"),
        ("train sft --config folder", 2, "folder: is a folder, not a configuration file", "name a YAML file"),
        ("plan rows.jsonl", 2, "rows.jsonl:1: this is a data file", "a configuration is YAML"),
        ("configs tiny/stge1", 2, "did you mean 'tiny/stage1'?", "rulewright configs"),
    ],
)
def test_wrong_input_is_told_with_the_way_out(
    line: str, code: int, message: str, hint: str,
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty.jsonl").touch()
    (tmp_path / "folder").mkdir()
    (tmp_path / "rows.jsonl").write_text('{"a": 1}\n{"a": 2}\n')
    assert cli.main(line.split()) == code
    said = capsys.readouterr().err
    assert message in said and "Errno" not in said
    assert hint in said.partition("hint: ")[2]


@pytest.mark.parametrize("command", ["view", "check", "apply rule.yml", "bench build", "mine"])
def test_a_command_without_its_files_says_which_to_name(
    command: str, capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert cli.main(command.split()) == 2
    assert "hint: name" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "line",
    [
        "apply gone a.py", "check rules.yml --examples gone", "verify gone", "show gone",
        "show rows.jsonl --action gone", "view gone", "view rows.jsonl --data gone", "mine gone",
        "mine --from-diff gone a.py", "edit --like gone a.py", "stats gone", "stats --manifest gone",
        "synth --templates gone", "ingest jsonl --input gone",
        "ingest jsonl --input rows.jsonl --against gone", "teacher run --tasks gone",
        "trajs make --raw gone", "eval mining gone", "bench rules --miner --input gone",
        "bench rules --miner --trained-on gone", "bench build gone", "compare gone gone",
        "report stage2 --notes gone", "report stage2 --stages gone", "sandbox run gone",
        "sandbox run a.py --tests gone", "sandbox run a.py --stdin gone",
        "sandbox run a.py --tests a.py --reference gone", "sandbox attack gone", "plan gone",
        "demo --config gone", "matrix gone", "merge gone out", "serve gone",
    ],
)  # fmt: skip
def test_a_file_that_is_not_there_is_named(
    line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.py").write_text("x = 1\n")
    (tmp_path / "rows.jsonl").write_text(
        '{"instruction": "i", "pre": "a\\n", "post": "b\\n", "language": "python"}\n'
    )
    (tmp_path / "rules.yml").write_text("id: r\nlanguage: python\nrule: {pattern: a}\nfix: b\n")
    assert cli.main(line.split()) == 2
    shown = capsys.readouterr().err
    assert "gone" in shown and "error: " in shown and "hint: " in shown


@pytest.mark.parametrize(
    "command", ["verify", "show", "view", "mine", "stats", "ingest jsonl --input", "trajs make --raw"]
)
def test_a_path_that_the_system_refuses_is_named(
    command: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main([*command.split(), str(tmp_path / ("x" * 5000))]) == 2
    shown = capsys.readouterr().err
    assert "xxx" in shown and "File name too long" in shown and "hint: " in shown
    assert len(shown) < 6000
    (tmp_path / "shut").mkdir()
    (tmp_path / "shut/a.jsonl").write_text("{}\n")
    (tmp_path / "shut").chmod(0)
    done = as_a_person(*command.split(), str(tmp_path / "shut/a.jsonl"))
    (tmp_path / "shut").chmod(0o755)
    assert done.returncode == 2 and "error: " in done.stderr and "Permission denied" in done.stderr
