"""Statistics against brute force, known values and simulation."""

from __future__ import annotations

import itertools
import math
import random
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rulewright import stats
from rulewright.evaluation import tables


def test_wilson_known_values() -> None:
    # Newcombe 1998, table I: 81 of 263, 15 of 148, 0 of 20, 1 of 29.
    for (r, n), (low, high) in {
        (81, 263): (0.2553, 0.3662),
        (15, 148): (0.0624, 0.1605),
        (0, 20): (0.0000, 0.1611),
        (1, 29): (0.0061, 0.1718),
    }.items():
        assert stats.wilson(r, n) == pytest.approx((low, high), abs=5e-5)
    assert stats.wilson(0, 0) == (0.0, 1.0)


@given(st.integers(1, 8).flatmap(lambda n: st.tuples(st.just(n), st.integers(0, n), st.integers(1, n))))
def test_pass_at_k_equals_the_share_of_subsets(case: tuple[int, int, int]) -> None:
    n, c, k = case
    results = [True] * c + [False] * (n - c)
    subsets = list(itertools.combinations(results, k))
    assert stats.pass_at_k(n, c, k) == pytest.approx(sum(map(any, subsets)) / len(subsets))


def test_pass_at_k_needs_k_samples() -> None:
    with pytest.raises(ValueError, match="pass@5"):
        stats.pass_at_k(4, 1, 5)


@given(st.integers(0, 12), st.integers(0, 12))
def test_mcnemar_is_the_binomial_test(gained: int, lost: int) -> None:
    n = gained + lost
    observed = math.comb(n, gained)
    exact = sum(math.comb(n, i) for i in range(n + 1) if math.comb(n, i) <= observed) / 2**n
    assert stats.mcnemar_exact(gained, lost) == pytest.approx(min(1.0, exact))
    assert stats.mcnemar_exact(gained, lost) == stats.mcnemar_exact(lost, gained)


def test_mcnemar_takes_any_number_of_flips() -> None:
    n, least = 3000, 1450
    exact = Fraction(2 * sum(math.comb(n, i) for i in range(least + 1)), 2**n)
    assert stats.mcnemar_exact(least, n - least) == pytest.approx(float(exact))


@given(st.lists(st.integers(0, 9), min_size=1), st.sampled_from([0.1, 0.5, 0.9, 0.99, 1.0]))
def test_a_quantile_is_the_smallest_value_of_its_share(values: list[int], share: float) -> None:
    found = stats.quantile(sorted(values), share)
    exact = Fraction(str(share)) * len(values)
    assert sum(value <= found for value in values) >= exact > sum(value < found for value in values)


def test_the_last_tenth_of_ten_values_is_one_value() -> None:
    assert tables.spread([*range(9), 1_000])["p90"] == 8


def test_estimate_chooses_its_method() -> None:
    independent = stats.estimate([1, 0, 1, 1], list("abcd"))
    assert (independent.method, independent.n, independent.n_groups) == ("wilson", 4, 4)
    assert stats.estimate([1, 0, 1, 1], list("aabb")).method == "cluster bootstrap"
    assert stats.estimate([0.5, 0.1], list("ab")).method == "bootstrap"
    alike = stats.estimate([0.0] * 100, ["a", "b"] * 50)
    assert alike.method == "wilson over groups"
    assert alike.high == pytest.approx(stats.wilson(0, 2)[1]), "two groups are two observations"
    halves = stats.estimate([0.0, 1.0] * 2, list("aabb"))
    assert halves.method == "wilson over groups"
    assert halves.low == pytest.approx(stats.wilson(1, 2)[0])
    assert math.isnan(stats.estimate([], []).value)
    assert stats.estimate([3.0, 5.0], ["a", "a"], rate=False).low is None
    assert stats.estimate([3.0, 3.0], ["a", "b"], rate=False).low is None, "equal numbers are not certain"


