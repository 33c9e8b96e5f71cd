"""What the grammars in the pinned binding can name, and which kinds of node can stand in each other.

    python tools/node_kinds.py

writes `kinds.json` and `nesting.json` of `rulewright.engine` anew, after an upgrade; on Linux only.

The names lie as strings in the binary: `discover` tries them all. What can stand in what is read off the
parse tables, which have no public names: `nm` tells where they lie. A node is made where a table reduces
what lies on the stack: going back from there along the states gives what can have been its children. What
hidden rules hold is held by those around them; an alias has the children of what it names. Nothing is
missed, so that what is not found cannot be.
"""

from __future__ import annotations

import ctypes
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any, Final, cast

import ast_grep_py
from ast_grep_py import Config, SgNode, SgRoot

from rulewright.engine import kinds
from rulewright.engine import nesting as table
from rulewright.languages import LANGUAGES, Language

_NAME: Final = re.compile(rb"([a-z_][a-z0-9_]{0,60})\0")
_CALLED: Final[dict[str, str]] = {"csharp": "c_sharp", "php": "php_only"}
_COUNTS: Final = (
    "version", "symbols", "aliases", "tokens", "external_tokens", "states", "large_states", "productions",
    "fields",
)  # fmt: skip
_POINTERS: Final = (
    "parse_table", "small_table", "small_map", "actions", "names", "field_names", "field_slices",
    "field_entries", "metadata", "public_symbols", "alias_map", "alias_sequences", "lex_modes",
)  # fmt: skip
_NO_LEXING: Final = 0xFFFF
"""The lexer's state where an extra that is no token ends."""


def discover(language: Language) -> kinds.Names:
    """Find every name that the binding accepts as a kind or a field. Takes some seconds."""
    root = SgRoot("", language).root()
    words = _words()
    found = [word for word in words if _accepts(root, {"rule": {"kind": word}})]
    fields = [
        word
        for word in words
        if _accepts(root, {"rule": {"kind": "ERROR", "has": {"regex": "x", "field": word}}})
    ]
    return kinds.Names(tuple(found), tuple(fields))


def _accepts(root: SgNode, config: dict[str, Any]) -> bool:
    try:
        root.find(cast(Config, config))
    except RuntimeError:
        return False
    return True


@lru_cache(maxsize=1)
def _words() -> tuple[str, ...]:
    """Everything in the binding's binary that could be a name.

    A linker stores a string that ends another only once, so every ending counts.
    """
    found: set[str] = set()
    for path in Path(ast_grep_py.__file__).parent.glob("ast_grep_py*.so"):
        for run in _NAME.finditer(path.read_bytes()):
            word = run.group(1).decode("ascii")
            found |= {word[i:] for i in range(len(word)) if not word[i].isdigit()}
    return tuple(sorted(found))


class _Tables(ctypes.Structure):
    """The head of tree-sitter's `TSLanguage`, versions 14 and 15 alike."""

    _fields_ = [
        *((name, ctypes.c_uint32) for name in _COUNTS),
        ("alias_length", ctypes.c_uint16),
        *((name, ctypes.c_void_p) for name in _POINTERS),
    ]  # fmt: skip


@dataclass
class _Automaton:
    """States as bits: what follows a state, what leads to it, and by which symbols."""

    after: list[int]
    before: list[int]
    symbols: list[set[int]]
    starts: dict[int, int] = field(default_factory=dict)
    """Of a symbol the states in which one may begin."""
    ends: dict[tuple[int, int, int], int] = field(default_factory=dict)
    """Of a symbol, the number of its children and a production the states in which it is complete."""
    extras: set[int] = field(default_factory=set)
    """Symbols that may stand between any two children."""


