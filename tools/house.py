"""Measure the house: how large its rooms are, and how many ideas they hold.

    python tools/house.py [SRC ...]

One column for each source tree (default: `src/rulewright`), so that two checkouts can be
compared. Everything is read from the syntax tree; nothing is imported. Rows:

- modules and lines; code, docstring, comment and blank lines (a line of code with a comment
  behind it is code);
- lines of a module and of a function: median, 95th percentile, longest;
- functions (methods too), the share whose name begins with one underscore, how many of these
  their module names exactly once, and how many of those have no more than six lines;
- class names that several modules define;
- circles of modules that import each other at the top of the file, and how many circles there
  are when imports inside functions count too (those under `TYPE_CHECKING` never do).
"""

from __future__ import annotations

import ast
import io
import re
import sys
import tokenize
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path
from statistics import median

Function = ast.FunctionDef | ast.AsyncFunctionDef
SHORT = 6


def modules(root: Path) -> dict[str, str]:
    """Text of each module by its dotted name, the package's name first."""
    found = {}
    for path in sorted(root.rglob("*.py")):
        parts = path.relative_to(root.parent).with_suffix("").parts
        found[".".join(parts).removesuffix(".__init__")] = path.read_text(encoding="utf-8")
    return found


def span(node: ast.stmt | Function) -> int:
    return (node.end_lineno or node.lineno) - node.lineno + 1


def docstrings(tree: ast.Module) -> set[int]:
    """Numbers of the lines that strings standing alone take: docstrings, and those after fields."""
    return {
        line
        for node in ast.walk(tree)
        if isinstance(node, ast.Expr)
        and isinstance(node.value, ast.Constant)
        and isinstance(node.value.value, str)
        for line in range(node.lineno, (node.end_lineno or node.lineno) + 1)
    }


def kinds_of_lines(text: str) -> Counter[str]:
    told = docstrings(ast.parse(text))
    comments = {
        token.start[0]
        for token in tokenize.generate_tokens(io.StringIO(text).readline)
        if token.type == tokenize.COMMENT and not token.line[: token.start[1]].strip()
    }
    counts: Counter[str] = Counter()
    for number, line in enumerate(text.splitlines(), 1):
        if number in told:
            counts["doc"] += 1
        elif number in comments:
            counts["comment"] += 1
        else:
            counts["code" if line.strip() else "blank"] += 1
    return counts


def functions(tree: ast.Module) -> list[Function]:
    return [node for node in ast.walk(tree) if isinstance(node, Function)]


def is_private(name: str) -> bool:
    return name.startswith("_") and not name.startswith("__")


def used_once(text: str, found: list[Function]) -> list[Function]:
    """Private functions that their module names once beside their definition."""
    words = Counter(re.findall(r"\w+", text))
    return [node for node in found if is_private(node.name) and words[node.name] == 2]


def clashes(trees: dict[str, ast.Module]) -> dict[str, list[str]]:
    """Public class names that stand in several modules, with the modules."""
    places: dict[str, list[str]] = defaultdict(list)
    for name, tree in trees.items():
        for node in tree.body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                places[node.name].append(name)
    # Each command has its own `Config`: the command line finds it by that name.
    return {name: where for name, where in sorted(places.items()) if len(where) > 1 and name != "Config"}


def imported(name: str, tree: ast.Module, known: set[str], lazy: bool) -> set[str]:
    """Modules of the tree that a module imports; `lazy`: inside functions too."""
    found: set[str] = set()
    for node in _imports(tree, lazy):
        if isinstance(node, ast.Import):
            targets = [alias.name for alias in node.names]
        elif node.module is None or node.level:
            targets = []
        else:
            targets = [f"{node.module}.{alias.name}" for alias in node.names]
        for target in targets:
            while target not in known and "." in target:
                target = target.rpartition(".")[0]
            if target in known and target != name:
                found.add(target)
    return found


def _imports(node: ast.AST, lazy: bool) -> Iterator[ast.Import | ast.ImportFrom]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Import | ast.ImportFrom):
            yield child
        elif not (isinstance(child, Function) and not lazy) and not _is_for_types(child):
            yield from _imports(child, lazy)


def _is_for_types(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)


def circles(trees: dict[str, ast.Module], lazy: bool) -> list[list[str]]:
    """Sets of modules each of which reaches the others (Tarjan's strongly connected components)."""
    known = set(trees)
    edges = {name: imported(name, tree, known, lazy) for name, tree in trees.items()}
    index: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    found: list[list[str]] = []

    def visit(name: str) -> None:
        index[name] = low[name] = len(index)
        stack.append(name)
        for other in sorted(edges[name]):
            if other not in index:
                visit(other)
                low[name] = min(low[name], low[other])
            elif other in stack:
                low[name] = min(low[name], index[other])
        if low[name] == index[name]:
            at = stack.index(name)
            if len(stack) - at > 1:
                found.append(sorted(stack[at:]))
            del stack[at:]

    sys.setrecursionlimit(10_000)
    for name in trees:
        if name not in index:
            visit(name)
    return found


def sizes(values: list[int]) -> str:
    ordered = sorted(values)
    return f"{median(ordered):g} / {ordered[int(0.95 * (len(ordered) - 1))]} / {ordered[-1]}"


def measure(root: Path) -> dict[str, str]:
    texts = modules(root)
    trees = {name: ast.parse(text) for name, text in texts.items()}
    lines = {name: len(text.splitlines()) for name, text in texts.items()}
    kinds = sum((kinds_of_lines(text) for text in texts.values()), Counter[str]())
    by_module = {name: functions(tree) for name, tree in trees.items()}
    every = [node for found in by_module.values() for node in found]
    private = [node for node in every if is_private(node.name)]
    once = [node for name, found in by_module.items() for node in used_once(texts[name], found)]
    names = clashes(trees)
    return {
        "modules": f"{len(texts)}",
        "lines": f"{sum(lines.values()):,}",
        "code / doc / comment / blank": " / ".join(
            f"{kinds[k]:,}" for k in ("code", "doc", "comment", "blank")
        ),
        "module: median / p95 / longest": sizes(list(lines.values())),
        "function: median / p95 / longest": sizes([span(node) for node in every]),
        "functions": f"{len(every):,}",
        "private": f"{len(private):,} ({100 * len(private) / len(every):.0f} %)",
        "private, named once": f"{len(once):,}",
        f"of these, up to {SHORT} lines": f"{sum(span(node) <= SHORT for node in once):,}",
        "class names in several modules": f"{len(names)}",
        "circles": f"{len(circles(trees, lazy=False))}",
        "circles with lazy imports": f"{len(circles(trees, lazy=True))}",
    }


def main(roots: list[Path]) -> None:
    for root in roots:
        if not any(root.rglob("*.py")):
            sys.exit(f"{root}: no Python files there; name the package, e.g. {sys.argv[0]} src/rulewright")
    columns = [measure(root) for root in roots]
    width = max(len(row) for row in columns[0])
    if len(roots) > 1:
        print(" " * width, *(f"{root}"[-34:].rjust(34) for root in roots))
    for row in columns[0]:
        print(row.ljust(width), *(column[row].rjust(34) for column in columns))
    trees = {name: ast.parse(text) for name, text in modules(roots[-1]).items()}
    for name, where in clashes(trees).items():
        print(f"class {name}: {', '.join(module.partition('.')[2] for module in where)}")
    for circle in circles(trees, lazy=False):
        print(f"circle: {', '.join(module.partition('.')[2] for module in circle)}")


if __name__ == "__main__":
    main([Path(name) for name in sys.argv[1:]] or [Path("src/rulewright")])
