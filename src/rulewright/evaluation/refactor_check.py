"""Whether a method became a top-level function, by syntax tree alone; run as its own process.

`python -m rulewright.evaluation.refactor_check` reads one JSON object from stdin and writes `READY` and
one JSON object to stdout. It is a process because parsing what a model wrote can exhaust the parser: what
ends it after `READY` is the file's fault. The official check is that of Aider's
`benchmark/refactor_tools.py`; it accepts copies and forgotten calls, so a stricter check is also run.
"""

from __future__ import annotations

import ast
import contextlib
import json
import resource
import sys
from typing import Any, Final

READY: Final = "ready\n"
_MEMORY_BYTES: Final = 2 << 30
_CPU_S: Final = 60
_TOLERANCE: Final = 0.10


def check(code: str, method: str, method_nodes: int, class_name: str, class_nodes: int) -> dict[str, Any]:
    """Judge the edited file.

    Args:
        code: the whole file after the edit.
        method: its name, before and after.
        method_nodes: syntax nodes of the method, itself included.
        class_name: where it was.
        class_nodes: syntax nodes of that class with the method.

    Returns:
        `parses`, `official` and `strict`, and the first `reason` against each.
    """
    tree = None
    try:
        tree = ast.parse(code)
    except (SyntaxError, ValueError) as error:
        reason = strict = f"does not parse: {error}"
    else:
        reason = _official(tree, method, method_nodes, class_name, class_nodes)
        strict = reason or _strict(tree, method, class_name)
    return {
        "parses": tree is not None,
        "official": not reason,
        "strict": not strict,
        "reason": reason,
        "strict_reason": strict,
    }


def _official(tree: ast.Module, method: str, method_nodes: int, class_name: str, class_nodes: int) -> str:
    if not any(isinstance(node, ast.FunctionDef) and node.name == method for node in ast.walk(tree)):
        return f"function {method} not found"
    top = next((n for n in tree.body if isinstance(n, ast.FunctionDef) and n.name == method), None)
    if top is None:
        return f"{method} is not a top-level function"
    if (found := _size(top)) and not _close(found, method_nodes):
        return f"the method had {method_nodes} nodes, the function has {found}"
    owner = _class(tree, class_name)
    if owner is None:
        return f"class {class_name} not found"
    if not _close(_size(owner), class_nodes - method_nodes):
        return f"class {class_name} should have about {class_nodes - method_nodes} nodes, has {_size(owner)}"
    return ""


def _strict(tree: ast.Module, method: str, class_name: str) -> str:
    owner = _class(tree, class_name)
    assert owner is not None
    if any(isinstance(node, ast.FunctionDef) and node.name == method for node in owner.body):
        return f"the method is still in class {class_name}"
    if sum(isinstance(n, ast.FunctionDef) and n.name == method for n in tree.body) > 1:
        return f"{method} is defined more than once"
    for node in ast.walk(owner):
        match node:
            case ast.Attribute(value=ast.Name(id=name), attr=found) if found == method:
                if name in {"self", "cls", class_name}:
                    return f"line {node.lineno} still uses the method of the instance or class"
    return ""


def _class(tree: ast.Module, name: str) -> ast.ClassDef | None:
    return next((n for n in ast.walk(tree) if isinstance(n, ast.ClassDef) and n.name == name), None)


def _size(node: ast.AST) -> int:
    return sum(1 for _ in ast.walk(node))


def _close(found: int, wanted: int) -> bool:
    return wanted > 0 and abs(found - wanted) / wanted < _TOLERANCE


def main() -> None:
    """Read the arguments of `check` as JSON, write its answer."""
    question = json.load(sys.stdin)
    for which, most in ((resource.RLIMIT_AS, _MEMORY_BYTES), (resource.RLIMIT_CPU, _CPU_S)):
        # A limit that is lower already stays; macOS takes none on memory.
        with contextlib.suppress(ValueError):
            resource.setrlimit(which, (most, most))
    sys.stdout.write(READY)
    sys.stdout.flush()
    json.dump(check(**question), sys.stdout)


if __name__ == "__main__":
    main()
