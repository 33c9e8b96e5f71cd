"""Which edits of one commit are of one kind: the same change, made in several files.

Told by the words that come and go: a rename takes the same name out of every file. Nothing is
parsed; where it is unsure it says no.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from rulewright.data.clean import group_of
from rulewright.data.drafts import Draft
from rulewright.data.settings import IngestConfig
from rulewright.difftext import signed_words

_WORD: Final = re.compile(r"[A-Za-z_]\w+")
_SHARE: Final = 0.5
SEVERAL, UNLIKE = "several_files", "unlike_others"
"""Tags of an edit that is one of several of its commit, and of one that is not like the others."""


def drafts(
    about: Draft,
    edits: Sequence[tuple[str, str, str]],
    n_files: int,
    config: IngestConfig,
    every: bool = False,
) -> list[Draft]:
    """A draft for the only file of a commit, or for each of several that makes the same change (`alike`).

    Args:
        about: what they share.
        edits: path, old and new text of each file that could be read.
        n_files: how many there are.
        config: says what groups a file.
        every: give the others, too, tagged `UNLIKE`.
    """
    several = (SEVERAL,) if n_files > 1 else ()
    same = alike([(old, new) for _, old, new in edits]) if several else [True] * len(edits)
    return [
        replace(
            about, pre=old, post=new, path=path, group=group_of(config, about.repo, path),
            tags=(*about.tags, *several, *(() if is_same else (UNLIKE,))),
        )
        for (path, old, new), is_same in zip(edits, same, strict=True)
        if is_same or every
    ]  # fmt: skip


def alike(edits: Sequence[tuple[str, str]]) -> list[bool]:
    """For each edit (old, new), whether it makes the change that most of the others make.

    A word that comes or goes belongs to that change if it does so in at least half of the files,
    and in two; an edit is of the kind if at least half of its own words belong.

    >>> alike([("a = fetch(1)", "a = get(1)"), ("fetch(b)", "get(b)"), ("x = old", "x = other")])
    [True, True, False]
    """
    words = [signed_words(_WORD.findall(old), _WORD.findall(new)) for old, new in edits]
    counts = Counter(word for own in words for word in own)
    least = max(2, len(edits) * _SHARE)
    shared = {word for word, n in counts.items() if n >= least}
    return [bool(own) and len(own & shared) >= _SHARE * len(own) for own in words]