def test_clustered_intervals_cover_where_naive_ones_do_not() -> None:
    """Groups that agree within: 95 % intervals must hold the truth about 95 % of the time."""
    rng = random.Random(1)
    truth, n_groups, size, n_runs = 0.5, 40, 10, 120
    clustered = naive = 0
    for _ in range(n_runs):
        values, groups = [], []
        for g in range(n_groups):
            p = 0.9 if rng.random() < truth else 0.1
            values += [float(rng.random() < p) for _ in range(size)]
            groups += [g] * size
        got = stats.estimate(values, groups)
        assert got.low is not None and got.high is not None
        clustered += got.low <= 0.5 <= got.high
        low, high = stats.wilson(sum(values), len(values))
        naive += low <= 0.5 <= high
    assert clustered / n_runs > 0.88
    assert naive / n_runs < 0.75


def test_cluster_se_reduces_to_the_usual_one() -> None:
    values = [1.0, 0.0, 0.0, 1.0, 1.0]
    mean = sum(values) / 5
    usual = math.sqrt(sum((v - mean) ** 2 for v in values) / 4 / 5)
    assert stats.cluster_se(values, range(5)) == pytest.approx(usual)
    doubled = stats.cluster_se(values * 2, [*range(5)] * 2)
    assert doubled == pytest.approx(usual), "copies within a group add nothing"
    assert stats.cluster_se(values, ["one"] * 5) == math.inf


@given(
    st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1), st.integers(0, 5)), min_size=2, max_size=30),
)
def test_paired_is_antisymmetric_and_holds_its_difference(rows: list[tuple[float, float, int]]) -> None:
    a, b, groups = (list(column) for column in zip(*rows, strict=True))
    forward, backward = stats.paired(a, b, groups), stats.paired(b, a, groups)
    assert forward.difference == pytest.approx(-backward.difference)
    assert forward.low - 1e-9 <= forward.difference <= forward.high + 1e-9
    assert 0 <= forward.p_value <= 1
    for value in forward.to_dict().values():
        assert value is None or math.isfinite(value)


def test_equal_runs_are_not_certain_to_be_equal() -> None:
    few = stats.paired([1.0] * 5, [1.0] * 5, range(5))
    assert few.low < -0.3 and few.high > 0.3
    assert not stats.tost(few, 0.03)["equivalent"]
    many = stats.paired([1.0] * 2000, [1.0] * 2000, range(2000))
    assert stats.tost(many, 0.03)["equivalent"]


def test_tost_and_mde() -> None:
    rng = random.Random(2)
    a = [float(rng.random() < 0.6) for _ in range(4000)]
    worse = [value if rng.random() < 0.9 else 0.0 for value in a]
    result = stats.paired(a, worse, range(4000))
    assert result.difference < -0.04 and result.p_value < 0.001
    assert not stats.tost(result, 0.03)["not_worse"]
    assert stats.tost(result, 0.10)["equivalent"]
    assert stats.paired(worse, a, range(4000)).mde == pytest.approx(2.8016 * result.se, rel=1e-3)
    assert stats.paired(a, a, range(4000)).mde == math.inf, "no difference at all tells nothing of the spread"
    with pytest.raises(ValueError, match="positive"):
        stats.tost(result, 0)


def test_groups_that_all_gain_and_lose_as_much_are_not_certain() -> None:
    result = stats.paired([0, 1, 0, 1], [1, 0, 1, 0], list("aabb"))
    assert result.difference == 0
    assert (result.low, result.high) == pytest.approx((-stats.wilson(0, 2)[1], stats.wilson(0, 2)[1]))
    assert result.p_value == 1 and result.mde == math.inf


def test_one_group_says_nothing() -> None:
    result = stats.paired([0.0, 1.0], [1.0, 1.0], ["g", "g"])
    assert (result.low, result.high, result.p_value) == (-1.0, 1.0, 1.0)
    assert result.to_dict()["mde"] is None
    assert not stats.tost(result, 0.5)["not_worse"]


def test_flips() -> None:
    assert stats.flips({"a": 1, "b": 0, "c": 0.4, "d": 1}, {"a": 0, "b": 1, "c": 0.6}) == (["b", "c"], ["a"])


def test_bootstrap_is_reproducible() -> None:
    values, groups = [0.1, 0.9, 0.4, 0.6], [1, 1, 2, 3]
    assert (stats.bootstrap_means(values, groups, 3) == stats.bootstrap_means(values, groups, 3)).all()