def nesting(language: Language) -> dict[str, Any]:
    """The kinds of node of a language, sorted, and of each the children and the fields that it can have.

    Both as bits in hexadecimal digits, fields by their number among `fields`.
    """
    tables: Any = _Tables.from_address(_address(_CALLED.get(language, language)))
    n = tables.symbols + tables.aliases
    names = [
        (ctypes.string_at(one) if one else b"").decode()
        for one in (ctypes.c_void_p * n).from_address(tables.names)
    ]
    metadata = (ctypes.c_uint8 * (3 * n)).from_address(tables.metadata)
    visible, named = ([bool(metadata[3 * symbol + i]) for symbol in range(n)] for i in (0, 1))
    found = _automaton(tables)
    held = _held(tables, found)
    known = sorted({names[x] for x in range(n) if visible[x] and named[x]})
    anywhere = {names[x] for x in found.extras if visible[x] and named[x]}
    children: dict[str, set[str]] = {kind: set() for kind in known}

    def below(symbol: int) -> set[str]:
        """The nodes that a rule makes, hidden rules within it opened."""
        made, seen, owed = set(anywhere), {symbol}, [symbol]
        while owed:
            for inner, alias in held.get(owed.pop(), ()):
                shown = alias or inner
                if visible[shown]:
                    made |= {names[shown]} if named[shown] else set()
                elif inner not in seen:
                    seen.add(inner)
                    owed.append(inner)
        return made

    for symbol in range(tables.tokens, tables.symbols):
        if visible[symbol] and named[symbol]:
            children[names[symbol]] |= below(symbol)
    own: dict[int, set[str]] = {}
    for symbol, _, production in found.ends:
        own.setdefault(symbol, set()).update(_fields(tables, production))
    fields = {kind: set[str]() for kind in known}
    for symbol in range(tables.tokens, tables.symbols):
        if visible[symbol] and named[symbol]:
            fields[names[symbol]] |= own.get(symbol, set())
    for inner, alias in set().union(*held.values()):
        if alias and visible[alias] and named[alias] and inner >= tables.tokens:
            children[names[alias]] |= below(inner)
            fields[names[alias]] |= own.get(inner, set())
    called = sorted(set().union(*fields.values()))
    return {
        "kinds": " ".join(known), "children": _as_bits(known, known, children),
        "fields": " ".join(called), "with": _as_bits(known, called, fields),
    }  # fmt: skip


def _as_bits(kinds: list[str], names: list[str], of: dict[str, set[str]]) -> str:
    return " ".join(f"{sum(1 << names.index(one) for one in of[kind]):x}" for kind in kinds)


def _fields(tables: Any, production: int) -> Iterator[str]:
    """The fields of a rule's children, those of hidden ones included."""
    first, n = (_u16(tables.field_slices + 4 * production + i) for i in (0, 2)) if tables.fields else (0, 0)
    for number in range(first, first + n):
        field = _u16(tables.field_entries + 4 * number)
        yield ctypes.string_at(
            ctypes.c_void_p.from_address(tables.field_names + 8 * field).value or 0
        ).decode()


def _address(name: str) -> int:
    """Where the tables of a grammar lie in this process."""
    library = next(Path(ast_grep_py.__file__).parent.glob("ast_grep_py*.so"))
    listed = subprocess.run(["nm", str(library)], capture_output=True, text=True, check=True).stdout
    at = re.search(rf"^([0-9a-f]+) t tree_sitter_{name}$", listed, re.MULTILINE)
    assert at is not None, f"{library} holds no grammar {name}"
    # A handle is the loader's record of the library, which begins with where it was loaded (<link.h>).
    base = ctypes.c_size_t.from_address(ctypes.CDLL(str(library))._handle).value
    give = ctypes.CFUNCTYPE(ctypes.c_void_p)(base + int(at[1], 16))
    address: int = give()
    return address


