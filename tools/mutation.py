"""The changes that `tools/mutants.py` tries, as operators of cosmic-ray and texts.

A kind is a number that becomes clearly another, a comparison that turns or lets its bound in, a
condition or one of its parts that goes, a sign, a flag. Nothing here runs a test.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from cosmic_ray import plugins
from cosmic_ray.ast import ast_nodes, get_ast
from cosmic_ray.mutating import mutate_code
from cosmic_ray.operators.operator import Operator
from parso.python import tree

SMALL = 10
"""Whole numbers below it go one up and one down; above it, and fractions, are doubled and halved."""


class Number(Operator):  # type: ignore[misc]  # cosmic-ray has no types
    """A number becomes clearly another one."""

    def mutation_positions(self, node: Any) -> Iterator[Any]:
        if isinstance(node, tree.Number):
            for _ in _others(ast.literal_eval(node.value)):
                yield node.start_pos, node.end_pos

    def mutate(self, node: Any, index: int) -> Any:
        other = _others(ast.literal_eval(node.value))[index]
        return tree.Number(repr(other), node.start_pos, prefix=node.prefix)

    @classmethod
    def examples(cls) -> tuple[()]:
        return ()


class Condition(Operator):  # type: ignore[misc]
    """The condition of an `if`, of a comprehension or of an `x if c else y` always or never holds."""

    def mutation_positions(self, node: Any) -> Iterator[Any]:
        for at in _conditions(node):
            for _ in range(2):
                yield node.children[at].start_pos, node.children[at].end_pos

    def mutate(self, node: Any, index: int) -> Any:
        at = _conditions(node)[index // 2]
        node.children[at] = tree.Name(("False", "True")[index % 2], node.children[at].start_pos, prefix=" ")
        return node

    @classmethod
    def examples(cls) -> tuple[()]:
        return ()


class Operand(Operator):  # type: ignore[misc]
    """One of the parts that `and` or `or` joins goes."""

    def mutation_positions(self, node: Any) -> Iterator[Any]:
        if node.type in ("and_test", "or_test"):
            for part in node.children[::2]:
                yield part.start_pos, part.end_pos

    def mutate(self, node: Any, index: int) -> Any:
        first, prefix = node.children[0], node.get_first_leaf().prefix
        del node.children[max(0, 2 * index - 1) : 2 * index + (1 if index else 2)]
        if node.children[0] is not first:
            node.get_first_leaf().prefix = prefix
        return node

    @classmethod
    def examples(cls) -> tuple[()]:
        return ()


OWN = {"number": Number, "condition": Condition, "operand": Operand}
COMPARISONS = {
    "Eq": ("NotEq",), "NotEq": ("Eq",), "Lt": ("LtE", "Gt"), "LtE": ("Lt", "GtE"), "Gt": ("GtE", "Lt"),
    "GtE": ("Gt", "LtE"), "Is": ("IsNot",), "IsNot": ("Is",),
}  # fmt: skip
KINDS: dict[str, tuple[str, ...]] = {
    "number": ("number",),
    "comparison": tuple(f"ReplaceComparisonOperator_{a}_{b}" for a, bs in COMPARISONS.items() for b in bs),
    "condition": (
        "condition", "operand", "ReplaceAndWithOr", "ReplaceOrWithAnd", "ReplaceUnaryOperator_Delete_Not",
    ),
    "sign": (
        "ReplaceBinaryOperator_Add_Sub", "ReplaceBinaryOperator_Sub_Add", "ReplaceUnaryOperator_Delete_USub",
    ),
    "flag": ("ReplaceTrueWithFalse", "ReplaceFalseWithTrue"),
}  # fmt: skip
"""Kind of change → operators: ours, and cosmic-ray's."""

NO_DECISION = re.compile(
    r"@dataclass|strict=|ensure_ascii=|TYPE_CHECKING|lru_cache|ConfigDict|TypeVar|__test__"
)
"""Lines whose numbers and flags decide nothing that a user could see; no mutant of them is tried."""


