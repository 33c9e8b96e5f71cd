"""Invent plausible names, numbers and strings for the code before an edit.

All choices come from the generator that is handed in; nothing is read from disk.
"""

from __future__ import annotations

import random
import re
from collections.abc import Sequence
from typing import Final

from rulewright.languages import SCRIPTS, Language

WRAPPERS: Final[dict[Language, tuple[str, ...]]] = {
    "python": ("str", "list", "tuple", "int", "sorted", "bool", "repr", "iter", "copy", "deepcopy"),
    **dict.fromkeys(SCRIPTS, ("String", "Number", "Boolean", "clone", "freeze", "normalize", "unwrap")),
    "java": ("requireNonNull", "copyOf", "unmodifiable", "checked", "wrap"),
    "go": ("must", "wrap", "clone", "checked"),
}
EXCEPTIONS: Final[dict[Language, tuple[str, ...]]] = {
    "python": ("ValueError", "TypeError", "RuntimeError", "KeyError", "OSError", "AssertionError",
               "LookupError", "AttributeError", "NotImplementedError", "ConfigError"),
    **dict.fromkeys(
        SCRIPTS,
        ("Error", "TypeError", "RangeError", "SyntaxError", "ReferenceError", "ValidationError"),
    ),
    "java": ("IllegalArgumentException", "IllegalStateException", "RuntimeException",
             "UnsupportedOperationException", "IOException", "NullPointerException"),
}  # fmt: skip
_DECORATORS: Final = (
    "cache", "cached", "deprecated", "override", "final", "abstractmethod", "no_type_check", "timed",
    "contextmanager", "lru_cache", "retry", "requires_gil", "skip", "profile",
)  # fmt: skip
_PREFIXES: Final = ("my_", "the_", "new_", "old_", "tmp_", "raw_", "cur_", "_")
_SUFFIXES: Final = ("_", "_value", "_obj", "_tmp", "2", "_item", "_data", "_ref", "_impl", "_old")
_CAMEL_PREFIXES: Final = ("my", "the", "new", "old", "tmp", "raw", "current")
_CAMEL_SUFFIXES: Final = ("Value", "Obj", "Tmp", "2", "Item", "Data", "Ref", "Impl", "Old")
_VERBS: Final = (
    ("get", "fetch"), ("set", "assign"), ("make", "create"), ("build", "make"), ("remove", "delete"),
    ("add", "insert"), ("find", "search"), ("check", "verify"), ("read", "load"), ("write", "save"),
    ("is", "has"), ("parse", "decode"), ("run", "execute"), ("update", "refresh"), ("close", "shutdown"),
    ("append", "push"), ("format", "render"), ("open", "connect"), ("start", "begin"), ("test", "check"),
)  # fmt: skip
_RESERVED: Final = frozenset({
    "and", "as", "assert", "async", "await", "break", "case", "catch", "class", "const", "continue", "def",
    "default", "del", "do", "elif", "else", "enum", "except", "export", "extends", "false", "finally", "fn",
    "for", "from", "func", "function", "global", "go", "if", "implements", "import", "in", "instanceof",
    "int", "interface", "is", "lambda", "let", "match", "new", "nil", "none", "nonlocal", "not", "null",
    "or", "package", "pass", "print", "private", "protected", "public", "raise", "range", "return",
    "select", "self", "static", "struct", "super", "switch", "this", "throw", "true", "try", "type",
    "typeof", "var", "void", "while", "with", "yield",
})  # fmt: skip


def other_name(name: str, names: Sequence[str], code: str, rng: random.Random) -> str | None:
    """A name that could have stood for `name`, and does not occur in the code.

    Half the time another name of the same file in the same style, else one derived
    from `name`: another verb, an abbreviation, a prefix or a suffix.
    """
    for _ in range(6):
        other = _derived(name, rng)
        if rng.random() < 0.5 and names:
            other = rng.choice(names)
            # Only one of the same style may stand for it.
            styles = [(one[0].isupper(), one.isupper()) for one in (name, other)]
            if styles[0] != styles[1] or len(other) <= 1:
                continue
        usable = re.fullmatch(r"[A-Za-z_]\w{1,30}", other) and not other.startswith("__")
        if usable and other.lower() not in _RESERVED and other not in code:
            return other
    return None


