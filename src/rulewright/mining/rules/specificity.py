"""Whether the text of a rule says which code it means, so that it may be right elsewhere.

Each function answers with a reason against the rule, or an empty text. Nothing here looks at files.
"""

from __future__ import annotations

import re
from collections import Counter
from typing import Final

from rulewright import grammars
from rulewright.actions import visit
from rulewright.actions.action import Rule
from rulewright.actions.visit import tokens, variables
from rulewright.languages import Language
from rulewright.mining.rules.reading import fix_around, new_text, old_text, terms, words_of


def why_vague(rule: Rule) -> str:
    """Why the old text of a rule is too vague to apply elsewhere; empty if it is not."""
    old, new = old_text(rule), new_text(rule)
    if _is_unlike(old, new) and "regex" not in rule["rule"]:
        return "nothing of what it takes away stays: it may mean something else elsewhere"
    if _MODIFIERS & words_of(old) ^ _MODIFIERS & words_of(new):
        # Neither a modifier nor a type that every file has says which code is meant.
        plain = _MODIFIERS | {"Boolean", "Int", "Integer", "String"}
        around = {word for key, text in visit.texts(rule["rule"]) if key == "regex" for word in terms(text)}
        if all(word in plain or is_type(word) for word in terms(old) | terms(new) | around):
            return "it asks for no name"
    if is_about_text(rule) and re.fullmatch(r"[\"':]?[a-z]+[\"']?", old):
        return "a word in quotes may mean anything elsewhere"
    if terms(old) and all(map(is_type, terms(old))):
        return f"`{old}` may be anything elsewhere"
    if of_language := _CLASSES & {old, new}:
        return f"`{min(of_language)}` may be anything elsewhere"
    if re.fullmatch(r"\$\w+\??\.\w+", old) and variables(old) == variables(new) == {new}:
        return "what it drops is a member, and what it is of may be anything"
    return ""


def why_context_dependent(rule: Rule) -> str:
    """Why equal code may need another change elsewhere; empty if it does not."""
    old, new = old_text(rule), new_text(rule)
    if old != new and re.sub(r"\d+", "", old) == re.sub(r"\d+", "", new):
        return "only a number in it changes, as versions do"
    if is_about_text(rule) and re.match(r"[\"':]?\.{1,2}/", old):
        return "a path depends on its file"
    if brought := words_of(new) & _OWN_WORDS - words_of(old):
        return f"`{min(brought)}` is another thing elsewhere"
    if "$crate" in new and "$crate" not in old:
        return "`$crate` stands in a macro only"
    return ""


def unguarded_import(old: str, language: Language) -> str:
    """Why code that a rule removes may be needed elsewhere: an import line; empty for other code."""
    is_import = grammars.import_line(language).match(old)
    return "an import goes, and whether a file uses what it brings is not said" if is_import else ""


_TYPES: Final = frozenset(
    """
    Arc Box Object Option Rc Result Vec any bool boolean dict dynamic float int list long mixed never number
    object str string tuple unknown void
    """.split()  # noqa: SIM905  (a list of so many words reads worse)
)
"""Types that code of every kind uses."""
_CLASSES: Final = frozenset(
    """
    Callable Error Exception Function Iterable Iterator Mapping Promise RuntimeError RuntimeException
    Sequence Throwable TypeError ValueError
    """.split()  # noqa: SIM905  (a list of so many words reads worse)
)
"""Classes of the language: where one of them stands for a class of the project, each place decides."""
_NUMBER: Final = re.compile(
    r"(?:[iuf]|u?int|float)(?:8|16|32|64|128|size)|U?(?:Int|Long|Short|Byte)|Float|Double"
)
"""Number types."""
_OWN_WORDS: Final = frozenset({"self", "this"})
_MODIFIERS: Final = frozenset(
    """
    abstract async await const default export extern final inline internal lateinit mut override private
    protected pub public readonly return sealed static synchronized transient unsafe virtual volatile yield
    """.split()  # noqa: SIM905  (a list of so many words reads worse)
)
"""Modifiers and the like, which a place has or lacks for reasons that it does not show itself."""


def is_type(word: str) -> bool:
    """Whether a word is a type that code of every kind uses."""
    return word in _TYPES or _NUMBER.fullmatch(word) is not None


def is_about_text(rule: Rule) -> bool:
    """Whether a rule is about a string or symbol, or about text inside one."""
    old = old_text(rule)
    return (
        old[:1] in ("'", '"')
        or "string" in str(rule["rule"].get("kind"))
        or re.match(r":\w", old) is not None
    )


def why_one_place_is_too_few(rule: Rule) -> str:
    """What a rule does that needs more than one place as evidence; empty if one is enough."""
    old, new = old_text(rule), new_text(rule)
    fix = rule["fix"]
    if isinstance(fix, str) and fix_around(old, fix, "$_") is not None:
        return "something is put around it"
    if _adds_signs(old, new):
        return "signs are put beside it"
    if re.fullmatch(r"\$\w+\.\w+(?:\(\))?", old):
        return "a member of anything is meant"
    if re.search(r"&|\||\b(?:and|or)\b", old) and Counter(tokens(new)) <= Counter(tokens(old)):
        return "a part of a condition goes"
    if re.match(r"@\w", old) and "@" not in new:
        return "an annotation goes"
    if re.match(r"#!?\[", old) and Counter(tokens(new)) < Counter(tokens(old)):
        return "a part of an attribute goes"
    if re.fullmatch(r"\w+", old) and new[:1] in ("'", '"'):
        return "a text stands for a name"
    if any(" " in word for word in words_of(new) - words_of(old) if word[0] in "\"'`"):
        return "a text comes in"
    return ""


def _adds_signs(old: str, new: str) -> bool:
    """Whether a fix keeps all tokens and only adds signs among them, other than the brackets of a call.

    >>> _adds_signs("$A.push", "$A!.push"), _adds_signs("$A.size", "$A.size()")
    (True, False)
    """
    before, after = tokens(old), tokens(new)
    come = list((Counter(after) - Counter(before)).elements())
    rest = iter(after)
    stays = all(token in rest for token in before)
    return bool(come) and stays and not any(re.match(r"[\w\"'$(]", token) for token in come)


def _is_unlike(old: str, new: str) -> bool:
    """Whether code of several words without a call is replaced by code that shares no name or variable."""
    if "(" in old:
        return False
    several = sum(re.match(r"[\w\"']", word) is not None for word in words_of(old)) > 1
    return (
        several
        and bool(terms(new))
        and not terms(old) & terms(new) - _MODIFIERS
        and not variables(old) & variables(new)
    )
