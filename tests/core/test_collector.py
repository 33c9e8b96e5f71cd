"""The garbage collector is off while rules are judged, and as it was afterwards: a server judges for days."""

from __future__ import annotations

import gc
from pathlib import Path

import pytest

from rulewright import collector
from rulewright.cli import main


def test_judging_leaves_the_collector_as_it_was(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rule, code = tmp_path / "r.yml", tmp_path / "a.py"
    rule.write_text("id: r\nlanguage: python\nrule: {pattern: $A == None}\nfix: $A is None\n")
    code.write_text("x == None\n")
    frozen = gc.get_freeze_count()
    assert main(["apply", str(rule), str(code)]) == 0
    assert "+x is None" in capsys.readouterr().out
    assert gc.isenabled()
    assert gc.get_freeze_count() == frozen, "what is frozen is never collected"


def test_a_collector_that_was_off_stays_off() -> None:
    gc.disable()
    try:
        with collector.paused():
            assert not gc.isenabled()
        assert not gc.isenabled()
    finally:
        gc.enable()
    with pytest.raises(ValueError), collector.paused():
        raise ValueError
    assert gc.isenabled()
