"""Which split a record belongs to: a pure function of its group.

Invariant: the answer depends on nothing but the group's name, the salt and the
fractions, so adding or removing data moves no record between splits.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable
from heapq import nsmallest
from itertools import chain
from typing import Final, NamedTuple, TypeVar

from rulewright.data.schemas import Split
from rulewright.digests import text_number
from rulewright.errors import ConfigError

T = TypeVar("T")

SALT: Final = "rulewright-1"


class Fractions(NamedTuple):
    """Shares of the groups (not of the records) in each split; they sum to 1."""

    train: float = 0.90
    dev: float = 0.05
    test: float = 0.05

    def checked(self) -> Fractions:
        """Give itself back if the shares are in [0, 1] and sum to 1.

        Raises:
            ConfigError: they do not.
        """
        if min(self) < 0 or abs(sum(self) - 1) > 1e-9:
            raise ConfigError(
                f"fractions {tuple(self)}: expected three shares >= 0 that sum to 1, got {sum(self):g}",
                "e.g. 0.9 0.05 0.05",
            )
        return self


DEFAULT: Final = Fractions()


def split_of(group: str, salt: str = SALT, fractions: Fractions = DEFAULT) -> Split:
    """Give the split of a group by hash.

    Args:
        group: what must not straddle splits (repository, codemod, template).
        salt: another salt gives another partition.
        fractions: expected shares of the groups.

    >>> split_of("asottile/pyupgrade:six") == split_of("asottile/pyupgrade:six")
    True
    """
    draw = uniform(f"{salt}\0{group}")
    if draw < fractions.test:
        return "test"
    return "dev" if draw < fractions.test + fractions.dev else "train"


def uniform(text: str) -> float:
    """Hash a text to a number in [0, 1), the same on every machine."""
    return text_number(text) / 2**64


def draw(items: Iterable[T], n: int, name: Callable[[T], str]) -> list[T]:
    """At most `n` items (0: all) by the hashes of their names, in their order.

    The choice depends on the names only: more items do not reshuffle it.
    """
    if not n:
        return list(items)
    chosen = nsmallest(n, enumerate(items), key=lambda item: uniform(name(item[1])))
    return [item for _, item in sorted(chosen, key=lambda item: item[0])]


def draw_each(items: Iterable[T], n: int, group: Callable[[T], str], name: Callable[[T], str]) -> list[T]:
    """At most `n` items of each group (0: all) by the hashes of their names, in their order."""
    listed = list(items)
    places: dict[str, list[int]] = defaultdict(list)
    for place, item in enumerate(listed):
        places[group(item)].append(place)
    chosen = (draw(inside, n, lambda place: name(listed[place])) for inside in places.values())
    return [listed[place] for place in sorted(chain.from_iterable(chosen))]
