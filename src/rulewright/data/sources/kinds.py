"""Which edits of one commit are of one kind: the same change, made in several files.

Told by the words that come and go: a rename takes the same name out of every file. Nothing is
parsed; where it is unsure it says no.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from typing import Final

from rulewright.difftext import signed_words

_WORD: Final = re.compile(r"[A-Za-z_]\w+")
_SHARE: Final = 0.5


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
