"""One visitor for rules and one lexer for their texts, used by every module that reads rules.

A rule is plain data: `rule`, `constraints`, `utils`, `transform`, `rewriters`, `fix`. The visitor tells
where a text occurs, the lexer what it contains. Neither checks whether ast-grep accepts the rule.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Set
from typing import Any, Final

RELATIONS: Final = ("inside", "has", "precedes", "follows")
RULE_KEYS: Final = (
    "pattern", "kind", "regex", "nthChild", "range", "all", "any", "not", "matches", *RELATIONS,
)  # fmt: skip
"""The parts of a rule object, in the order in which ast-grep tries them (it decides what gets bound)."""

VARIABLE: Final = re.compile(r"\$\$\$[A-Z_][A-Z0-9_]*|\$\$\$|\$\$?[A-Z_][A-Z0-9_]*")
"""A metavariable, named or not, single or of many nodes."""
WORD: Final = re.compile(r"\w+|[^\w\s]")
"""A word, a number or a sign."""
_BOUND: Final = re.compile(r"(\$\$\$|\$\$?)([A-Z][A-Z0-9_]*)")
_TOKEN: Final = re.compile(rf"{VARIABLE.pattern}|[A-Za-z_]\w*|\d[\w.]*|\"[^\"\n]*\"|'[^'\n]*'|\S")
_SPECIAL: Final = re.compile(r"[\\.+*?()|\[\]{}^$#&~]")


# The walk


def pairs(value: Any) -> Iterator[tuple[str, Any]]:
    """Every key with its value, at any depth, outer before inner."""
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield key, inner
            yield from pairs(inner)
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from pairs(inner)


def texts(value: Any, skip: Set[str] = frozenset(), key: str = "") -> Iterator[tuple[str, str]]:
    """Every text with its key, at any depth, in order.

    >>> list(texts({"all": [{"pattern": "$A == None"}, {"kind": "x"}]}))
    [('pattern', '$A == None'), ('kind', 'x')]
    """
    if isinstance(value, str):
        yield key, value
    elif isinstance(value, Mapping):
        for name, inner in value.items():
            if name not in skip:
                yield from texts(inner, skip, name)
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from texts(inner, skip, key)


def objects(rule: Any) -> Iterator[Mapping[str, Any]]:
    """A rule object and every rule object inside it."""
    if not isinstance(rule, Mapping):
        return
    yield rule
    for key, value in rule.items():
        if key in (*RELATIONS, "not", "stopBy"):
            yield from objects(value)
        elif key in ("all", "any") and isinstance(value, list):
            for item in value:
                yield from objects(item)
        elif key == "nthChild" and isinstance(value, Mapping):
            yield from objects(value.get("ofRule"))


def required(rule: Any) -> Iterator[Mapping[str, Any]]:
    """The rule objects that a matched node itself must meet: the object and those under its `all`."""
    if isinstance(rule, Mapping):
        yield rule
        for item in rule.get("all", ()):
            yield from required(item)


def own(rule: Mapping[str, Any], utils: Mapping[str, Any], depth: int = 8) -> Iterator[Mapping[str, Any]]:
    """The rule objects that are about the matched node itself: those it must meet, and those it may.

    Names of `utils` are followed to a depth, since they may go round.
    """
    yield rule
    for key in ("all", "any"):
        for item in rule.get(key, ()):
            yield from own(item, utils, depth)
    name = rule.get("matches")
    if isinstance(name, str) and name in utils and depth:
        yield from own(utils[name], utils, depth - 1)


def pattern_parts(pattern: Any) -> tuple[str, str | None]:
    """Give the text and the selector of a `pattern` value."""
    if isinstance(pattern, str):
        return pattern, None
    return pattern["context"], pattern.get("selector")


def template_of(fix: Any) -> str:
    """The text of a fix, however it is written; of several, of the first, which ast-grep applies."""
    if isinstance(fix, list):
        fix = fix[0] if fix else ""
    return str(fix.get("template") or "" if isinstance(fix, Mapping) else fix)


# The lexer


def without_variables(text: str) -> str:
    """A pattern or fix with a blank for each metavariable."""
    return VARIABLE.sub(" ", text)


def words(text: str) -> list[str]:
    """The words and signs of a pattern or fix, metavariables left out.

    >>> words("$A.getcwdu()")
    ['.', 'getcwdu', '(', ')']
    """
    return WORD.findall(without_variables(text))


def tokens(text: str) -> list[str]:
    """The tokens of a pattern or fix: metavariables, names, numbers, whole strings, signs.

    >>> tokens('f($A, "b c")')
    ['f', '(', '$A', ',', '"b c"', ')']
    """
    return _TOKEN.findall(text)


def variables(text: str) -> set[str]:
    """The metavariables of a pattern or fix, with their dollars."""
    return set(VARIABLE.findall(text))


def binds(text: str) -> bool:
    """Whether a text has a metavariable that a match gives a value; `$_X` and `$$$` get none."""
    return _BOUND.search(text) is not None


def unbound(text: str) -> str:
    """A pattern whose variables take what they took, and bind nothing.

    >>> unbound("f($A, $_B, $$$ARGS)")
    'f($_A, $_B, $$$_ARGS)'
    """
    return _BOUND.sub(lambda found: f"{found[1]}_{found[2]}", text)


def bound(rule: Any) -> set[str]:
    """The metavariables, without dollars, to which a match of a rule object gives a value.

    >>> sorted(bound({"pattern": "f($A, $_B)", "regex": "$C", "not": {"has": {"pattern": "$D"}}}))
    ['A']
    """
    matched = (text for key, text in texts(rule, skip={"not"}) if key in ("pattern", "context"))
    return {name for text in matched for _, name in _BOUND.findall(text)}


class Numbering:
    """New names for metavariables by first use: V1, V2 …"""

    def __init__(self) -> None:
        self._names: dict[str, str] = {}

    def name(self, old: str) -> str:
        """The new name of a variable, without dollars."""
        return self._names.setdefault(old, f"V{len(self._names) + 1}")

    def text(self, text: str) -> str:
        """A text with its variables renamed; those that bind nothing stay.

        >>> Numbering().text("$X == $_Y and $$$X")
        '$V1 == $_Y and $$$V1'
        """
        return _BOUND.sub(lambda found: found[1] + self.name(found[2]), text)


def regex_escape(text: str) -> str:
    r"""Escape what Rust's regex takes as special, and nothing else (`-` and blanks read better bare).

    >>> regex_escape("a.b(c)\n")
    'a\\.b\\(c\\)\\n'
    """
    return _SPECIAL.sub(lambda m: "\\" + m.group(), text).replace("\n", "\\n")


def unescaped(regex: str) -> str:
    r"""The text of a regular expression that spells one out: escapes and the anchors taken off.

    >>> unescaped("^a\\.b$")
    'a.b'
    """
    return re.sub(r"\\(.)", r"\1", regex.removeprefix("^").removesuffix("$"))
