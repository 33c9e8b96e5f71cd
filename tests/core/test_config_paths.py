"""`~` and variables in the paths of a configuration."""

from __future__ import annotations

from pathlib import Path

import pytest

from rulewright import cli, jsonl
from rulewright.data.mix import resolve
from rulewright.errors import UsageError
from rulewright.paths import Unset, expand, expand_all


def test_what_is_a_path_and_what_is_text(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/me")
    monkeypatch.setenv("RUN", "r1")
    assert expand("~/models/x") == "/home/me/models/x"
    assert expand("${HOME}/out") == expand("$HOME/out") == "/home/me/out"
    assert expand("runs/${RUN}/*.jsonl") == "runs/r1/*.jsonl"
    for text in ("Fix ${RUN} now", "a~b", "cost: $5", "$A == None", "~\nx", "pre=$X"):
        assert expand(text) == text
    assert expand_all({"mix": [{"path": "~/a", "n": 1}]}) == {"mix": [{"path": "/home/me/a", "n": 1}]}
    with pytest.raises(Unset, match="NOWHERE"):
        expand("$NOWHERE/x")


def test_a_configuration_with_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.delenv("NOWHERE", raising=False)
    Path("cfg.yaml").write_text("source: jsonl\ninput: [~/none.jsonl]\nout: ${HOME}/out\nlicense: mit\n")
    assert cli.main(["ingest", "--config", "cfg.yaml"]) == 2
    assert str(tmp_path / "home/none.jsonl") in capsys.readouterr().err
    Path("cfg.yaml").write_text("source: jsonl\ninput: [x.jsonl]\n\nout: $NOWHERE/out\n")
    assert cli.main(["ingest", "--config", "cfg.yaml"]) == 2
    assert "cfg.yaml:4: out: the environment has no variable NOWHERE" in capsys.readouterr().err
    assert not list(tmp_path.glob("*$*"))


def test_a_relative_path_says_what_it_is_relative_to(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for look in (resolve, lambda name: jsonl.require_file(Path(name))):
        with pytest.raises(UsageError, match="none") as caught:
            look("data/none.jsonl")
        assert f"(looked for in {tmp_path})" in caught.value.message


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("learning_rate: 1e-4\n", "(trainer.learning_rate)"),
        ("mix: [a.jsonl]\n", "expected a mapping of `name: value`"),
    ],
)
def test_slips_of_a_configuration(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], text: str, words: str
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("cfg.yaml").write_text(text)
    assert cli.main(["plan", "cfg.yaml"]) == 2
    assert words in capsys.readouterr().err
