"""Find the origin of a checkpoint: the name and license of its base, for the model card."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final, NamedTuple

import yaml

from rulewright.generation.notes import adapter_base, checkpoint_note

_DEPTH: Final = 16


class Origin(NamedTuple):
    """A base model.

    Args:
        name: on the hub, or of its folder; never a path of this machine.
        license: as its card says; empty where nothing says it.
    """

    name: str
    license: str = ""


def origin_of(model: str) -> Origin:
    """Follow a checkpoint's notes, adapters and cards down to what it was made from.

    Args:
        model: folder or hub name.
    """
    license = ""
    for _ in range(_DEPTH):
        folder = Path(model)
        if not folder.is_dir():
            return Origin(model, license or _hub_license(model))
        fetched = checkpoint_note(model).get("fetched") or {}
        card = _front_matter(folder / "README.md")
        license = license or str(fetched.get("license") or card.get("license") or "")
        below = checkpoint_note(model).get("base") or adapter_base(model) or fetched.get("repo")
        below = below or _first(card.get("base_model"))
        if not below or below == model:
            return Origin(folder.resolve().name, license)
        model = str(below)
    return Origin(Path(model).name, license)


def _first(value: Any) -> str:
    found = value[0] if isinstance(value, list) and value else value
    return found if isinstance(found, str) else ""


def _front_matter(path: Path) -> dict[str, Any]:
    """The YAML at the head of a model's card; empty where there is none that can be read."""
    from huggingface_hub import metadata_load

    try:
        return metadata_load(path) or {}
    except (OSError, ValueError, yaml.YAMLError):
        return {}


def _hub_license(model: str) -> str:
    """What the hub says, where it can be asked; a card is no reason to fail."""
    try:
        from huggingface_hub import HfApi

        from rulewright.generation.transport import HUB_FAILURES
    except ImportError:
        return ""
    try:
        card = HfApi().model_info(model, timeout=10).card_data
    except HUB_FAILURES:
        return ""
    return _first(card.get("license")) if card else ""
