"""An instruction in, a rule out: ask a model, show the rule and its diff over your files.

The model sees the instruction and one of the files; its rules are executed on that file and on all
files named, and it is told why one failed. What holds is grouped by what it does to the files, and
what most answers do comes first. That a rule holds is no proof that it means what you said: its places
are compared with the words of the instruction, and only those that agree are sure.

On a terminal you are asked (accept, next rule, edit it, narrow the files); in a script --yes
changes the sure places. With --like, no model is asked: the rules are learned from a change made by hand.
"""

from __future__ import annotations

from pathlib import Path

import tyro
from pydantic import Field

from rulewright.commands.offers import Wish
from rulewright.config import AsJson, CommandConfig, FileOnly
from rulewright.errors import UsageError
from rulewright.generation.open import GeneratorConfig


class EditConfig(CommandConfig):
    """What to do, where, and who is asked."""

    instruction: tyro.conf.Positional[str] = ""
    """What to change, in words ("use `is None` instead of `== None`"); left out with --like."""
    paths: tyro.conf.Positional[tuple[Path, ...]] = ()
    """Files to change; of a folder, those of the language, as ast-grep walks it."""
    like: str = ""
    """A change made by hand: a diff file, `-` (stdin), HEAD, A..B, or the old file before the new one."""
    staged: bool = False
    """Like what is staged: the change in git's index."""
    model: str = ""
    """Checkpoint folder, with --base-url the model's name there; default: what training or the demo left."""
    base_url: str = ""
    """An OpenAI-compatible endpoint."""
    on: Path | None = None
    """The file that the model sees; default: the first of the files."""
    samples: int = Field(default=4, ge=1, le=64)
    """Answers side by side, the first greedy; what most of them do comes first."""
    attempts: int = Field(default=2, ge=1, le=16)
    """Tries of each; a retry is told why the one before it failed."""
    temperature: float = Field(default=0.7, ge=0)
    """Of the answers after the first."""
    max_new_tokens: int = Field(default=1024, ge=1)
    """Longest answer."""
    seed: int = 0
    """Of the answers after the first."""
    save: Path | None = None
    """Also write the rule to this .yml file; with --like a folder gets a rule pack with tests."""
    html: Path | None = None
    """Also write this page: the rule and its diff in every file, to look at in a browser."""
    write: bool = False
    """Change the sure places; without it everything is only shown (and asked for, on a terminal)."""
    yes: bool = False
    """The same as answering yes on a terminal: change the sure places."""
    only: tuple[str, ...] = ()
    """Only the places on these lines, sure or not: FILE:LINE …"""
    interactive: bool = False
    """Ask at each place, as `ast-grep scan -i` does: y, n, e(dit), a(ll), q."""
    price_in_usd_per_mtok: float = Field(default=0.0, ge=0)
    """Price of a million prompt tokens, to show what the answers cost."""
    price_out_usd_per_mtok: float = Field(default=0.0, ge=0)
    """Price of a million answer tokens."""
    deadline_s: float = Field(default=10.0, gt=0)
    """Processor seconds per file."""
    json_output: AsJson = False
    """One JSON line a place, then one with the rule."""
    generator: FileOnly[GeneratorConfig] = GeneratorConfig()
    """More about how the model is reached."""


Config = EditConfig


def run(config: EditConfig) -> int:
    """Ask, choose, offer; with --like: learn, offer."""
    said = (
        config.instruction
        if not (config.like or config.staged)
        else f"like {config.like or 'what is staged'}"
    )
    wish = Wish(
        config.write, config.yes, config.only, config.interactive, config.json_output, said, config.html
    )
    if config.like or config.staged:
        from rulewright.commands.like import like

        paths = ([Path(config.instruction)] if config.instruction else []) + list(config.paths)
        return like(config.like, paths, wish, config.save, staged=config.staged, deadline_s=config.deadline_s)
    if not config.instruction or not config.paths:
        raise UsageError("an instruction and files are needed", "or an example: --like FILE.diff PATH…")
    from rulewright.commands import sentence

    wish.check()
    return sentence.run(config, wish)
