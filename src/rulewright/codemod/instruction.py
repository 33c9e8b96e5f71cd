"""Compare what a rule does with the words of the instruction: how sure is each place?

A rule may run and still not do what was asked. A place is sure if the instruction mentions every name
and literal that the rule removes or adds there, if the place holds a word that the instruction names, and
if the rule does not negate it unasked.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Final

from rulewright import console
from rulewright.codemod.show import one_line
from rulewright.errors import few
from rulewright.verdict import Place

_WORD: Final = re.compile(r"[^\W\d]\w*|\d+(?:\.\d+)?")
_PART: Final = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")
_QUOTED: Final = re.compile(r"`([^`\n]+)`|\"([^\"\n]+)\"|'([^'\n]{2,})'(?!\w)")
# Not the `!` of a macro, nor one after a value.
_NEGATION: Final = re.compile(r"\bnot\b|!=|(?<![\w!\])])!(?!=)")
_NEGATES: Final = re.compile(r"\bnot\b|!|n't\b|negat|invert|opposite|revers|unless", re.IGNORECASE)
# English words that are common names in code: in an instruction they are English.
_ENGLISH: Final = frozenset(
    ["a", "all", "an", "and", "any", "are", "argument", "arguments", "as", "at", "attribute",
     "attributes", "be", "but", "by", "call", "called", "calls", "change", "class", "classes", "code",
     "comparison", "compare", "constant", "convert", "delete", "do", "does", "drop", "each", "every",
     "file", "files", "first", "for", "from", "function", "functions", "get", "getting", "if", "import",
     "imports", "in", "instead", "into", "is", "it", "its", "keep", "key", "last", "literal", "make",
     "method", "methods", "module", "more", "name", "names", "new", "not", "object", "of", "old", "on",
     "one", "only", "or", "other", "out", "over", "parameter", "parameters", "place", "remove", "rename",
     "replace", "return", "returns", "rewrite", "same", "set", "should", "string", "strings", "switch",
     "than", "that", "the", "their", "them", "then", "this", "to", "type", "types", "use", "used",
     "using", "value", "values", "variable", "variables", "when", "where", "which", "while", "with",
     "without", "write", "you", "your"]
)  # fmt: skip


class InstructionWords:
    """The words of an instruction.

    Args:
        instruction: the instruction.
        code: the code that it is about: plain words count as names if the code has them.
    """

    def __init__(self, instruction: str, code: str) -> None:
        quoted = [next(part for part in found if part) for found in _QUOTED.findall(instruction)]
        self.quoted = list(dict.fromkeys(word for text in quoted for word in _WORD.findall(text)))
        self._negates = _NEGATES.search(instruction) is not None
        self._words = {word.lower() for word in _WORD.findall(instruction)}
        self._parts = {part.lower() for word in self._words for part in word.split("_")}
        here = set(_WORD.findall(code))
        plain = [word for word in _WORD.findall(instruction) if word in here and word.lower() not in _ENGLISH]
        self.about = set(self.quoted or plain)
        """What the change is about: the quoted words, or else the words that the code has too."""

    def mentions(self, word: str) -> bool:
        """Whether the instruction has a word, or all its parts (`is_none`: "is none")."""
        if word.lower() in self._words:
            return True
        parts = [part.lower() for piece in _WORD.findall(word) for part in _PART.findall(piece)]
        known = self._words | self._parts
        return bool(parts) and all(part in known or f"{part}s" in known for part in parts)

    def doubt(self, place: Place) -> str:
        """Why a place is not sure; empty if it is."""
        for verb, words in (("goes", place.gone), ("comes", place.come)):
            unmentioned = [word for word in words if not self.mentions(word)]
            if unmentioned:
                return f"`{one_line(unmentioned[0], 40)}` {verb}, which you did not mention"
        before, after = (len(_NEGATION.findall(text)) for text in (place.old, place.new))
        if (before + after) % 2 and place.new and not self._negates:
            return f"a negation {'goes' if before > after else 'comes'}, which you did not mention"
        if self.about and not self.about & set(_WORD.findall(f"{place.old} {place.new}")):
            names = ", ".join(f"`{one_line(word, 40)}`" for word in sorted(self.about)[:4])
            return f"it holds nothing of what you named ({names})"
        return ""

    def missing(self, places: Sequence[Place]) -> list[str]:
        """A warning if the instruction quotes words that no place has, before or after."""
        present = {word for place in places for word in _WORD.findall(f"{place.old} {place.new}")}
        absent = [word for word in self.quoted if word not in present]
        if not absent or not places:
            return []
        names = ", ".join(f"`{one_line(word, 40)}`" for word in absent)
        return [f"you named {names}, and the rule changes no place that holds it"]

    def compared(self, places: Sequence[Place]) -> Iterator[str]:
        """Lines about the words that the rule removes and adds, and whether the instruction has them."""
        for title, part in (("takes away", "gone"), ("brings in", "come")):
            words = Counter(word for place in places for word in getattr(place, part))
            for note, wanted in (("as you said", True), ("which you did not mention", False)):
                chosen = [word for word, _ in words.most_common() if self.mentions(word) == wanted]
                if chosen:
                    names = few([f"`{console.clean(word)[:40]}`" for word in chosen], 8)
                    yield f"the rule {title} {names}, {note}"
