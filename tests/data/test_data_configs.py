"""The configurations that are shipped can be read."""

from __future__ import annotations

from pathlib import Path

import pytest

from rulewright import config
from rulewright.data.settings import IngestConfig
from rulewright.data.sources import SOURCES

FILES = sorted((Path(__file__).resolve().parents[2] / "configs" / "data").glob("*.yaml"))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_shipped_configuration_is_valid(path: Path) -> None:
    values = config.read_file(IngestConfig, path)
    assert values["source"] in SOURCES
