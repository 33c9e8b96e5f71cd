"""Configuration: file, flags, and the messages for mistakes."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import pytest
import tyro
from pydantic import BaseModel, Field

from rulewright import config
from rulewright.errors import ConfigError


class Mix(BaseModel, extra="forbid"):
    path: str
    weight: float = 1.0


class Example(config.CommandConfig):
    source: Annotated[Literal["alpha", "beta"], tyro.conf.Positional]
    """What to read."""
    rate: float = Field(default=1e-3, gt=0)
    """Learning rate."""
    seed: int = 0
    """Of everything random."""
    inputs: list[Path] = Field(default_factory=list)
    """Files."""
    mix: tyro.conf.Fixed[tyro.conf.Suppress[list[Mix]]] = Field(default_factory=list)
    """Sources with weights."""
    trainer: config.Options = Field(default_factory=dict)
    """Handed on."""


def load(*argv: str) -> Example:
    return config.load(Example, argv, prog="rulewright example")


def write(tmp_path: Path, text: str) -> str:
    path = tmp_path / "example.yaml"
    path.write_text(text)
    return str(path)


def test_file_then_flags_then_set(tmp_path: Path) -> None:
    path = write(tmp_path, "rate: 1e-4\nseed: 3\nmix:\n  - path: a\ntrainer: {lr: 5e-5, on: no}\n")
    loaded = load(
        "alpha", "--config", path, "--seed", "7", "--set", "mix.0.weight=2", "--set", "trainer.x=[1]"
    )
    assert loaded.rate == 1e-4
    assert loaded.seed == 7
    assert loaded.mix == [Mix(path="a", weight=2.0)]
    assert loaded.trainer == {"lr": 5e-5, "on": "no", "x": [1]}


def test_all_mistakes_of_a_file_at_once(tmp_path: Path) -> None:
    path = write(tmp_path, "rte: 1\nmix:\n  - path: a\n    wieght: 2\nseed: many\nrate: -1\n")
    with pytest.raises(ConfigError) as caught:
        load("alpha", "--config", path)
    lines = caught.value.message.splitlines()
    assert [line.split(": ")[0].rsplit(":", 1)[1] for line in lines] == ["1", "4", "5", "6"]
    assert "unknown key 'rte'; did you mean 'rate'?" in lines[0]
    assert "unknown key 'mix.0.wieght'; did you mean 'weight'?" in lines[1]
    assert "'seed'" in lines[2] and "got 'many'" in lines[2]
    assert "greater than 0" in lines[3]


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["alpha", "--sed", "1"], "unknown option --sed; did you mean '--seed'?"),
        (["gamma"], "no choice 'gamma'"),
        ([], "missing SOURCE"),
        (["alpha", "--rate", "fast"], "--rate: expected a number, got 'fast'"),
        (["alpha", "--rate", "-1"], "--rate: must be greater than 0 (got -1)"),
        (["alpha", "--config"], "--config expects a value"),
        (["alpha", "--seed"], "--seed expects a value"),
        (["alpha", "--config", "nowhere.yaml"], "no such configuration file"),
        (["alpha", "--set", "sed=1"], "unknown key 'sed'; did you mean 'seed'?"),
        (["alpha", "--set", "seed"], "expected KEY.PATH=VALUE"),
    ],
)
def test_wrong_flags_have_one_clear_message(argv: list[str], message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load(*argv)
    assert message in caught.value.message
    assert caught.value.hint
    assert caught.value.exit_code == 2


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("rate=-1", "--set: 'rate': input should be greater than 0 (got -1)"),
        ("mix.0.weight=x", "--set: 'mix.0.weight': "),
        ("mix.0.wait=1", "--set: unknown key 'mix.0.wait'"),
        ("sed=1", "--set: unknown key 'sed'"),
    ],
)
def test_the_file_is_not_blamed_for_an_override(override: str, message: str, tmp_path: Path) -> None:
    path = write(tmp_path, "rate: 0.1\nmix:\n  - path: a.jsonl\n    weight: 2\n")
    with pytest.raises(ConfigError) as caught:
        load("alpha", "--config", path, "--set", override)
    assert caught.value.message.startswith(message)


def test_bad_yaml_names_file_and_line(tmp_path: Path) -> None:
    path = write(tmp_path, "seed: 1\nseed: 2\n")
    with pytest.raises(ConfigError, match=r"example\.yaml:2: not valid YAML: duplicate key 'seed'"):
        load("alpha", "--config", path)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("rows.jsonl", '{"pre": 1}\n'),
        ("rows.jsonl.gz", "x"),
        ("rows.yaml", '{"pre": 1}\n{"pre": 2}\n'),
        ("rows", '\n{"pre": 1}\n{"pre": 2}\n{"pre": 3}\n'),
    ],
)
def test_data_for_a_configuration_are_called_data(name: str, text: str, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError, match="this is a data file, not a configuration"):
        load("alpha", "--config", str(path))


def test_a_configuration_may_be_json(tmp_path: Path) -> None:
    path = tmp_path / "c.yaml"
    path.write_text('{\n  "seed": 4,\n  "rate": 0.5\n}\n', encoding="utf-8")
    assert load("alpha", "--config", str(path)).seed == 4


def test_a_near_file_name_is_offered(tmp_path: Path) -> None:
    write(tmp_path, "seed: 1")
    with pytest.raises(ConfigError) as caught:
        load("alpha", "--config", str(tmp_path / "exmple.yaml"))
    assert "example.yaml" in caught.value.hint


def test_help_shows_the_defaults_of_the_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write(tmp_path, "rate: 0.25\n")
    with pytest.raises(SystemExit) as caught:
        load("--help", "--config", path)
    assert caught.value.code == 0
    text = capsys.readouterr().out
    assert "0.25" in text
    assert "Only in the file or with --set: mix, trainer" in " ".join(text.split())


def test_a_list_may_be_given_in_parts() -> None:
    assert load("alpha", "--inputs", "a", "b", "--seed", "1", "--inputs=--c").inputs == [
        Path("a"), Path("b"), Path("--c"),
    ]  # fmt: skip


def test_what_follows_two_hyphens_is_no_option() -> None:
    assert load("--seed", "1", "--", "alpha").source == "alpha"
    with pytest.raises(ConfigError, match="does not expect '--seed 2' here"):
        load("alpha", "--", "--seed", "2")


def test_several_wrong_flags_are_told_at_once() -> None:
    with pytest.raises(ConfigError) as caught:
        load("alpha", "--rate", "-1", "--seed", "many")
    assert [line.split(": ")[1] for line in caught.value.message.splitlines()] == ["--rate", "--seed"]


@pytest.mark.parametrize("argv", [("alpha", "--inputs"), ("alpha", "--inputs", "--seed", "1")])
def test_a_list_without_values_is_refused_where_it_would_mean_nothing(
    tmp_path: Path, argv: tuple[str, ...]
) -> None:
    with pytest.raises(ConfigError, match="--inputs expects a value: PATH"):
        load(*argv)
    path = write(tmp_path, "inputs: [a, b]\n")
    assert load(*argv, "--config", path).inputs == []
