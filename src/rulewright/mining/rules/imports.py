"""What a file imports: the names that it binds, each with its module and statement.

An import is the same in every file, wherever it stands there and whatever is imported beside it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import takewhile
from typing import Final, NamedTuple

from ast_grep_py import SgNode

from rulewright import difftext
from rulewright.actions import visit
from rulewright.engine.parsing import parse, span
from rulewright.languages import Language

REQUIRES: Final = ("variable_declaration", "lexical_declaration")
_SCRIPT: Final = ("import_statement", *REQUIRES)
_SCRIPT_NAMES: Final = ("identifier", "shorthand_property_identifier")
_TYPED_NAMES: Final = (*_SCRIPT_NAMES, "type_identifier")
KINDS: Final[Mapping[Language, tuple[str, ...]]] = {
    "python": ("import_statement", "import_from_statement"),
    "javascript": _SCRIPT, "typescript": _SCRIPT, "tsx": _SCRIPT,
    "java": ("import_declaration",), "go": ("import_spec",), "rust": ("use_declaration",),
    "kotlin": ("import_header",), "php": ("namespace_use_declaration",),
}  # fmt: skip
"""Node kinds of imports."""
NAMES: Final[Mapping[Language, tuple[str, ...]]] = {
    "python": ("identifier",), "javascript": _SCRIPT_NAMES, "typescript": _TYPED_NAMES, "tsx": _TYPED_NAMES,
    "java": ("identifier", "type_identifier"), "go": ("identifier", "package_identifier"),
    "rust": ("identifier", "type_identifier"), "kotlin": ("simple_identifier", "type_identifier"),
    "php": ("name",),
}  # fmt: skip
"""Node kinds of names that may use an import."""
HOLDERS: Final[Mapping[Language, str]] = {"kotlin": "import_list", "go": "import_declaration"}
"""Node kind of the parent of imports, where that is not the root."""
PATHS: Final[Mapping[Language, str]] = {"java": ".", "kotlin": ".", "rust": "::", "php": "\\"}
"""The separator of a qualified name, where an import is one path."""
_NAME: Final = re.compile(r"[^\W\d][\w$]*|\$[\w$]*")
_STRING: Final = re.compile(r"""(["'])(.*?)\1""")
_REQUIRE: Final = re.compile(
    r"^\s*(?:const|let|var|import)\s+(.*?)=\s*(?:await\s+)?(?:require|import)\s*\(", re.DOTALL
)
_PATH: Final = re.compile(
    r"(?:import|(?:pub(?:\s*\([^)]*\))?\s+)?use)\s+(?:(?:static|function|const)\s+)?\\?([\w.:\\]+)"
    r"((?:\.|::|\\)\{.*\}|\s+as\s+\w+)?",
    re.DOTALL,
)
_SEVERAL: Final[Mapping[str, tuple[str, ...]]] = {
    "import_statement": ("dotted_name", "aliased_import"),
    "namespace_use_declaration": ("namespace_use_clause",),
    **dict.fromkeys(REQUIRES, ("variable_declarator",)),
}  # fmt: skip
"""Node kinds of the imports in a statement that may hold several, each of its own module."""
_KEYWORDS: Final = frozenset({"import", "type", "typeof", "static", "use", "pub", "crate", "self"})


@dataclass(frozen=True)
class Import:
    """The names that one statement imports, and their module."""

    names: frozenset[str]
    module: str


class Binding(NamedTuple):
    """One name that a file imports."""

    module: str
    name: str


def parse_import(text: str, language: Language) -> Import | None:
    """Parse an import statement; `None` if it is none, or binds no name."""
    module, bound = _parsed(text, language)
    return Import(frozenset(one.name for one in bound), module) if bound else None


def _parsed(text: str, language: Language) -> tuple[str, list[Binding]]:
    """The module that a statement names, and each name that it binds, of that module or of one inside it."""
    if language not in KINDS or visit.VARIABLE.search(text):
        return "", []
    module, parts = _split(without_comments(text, language).strip().rstrip(";"), language)
    bound: list[Binding] = []
    for part in parts:
        path, sign, last = part.rpartition(PATHS[language]) if language in PATHS else ("", "", part)
        if (name := last_name(last)) and name not in _KEYWORDS:
            bound.append(Binding(f"{module}{sign}{path}" if path else module, name))
    return module, bound


def last_name(part: str) -> str:
    """The name that a part of an import binds: the last one, as in `a as b` and `a: b`; empty if none."""
    return next(reversed(_NAME.findall(part)), "")


def without_comments(text: str, language: Language) -> str:
    """An import statement without the comments in it."""
    return re.sub(r"#.*" if language == "python" else r"(?<!:)//.*|/\*.*?\*/", "", text)


def _split(text: str, language: Language) -> tuple[str, list[str]]:
    """The module, and one text for each bound name."""
    if language == "python":
        found = re.fullmatch(r"from\s+([\w.]+)\s+import\s+\(?(.*?)\)?", text, re.DOTALL)
        if found is not None:
            return found[1], found[2].split(",")
        found = re.fullmatch(r"import\s+([\w.]+(?:\s+as\s+\w+)?)", text)
        name = found[1] if found is not None else ""
        return name.split(" ")[0], [name if " as " in name else name.split(".")[0]]
    if language in PATHS:
        found = _PATH.fullmatch(text)
        if found is None or found[1].endswith(PATHS[language]):
            return "", []
        listed = (found[2] or "").removeprefix(PATHS[language])
        return found[1], _flat(listed) if listed else [found[1].split(PATHS[language])[-1]]
    string = _STRING.search(text)
    if string is None:
        return "", []
    if language == "go":
        before = text[: string.start()].replace("import", "").strip()
        return string[2], [before or _package(string[2])]
    required = _REQUIRE.match(text)
    if required is not None:
        return string[2], required[1].strip("{} \n").split(",")
    if not re.match(r"import\b", text):
        return "", []
    return string[2], re.split(r"[,{}]", text[: string.start()].removeprefix("import").rpartition("from")[0])


def _flat(listed: str) -> list[str]:
    """The paths of a list of imports, which may hold lists.

    >>> _flat("{a::{b, c as d}, e}")
    ['a::b', 'a::c as d', 'e']
    """
    while found := re.search(r"([^{},]*)\{([^{}]*)\}", listed):
        head, inner = found[1].strip(), (part.strip() for part in found[2].split(","))
        flat = ",".join(head + part for part in inner if part)
        listed = listed[: found.start()] + flat + listed[found.end() :]
    return [part for part in map(str.strip, listed.split(",")) if part]


def _package(path: str) -> str:
    """The name of a Go package by its import path, whose last part may be a version; empty if unknown.

    >>> _package("k8s.io/klog/v2"), _package("gopkg.in/yaml.v3"), _package("a/go-b")
    ('klog', 'yaml', '')
    """
    found = re.search(r"([^/]+?)(?:[/.]v\d+)?$", path)
    return found[1] if found is not None and _NAME.fullmatch(found[1]) else ""


class _Statement(NamedTuple):
    """An import statement with its lines, from 0."""

    text: str
    first: int
    last: int
    bound: tuple[Binding, ...]


def _statements(text: str, language: Language) -> Iterator[_Statement]:
    """The import statements at the top level of a file."""
    top: list[SgNode] = []
    for node in parse(text, language).root.children():
        is_holder = node.kind() == HOLDERS.get(language)
        top += node.find_all(kind=KINDS[language][0]) if is_holder else [node]
    for node in top:
        lines = node.range()
        for text in _one_by_one(node) if node.kind() in KINDS[language] else ():
            if bound := _parsed(text, language)[1]:
                yield _Statement(text, lines.start.line, lines.end.line, tuple(bound))


def _one_by_one(node: SgNode) -> list[str]:
    """A statement, or each of its several imports as a statement of its own (`import a, b`)."""
    parts = [part for part in node.children() if part.kind() in _SEVERAL.get(node.kind(), ())]
    if len(parts) < 2:
        return [node.text()]
    head = node.text()[: span(parts[0])[0] - span(node)[0]]
    return [head + part.text() for part in parts]


def bindings(text: str, language: Language) -> dict[Binding, str]:
    """Every name that a file imports, with its statement."""
    if language not in KINDS:
        return {}
    return {name: one.text for one in _statements(text, language) for name in sorted(set(one.bound))}


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
    return {line for one in _statements(text, language) for line in range(one.first, one.last + 1)}


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
    found = [
        (one.name, statement)
        for one, statement in bindings(text, language).items()
        if word == one.module or word in re.split(r"[^\w-]+", one.module)
    ]
    if PATHS.get(language) == "." and word == word.lower():
        after = set(re.findall(rf"(?<!\w){re.escape(word)}\.(?=(?:[a-z]\w*\.)*[A-Z*])(\w+)", text))
        if after:
            return after.pop() if len(after) == 1 else ""
    if len(found) != 1 or found[0][0] == word:
        return ""
    is_named = language in PATHS or "{" in found[0][1] or found[0][1].startswith("from ")
    return found[0][0] if is_named else ""


def unbound_name(text: str, names: frozenset[str], language: Language) -> str:
    """The first of some names that a file uses without importing it; empty if there is none."""

    def used(names: Iterable[str], text: str) -> list[str]:
        return [name for name in sorted(names) if re.search(rf"(?<![\w.]){re.escape(name)}\b", text)]

    # Most files hold none of them, so they need not be parsed.
    if not (there := used(names, text)):
        return ""
    missing = {*there} - {one.name for one in bindings(text, language)}
    return next(iter(used(missing, "\n".join(code_lines(text, language)))), "")
