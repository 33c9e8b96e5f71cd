"""Which groups are kept, and where fresh prompts come from."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rulewright.srl.sampling import PromptStream, SamplingConfig, is_informative

RANGE = SamplingConfig(epsilon=0.01)
STD = SamplingConfig(epsilon=0.01, criterion="std")


def test_a_lone_gain_counts_by_range_and_not_by_std() -> None:
    rewards = [0.93] * 7 + [0.95]
    assert is_informative(rewards, RANGE)
    assert not is_informative(rewards, STD)


def test_flat_groups_and_what_infra_leaves() -> None:
    assert not is_informative([0.5] * 8, RANGE)
    assert not is_informative([0.5, 0.505], RANGE)
    assert not is_informative([math.nan] * 7 + [1.0], RANGE)
    assert not is_informative([math.nan] * 6 + [0.3, 0.3], RANGE)
    assert is_informative([math.nan] * 6 + [0.3, 0.9], RANGE)


@settings(deadline=None)
@given(
    n_rows=st.integers(1, 40),
    takes=st.lists(st.integers(0, 12), max_size=12),
    world=st.integers(1, 3),
    cut=st.integers(0, 12),
    seed=st.integers(0, 5),
)
def test_the_stream_is_its_position(n_rows: int, takes: list[int], world: int, cut: int, seed: int) -> None:
    """Ranks share one stream, every pass holds every row once, and a resumed stream goes on."""
    whole: list[int] = []
    streams = [PromptStream(n_rows, seed) for _ in range(world)]
    for i, n in enumerate(takes):
        if i == cut:
            streams = [PromptStream(n_rows, seed, stream.position) for stream in streams]
        for rank, stream in enumerate(streams):
            whole += stream.take(n, rank, world)
    assert whole == PromptStream(n_rows, seed).take(len(whole))
    for start in range(0, len(whole) - n_rows + 1, n_rows):
        assert sorted(whole[start : start + n_rows]) == list(range(n_rows))


def test_seeds_differ() -> None:
    assert PromptStream(50, 0).take(50) != PromptStream(50, 1).take(50)
    with pytest.raises(ValueError, match="epsilon"):
        SamplingConfig(epsilon=-1)
