"""Instructions: one of a template's phrasings, plain or with variation.

Invariant: an instruction names only what the template and the edit give; the same
generator state gives the same words.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib import resources
from typing import Any, Final, NamedTuple

from rulewright import yaml12
from rulewright.synth.kinds import Wording

_JOINTS: Final = ("{0} Then: {1}", "{0} Also: {1}", "Two things. First: {0} Second: {1}", "1. {0}\n2. {1}")
_ONLY: Final = (
    "Only in `{scope}`: {say}",
    "In `{scope}` and nowhere else: {say}",
    "{say} Do this inside `{scope}` only.",
    "{say} Restrict the change to `{scope}`.",
)
_EXCEPT: Final = (
    "{say} Leave `{scope}` as it is.",
    "Everywhere except in `{scope}`: {say}",
    "{say} Do not touch `{scope}`.",
    "{say} `{scope}` must stay unchanged.",
)
_EXCEPT_TESTS: Final = (
    "{say} Leave the tests as they are.",
    "Outside of test functions: {say}",
    "{say} Skip everything whose name begins with `test`.",
)


class Words(NamedTuple):
    """What a template says of itself."""

    reason: str
    phrasings: tuple[str, ...]


@dataclass(frozen=True)
class Speech:
    """How requests are worded.

    Args:
        wording: `plain` takes a phrasing as it is; `rich` sometimes adds the reason, an
            example from the code, or the form of an issue.
        phrasings: how many of a template's phrasings to use, from the first; 0: all.
    """

    wording: Wording = "rich"
    phrasings: int = 0

    def choose(self, words: Words, slots: Mapping[str, str], rng: random.Random) -> tuple[int, str]:
        """Pick a phrasing; give its number and the text with the slots filled."""
        usable = words.phrasings[: self.phrasings] if self.phrasings else words.phrasings
        number = rng.randrange(len(usable))
        return number, fill(usable[number], slots)

    def dress(self, say: str, reason: str, pre: str, post: str, rng: random.Random) -> str:
        """Add what an asker might add; nothing when the wording is plain."""
        if self.wording == "plain":
            return say
        draw = rng.random()
        if draw < 0.15 and reason:
            return f"{say} Reason: {reason}."
        if draw < 0.22 and reason:
            return f"{reason[0].upper()}{reason[1:]}. {say}"
        if draw < 0.30:
            shown = changed_line(pre, post)
            if shown:
                return rng.choice(
                    (
                        "{say} For example, `{0}` becomes `{1}`.",
                        "{say} So `{0}` turns into `{1}`.",
                        "{say}\nBefore: {0}\nAfter: {1}",
                    )
                ).format(*shown, say=say)
        return say

    def join(self, says: Sequence[str], rng: random.Random) -> str:
        """One request for several changes, in order."""
        if len(says) == 2:
            return rng.choice(_JOINTS).format(*says)
        return "\n".join(f"{number}. {say}" for number, say in enumerate(says, 1))

    def scope(self, say: str, scope: str, outside: bool, rng: random.Random) -> str:
        """Limit a request to a named function or class, or to all but it."""
        if scope == "test":
            return rng.choice(_EXCEPT_TESTS).format(say=say)
        return rng.choice(_EXCEPT if outside else _ONLY).format(say=say, scope=scope)


def fill(phrasing: str, slots: Mapping[str, str]) -> str:
    """Put values into `{slots}`; braces that are code stay as they are.

    >>> fill("Use `{new}`, not `{}`.", {"new": "x"})
    'Use `x`, not `{}`.'
    """
    for name, value in slots.items():
        phrasing = phrasing.replace("{" + name + "}", value)
    return phrasing


def changed_line(pre: str, post: str) -> tuple[str, str] | None:
    """The first line that differs, before and after, if it can serve as an example."""
    before, after = pre.split("\n"), post.split("\n")
    if len(before) != len(after):
        return None
    for old, new in zip(before, after, strict=True):
        if old != new:
            old, new = old.strip(), new.strip()
            fits = 0 < len(old) <= 60 and 0 < len(new) <= 60 and "`" not in old + new
            return (old, new) if fits else None
    return None


@lru_cache(maxsize=1)
def instance_words() -> Mapping[str, Words]:
    """Phrasings of the families in `instances`."""
    text = (resources.files("rulewright.synth") / "phrasings.yaml").read_text(encoding="utf-8")
    document: dict[str, Any] = yaml12.load(text)
    return {name: Words(entry["reason"], tuple(entry["say"])) for name, entry in document.items()}
