"""Siblings and negatives of a synthesized record: the same change on other code, and code that must not
change.

Invariant: a sibling is right under the record's own action and lies in the record's split;
its text is not the record's. What a record has is a function of what was kept, not of its order.
"""

from __future__ import annotations

import heapq
import random
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from ast_grep_py import SgNode

from rulewright.actions import Action
from rulewright.data.schemas import Sibling
from rulewright.data.splits import uniform
from rulewright.difftext import splice
from rulewright.engine import judge
from rulewright.engine.parsing import parse, span
from rulewright.grammars import GRAMMARS
from rulewright.synth.grammar import of_kind
from rulewright.verdict import Verdict

MAX_CHARS: Final = 1_200
"""Of one text: siblings make files large."""
_POOL: Final = 32
"""Texts of a template and split that its records choose from."""
_WORD: Final = re.compile(r"\w+")

Row = Mapping[str, Any]
_Key = tuple[str, str]
"""Template and split."""


def renamed(action: Action, pre: str, post: str, names: Sequence[str], rng: random.Random) -> Sibling | None:
    """The edit with other names wherever its rule says none; `None` where that is not the same edit."""
    said = set(_WORD.findall(action.rules_json()))
    used = set(_WORD.findall(pre)) | set(_WORD.findall(post))
    keywords = GRAMMARS[action.language].keywords
    found = {node.text() for node in _identifiers(pre, action)}
    old = sorted(n for n in found - said - keywords if len(n) > 1 and not n.startswith("__"))
    fresh = [name for name in names if name not in used | said | keywords and not name.startswith("__")]
    if not old:
        return None
    chosen = rng.sample(fresh, min(len(fresh), len(old)))
    chosen += [f"{name}_other" for name in old[len(chosen) :]]
    new = dict(zip(old, chosen, strict=True))
    before, after = (
        splice(text, [(*span(n), new[n.text()]) for n in _identifiers(text, action) if n.text() in new])
        for text in (pre, post)
    )
    if max(len(before), len(after)) > MAX_CHARS or judge(action, before, after).verdict is not Verdict.OK:
        return None
    return Sibling(pre=before, post=after)


def _identifiers(text: str, action: Action) -> list[SgNode]:
    return of_kind(parse(text, action.language).root, GRAMMARS[action.language].identifier)


class Pool:
    """Texts that records of one template and split lend each other.

    Args:
        edits: rows that are kept, with their split.
        negatives: rows with nothing to do, likewise.
    """

    def __init__(self, edits: Iterable[Row], negatives: Iterable[Row]) -> None:
        self._edits = _by_template(row for row in edits if _is_plain(row))
        self._negatives = _by_template(negatives)

    def known(self, row: Row, n: int) -> dict[str, Any]:
        """Fields of a row's metadata: at most `n` siblings and `n` negatives.

        A copy with other names that the row brings along is one of the siblings. Only where
        its rule is its template's alone has it those of others.
        """
        metadata = row["metadata"]
        copies = list(metadata.get("siblings") or ())
        found = {"siblings": copies[:n]}
        if _is_plain(row):
            others = _drawn(self._edits[_key(row)], row, n - len(found["siblings"]))
            found["siblings"] += [{"pre": pre, "post": post} for pre, post in others]
            found["negatives"] = [pre for pre, _ in _drawn(self._negatives[_key(row)], row, n)]
        return {name: value for name, value in found.items() if value}


def _is_plain(row: Row) -> bool:
    return "constant" in row["tags"] and row["metadata"]["provenance"]["shape"] == "single"


def _key(row: Row) -> _Key:
    return row["metadata"]["provenance"]["templates"][0], row["split"]


def _by_template(rows: Iterable[Row]) -> defaultdict[_Key, list[tuple[str, str]]]:
    """A few short texts of each template and split, chosen by hash."""
    heaps: defaultdict[_Key, list[tuple[float, str, str]]] = defaultdict(list)
    for row in rows:
        if max(len(row["pre"]), len(row["post"])) <= MAX_CHARS:
            entry = (-uniform(row["metadata"]["id"]), row["pre"], row["post"])
            heap = heaps[_key(row)]
            if len(heap) < _POOL:
                heapq.heappush(heap, entry)
            else:
                heapq.heappushpop(heap, entry)
    return defaultdict(
        list, {key: [(pre, post) for _, pre, post in sorted(heap)] for key, heap in heaps.items()}
    )


def _drawn(pool: Sequence[tuple[str, str]], row: Row, n: int) -> list[tuple[str, str]]:
    """`n` different texts of a pool that are not the row's own, each row its own draw."""
    name = row["metadata"]["id"]
    others = {pre: post for pre, post in pool if pre not in (row["pre"], row["post"])}
    return sorted(others.items(), key=lambda pair: uniform(f"{name} {pair[0]}"))[: max(0, n)]
