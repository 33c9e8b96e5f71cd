"""Similarity of two changes of one text; only the changes count, not the text around them.

Doing nothing is like nothing: the similarity to an empty change is 0. Diffs are by
line, without context, which would inflate the figure (docs/reference/rewards.md).
"""

from __future__ import annotations

from functools import lru_cache

from rapidfuzz.distance import Indel

from rulewright.difftext import lines


def change_similarity(pre: str, ours: str, wanted: str) -> float:
    r"""Similarity in [0, 1] of the changes pre → ours and pre → wanted.

    >>> change_similarity("a = 1\n", "a = 1\n", "a = 2\n")
    0.0
    >>> change_similarity("a = 1\n", "a = 2\n", "a = 2\n")
    1.0
    """
    if ours == wanted:
        return 1.0 if ours != pre else 0.0
    return float(Indel.normalized_similarity(changed_lines(pre, ours), changed_lines(pre, wanted)))


@lru_cache(maxsize=4096)
def changed_lines(pre: str, post: str) -> str:
    """The lines taken out (`-`) and put in (`+`), in order, without context."""
    before, after = lines(pre), lines(post)
    ids: dict[str, int] = {}
    left, right = ([ids.setdefault(line, len(ids)) for line in side] for side in (before, after))
    changes: list[str] = []
    for step in Indel.opcodes(left, right):
        if step.tag in ("delete", "replace"):
            changes += ["-" + line for line in before[step.src_start : step.src_end]]
        if step.tag in ("insert", "replace"):
            changes += ["+" + line for line in after[step.dest_start : step.dest_end]]
    return "".join(changes)
