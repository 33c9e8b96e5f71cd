"""The layers of docs/architecture.md hold: nobody imports from below."""

from __future__ import annotations

import ast
import re
from pathlib import Path

PACKAGE = "rulewright"
HEAVY = {"torch", "transformers", "trl", "peft", "accelerate", "datasets", "deepspeed", "vllm", "ray"}
MAY_IMPORT_TORCH = ("training", "generation.local", "generation.sampler", "srl.train_srl")


def layers(root: Path) -> dict[str, int]:
    text = (root / "docs/architecture.md").read_text(encoding="utf-8")
    found: dict[str, int] = {}
    for level, names in re.findall(r"^\| (\d) \| ([^|]+) \|", text, re.MULTILINE):
        for name in re.findall(r"`([\w.]+)`", names):
            found[name] = int(level)
    return found


def modules(root: Path) -> dict[str, ast.Module]:
    source = root / "src" / PACKAGE
    return {
        ".".join(path.relative_to(source).with_suffix("").parts): ast.parse(path.read_text(encoding="utf-8"))
        for path in sorted(source.rglob("*.py"))
        if path.name not in ("__main__.py",) and path != source / "__init__.py"
    }


def layer_of(name: str, table: dict[str, int]) -> int | None:
    parts = name.removesuffix(".__init__").split(".")
    for end in range(len(parts), 0, -1):
        if ".".join(parts[:end]) in table:
            return table[".".join(parts[:end])]
    return None


def imports(tree: ast.Module) -> list[str]:
    names: list[str] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names += [f"{node.module}.{alias.name}" for alias in node.names]
    return names


def test_every_module_stands_in_the_table(root: Path) -> None:
    table = layers(root)
    assert table
    missing = [name for name in modules(root) if layer_of(name, table) is None]
    assert not missing


def test_nobody_imports_from_below(root: Path) -> None:
    table = layers(root)
    wrong = []
    for name, tree in modules(root).items():
        own = layer_of(name, table)
        for imported in imports(tree):
            if not imported.startswith(f"{PACKAGE}."):
                continue
            other = layer_of(imported.removeprefix(f"{PACKAGE}."), table)
            if own is not None and other is not None and other > own:
                wrong.append(f"{name} (layer {own}) imports {imported} (layer {other})")
    assert not wrong, "\n".join(wrong)


def test_heavy_packages_are_imported_lazily(root: Path) -> None:
    wrong = []
    for name, tree in modules(root).items():
        if name.startswith(MAY_IMPORT_TORCH):
            continue
        for node in tree.body:
            if isinstance(node, ast.Import | ast.ImportFrom):
                wrong += [
                    f"{name}: {item}"
                    for item in imports(ast.Module([node], []))
                    if item.split(".")[0] in HEAVY
                ]
    assert not wrong, "\n".join(wrong)


def test_only_the_console_prints(root: Path) -> None:
    wrong = [
        f"{name}:{node.lineno}"
        for name, tree in modules(root).items()
        if name != "console" and not name.startswith("sandbox.inside")
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "print"
    ]
    assert not wrong
