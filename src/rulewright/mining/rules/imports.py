"""What a file imports: the names that it binds, each with its module and statement.

An import is the same in every file, wherever it stands there and whatever is imported beside it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from itertools import takewhile

from rulewright import difftext
from rulewright.engine.parsing import parse
from rulewright.languages import Language
from rulewright.mining.rules.import_statements import (
    KINDS,
    PATHS,
    Binding,
    ImportStatement,
    import_statements,
)


def bindings(text: str, language: Language) -> dict[Binding, str]:
    """Every name that a file imports, with its statement."""
    if language not in KINDS:
        return {}
    return {Binding(*name[:2]): one.text for one in _read(text, language) for name in sorted(one.names)}


def _read(text: str, language: Language) -> Iterator[ImportStatement]:
    return import_statements(parse(text, language).root, language)


def post_with_old_imports(pre: str, post: str, language: Language) -> str | None:
    """`post` with the imports of `pre`; `None` where both bind the same, and for Go.

    `rules_for_imports` covers what a change does to imported names. In JavaScript a change of modules alone
    is like any other change; elsewhere a module as often loses one of its names as it moves with all of them.
    """
    old, new = bindings(pre, language), bindings(post, language)
    by_path = language == "python" or language in PATHS
    same = set(old) == set(new) if by_path else {o.name for o in old} == {n.name for n in new}
    return None if same or language == "go" else _with_imports_of(pre, post, language)


def _with_imports_of(pre: str, post: str, language: Language) -> str:
    """`post` with the lines of `pre` where they are imports."""
    old, new = difftext.lines(pre), difftext.lines(post)
    of_old, of_new = _lines(pre, language), _lines(post, language)
    made: list[str] = []
    done = 0
    for a0, a1, b0, b1 in difftext.changed(old, new):
        made += old[done:a0]
        code = [new[i] for i in range(b0, b1) if i not in of_new]
        kept = [old[i] for i in range(a0, a1) if i in of_old]
        if not "".join(code).strip() and all(i in of_old or not old[i].strip() for i in range(a0, a1)):
            made += old[a0:a1]
        else:
            made += [*kept, *code]
        done = a1
    return "".join([*made, *old[done:]])


def _lines(text: str, language: Language) -> set[int]:
    """The lines (from 0) of import statements."""
    ranges = (one.node.range() for one in _read(text, language))
    return {line for one in ranges for line in range(one.start.line, one.end.line + 1)}


def _is_blank(line: str) -> bool:
    return not line.strip()


def code_lines(text: str, language: Language) -> list[str]:
    """The lines of a file without its imports and the blank lines around them."""
    lines = difftext.rows(text)
    return [lines[number] for number in code_numbers(text, language)]


def code_numbers(text: str, language: Language) -> list[int]:
    """The numbers, from 0, of the `code_lines` of a file."""
    lines = difftext.rows(text)
    drop = _lines(text, language) if language in KINDS else set()
    first = min(drop, default=0)
    above = takewhile(_is_blank, reversed(lines[:first]))
    below = (line + n for line in drop for n, _ in enumerate(takewhile(_is_blank, lines[line + 1 :]), 1))
    drop = {*drop, *(first - n for n, _ in enumerate(above, 1)), *below}
    return [number for number in range(len(lines)) if number not in drop]


def only_import_from(word: str, text: str, language: Language) -> str:
    r"""The only name that a file imports from a module whose path contains a word; else empty.

    In Java and Kotlin: the package or class that follows the word in all paths of the file.

    >>> only_import_from("kit", "from kit import Shelf\n", "python")
    'Shelf'
    >>> only_import_from("kit", "from kit import Shelf, Box\n", "python")
    ''
    >>> only_import_from("kit", "import kit.box.*;\nclass A extends kit.box.Lid {}\n", "java")
    'box'
    >>> only_import_from("kit", "import kit.Box;\n", "java")
    'Box'
    """
    statements = _read(text, language) if language in KINDS else ()
    found = {
        one.name: one
        for statement in statements
        for one in statement.names
        if word == one.module or word in re.split(r"[^\w-]+", one.module)
    }
    if PATHS.get(language) == "." and word == word.lower():
        after = set(re.findall(rf"(?<!\w){re.escape(word)}\.(?=(?:[a-z]\w*\.)*[A-Z*])(\w+)", text))
        if after:
            return after.pop() if len(after) == 1 else ""
    if len(found) != 1 or word in found:
        return ""
    (one,) = found.values()
    return one.name if language in PATHS or one.is_listed else ""


def unbound_name(text: str, names: frozenset[str], language: Language) -> str:
    """The first of some names that a file uses without importing it; empty if there is none."""

    def used(names: Iterable[str], text: str) -> list[str]:
        return [name for name in sorted(names) if re.search(rf"(?<![\w.]){re.escape(name)}\b", text)]

    # Most files hold none of them, so they need not be parsed.
    if not (there := used(names, text)):
        return ""
    missing = {*there} - {one.name for one in bindings(text, language)}
    return next(iter(used(missing, "\n".join(code_lines(text, language)))), "")
