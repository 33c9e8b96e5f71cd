"""Help and wrong values in the user's words, at any width; completion."""

from __future__ import annotations

import importlib
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from rulewright import cli, config, console

PYTHONS = re.compile(r"\bSTR\b|\bINT\b|\bFLOAT\b|\{None|\{True|\[\[")


def page(name: str, capsys: pytest.CaptureFixture[str]) -> str:
    with pytest.raises(SystemExit) as end:
        cli.main([*name.split(), "--help"])
    assert not end.value.code
    return capsys.readouterr().out


@pytest.mark.parametrize("width", [60, 80, 200])
@pytest.mark.parametrize("name", cli.COMMANDS)
def test_help_fits_the_terminal_and_speaks_words(
    name: str, width: int, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    text = page(name, capsys)
    examples = [f"  rulewright {example}" for example in cli.COMMANDS[name].examples]
    lines = text.splitlines()
    first = lines.index("examples:")
    assert lines[first + 1 : first + 3] == examples
    assert first < 8, "examples stand at the top"
    wide = [line for line in lines if len(line) > min(width, 100) and line not in examples]
    assert not [line for line in wide if " " in line.strip()], wide
    assert not PYTHONS.search(re.sub(r"`[^`]*`", "", text)), PYTHONS.search(text)
    assert "\x1b" not in text
    prose = text[: min(text.index(title) for title in ("arguments:", "options:") if title in text)]
    assert width < 80 or max(len(part.splitlines()) for part in prose.split("\n\n")) <= 8


@pytest.mark.parametrize("name", cli.COMMANDS)
def test_a_value_has_a_name_that_says_what_it_is(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    found = re.findall(r"^  (--\S+) (?:TEXT|NUMBER)\b", page(name, capsys), re.MULTILINE)
    prose = {"--about", "--fallback-instruction", "--salt", "--temperature", "--top-p"}
    assert set(found) <= prose, "a value that is neither prose nor a plain number needs a word of its own"


@pytest.mark.parametrize("name", cli.COMMANDS)
def test_every_example_is_a_command_line_that_parses(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert len(set(cli.COMMANDS[name].examples)) == 2
    for example in cli.COMMANDS[name].examples:
        words = shlex.split(example)
        assert " ".join(words[: len(name.split())]) == name
        model = importlib.import_module(f"rulewright.commands.{cli.COMMANDS[name].module}").Config
        config.load(model, words[len(name.split()) :], f"rulewright {name}")


@pytest.mark.parametrize("width", [60, 80])
def test_the_overview_fits(width: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    assert max(map(len, cli.overview().splitlines())) <= width


def test_help_in_front_is_help_behind(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        cli.main(["help", "train", "sft"])
    assert capsys.readouterr().out.startswith("usage: rulewright train sft [options]")


def numbers(cls: type[BaseModel]) -> Iterator[tuple[str, FieldInfo]]:
    """The options of a configuration whose value is one number."""
    for name, field in cls.model_fields.items():
        if field.annotation in (int, float):
            yield name, field


@pytest.mark.parametrize("name", cli.COMMANDS)
def test_every_number_but_a_seed_has_bounds(name: str) -> None:
    module = importlib.import_module(f"rulewright.commands.{cli.COMMANDS[name].module}")
    found = {option for option, field in numbers(module.Config) if not field.metadata}
    assert found <= {"seed"}


@pytest.mark.parametrize("name", cli.COMMANDS)
def test_a_command_says_its_verb_once(name: str) -> None:
    module = importlib.import_module(f"rulewright.commands.{cli.COMMANDS[name].module}")
    verb, *words = str(module.__doc__).split("\n\n")[0].lower().split()
    assert verb not in words


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("verify rows.jsonl --limit -1", "--limit: must be greater than or equal to 0 (got -1)"),
        ("show rows.jsonl --deadline-s 0", "--deadline-s: must be greater than 0 (got 0"),
        ("show rows.jsonl --deadline-s inf", "--deadline-s: must be a finite number (got inf)"),
        ("sandbox run a.py --wall-s 1e9", "--wall-s: must be less than or equal to 86400 (got 1e9)"),
        ("sandbox run a.py --pids 0", "--pids: must be greater than or equal to 1 (got 0)"),
        ("mine edits.jsonl --name ../x", "--name: expected letters, digits, '.', '-', '_'"),
        ("eval actions --name a/b", "--name: expected letters, digits, '.', '-', '_'"),
        ("eval mining edits.jsonl --name .x", "and none of '.-' first (got '.x')"),
        ("teacher run --name a/b", "--name: expected letters"),
        ("mine edits.jsonl --set limit=[1", "--set limit=[1: not valid YAML: "),
        ("mine --limit abc", "--limit: expected a whole number, got 'abc'"),
        ("mine --budget-s x", "--budget-s: expected a number, got 'x'"),
        (
            "train sft --eval-max-new-tokens x",
            "--eval-max-new-tokens: expected auto or a whole number, got 'x'",
        ),
        ("eval actions --n 0", "--n: must be greater than or equal to 1 (got 0)"),
        ("ingest git --fractions 1 2", "--fractions expects a value: SHARE SHARE SHARE"),
        ("apply rule.yml src --write --only", "--only expects a value: FILE:LINE ..."),
        ("edit --like HEAD --only --write", "--only expects a value: FILE:LINE ..."),
        ("matrix --only", "--only expects a value: METHOD ..."),
        ("check rules --against", "--against expects a value: PATH ..."),
        ("edit --like", "--like expects a value: CHANGE"),
        ("apply rule.yml src --deadline-s", "--deadline-s expects a value: SECONDS"),
        ("doctor foo", "does not expect 'foo' here"),
        ("plan", "missing CONFIG"),
        ("trajs make --tiers trian", "--tiers: no choice 'trian'; did you mean 'train'?"),
        ("mine --tiers trian", "--tiers: no choice 'trian'; did you mean 'train'?"),
    ],
)
def test_a_wrong_value_is_told_in_words(line: str, message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(line.split()) == 2
    said = capsys.readouterr().err
    assert message in said and "hint: " in said
    assert not re.search(r"invalid literal|could not convert|typing\.|<class|\[type=", said)


@pytest.mark.parametrize(
    ("flags", "wanted"),
    [
        ([], None), (["--think"], True), (["--no-think"], False), (["--think", "yes"], True),
        (["--think=off"], False), (["--think", "False"], False),
        (["--think", "--seed", "3"], True),
    ],
)  # fmt: skip
def test_a_switch_of_three_states(flags: list[str], wanted: bool | None) -> None:
    from rulewright.training.config import SftConfig

    assert config.load(SftConfig, flags, "rulewright train sft").think is wanted


COMPLETE = """
source {script}
try() {{
  COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); COMP_LINE="$*"; COMP_POINT=${{#COMP_LINE}}; COMPREPLY=()
  "$(complete -p rulewright | sed 's/.*-F \\([^ ]*\\).*/\\1/')"
  echo "${{COMPREPLY[*]}}"
}}
try rulewright tr
try rulewright train ""
try rulewright train sft --mix-policy ""
try rulewright mine --b
try rulewright mine --js
try rulewright train sft --thi
try rulewright train sft --think ""
"""


def test_completion_in_a_real_shell(tmp_path: Path) -> None:
    argv = [sys.executable, "-m", "rulewright", "--print-completion", "bash"]
    made = subprocess.run(argv, capture_output=True, text=True, check=True, timeout=120)
    (tmp_path / "complete.bash").write_text(made.stdout)
    code = COMPLETE.format(script=tmp_path / "complete.bash")
    done = subprocess.run(["bash", "-c", code], capture_output=True, text=True, check=True, timeout=60)
    heads, family, choices, flags, json, switches, after = map(str.split, done.stdout.splitlines())
    assert {"train", "trajs"} <= set(heads)
    assert {"sft", "srl", "grpo"} <= set(family)
    assert {"undersample", "repeat", "all"} <= set(choices)
    assert (flags, json) == (["--budget-s"], ["--json"])
    assert {"--think", "--thinking"} <= set(switches)
    assert not {"True", "False"} & set(after)  # a switch takes no value


def test_completion_for_an_unknown_shell(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["--print-completion", "cmd"]) == 2
    assert "bash, zsh, fish" in capsys.readouterr().err


class Terminal:
    """A stream that is a terminal."""

    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("variables", "wanted"),
    [({}, True), ({"NO_COLOR": "1"}, False), ({"NO_COLOR": ""}, True), ({"TERM": "dumb"}, False)],
)
def test_color_only_where_it_is_wanted(
    variables: dict[str, str], wanted: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {"TERM": "xterm", **variables}.items():
        monkeypatch.setenv(name, value)
    if "NO_COLOR" not in variables:
        monkeypatch.delenv("NO_COLOR", raising=False)
    assert console.colored(Terminal()) is wanted  # type: ignore[arg-type]
    assert sys.__stdin__ is not None
    assert not console.colored(sys.__stdin__) or sys.__stdin__.isatty()
