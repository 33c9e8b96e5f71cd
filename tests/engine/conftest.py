"""Real code of every language, written for these tests."""

from __future__ import annotations

from pathlib import Path

import pytest

from rulewright.languages import Language, language_of_path

SAMPLES = Path(__file__).parent / "samples"


@pytest.fixture(scope="session")
def samples() -> list[tuple[str, Language]]:
    """Texts with their languages, one or more of each."""
    # `.txt` keeps linters and test collection off the Python one.
    return [
        (path.read_text(encoding="utf-8"), language_of_path(path.name.removesuffix(".txt")))
        for path in sorted(SAMPLES.iterdir())
    ]
