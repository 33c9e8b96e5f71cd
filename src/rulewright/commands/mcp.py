"""Serve the tools to a coding agent over the Model Context Protocol, on standard input and output.

Tools: find, verify_rule, learn_rule, propose_rule (with --model), apply_rule, explain_no_match and
check_rules. They read files below the ROOTS only, and write only below --allow-write, never through a link.

An agent starts it from an entry in its configuration: command `rulewright`, arguments `mcp`, the folder
of code, and --allow-write with the folders that it may change.
"""

from __future__ import annotations

import signal
from pathlib import Path

import tyro
from pydantic import Field

from rulewright import console
from rulewright.config import CommandConfig, FileOnly
from rulewright.errors import needed
from rulewright.generation.open import GeneratorConfig, require_model


class Config(CommandConfig):
    """Options of `rulewright mcp`."""

    roots: tyro.conf.Positional[tuple[Path, ...]] = (Path(),)
    """Folders that the tools may read; relative paths start at the first."""
    allow_write: tuple[Path, ...] = ()
    """Folders in which apply_rule may change files; none: dry runs only."""
    model: str = ""
    """Checkpoint folder for propose_rule, or with --base-url the model's name there; without a model, the
    tool is not offered."""
    base_url: str = ""
    """An OpenAI-compatible endpoint for propose_rule."""
    workers: int = Field(default=2, ge=1, le=64)
    """Calls that run at once, each in a separate process."""
    deadline_s: float = Field(default=120.0, gt=0)
    """Wall-clock seconds for one call."""
    generator: FileOnly[GeneratorConfig] = GeneratorConfig()
    """More about how the model is reached."""


def run(config: Config) -> int:
    """Serve until the client hangs up."""
    with needed("mcp", "`rulewright mcp`", "mcp"):
        import anyio
        import mcp  # noqa: F401
    from rulewright.agents.roots import Roots
    from rulewright.agents.server import serve

    roots = Roots.of(config.roots, config.allow_write)
    spec = config.generator.having(model=config.model, base_url=config.base_url)
    asked = bool(spec.model or spec.base_url)
    if asked:
        require_model(spec)
        # Relative folders begin where the person stands; the workers stand in the first root.
        if not spec.base_url and Path(spec.model).exists():
            spec = spec.model_copy(update={"model": str(Path(spec.model).resolve())})
    settings = {
        "read": list(map(str, roots.read)), "write": list(map(str, roots.write)),
        "generator": spec.model_dump(mode="json") if asked else None,
    }  # fmt: skip
    where = ", ".join(map(str, roots.write)) or "nothing (--allow-write ROOT lets it)"
    # The thread that reads the input cannot be stopped: an interrupt ends the process, and so its workers.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    console.say(f"serving MCP on standard input and output; reads below {roots.home}, writes {where}")
    anyio.run(serve, settings, config.workers, config.deadline_s)
    return 0
