"""Read a rule: its old and new text, its words, and how many bits it asks for.

Bits are a rough description length of what a rule matches. `{ $A($B); }` has few and matches
everything; `os.getcwdu()` has many and names its target.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Final

from rulewright import grammars
from rulewright.actions import visit
from rulewright.mining.text.snippets import unwrapped

_KEYWORDS: Final = frozenset(
    """
    False None True and as assert async auto await bool boolean break byte case catch chan char class
    const continue def default defer del delete do double elif else enum error except export extends
    fallthrough false final finally float fn for from func function global go if impl implements import
    in instanceof int interface is lambda let long map match mod move mut namespace new nil nonlocal not
    null or override package pass private protected pub public raise range ref return select self short
    static string struct super switch template this throw trait true try type typename typeof unsafe use
    using var virtual void where while with yield
    """.split()  # noqa: SIM905  (a list of so many words reads worse)
)
_COMMON: Final = frozenset(
    """
    Integer List Map Object String a add append args b bar baz c cls console context ctx d data dict e
    err f filter foo format g get h i id index item j join k key kwargs l len length list log m map n
    name o object options opts p print push q r range req res result s set size str t test type u v
    value w x y z
    """.split()  # noqa: SIM905  (a list of so many words reads worse)
)
_STRUCTURAL: Final = re.compile(r"^(?:call|identifier|expression_statement|string|block|integer|comment)")


MARGIN: Final = r"[\s/*#]*"
"""Part of a regular expression: the blanks and comment signs around the text of a comment."""
ANY_NAME: Final = r"([\w\\]+)"
"""Part of a regular expression: any qualified name, which the replacement repeats."""


def _as_code(regex: str) -> str:
    """A regular expression as code: without its margins, and with `$_` for any name."""
    return regex.replace(MARGIN, "").replace(ANY_NAME, "$_")


def bits(rule: Mapping[str, Any]) -> float:
    """How specific a rule's matcher and constraints are, in bits; the fix does not count."""
    found = _bits_of(rule.get("rule", {}))
    found += sum(0.7 * _bits_of(value) for value in rule.get("constraints", {}).values())
    return found


def _bits_of(rule: Any) -> float:
    """Bits of a matcher; of alternatives (`any`) those of the least specific one."""
    if not isinstance(rule, Mapping):
        return 0.0
    total = 0.0
    for key, value in rule.items():
        if key == "pattern":
            # The snippet around a pattern only gives it its kind.
            is_plain = isinstance(value, str)
            total += text_bits(value) if is_plain else text_bits(unwrapped(value.get("context", ""))) + 2.0
        elif key == "regex":
            total += 0.8 * text_bits(re.sub(r"\\(.)", r"\1", _as_code(str(value))))
        elif key == "kind":
            total += 1.0 if _STRUCTURAL.match(str(value)) else 3.0
        elif key in ("inside", "has", "precedes", "follows"):
            total += 0.7 * _bits_of(value)
        elif key == "all":
            total += sum(_bits_of(part) for part in value)
        elif key == "any":
            total += min((_bits_of(part) for part in value), default=0.0)
        elif key in ("field", "nthChild") or (key == "not" and not _only_excludes_places(value)):
            total += 1.0
    return total


def _only_excludes_places(demand: Mapping[str, Any]) -> bool:
    """Whether a `not` only excludes parents of the match or lists in it: then it names nothing itself."""
    near = [one.get("inside", one.get("has")) for one in demand.get("any", [demand])]
    return all(one is not None and "stopBy" not in one and "field" not in one for one in near)


def old_text(rule: Mapping[str, Any]) -> str:
    """What a rule matches, as code: its patterns, and its regular expressions unescaped."""
    lines: list[str] = []
    for part in visit.required(rule["rule"]):
        pattern = part.get("pattern")
        if isinstance(pattern, Mapping):
            lines.append(unwrapped(str(pattern["context"])))
        elif pattern is not None and "regex" not in part:
            lines.append(str(pattern))
        if "regex" in part:
            lines.append(visit.unescaped(_as_code(str(part["regex"]))))
    return "\n".join(lines)


