"""How likely a rule is right in other places, judged by the rule alone.

A logistic model over a few properties that the user can check; docs/reference/mining.md says how it was
fitted and how the threshold was chosen. Nothing here looks at files.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from rulewright.actions import visit
from rulewright.actions.visit import variables
from rulewright.grammars import CONSTANTS
from rulewright.mining.rules.reading import is_name, new_text, old_text, terms, text_bits, words_of
from rulewright.mining.text.snippets import unwrapped

_ODD: Final = re.compile(r"\S {2,}\S|[(\[] +\S|\S +[)\]]")
_VALUE: Final = re.compile(r"(?i:true|false|null|none|nil|undefined)|[\d.]\w*")
_ROOT_TYPE: Final = re.compile(
    r"(?:Base|Runtime)?Exception|Throwable|Error|Object"
    r"|Boolean|Byte|Character|Collection|Double|Float|Integer|List|Long|Map|Set|Short|String"
)
_LETTER: Final = re.compile(r"[A-Za-z]")
_OWNED: Final = re.compile(r"\$\$\$[A-Z]\w*(?:\?\.|\.|->|::)\w")
_IMPORT: Final = re.compile(r"^\s*(?:from\s+\S+\s+)?import\b|\brequire\(", re.MULTILINE)

BIAS: Final = 0.41
WEIGHTS: Final[Mapping[str, float]] = {
    "gone": 1.02, "kept": -0.21, "new": -0.42, "odd spacing": -1.98, "brings an import": -0.88,
    "several lines": -1.07, "deletes": -1.6, "drops a variable": -0.88, "narrowed": 0.69,
}  # fmt: skip
CONFIDENT: Final = 0.72
"""Confidence from which a rule learned from one edit is of tier `train`."""
CLAIM_BITS: Final = 7.0
"""Fewest bits of a rule that claims to hold beyond its examples."""
MANY_PLACES: Final = 3
"""So many equal places count as evidence like two different ones."""


def confidence(rules: Sequence[Mapping[str, Any]]) -> float:
    """The confidence in the least certain of an action's rules, between 0 and 1."""
    scores = (BIAS + sum(WEIGHTS[name] * n for name, n in properties(rule).items()) for rule in rules)
    return min(1 / (1 + math.exp(-score)) for score in scores)


def properties(rule: Mapping[str, Any]) -> dict[str, float]:
    """The properties of a rule that `WEIGHTS` weighs.

    `gone`: bits of the words (no numbers) that it removes, in tens, at most 2; `kept`: bits of the words on
    both sides, in tens, at most 4; `new`: number of words that it adds beyond the first, at most 4. The
    others are 1 where true.
    """
    old, new = old_text(rule), new_text(rule)
    before, after = words_of(old), words_of(new)
    came = [word for word in after - before if is_name(word)]
    # An excluded ancestor counts too: an example showed it.
    placed = any(
        {"inside", "follows"} & set(part) or "stopBy" in part.get("not", {}).get("inside", {})
        for part in visit.required(rule["rule"])
    )
    return {
        "gone": min(20.0, _bits({word for word in before - after if not word[0].isdigit()})) / 10,
        "kept": min(40.0, _bits(before & after)) / 10,
        "new": float(min(4, max(0, len(came) - 1))),
        "odd spacing": float(_ODD.search(new.lstrip()) is not None),
        "brings an import": float(bool(_IMPORT.search(new)) and not _IMPORT.search(old)),
        "several lines": float("\n" in old.strip() or "\n" in new.strip()),
        "deletes": float(isinstance(rule["fix"], Mapping)),
        "drops a variable": float(bool(variables(old) - variables(new))),
        "narrowed": float(placed or any("not" not in one for one in rule.get("constraints", {}).values())),
    }


def n_guesses(rule: Mapping[str, Any]) -> int:
    """How many words it removes, words it adds and variables a rule has, beyond one of each.

    >>> n_guesses({"rule": {"pattern": "old($A)"}, "fix": "new($A)"})
    0
    >>> n_guesses({"rule": {"pattern": "new Text().add($A).add($B)"}, "fix": "'' + $A + $B"})
    2
    """
    old, new = old_text(rule), new_text(rule)
    gone, came = terms(old) - terms(new), terms(new) - terms(old)
    return sum(max(0, len(found) - 1) for found in (gone, came, variables(old)))


