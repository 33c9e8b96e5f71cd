"""What a change does not show, and where its lines stood before it."""

from __future__ import annotations

import pytest

from rulewright import difftext
from rulewright.mining import doubts


@pytest.mark.parametrize(
    ("old", "new", "lines"),
    [
        ("abc", "abc", [0, 1, 2]),
        # Lines that come count as the one that they come before.
        ("abc", "axybc", [0, 1, 1, 1, 2]),
        ("abc", "xabc", [0, 0, 1, 2]),
        # Of lines that become others each is the one in its place, as far as there are any.
        ("abcd", "axyd", [0, 1, 2, 3]),
        ("abcd", "axd", [0, 1, 3]),
        ("abc", "axyzc", [0, 1, 1, 1, 2]),
        ("abcd", "ad", [0, 3]),
        ("abcdef", "axcdyzf", [0, 1, 2, 3, 4, 4, 5]),
    ],
)
def test_the_line_that_a_line_was_before(old: str, new: str, lines: list[int]) -> None:
    shift = difftext.changed(list(old), list(new))
    assert [doubts.line_before(line, shift) for line in range(len(new))] == lines
