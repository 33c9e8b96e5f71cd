"""Copy the configurations that come with rulewright into DIR/configs, so that you can edit them.

The first line of each copy names its JSON Schema, so an editor with a YAML language server completes
keys, explains them and marks mistakes. Files that you have changed are kept, unless you give --overwrite.
"""

from __future__ import annotations

import json
from pathlib import Path, PurePosixPath
from typing import Annotated, Final

import tyro

from rulewright import console, jsonl, shipped
from rulewright.commands import configs
from rulewright.config import CommandConfig
from rulewright.errors import UsageError

_MODELINE: Final = "# yaml-language-server: $schema="


class Config(CommandConfig):
    """Where to."""

    folder: Annotated[tyro.conf.Positional[Path], tyro.conf.arg(metavar="DIR")] = Path()
    """Folder in which `configs` is created; default: the current one."""
    overwrite: bool = False
    """Replace files that differ."""


def run(config: Config) -> int:
    """Copy; refuse to lose what was changed."""
    out = config.folder / "configs"
    if out.resolve() == shipped.ROOT.resolve():
        raise UsageError(f"{out}: is the folder of the package itself", "name another folder")
    wanted = {out / name: text for name, text in files().items()}
    changed = [path for path, text in wanted.items() if _differs(path, text)]
    if changed and not config.overwrite:
        listing = "\n".join(f"{path}: exists and differs" for path in changed)
        raise UsageError(listing, "nothing was copied; replace them with --overwrite, or name another folder")
    for path, text in wanted.items():
        jsonl.write_text(path, text)
    n = sum(path.suffix == ".yaml" for path in wanted)
    console.say(f"{out}: {n} configurations, their JSON Schemas in {out / 'schemas'}")
    there = "" if config.folder == Path() else f"cd {config.folder}; "
    console.say(f"next: {there}rulewright demo --config configs/tiny/demo.yaml (a first run, on a CPU)")
    console.say(f"      {there}rulewright plan configs/qwen3_14b/stage0_qlora.yaml (does it fit?)")
    return 0


def files() -> dict[str, str]:
    """What is copied: the path below `configs` and the text of each file."""
    everything = shipped.everything()
    texts = {}
    for one in everything:
        up = "../" * (len(PurePosixPath(one.name).parts) - 1)
        first = f"{_MODELINE}{up}schemas/{_file_name(one.command)}\n" if one.command else ""
        texts[f"{one.name}.yaml"] = first + one.path.read_text(encoding="utf-8")
    for command in sorted({one.command for one in everything if one.command}):
        text = json.dumps(configs.schema(command), indent=2, ensure_ascii=False)
        texts[f"schemas/{_file_name(command)}"] = text + "\n"
    return texts


def _file_name(command: str) -> str:
    return f"{command.replace(' ', '-')}.json"


def _differs(path: Path, text: str) -> bool:
    try:
        return path.read_text(encoding="utf-8") != text
    except FileNotFoundError:
        return False
    except (OSError, UnicodeDecodeError):
        return True