def lists_values(rule: Mapping[str, Any]) -> bool:
    """Whether a constraint lists the texts that a variable may be."""
    constraints = rule.get("constraints", {}).values()
    return any("|" in str(value.get("regex", "")) for value in constraints)


def is_bare_value(rule: Mapping[str, Any]) -> bool:
    """Whether a rule matches no more than a constant, a number or one letter, maybe in a named place."""
    matcher, old = dict(rule["rule"]), old_text(rule)
    if "pattern" not in matcher.get("inside", {"pattern": ""}):
        del matcher["inside"]
    is_value = set(matcher) <= {"kind", "regex", "pattern"} and _VALUE.fullmatch(old) is not None
    return is_value or _LETTER.fullmatch(old) is not None


def names_nothing(rule: Mapping[str, Any]) -> bool:
    """Whether a rule matches by no name or value, but adds or removes one.

    >>> names_nothing({"rule": {"pattern": "$A == None"}, "fix": "$A is None"})
    False
    >>> names_nothing({"rule": {"pattern": "$A * $B"}, "fix": "mul($A, $B)"})
    True
    """
    asked = visit.texts([rule["rule"], rule.get("constraints", {})], _ASKS_FOR_NO_NAME)
    for key, text in asked:
        names = terms(unwrapped(text) if key == "context" else text) - CONSTANTS
        if key == "regex" or not all(word[0].isdigit() for word in names):
            return False
    return terms(old_text(rule)) != terms(new_text(rule))


_ASKS_FOR_NO_NAME: Final = frozenset({"not", "kind", "selector", "field", "stopBy"})


def is_root_type(rule: Mapping[str, Any]) -> bool:
    """Whether a rule matches no more than a type that all code uses, like `Exception`.

    >>> is_root_type({"rule": {"kind": "catch_type", "regex": "^Exception$"}, "fix": "IOException"})
    True
    """
    return _ROOT_TYPE.fullmatch(old_text(rule).strip("^$")) is not None


def takes_member_of_several(rule: Mapping[str, Any]) -> bool:
    """Whether the fix takes a member of a variable that may be several values.

    >>> takes_member_of_several({"rule": {"pattern": "has($$$A)"}, "fix": "$$$A.isSet()"})
    True
    """
    return bool(_OWNED.search(new_text(rule))) and not _OWNED.search(old_text(rule))


def drops_unnamed(rule: Mapping[str, Any]) -> bool:
    """Whether a rule drops a variable that is no argument of a named call, or a sibling of any text.

    >>> drops_unnamed({"rule": {"pattern": "super($A, self)"}, "fix": "super()"})
    False
    >>> drops_unnamed({"rule": {"pattern": "@$A($$$B)"}, "fix": "@$A"})
    True
    """
    if _takes_sibling(rule):
        return True
    old = old_text(rule)
    dropped = variables(old) - variables(new_text(rule))
    return not all(re.search(r"(?<![\w$])\w+\([^()]*" + re.escape(name), old) for name in dropped)


def is_reckless(rule: Mapping[str, Any]) -> bool:
    """Whether a rule is likely wrong elsewhere even if several places agree on it.

    It adds imports beside the code, drops what it does not name, matches a bare value, or takes a member of
    what may be several values.
    """
    brings = properties(rule)["brings an import"] > 0
    return brings or drops_unnamed(rule) or is_bare_value(rule) or takes_member_of_several(rule)


def _takes_sibling(rule: Mapping[str, Any]) -> bool:
    """Whether a deletion removes a sibling of any text, other than the one that it writes again."""
    fix = rule["fix"]
    if not isinstance(fix, Mapping):
        return False
    parts = list(visit.required(rule["rule"]))
    sides = (("expandStart", "follows"), ("expandEnd", "precedes"))
    taken = [fix[side] for side, near in sides if side in fix and not any(near in part for part in parts)]
    return not all({"pattern", "regex"} & set(matcher) for matcher in taken)


def _bits(words: Iterable[str]) -> float:
    return sum(map(text_bits, words))