def _derived(name: str, rng: random.Random) -> str:
    way = rng.randrange(4)
    if way == 0:
        for pair in _VERBS:
            for verb, twin in (pair, pair[::-1]):
                if re.match(rf"{verb}(?![a-z])", name):
                    return twin + name[len(verb) :]
    if way <= 1 and len(name) > 4 and not name.isupper():
        return name[0] + re.sub(r"[aeiou]", "", name[1:])
    camel = re.search(r"[a-z][A-Z]", name) is not None or ("_" not in name and rng.random() < 0.3)
    if way == 2:
        if name.isupper():
            return "DEFAULT_" + name
        if name[0].isupper():
            return rng.choice(("Base", "Abstract", "My", "Old", "Simple")) + name
        if camel:
            return rng.choice(_CAMEL_PREFIXES) + name[0].upper() + name[1:]
        return rng.choice(_PREFIXES) + name
    if name.isupper():
        return name + rng.choice(("_VALUE", "_DEFAULT", "_OLD", "_2"))
    return name + rng.choice(_CAMEL_SUFFIXES if camel or name[0].isupper() else _SUFFIXES)


def other_number(text: str, rng: random.Random) -> str | None:
    """Another whole number near or like the given one; `None` for hex, floats and very large."""
    if not re.fullmatch(r"\d{1,6}", text):
        return None
    value = int(text)
    others = {
        value + 1,
        value * 2,
        value + rng.randint(2, 9),
        rng.choice((3, 5, 7, 10, 16, 30, 60, 64, 100, 255, 1024)),
    }
    if value > 1:
        others |= {value - 1, value // 2}
    others.discard(value)
    return str(rng.choice(sorted(others)))


def is_plain_string(text: str) -> bool:
    """A short string without prefix, escape, interpolation or line break."""
    return bool(re.fullmatch(r"\"[^\"\\\n${}]{1,30}\"|'[^'\\\n${}]{1,30}'", text)) and not text.startswith(
        ('"""', "'''")
    )


def other_string(text: str, names: Sequence[str], rng: random.Random) -> str | None:
    """Another string with the same quotes: a changed word, or a name of the file."""
    quote, inner = text[0], text[1:-1]
    if rng.random() < 0.5 and names:
        return f"{quote}{rng.choice(names)}{quote}"
    words = re.findall(r"[A-Za-z]{3,}", inner)
    if not words:
        return None
    word = rng.choice(words)
    changed = rng.choice((word[:-1], word.upper(), word.lower(), word.capitalize(), word + "s", word[::-1]))
    other = inner.replace(word, changed, 1)
    return f"{quote}{other}{quote}" if other != inner and other else None


def other_value(text: str, language: Language, rng: random.Random) -> str | None:
    """Another value of the same type, for a number, a truth value, nothing, or a short string."""
    twins = {"True": "False", "False": "True", "true": "false", "false": "true"}
    if text in twins:
        return twins[text]
    if text in ("[]", "{}"):
        return "None" if language == "python" else "null"
    if re.fullmatch(r"\d+", text):
        return other_number(text, rng)
    if is_plain_string(text):
        return other_string(text, (), rng)
    return None


def extra_argument(language: Language, names: Sequence[str], rng: random.Random) -> str:
    """An argument that a call may have had once."""
    if language == "python":
        name = rng.choice(("verbose", "debug", "strict", "cache", "force", "timeout", "check", "quiet"))
        value = rng.choice(("10", "30", "None")) if name == "timeout" else rng.choice(("True", "False"))
        return f"{name}={value}"
    plain = {"java": ("null", "true", "false", "0"), "go": ("nil", "true", "false", "0")}
    pool = plain.get(language, ("null", "true", "false", "undefined", "0"))
    return rng.choice(names) if names and rng.random() < 0.5 else rng.choice(pool)


def other_module(name: str, names: Sequence[str], code: str, rng: random.Random, mark: str) -> str | None:
    """Another module path: one part renamed, put first, or put last."""
    parts = name.split(mark)
    lower = [other for other in names if other.islower() and other.isidentifier() and len(other) > 2]
    other = rng.choice(lower) if lower else "compat"
    if other.lower() in _RESERVED or not name:
        return None
    way = rng.randrange(3)
    if way == 0 and parts[0] not in (".", ".."):
        made = mark.join([other, *parts])
    elif way == 1:
        made = mark.join([*parts, other])
    else:
        made = mark.join([*parts[:-1], other])
    return made if made != name and made not in code else None


def other_decorator(name: str, names: Sequence[str], rng: random.Random) -> str | None:
    """Another decorator, with the same arguments if there are any."""
    head, paren, rest = name.partition("(")
    lower = [other for other in names if other.islower() and len(other) > 3 and not other.startswith("_")]
    other = rng.choice([*_DECORATORS, *(rng.sample(lower, min(3, len(lower))))])
    return None if other == head or other in _RESERVED else other + paren + rest
