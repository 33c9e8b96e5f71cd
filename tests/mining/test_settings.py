"""What `rulewright mine` does unless it is told otherwise, and which numbers it takes."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from rulewright.mining.inputs import EditRow
from rulewright.mining.settings import MineConfig


def test_nothing_is_written_or_asked_or_cut_unless_it_is_said() -> None:
    config = MineConfig()
    assert not config.write and not config.interactive
    assert (config.literal_share, config.budget_s, config.n_known, config.max_lines) == (0.1, 2.0, 20, 60)
    assert (config.limit, config.seed) == (0, 0)
    assert EditRow("a", "b", "python", "", "x\n", "y\n").alone


@pytest.mark.parametrize(
    ("name", "least", "less"),
    [("literal_share", 0, -0.01), ("n_known", 0, -1), ("max_lines", 1, 0), ("limit", 0, -1),
     ("literal_share", 1, 1.01), ("budget_s", 0.01, 0)],
)  # fmt: skip
def test_numbers_have_their_bounds(name: str, least: Any, less: Any) -> None:
    assert getattr(MineConfig(**{name: least}), name) == least
    with pytest.raises(ValidationError):
        MineConfig(**{name: less})