@dataclass(frozen=True)
class Place:
    """Where a change is possible: of which module, by which operator, the how-manieth time that it fits."""

    room: str
    module: str
    """Its path below `src/rulewright`."""
    kind: str
    operator: str
    occurrence: int


@dataclass(frozen=True)
class Mutant:
    """A change that was made."""

    place: Place
    line: int
    """The first line that differs, from 1."""
    old: str
    new: str
    text: str
    """The whole module after the change."""

    @property
    def key(self) -> str:
        """What stays the same where other lines of the module change."""
        return f"{self.place.module}: {self.old}  →  {self.new}"

    def __str__(self) -> str:
        return f"{self.place.module}:{self.line}: {self.old}  →  {self.new}"


def places(room: str, source: Path, patterns: tuple[str, ...]) -> Iterator[Place]:
    """All changes that are possible in the modules that the patterns name below `source`.

    Raises:
        FileNotFoundError: a pattern names no module.
    """
    found = {pattern: list(source.glob(pattern)) for pattern in patterns}
    if missing := [pattern for pattern, paths in found.items() if not paths]:
        raise FileNotFoundError(f"room {room}: no module of {source} matches {', '.join(missing)}")
    for path in sorted({path for paths in found.values() for path in paths}):
        nodes = list(ast_nodes(get_ast(path.read_text(encoding="utf-8"))))
        module = str(path.relative_to(source))
        for kind, names in KINDS.items():
            for name in names:
                made = _operator(name)
                n = sum(len(list(made.mutation_positions(node))) for node in nodes)
                yield from (Place(room, module, kind, name, i) for i in range(n))


def make_mutant(place: Place, source: Path) -> Mutant | None:
    """Make a change; `None` where it changes nothing, decides nothing, or is no Python."""
    code = (source / place.module).read_text(encoding="utf-8")
    text = mutate_code(code, _operator(place.operator), place.occurrence)
    if text is None or not _parses(text):
        return None
    old, new = code.splitlines(), text.splitlines()
    at = next((i for i, (a, b) in enumerate(zip(old, new, strict=False)) if a != b), None)
    if at is None or NO_DECISION.search(old[at]):
        return None
    return Mutant(place, at + 1, old[at].strip(), new[at].strip(), text)


def _operator(name: str) -> Any:
    return OWN[name]() if name in OWN else plugins.get_operator(f"core/{name}")()


def statement(code: str, line: int) -> tuple[int, int]:
    """First and last line of the innermost statement at a line; of a compound one, its head."""
    best = (line, line)
    for first, last in _statements(code):
        if first <= line <= last:
            best = (first, last)
    return best


@cache
def _statements(code: str) -> list[tuple[int, int]]:
    """From the outermost to the innermost."""
    spans = []
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.stmt):
            body = getattr(node, "body", None)
            last = body[0].lineno - 1 if body else node.end_lineno or node.lineno
            spans.append((node.lineno, max(last, node.lineno)))
    return spans


def _conditions(node: Any) -> list[int]:
    """Where among a node's children conditions stand."""
    match node.type:
        case "if_stmt":
            return [i + 1 for i, part in enumerate(node.children) if part in ("if", "elif")]
        case "comp_if":
            return [1]
        case "test":
            return [2]
    return []


def _others(value: complex) -> list[complex]:
    if isinstance(value, int) and not isinstance(value, bool):
        return [value + 1, value - 1] if value < SMALL else [value * 2, value // 2]
    return [value * 2, value / 2] if value else [1.0]


def _parses(text: str) -> bool:
    try:
        return ast.parse(text) is not None
    except SyntaxError:
        return False


def assigned(code: str, line: int) -> set[str]:
    """Names that a statement outside of functions gives a value: constants and fields."""
    names: set[str] = set()
    module = ast.parse(code)
    classes = [inner for node in module.body if isinstance(node, ast.ClassDef) for inner in node.body]
    for node in (*module.body, *classes):
        if isinstance(node, ast.Assign | ast.AnnAssign) and node.lineno <= line <= (node.end_lineno or 0):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            names |= {
                part.id for target in targets for part in ast.walk(target) if isinstance(part, ast.Name)
            }
    return names
