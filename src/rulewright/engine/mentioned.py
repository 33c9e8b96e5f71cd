"""The words that a rule mentions; `lossy` treats them as dropped on purpose."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, cast

from ast_grep_py import Config, SgNode

from rulewright.actions import visit
from rulewright.actions.visit import pattern_parts
from rulewright.engine import patterns
from rulewright.engine.parsing import span
from rulewright.languages import Language

Spans = list[tuple[int, int]]
"""Character ranges of a text."""

_WORD: Final = re.compile(r"[A-Za-z_]\w*")
_RUN: Final = re.compile(r"[^\s\"'`()\[\]{};,|]+")
"""A text without blanks within quotes or brackets, as the path of an import is."""
_WILD: Final = "RWANY"
_MAX_WILDCARDS: Final = 24
_BESIDE: Final = frozenset({"pattern", "inside", "follows", "precedes"})
"""Keys of a rule whose pattern alone says what the match holds."""
_ANONYMOUS: Final = re.compile(r"\$\$\$(?:_[A-Z0-9_]*)?(?![A-Z0-9_])|\$\$?_[A-Z0-9_]*")


@dataclass(frozen=True)
class Choice:
    """One alternative of an `any`."""

    rule: Mapping[str, Any]
    words: frozenset[str]

    def fits(self, node: SgNode) -> bool:
        """Whether the node matches it; `False` where that cannot be told alone (a util)."""
        try:
            return node.matches(**self.rule)
        except (RuntimeError, TypeError, ValueError):
            return False


@dataclass(frozen=True)
class Mentioned:
    """A rule read for its words and variables."""

    words: frozenset[str]
    """Every word that the rule's patterns and regexes mention."""
    spells_out: bool
    """Whether a pattern is about the matched node itself, so that its keywords count."""
    repeated: frozenset[str]
    """Variables that such a pattern names more than once; a match captures one of the places only."""
    wild: tuple[Any, ...]
    """Such patterns that hold `$_` or `$$$`, with each of these named."""
    common: frozenset[str] = frozenset()
    """Words that stand outside every such `any`."""
    choices: tuple[tuple[Choice, ...], ...] = ()
    """The alternatives of each `any` about the matched node itself, in order."""
    parts: Counter[str] | None = None
    """The smallest named parts of the pattern, where it alone says what the match holds."""

    def words_for(self, node: SgNode) -> frozenset[str]:
        """The words that the rule mentions for this match: of an `any`, only of the first that fits."""
        unsaid: frozenset[str] = frozenset()
        for choice in self.choices:
            fitting = next((one for one in choice if one.fits(node)), None)
            if fitting is not None:
                others = frozenset().union(*(one.words for one in choice if one is not fitting))
                unsaid |= others - fitting.words
        return self.words - (unsaid - self.common)

    def wildcards(self, node: SgNode) -> Spans:
        """What `$_` and `$$$` of the rule's own patterns match: meant, though not captured."""
        spans: Spans = []
        for pattern in self.wild:
            for found in node.find_all(cast(Config, {"rule": {"pattern": pattern}})):
                if found == node:
                    for number in range(_MAX_WILDCARDS):
                        spans += capture(found, f"{_WILD}{number}")
        return spans

    def again(self, node: SgNode) -> frozenset[str]:
        """Texts of repeated variables, which cover all of their occurrences."""
        texts = set()
        for name in self.repeated:
            one = node.get_match(name)
            for captured in [one] if one is not None else node.get_multiple_matches(name):
                texts.add(captured.text())
        return frozenset(texts)


def read(config: Mapping[str, Any], language: Language) -> Mentioned:
    """Read the configuration of a rule that ast-grep accepts.

    Its own patterns are those that the matched node itself must match, or may.
    """
    objects = visit.own(config["rule"], config.get("utils", {}))
    own = [rule["pattern"] for rule in objects if "pattern" in rule]
    repeated: set[str] = set()
    named: set[str] = set()
    for pattern in own:
        facts = patterns.facts(*pattern_parts(pattern), language)
        repeated |= facts.repeated
        named |= facts.variables
    # A variable that stands in the pattern of a relation, too, is bound there: outside the match.
    uses: Counter[str] = Counter()
    for key, value in visit.pairs(config):
        if key == "pattern":
            uses.update(patterns.facts(*pattern_parts(value), language).variables)
    repeated |= {name for name, n in uses.items() if n > 1 and name in named}
    wild = tuple(named for named in map(_named, own) if named is not None)
    choices, rest = _choices(config["rule"], language)
    common = _words({**config, "rule": rest}, language)
    alone = len(own) == 1 and config["rule"].keys() <= _BESIDE and not repeated
    read_alone = patterns.facts(*pattern_parts(own[0]), language) if alone else None
    parts = read_alone.parts if read_alone is not None and not read_alone.broken else None
    return Mentioned(
        _words(config, language), bool(own), frozenset(repeated), wild, common, tuple(choices), parts
    )


def _choices(
    rule: Mapping[str, Any], language: Language
) -> tuple[list[tuple[Choice, ...]], Mapping[str, Any]]:
    """The alternatives of `any` in a rule (also within its `all`), and the rule without them."""
    found: list[tuple[Choice, ...]] = []
    rest = dict(rule)
    if isinstance(rule.get("any"), list):
        found.append(tuple(Choice(one, _words(one, language)) for one in rule["any"]))
        del rest["any"]
    if isinstance(rule.get("all"), list):
        parts = [_choices(one, language) for one in rule["all"]]
        found += [choice for inner, _ in parts for choice in inner]
        rest["all"] = [left for _, left in parts]
    return found, rest


def capture(node: SgNode, name: str) -> Spans:
    """The range that a variable holds, if it holds anything."""
    one = node.get_match(name)
    many = [one] if one is not None else node.get_multiple_matches(name)
    return [(span(many[0])[0], span(many[-1])[1])] if many else []


def _words(config: Mapping[str, Any], language: Language) -> frozenset[str]:
    words: set[str] = set()
    for key, value in visit.pairs(config):
        if key == "pattern":
            words |= patterns.facts(*pattern_parts(value), language).words
        elif key == "regex" and isinstance(value, str):
            words |= {*_WORD.findall(value), *_RUN.findall(visit.unescaped(value))}
    return frozenset(words)


def _named(pattern: Any) -> Any:
    """The pattern with each anonymous variable named; `None` where it has none."""
    text, _ = pattern_parts(pattern)
    numbers: Counter[str] = Counter()

    def name(found: re.Match[str]) -> str:
        number = min(numbers.total(), _MAX_WILDCARDS)
        numbers[found.group()] += 1
        dollars = len(found.group()) - len(found.group().lstrip("$"))
        return "$" * dollars + f"{_WILD}{number}"

    made = _ANONYMOUS.sub(name, text)
    if made == text:
        return None
    return made if isinstance(pattern, str) else {**pattern, "context": made}
