"""Find the texts that a file must contain for a rule to match, so that most files need not be parsed.

Invariant: a rule never matches in a text that `may_match` refuses. If a requirement is unknown, no text
is required.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from itertools import chain
from typing import Any, Final

from rulewright.actions.visit import RELATIONS, pattern_parts
from rulewright.engine import patterns
from rulewright.languages import Language

Needs = tuple[frozenset[str], ...]
"""Alternatives: of at least one of them a text must hold every part."""
NOTHING: Final[Needs] = (frozenset(),)
MAX_ALTERNATIVES: Final = 16
_SIGN: Final = re.compile(r"[$µ\U00010000]")
"""What `$` is parsed as: the word is no text of the code."""
_COMMENT: Final = re.compile(r"//|/\*|#")
_PLAIN: Final = re.compile(r"\^?((?:\\[.+*?()|\[\]{}^$#&~\\]|[\w \-/:;,<>@!%=\"'`])+)\$?")


def needs(rule: Mapping[str, Any], language: Language) -> Needs:
    r"""What a text must hold for a rule object to match a node of it.

    >>> needs({"any": [{"pattern": "old($A)"}, {"regex": "^a\\.b$"}]}, "python")
    (frozenset({'old'}), frozenset({'a.b'}))
    """
    found = NOTHING
    for key, value in rule.items():
        if key == "pattern":
            found = _both(found, (_of_pattern(value, language),))
        elif key == "regex":
            plain = _PLAIN.fullmatch(str(value))
            found = _both(found, (frozenset({re.sub(r"\\(.)", r"\1", plain[1])}),) if plain else NOTHING)
        elif key == "all":
            for one in value:
                found = _both(found, needs(one, language))
        elif key == "any":
            found = _both(found, tuple(chain.from_iterable(needs(one, language) for one in value)))
        elif key in RELATIONS:
            found = _both(found, needs(value, language))
    return found


def may_match(text: str | bytes, wanted: Needs) -> bool:
    """Whether a text, or its UTF-8, holds what a rule needs."""
    if isinstance(text, bytes):
        return any(all(part.encode() in text for part in parts) for parts in wanted)
    return any(all(part in text for part in parts) for parts in wanted)


def _both(left: Needs, right: Needs) -> Needs:
    made = tuple(dict.fromkeys(one | other for one in left for other in right))
    return made if len(made) <= MAX_ALTERNATIVES else left


def _of_pattern(pattern: Any, language: Language) -> frozenset[str]:
    """The words of a pattern: its tokens have to stand in the code as they are."""
    text, selector = pattern_parts(pattern)
    strictness = pattern.get("strictness", "smart") if isinstance(pattern, Mapping) else "smart"
    if strictness not in ("smart", "cst") or _COMMENT.search(text):
        return frozenset()
    facts = patterns.facts(text, selector, language)
    words = (word for word in facts.words if any(char.isalnum() for char in word))
    return frozenset() if facts.broken else frozenset(word for word in words if not _SIGN.search(word))