def _automaton(tables: Any) -> _Automaton:
    n = tables.states
    found = _Automaton([0] * n, [0] * n, [set() for _ in range(n)])
    modes = 4 if tables.version < 15 else 6
    for state in range(1, n):
        ends_extra = _u16(tables.lex_modes + modes * state) == _NO_LEXING
        for symbol, value in _row(tables, state):
            targets = [value]
            if symbol >= tables.tokens:
                found.starts[symbol] = found.starts.get(symbol, 0) | 1 << state
            else:
                targets = []
                for kind, target, is_extra, ended in _actions(tables, value):
                    if kind == _SHIFT and is_extra:
                        found.extras.add(symbol)
                    elif kind == _SHIFT:
                        targets.append(target)
                    elif kind == _REDUCE:
                        found.ends[ended] = found.ends.get(ended, 0) | 1 << state
                        found.extras |= {ended[0]} if ends_extra else set()
            for target in targets:
                found.after[state] |= 1 << target
                found.before[target] |= 1 << state
                found.symbols[target].add(symbol)
    return found


def _row(tables: Any, state: int) -> Iterator[tuple[int, int]]:
    """Every symbol that may come in a state, with what the table says of it."""
    if state < tables.large_states:
        start = tables.parse_table + 2 * state * tables.symbols
        row = (ctypes.c_uint16 * tables.symbols).from_address(start)
        yield from ((symbol, value) for symbol, value in enumerate(row) if value)
        return
    place = ctypes.c_uint32.from_address(tables.small_map + 4 * (state - tables.large_states)).value
    at = tables.small_table + 2 * place
    groups = _u16(at)
    at += 2
    for _ in range(groups):
        value, n = _u16(at), _u16(at + 2)
        yield from ((symbol, value) for symbol in (ctypes.c_uint16 * n).from_address(at + 4))
        at += 4 + 2 * n


_SHIFT, _REDUCE = 0, 1


def _actions(tables: Any, entry: int) -> Iterator[tuple[int, int, bool, tuple[int, int, int]]]:
    """What to do at a token: the sort, of a shift target and whether an extra, of a reduction what ends."""
    at = tables.actions + 8 * entry
    for number in range(1, ctypes.c_uint8.from_address(at).value + 1):
        one = at + 8 * number
        kind, n_children = (ctypes.c_uint8.from_address(one + i).value for i in (0, 1))
        second, third, fourth = (_u16(one + i) for i in (2, 4, 6))
        yield kind, second, bool(third & 0xFF), (second, n_children, fourth)


def _u16(address: int) -> int:
    return ctypes.c_uint16.from_address(address).value


def _held(tables: Any, found: _Automaton) -> dict[int, set[tuple[int, int]]]:
    """Of each rule the symbols that it may consist of, each with its alias there (0: none)."""
    held: dict[int, set[tuple[int, int]]] = {}
    for (symbol, n, production), ends in found.ends.items():
        levels = [ends]
        for _ in range(n):
            levels.insert(0, _all(found.before, levels[0]))
        # Where states were merged a rule may have no start of its own: then any is taken.
        now = levels[0] & found.starts.get(symbol, 0) or levels[0]
        mine = held.setdefault(symbol, set())
        for number, level in enumerate(levels[1:]):
            now = _all(found.after, now) & level
            alias = 0
            if production and number < tables.alias_length:
                alias = _u16(tables.alias_sequences + 2 * (production * tables.alias_length + number))
            mine |= {(inner, alias) for state in _bits(now) for inner in found.symbols[state]}
    return held


def _all(links: list[int], states: int) -> int:
    joined = 0
    for state in _bits(states):
        joined |= links[state]
    return joined


def _bits(number: int) -> Iterator[int]:
    while number:
        lowest = number & -number
        yield lowest.bit_length() - 1
        number ^= lowest


def main() -> int:
    """Write both files anew."""
    languages = [language for language in LANGUAGES if language != "other"]
    known = {language: discover(language) for language in languages}
    names = {
        language: {key: " ".join(found) for key, found in one._asdict().items()}
        for language, one in known.items()
    }
    for file, made in ((kinds.FILE, names), (table.FILE, {one: nesting(one) for one in languages})):
        file.write_text(json.dumps(made, indent=1) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