def new_text(rule: Mapping[str, Any]) -> str:
    """What a rule writes: the fix, or the replacements of its transformations.

    A variable that is a substring of another one counts as that other one.
    """
    transform = rule.get("transform", {})
    steps = [step["replace"] for step in transform.values() if "replace" in step]
    if steps:
        return "\n".join(str(step["by"]) for step in steps)
    text = visit.template_of(rule["fix"])
    for name, step in transform.items():
        if "substring" in step:
            text = re.sub(rf"\${name}(?!\w)", str(step["substring"]["source"]), text)
    return text


def fix_around(pattern: str, fix: str, name: str) -> str | None:
    """The fix with `name` for the whole match; `None` if the fix does not hold the pattern exactly once.

    >>> fix_around("$A.keys()", "list($A.keys())", "$W")
    'list($W)'
    """
    around, n = re.subn(rf"(?<![\w$]){re.escape(pattern)}(?!\w)", lambda _: name, fix)
    return around if n == 1 and fix != pattern else None


def terms(text: str) -> frozenset[str]:
    """The names, numbers, strings and constants of a pattern or fix; no keywords and signs.

    >>> sorted(terms("return $A if f(None) else 'x'"))
    ["'x'", 'None', 'f']
    """
    words = (word for word in words_of(text) if word[0].isalnum() or word[0] in "_\"'")
    return frozenset(word for word in words if word not in _KEYWORDS or word in grammars.CONSTANTS)


_STRING: Final = re.compile(r"""(["'`]).*?\1""")
_STANDALONE: Final = re.compile(r"(?<![\w.$>:])(?:\$[a-z_]\w*|[A-Za-z_]\w*)\b(?!\s*[=:(](?!=))")


_ASSIGNED: Final = re.compile(r"^(?:(?:const|final|let|mut|val|var)\s+)*([A-Za-z_]\w*)\s*:?=(?![=>])")


def standalone_names(text: str) -> frozenset[str]:
    """Names in a pattern or fix that are no members, keyword arguments or parts of strings.

    >>> sorted(standalone_names("$A.get(key, default=other, at='here')"))
    ['key', 'other']
    >>> sorted(standalone_names("found = $A.find()"))
    ['found']
    """
    return frozenset([*_STANDALONE.findall(_STRING.sub("", text)), *_ASSIGNED.findall(text.lstrip())])


def words(rule: Mapping[str, Any]) -> frozenset[str]:
    """The words and signs of what a rule matches."""
    return frozenset(words_of(old_text(rule)))


def words_of(text: str) -> set[str]:
    """The words, whole strings and signs of a pattern or fix."""
    return {token for token in visit.tokens(text) if not token.startswith("$")}


def is_name(token: str) -> bool:
    """Whether a token is a name or keyword, not a number, string or sign."""
    return token[0].isalpha() or token[0] == "_"


@lru_cache(maxsize=8192)
def text_bits(text: str) -> float:
    """Bits of a pattern's literal tokens; metavariables are free.

    >>> text_bits("{ $A($B); }") < text_bits("$A == None") < text_bits("os.getcwdu()")
    True
    """
    total = 0.0
    for token in visit.tokens(text):
        if token.startswith("$"):
            continue
        if is_name(token):
            if token in _KEYWORDS:
                total += 3.5
            elif token in _COMMON or len(token) == 1:
                total += 5.0
            else:
                total += 10.0
        elif token[0].isdigit():
            total += 4.0
        elif token[0] in "\"'":
            total += 3.0 + min(9.0, 1.5 * (len(token) - 2))
        elif token in "=!<>+-*/%&|^~?@":
            total += 2.0
        elif token in "[]{}:":
            total += 0.8
        else:
            total += 0.4
    return total
