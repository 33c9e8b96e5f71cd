"""The layers of docs/architecture.md hold: nobody imports from below."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

PACKAGE = "rulewright"
HEAVY = {"torch", "transformers", "trl", "peft", "accelerate", "datasets", "deepspeed", "vllm", "ray"}
MAY_IMPORT_TORCH = (
    "training", "srl.train_srl",
    "generation.constrain", "generation.cpu", "generation.decode", "generation.local", "generation.sampler",
)  # fmt: skip


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


WITHOUT = """
import importlib, sys
class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {heavy!r}:
            raise ImportError(f"{{name}} is not installed here")
sys.meta_path.insert(0, Absent())
from rulewright import cli
{rest}
"""


def without_torch(rest: str, *argv: str) -> subprocess.CompletedProcess[str]:
    """Run Python lines where no package of the training stack can be imported."""
    code = WITHOUT.format(heavy=HEAVY, rest=rest)
    return subprocess.run(
        [sys.executable, "-c", code, *argv], capture_output=True, text=True, check=False, timeout=120
    )


def test_everything_but_training_imports_without_torch(root: Path) -> None:
    # Those that their own frameworks import, and nobody else.
    elsewhere = ("sandbox.inside", "adapters.verifiers", "adapters.openenv")
    names = [f"rulewright.{n}" for n in modules(root) if not n.startswith((*MAY_IMPORT_TORCH, *elsewhere))]
    done = without_torch("for name in sys.argv[1:]: importlib.import_module(name)", *names)
    assert done.returncode == 0, done.stderr


def test_a_missing_optional_package_is_one_message_with_the_line_that_installs_it(tmp_path: Path) -> None:
    config = tmp_path / "stage.yaml"
    row = (
        '{"instruction": "i", "pre": "x = 1\\n", "post": "x = 2\\n", "language": "python", "metadata": '
        '{"id": "00000000", "source": "s", "license": "mit", "group": "g"}}\n'
    )
    (tmp_path / "rows.jsonl").write_text(row)
    config.write_text(
        f"tiny: {{}}\nmax_length_tokens: 64\nout: {tmp_path}/model\nmix:\n  - path: {tmp_path}/rows.jsonl\n"
    )
    run = "sys.exit(cli.main(['train', 'sft', '--config', sys.argv[1]]))"
    done = without_torch(run, str(config))
    assert done.returncode == 2
    assert "is not installed" in done.stderr
    assert "hint: pip install 'rulewright[train]'" in done.stderr
    assert "Traceback" not in done.stderr


def test_only_the_console_prints(root: Path) -> None:
    wrong = [
        f"{name}:{node.lineno}"
        for name, tree in modules(root).items()
        if name != "console" and not name.startswith("sandbox.inside")
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "print"
    ]
    assert not wrong


SPEAKS = ("commands.", "cli", "config", "console", "helptext")
"""What writes to standard output, reads standard input and asks; three of them print help pages."""
PROGRAMS = (
    "sandbox.inside", "sandbox.programs", "engine.worker", "evaluation.refactor_check",
    "evaluation.canitedit.programs", "training.multiply", "training.count_built",
)  # fmt: skip
"""Programs of their own, started as child processes: their standard streams are how they are spoken to."""


def test_only_commands_speak_with_the_person(root: Path) -> None:
    """Standard output is the command's; what a package says on the way goes to standard error."""
    theirs = {("console", name) for name in ("emit", "emit_json", "ask", "error")}
    theirs |= {("sys", "stdin"), ("sys", "stdout")}
    wrong = [
        f"{name}:{node.lineno}"
        for name, tree in modules(root).items()
        if not name.startswith((*SPEAKS, *PROGRAMS))
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name)
        if (node.value.id, node.attr) in theirs
    ]
    assert not wrong


def test_nobody_imports_a_command(root: Path) -> None:
    wrong = [
        f"{name} imports {imported}"
        for name, tree in modules(root).items()
        if not name.startswith("commands.")
        for imported in imports(tree)
        if imported.startswith(f"{PACKAGE}.commands")
    ]
    assert not wrong
