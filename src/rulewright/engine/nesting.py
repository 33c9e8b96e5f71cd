"""Which kinds of node can stand in which, and which fields they can have, in code without syntax errors.

The information comes from the parse tables of the pinned grammars (`tools/node_kinds.py` reads them into
`nesting.json`). Kinds that are not in the tables may occur anywhere.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from functools import cached_property, lru_cache, reduce
from operator import and_
from pathlib import Path
from typing import Final

from rulewright.engine.kinds import names
from rulewright.languages import Language

FILE: Final = Path(__file__).with_name("nesting.json")
Kinds = frozenset[str] | None
"""Kinds of node that may match; `None`: any, or it cannot be told."""
SHOWN: Final = 3
"""Kinds that a message names."""


class Nesting:
    """The kinds of node of one language, and the children and fields that they can have, as bits."""

    def __init__(self, language: Language) -> None:
        entry = json.loads(FILE.read_text(encoding="utf-8"))[language]
        self._kinds: list[str] = entry["kinds"].split()
        self._at = {kind: number for number, kind in enumerate(self._kinds)}
        self._children = [int(row, 16) for row in entry["children"].split()]
        self._fields: list[str] = entry["fields"].split()
        self._with = [int(row, 16) for row in entry["with"].split()]
        self._groups = frozenset(names(language).kinds) - self._at.keys()

    def group_among(self, kinds: Kinds) -> str:
        """A name of the grammar that no node has, where none of these kinds is one of a node; else empty."""
        return min(kinds) if kinds and kinds <= self._groups else ""

    def why_no_field(self, field: str, kinds: Kinds) -> str:
        """Why no node of these kinds has a field; empty where one may, or it cannot be told."""
        if self._bits(kinds) is None or not kinds:
            return ""
        bit = 1 << self._fields.index(field) if field in self._fields else 0
        return (
            ""
            if any(self._with[self._at[kind]] & bit for kind in kinds)
            else f"{_any_of(kinds)} has no `{field}`"
        )

    def why_never(self, relation: str, own: Kinds, other: Kinds, far: bool) -> str:
        """Why no node of one kind has one of another in a relation; empty where one may.

        Args:
            relation: `has`, `inside`, `precedes` or `follows`.
            own: of the node that matches.
            other: of the node in relation to it.
            far: whether more than the nearest node is looked at.
        """
        if relation in ("precedes", "follows"):
            both = [self._parents(kinds) for kinds in (own, other)]
            known = [parents for parents in both if parents is not None]
            if not known or reduce(and_, known):
                return ""
            alone = own if both[0] == 0 else other if both[1] == 0 else None
            if alone is not None:
                return f"{_any_of(alone)} has no siblings"
            return f"{_any_of(own)} and {_any_of(other)} are never siblings"
        outer, inner = (own, other) if relation == "has" else (other, own)
        if self._may_hold(outer, inner, far):
            return ""
        if outer is None or self._parents(inner) == 0:
            return f"{_any_of(inner)} stands in no node"
        deeper = "" if far or not self._may_hold(outer, inner, True) else "; with `stopBy: end` it may"
        holds = "holds no" if far else "has no child"
        return f"{_any_of(outer)} {holds} {_any_of(inner)}{deeper}"

    def _may_hold(self, outer: Kinds, inner: Kinds, far: bool) -> bool:
        if outer is None:
            return self._parents(inner) != 0
        sought, holders = self._bits(inner), self._bits(outer)
        if sought is None or holders is None:
            return True
        rows = self._below if far else self._children
        return any(rows[at] & sought for at in _ones(holders))

    def _bits(self, kinds: Kinds) -> int | None:
        if kinds is None or not kinds <= self._at.keys():
            return None
        return sum(1 << self._at[kind] for kind in kinds)

    def _parents(self, kinds: Kinds) -> int | None:
        """The kinds that can be the parent of one of these."""
        sought = self._bits(kinds)
        if sought is None:
            return None
        return sum(1 << at for at, row in enumerate(self._children) if row & sought)

    @cached_property
    def _below(self) -> list[int]:
        """Of each kind what it can hold at any depth."""
        rows = list(self._children)
        while True:
            before = list(rows)
            for at, row in enumerate(before):
                for inner in _ones(row):
                    rows[at] |= rows[inner]
            if rows == before:
                return rows


@lru_cache(maxsize=16)
def nesting_of(language: Language) -> Nesting:
    """The nesting of a language, read once."""
    return Nesting(language)


def _ones(number: int) -> Iterable[int]:
    return (at for at in range(number.bit_length()) if number >> at & 1)


def _any_of(kinds: Kinds) -> str:
    shown = [f"`{kind}`" for kind in sorted(kinds or ())]
    more = [] if len(shown) <= SHOWN else [f"{len(shown) - SHOWN} more"]
    return " or ".join([*shown[:SHOWN], *more])
