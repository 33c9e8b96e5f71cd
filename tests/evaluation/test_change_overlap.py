"""Similarity of changes, by lines."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from rulewright.evaluation.similarity import (
    changed_line_overlap,
    diff_size,
    file_similarity,
    same_but_blanks,
)

TEXTS = st.lists(st.sampled_from(["a", "b", "c = 1", "  d", ""]), max_size=8).map("\n".join)


@given(TEXTS, TEXTS, TEXTS)
def test_bounds_and_symmetry(pre: str, wanted: str, got: str) -> None:
    value = changed_line_overlap(pre, wanted, got)
    assert 0 <= value <= 1
    assert value == changed_line_overlap(pre, got, wanted)
    assert changed_line_overlap(pre, wanted, wanted) == 1
    if pre != wanted:
        assert changed_line_overlap(pre, wanted, pre) == 0


def test_half_of_the_change_counts_half() -> None:
    pre, wanted = "a\nx\nb\ny\n", "a\nX\nb\nY\n"
    assert changed_line_overlap(pre, wanted, "a\nX\nb\ny\n") == 2 * 2 / (2 + 4)
    assert changed_line_overlap(pre, wanted, "a\nz\nb\ny\n") == 2 * 1 / (2 + 4)


def test_repeating_the_input_looks_good_on_whole_files_only() -> None:
    pre = "\n".join(f"line {i}" for i in range(50))
    wanted = pre.replace("line 7\n", "line seven\n")
    assert file_similarity(wanted, pre) > 0.95
    assert changed_line_overlap(pre, wanted, pre) == 0


def test_blanks() -> None:
    assert same_but_blanks("a  \nb\n\n", "a\nb")
    assert not same_but_blanks("a\n b", "a\nb"), "indentation is code"
    assert diff_size("a\nb\n", "a\nc\nd\n") == 3
