"""The configurations that travel inside the package: listed, and found by name.

One copy: `rulewright/configs`. A user's file takes precedence. The command interprets the configuration.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final, NamedTuple

from rulewright import console

ROOT: Final = Path(__file__).parent / "configs"
# By the first word of a file's name; `accelerate launch` reads those that no command of ours does.
_COMMANDS: Final = {
    "stage0": "train sft", "stage1": "train sft", "srl": "train srl", "grpo": "train grpo",
    "synth": "synth", "demo": "demo", "matrix": "matrix",
}  # fmt: skip
_FOLDERS: Final = {"data": "ingest", "accelerate": ""}


class Shipped(NamedTuple):
    """One configuration of the package."""

    name: str
    """Its path below the package's folder, without `.yaml`: tiny/stage1."""
    path: Path
    command: str
    """The command that reads it; empty: `accelerate launch --config_file`."""
    about: str
    """The first sentence of its first comment."""


def everything() -> list[Shipped]:
    """All configurations, by name."""
    return [_shipped(path) for path in sorted(ROOT.rglob("*.yaml"))]


def find(name: str) -> Shipped | None:
    """The configuration of that name: `tiny/stage1`, `tiny/stage1.yaml` or `configs/tiny/stage1.yaml`."""
    path = _below(Path(name))
    return _shipped(path) if path is not None and path.is_file() else None


def locate(path: Path) -> Path:
    """Give the path itself if something is there, else what the package has by that name.

    Args:
        path: of a configuration or of a folder of them; `tiny/stage1` and `configs/tiny` are names too.

    Returns:
        The given path if neither is there.
    """
    if path.exists():
        return path
    found = _below(path)
    if found is None:
        return path
    console.decided("configuration", found, f"it comes with rulewright; {path} is not here")
    return found


def _below(path: Path) -> Path | None:
    if path.is_absolute() or ".." in path.parts:
        return None
    parts = path.parts[1:] if path.parts[:1] == ("configs",) else path.parts
    if not parts:
        return None
    for candidate in (ROOT.joinpath(*parts), ROOT.joinpath(*parts[:-1], f"{parts[-1]}.yaml")):
        if candidate.exists():
            return candidate
    return None


def _shipped(path: Path) -> Shipped:
    relative = path.relative_to(ROOT)
    kind = path.stem.partition("_")[0]
    command = _FOLDERS.get(relative.parts[0], _COMMANDS.get(kind, ""))
    # The first sentence of the comment at the head of a file.
    head = []
    for line in path.read_text(encoding="utf-8").splitlines():
        if not line.startswith("#"):
            break
        head.append(line.lstrip("#").strip())
    about = re.split(r"(?<=[.])\s", " ".join(head), maxsplit=1)[0]
    return Shipped(relative.with_suffix("").as_posix(), path, command, about)
