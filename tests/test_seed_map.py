"""docs/reference/seed-map.md tells the truth: modules import, commands exist, paths are defaults."""

from __future__ import annotations

import importlib
import json
import re
from pathlib import Path

import pytest

from rulewright import cli

ROOT = Path(__file__).resolve().parents[1]


def rows() -> list[tuple[str, str, str, str]]:
    text = (ROOT / "docs/reference/seed-map.md").read_text(encoding="utf-8")
    found = re.findall(r"^\| (.+?) \| (.+?) \| (.+?) \| (.+?) \|$", text, re.MULTILINE)
    return [row for row in found if row[0] not in ("plan", "---")]


@pytest.mark.parametrize("row", rows(), ids=lambda row: row[0].strip("`"))
def test_a_row_is_true(row: tuple[str, str, str, str]) -> None:
    _, module, command, path = row
    for name in re.findall(r"`(rulewright[\w.]*)`", module):
        importlib.import_module(name)
    for pattern in re.findall(r"`(configs/[^`]+)`", module):
        assert list(ROOT.glob(pattern))
    names = re.findall(r"`rulewright ([\w ]+)`", command)
    defaults = ""
    for name in names:
        known = next(n for n in cli.COMMANDS if name == n or name.startswith(f"{n} "))
        config = importlib.import_module(f"rulewright.commands.{cli.COMMANDS[known].module}").Config
        defaults += json.dumps(
            [str(f.get_default(call_default_factory=True)) for f in config.model_fields.values()]
        )
        defaults += importlib.import_module(f"rulewright.commands.{cli.COMMANDS[known].module}").__doc__ or ""
        shipped = [p.read_text(encoding="utf-8") for p in (ROOT / "configs").rglob("*.yaml")]
        defaults += "".join(shipped)
    if names and path.startswith("`"):
        assert path.strip("`") in defaults, f"{path} is no default of {names}"
