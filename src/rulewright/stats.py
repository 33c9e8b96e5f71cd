"""Estimates with intervals, in numpy only; exact where that is cheap.

Tasks of one group (a repository, a template, a benchmark problem asked twice) are not
independent: intervals resample whole groups. All values are per task; rates lie in [0, 1].
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import asdict, dataclass
from statistics import NormalDist
from typing import Any, Final, TypeVar

import numpy as np
import numpy.typing as npt

N_RESAMPLES: Final = 4000
_CHUNK_CELLS: Final = 2_000_000
_NO_SPREAD: Final = 1e-12
"""A standard error below this is rounding."""

Floats = npt.NDArray[np.float64]
T = TypeVar("T")


@dataclass(frozen=True)
class Estimate:
    """A mean with its 95 % interval; `low` and `high` are `None` where none can be given."""

    value: float
    low: float | None
    high: float | None
    n: int
    """Tasks."""
    n_groups: int
    method: str

    def to_dict(self) -> dict[str, Any]:
        return {key: _rounded(value) for key, value in asdict(self).items()}

    def __str__(self) -> str:
        if self.low is None or self.high is None:
            return f"{self.value:.3f} (n {self.n})"
        return f"{self.value:.3f} [{self.low:.3f}, {self.high:.3f}] (n {self.n})"


def _rounded(value: object) -> object:
    if not isinstance(value, float):
        return value
    return round(value, 6) if math.isfinite(value) else None


_Z: Final = NormalDist().inv_cdf(0.975)
"""The two-sided normal quantile of 95 %."""


def wilson(successes: float, n: int) -> tuple[float, float]:
    """Wilson's score interval of a rate (Wilson 1927).

    >>> [round(x, 3) for x in wilson(0, 20)]
    [0.0, 0.161]
    """
    if n == 0:
        return 0.0, 1.0
    z2 = _Z**2
    p = successes / n
    middle = (p + z2 / (2 * n)) / (1 + z2 / n)
    half = math.sqrt(z2) / (1 + z2 / n) * math.sqrt(p * (1 - p) / n + z2 / (4 * n * n))
    return max(0.0, middle - half), min(1.0, middle + half)


def estimate(
    values: Sequence[float], groups: Sequence[Hashable], seed: int = 0, rate: bool = True
) -> Estimate:
    """Mean over tasks with a 95 % interval that respects groups.

    Wilson for independent yes/no values; else a bootstrap over groups. Where all groups
    have one mean a bootstrap has no width: then Wilson with the groups as its n for rates,
    and no interval for numbers.

    Args:
        values: one a task.
        groups: the group of each task.
        seed: of the resampling.
        rate: values lie in [0, 1].
    """
    n, n_groups = len(values), len(set(groups))
    if n == 0:
        return Estimate(math.nan, None, None, 0, 0, "none")
    mean = float(np.mean(values))
    binary = rate and all(value in (0, 1) for value in values)
    if binary and n_groups == n:
        return Estimate(mean, *wilson(sum(values), n), n, n_groups, "wilson")
    if n_groups == 1 or cluster_se(values, groups) < _NO_SPREAD:
        if not rate:
            return Estimate(mean, None, None, n, n_groups, "none: no spread between groups")
        low, high = wilson(mean * n_groups, n_groups)
        return Estimate(mean, low, high, n, n_groups, "wilson over groups")
    low, high = _percentiles(bootstrap_means(values, groups, seed))
    return Estimate(mean, low, high, n, n_groups, "cluster bootstrap" if n_groups < n else "bootstrap")


def bootstrap_means(values: Sequence[float], groups: Sequence[Hashable], seed: int = 0) -> Floats:
    """Means of resamples of whole groups with replacement, [N_RESAMPLES]."""
    sums, sizes = _by_group(values, groups)
    n_groups = len(sums)
    rng = np.random.default_rng(seed)
    means: list[Floats] = []
    step = max(1, _CHUNK_CELLS // n_groups)
    for start in range(0, N_RESAMPLES, step):
        drawn = rng.integers(0, n_groups, size=(min(step, N_RESAMPLES - start), n_groups))
        means.append(sums[drawn].sum(axis=1) / sizes[drawn].sum(axis=1))
    return np.concatenate(means)


def _by_group(values: Sequence[float], groups: Sequence[Hashable]) -> tuple[Floats, Floats]:
    sums: dict[Hashable, float] = {}
    sizes: dict[Hashable, int] = {}
    for value, group in zip(values, groups, strict=True):
        sums[group] = sums.get(group, 0.0) + value
        sizes[group] = sizes.get(group, 0) + 1
    order = list(sums)
    return np.array([sums[g] for g in order]), np.array([float(sizes[g]) for g in order])


def _percentiles(means: Floats) -> tuple[float, float]:
    tail = (1 - 0.95) / 2
    low, high = np.quantile(means, [tail, 1 - tail])
    return float(low), float(high)


def cluster_se(values: Sequence[float], groups: Sequence[Hashable]) -> float:
    """Standard error of the mean with clustered tasks (sandwich; Miller 2024, eq. 4).

    With the usual factor G / (G − 1) for G groups; infinite for one.
    """
    mean = float(np.mean(values))
    sums, _ = _by_group([value - mean for value in values], groups)
    if len(sums) == 1:
        return math.inf
    return math.sqrt(float((sums**2).sum()) * len(sums) / (len(sums) - 1)) / len(values)


def quantile(ordered: Sequence[T], share: float) -> T:
    """The smallest of sorted values that is as large as this share of them (nearest rank).

    >>> quantile(range(1, 11), 0.5), quantile(range(1, 11), 0.9), quantile([7], 0.1)
    (5, 9, 7)
    """
    return ordered[max(0, math.ceil(share * len(ordered) - 1e-9) - 1)]


def pass_at_k(n: int, c: int, k: int) -> float:
    """Unbiased chance that one of k samples passes, from c of n (Chen et al. 2021).

    >>> pass_at_k(20, 5, 1)
    0.25
    """
    if not 1 <= k <= n:
        raise ValueError(f"pass@{k} needs at least {k} samples (got {n})")
    if n - c < k:
        return 1.0
    return 1.0 - math.prod(1.0 - k / i for i in range(n - c + 1, n + 1))


def mcnemar_exact(gained: int, lost: int) -> float:
    """Two-sided exact p-value that gains and losses are equally likely (McNemar; binomial).

    >>> mcnemar_exact(5, 0)
    0.0625
    """
    n = gained + lost
    if n == 0:
        return 1.0
    tail = sum(math.comb(n, i) for i in range(min(gained, lost) + 1)) / (1 << n)
    return min(1.0, 2 * tail)


@dataclass(frozen=True)
class Paired:
    """The mean difference B − A over the same tasks, groups resampled."""

    difference: float
    low: float
    high: float
    se: float
    n: int
    n_groups: int
    p_value: float
    """Two-sided, from the clustered standard error (normal)."""
    mde: float
    """Smallest true difference found with 80 % power at 5 % (two-sided), at this n and spread;
    infinite where the spread is not known."""

    def to_dict(self) -> dict[str, Any]:
        return {key: _rounded(value) for key, value in asdict(self).items()}


def paired(
    a: Sequence[float], b: Sequence[float], groups: Sequence[Hashable], seed: int = 0, rate: bool = True
) -> Paired:
    """Compare two runs on the same tasks.

    Args:
        a: values of the earlier run, one a task.
        b: values of the later run, in the same order.
        groups: the group of each task.
        seed: of the resampling.
        rate: values lie in [0, 1]; without that bound one group, or equal differences, give no
            interval (its ends are infinite).

    Raises:
        ValueError: no task, or lengths that differ.
    """
    if not a or not len(a) == len(b) == len(groups):
        raise ValueError(f"paired comparison of {len(a)} and {len(b)} tasks in {len(groups)} groups")
    differences = [y - x for x, y in zip(a, b, strict=True)]
    mean = float(np.mean(differences))
    se = cluster_se(differences, groups)
    n_groups = len(set(groups))
    # Groups that all have one mean have no spread; with one group nothing can be said of it.
    alike = se < _NO_SPREAD
    if n_groups == 1 or (alike and not rate):
        bound = 1.0 if rate else math.inf
        return Paired(mean, -bound, bound, math.inf, len(a), n_groups, 1.0, math.inf)
    if alike:
        # Alike is not certainty: another outcome may be as likely as none in G groups allows.
        half = wilson(0, n_groups)[1]
        low, high, se = max(-1.0, mean - half), min(1.0, mean + half), half / _Z
    else:
        low, high = _percentiles(bootstrap_means(differences, groups, seed))
    p_value = 2 * (1 - NormalDist().cdf(abs(mean) / se))
    # Differences that are all alike tell nothing of their spread.
    mde = math.inf if alike else (_Z + NormalDist().inv_cdf(0.8)) * se
    return Paired(mean, low, high, se, len(a), n_groups, p_value, mde)


def tost(result: Paired, margin: float) -> dict[str, Any]:
    """Two one-sided tests: is B within ± margin of A (equivalence), or no worse by margin?

    Each one-sided p-value is from the clustered standard error (Schuirmann 1987).
    """
    if margin <= 0:
        raise ValueError(f"the margin must be positive (got {margin})")
    if math.isinf(result.se):
        above = below = 1.0
    else:
        above = 1 - NormalDist().cdf((result.difference + margin) / result.se)
        below = NormalDist().cdf((result.difference - margin) / result.se)
    return {
        "margin": margin,
        "p_not_worse": round(above, 6),
        "p_equivalent": round(max(above, below), 6),
        "not_worse": above < 0.05,
        "equivalent": max(above, below) < 0.05,
    }


def flips(a: Mapping[str, float], b: Mapping[str, float]) -> tuple[list[str], list[str]]:
    """Tasks that B gained and that it lost, by majority of their samples."""
    both = sorted(set(a) & set(b))
    gained = [task for task in both if a[task] < 0.5 <= b[task]]
    lost = [task for task in both if b[task] < 0.5 <= a[task]]
    return gained, lost
