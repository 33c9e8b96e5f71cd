"""What README and docs tell people to type exists, parses, and where it can be run here, runs."""

from __future__ import annotations

import importlib
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from rulewright import cli, config, jsonl
from rulewright.data.schemas import NormalizedRecord, RecordMetadata, record_id

ROOT = Path(__file__).resolve().parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


def command_lines() -> list[tuple[str, str]]:
    """(page, command line) for every line that begins with `rulewright`, continuations joined."""
    found = []
    for page in PAGES:
        text = re.sub(r"\\\n\s*", " ", page.read_text(encoding="utf-8"))
        for line in re.findall(r"(?:^[ $]*|-m |`)rulewright ([a-z][^`\n]*)", text, re.MULTILINE):
            words = line.partition(" #")[0].strip()
            if words:
                found.append((str(page.relative_to(ROOT)), words))
    return found


def name_of(words: list[str]) -> str | None:
    return next((n for k in (2, 1) if (n := " ".join(words[:k])) in cli.COMMANDS), None)


@pytest.mark.parametrize(("page", "line"), command_lines())
def test_a_command_line_names_what_there_is(page: str, line: str) -> None:
    if re.search(r"[…*|]|\bX\b", line) or (line.split()[0] in {"eval", "train"} and len(line.split()) == 1):
        words = [w for w in line.split() if re.fullmatch(r"[\w-]+", w)]
    else:
        words = shlex.split(line, posix=False)
    name = name_of(words)
    families = {n.split()[0] for n in cli.COMMANDS}
    assert name is not None or words[0] in families, f"{page}: rulewright {line}"
    if name is None:
        return
    model = importlib.import_module(f"rulewright.commands.{cli.COMMANDS[name].module}").Config
    flags = {"--config", "--set", "--help", "--json"}
    flags |= {f"--{field.replace('_', '-')}" for field in model.model_fields}
    renamed = (getattr(note, "name", None) for f in model.model_fields.values() for note in f.metadata)
    flags |= {f"--{name}" for name in renamed if name}
    flags |= {f"--no-{field.replace('_', '-')}" for field in model.model_fields}
    used = {word.partition("=")[0] for word in words if word.startswith("--")}
    assert used <= flags, f"{page}: {sorted(used - flags)} in: rulewright {line}"


def yaml_files() -> list[Path]:
    return sorted(p for p in (ROOT / "configs").rglob("*.yaml") if p.parent.name != "accelerate")


COMMAND_OF = {
    "stage0": "train_sft", "stage1": "train_sft", "srl": "train_srl", "grpo": "train_grpo",
    "demo": "demo", "synth": "synth", "matrix": "matrix",
}  # fmt: skip


@pytest.mark.parametrize("path", yaml_files(), ids=lambda p: str(p.relative_to(ROOT)))
def test_every_configuration_loads(path: Path) -> None:
    module = "ingest" if path.parent.name == "data" else COMMAND_OF[path.stem.partition("_")[0]]
    config.read_file(importlib.import_module(f"rulewright.commands.{module}").Config, path)


def run(*argv: str, cwd: Path) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "rulewright", *argv],
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout + done.stderr


def test_the_first_steps_of_the_readme_on_a_repository_of_ones_own(tmp_path: Path) -> None:
    repository = tmp_path / "some-repository"
    repository.mkdir()

    def git(*argv: str) -> None:
        subprocess.run(
            ["git", "-c", "user.name=a", "-c", "user.email=a@b", *argv],
            cwd=repository,
            check=True,
            capture_output=True,
        )

    git("init", "-q")
    (repository / "LICENSE").write_text(
        "MIT License\n\nPermission is hereby granted, free of charge, to any person obtaining a copy\n"
    )
    git("add", "-A")
    git("commit", "-qm", "Add the license of the project")
    for i in range(6):
        path = repository / f"module_{i}.py"
        head = f"def pick_{i}(cache, key):\n    value = cache.get(key, {i})\n"
        path.write_text(head + "    if value == None:\n        return 0\n    return value\n")
        git("add", "-A")
        git("commit", "-qm", f"Add module number {i} to the project")
        path.write_text(head + "    if value is None:\n        return 0\n    return value\n")
        git("commit", "-qam", "Compare the value with None by identity")
    run("ingest", "git", "--input", str(repository), cwd=tmp_path)
    assert list((tmp_path / "data/processed").glob("*/git.jsonl"))
    run("mine", "data/processed", cwd=tmp_path)
    assert "is None" in "".join(p.read_text() for p in (tmp_path / "data/processed").glob("*/mined_*.jsonl"))

    (repository / "rule.yml").write_text(
        "id: identity\nlanguage: python\nrule:\n  pattern: $A is None\nfix: $A == None\n"
    )
    shown = run("apply", "rule.yml", "module_0.py", cwd=repository)
    assert "+    if value == None:" in shown
    assert "is None" in (repository / "module_0.py").read_text()
    run("apply", "rule.yml", "module_0.py", "--write", cwd=repository)
    assert "== None" in (repository / "module_0.py").read_text()


def record(name: str) -> NormalizedRecord:
    pre, post = f"x = {name!r}\n" * 20, f"y = {name!r}\n" * 20
    metadata = RecordMetadata(
        id=record_id("Rename x.", pre, post, "python"), source=name.split()[0], license="mit", group=name
    )
    return NormalizedRecord(instruction="Rename x.", pre=pre, post=post, language="python", metadata=metadata)


def test_plan_says_whether_the_reference_run_fits(tmp_path: Path) -> None:
    (tmp_path / "configs").symlink_to(ROOT / "configs")
    for source in ("commitpackft", "editpackft"):
        rows = [record(f"{source} {i}").to_json() for i in range(200)]
        for split in ("train", "dev"):
            jsonl.write(tmp_path / f"data/processed/{split}/{source}.jsonl", rows)
    shown = run("plan", "configs/qwen3_14b/stage0_qlora.yaml", cwd=tmp_path)
    assert "fits" in shown


def test_every_command_is_in_the_reference_and_the_readme() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    reference = (ROOT / "docs/reference/commands.md").read_text(encoding="utf-8")
    commands = cli.COMMANDS.items()
    assert not [name for name, command in commands if f"| `{name}` | {command.help} |" not in reference]
    assert not [name for name, _ in commands if f"`{name}`" not in readme]


def test_the_readme_is_short() -> None:
    assert len((ROOT / "README.md").read_text(encoding="utf-8").splitlines()) <= 150


def test_every_page_that_is_named_exists() -> None:
    files = [
        *PAGES, *(ROOT / "src").rglob("*.py"), *(ROOT / "src").rglob("*.yaml"), *ROOT.glob("*.md"),
        *(ROOT / "src").rglob("*.jinja"),
    ]  # fmt: skip
    named: dict[str, str] = {}
    for file in files:
        text = file.read_text(encoding="utf-8")
        named |= dict.fromkeys(re.findall(r"(?<![\w./])docs/[\w/-]+\.md", text), str(file))
        if file.suffix == ".md":
            links = re.findall(r"\]\(([\w/.-]+\.md)\)", text)
            named |= dict.fromkeys((str((file.parent / link).relative_to(ROOT)) for link in links), str(file))
    assert len(named) > 15
    assert not {page: file for page, file in named.items() if not (ROOT / page).is_file()}
