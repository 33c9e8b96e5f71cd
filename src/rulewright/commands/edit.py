"""Turn an instruction, or your own change, into a rule; show the rule and its diff over your files.

The model sees the instruction and one of the files. Its rules are executed on all named files, and it
learns why a rule failed. Rules that hold are grouped by their effect; the group with the most answers
comes first. A rule that holds may still do something else than you asked: only places that agree with the
words of your instruction are sure.

On a terminal you can accept, go to the next rule, edit the rule, or narrow the files. In a script, --yes
changes the sure places. With --like, no model is used: the rules are learned from a change made by hand.
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
    """What to change, in words ("use `is None` instead of `== None`"); not with --like."""
    paths: tyro.conf.Positional[tuple[Path, ...]] = ()
    """Files to change; in a folder, all files of the language that ast-grep would search."""
    like: str = ""
    """A change made by hand: a diff file, `-` (stdin), HEAD, A..B, or two files, old and new."""
    staged: bool = False
    """Learn from the change in git's index."""
    model: str = ""
    """Checkpoint folder, or with --base-url the model's name there; default: the model of your training
    or demo."""
    base_url: str = ""
    """An OpenAI-compatible endpoint."""
    on: Path | None = None
    """The file that the model sees; default: the first of the files."""
    samples: int = Field(default=4, ge=1, le=64)
    """Number of answers; the first is greedy. The effect that most answers share comes first."""
    attempts: int = Field(default=2, ge=1, le=16)
    """Tries per answer; a retry includes the reason why the previous try failed."""
    temperature: float = Field(default=0.7, ge=0)
    """For the answers after the first."""
    max_new_tokens: int = Field(default=1024, ge=1)
    """Maximum length of an answer, in tokens."""
    seed: int = 0
    """For the answers after the first."""
    save: Path | None = None
    """Also write the rule to this .yml file; with --like a folder gets a rule pack with tests."""
    html: Path | None = None
    """Also write an HTML page with the rule and its diff in every file."""
    write: bool = False
    """Change the sure places; without this option, changes are only shown (on a terminal you are asked)."""
    yes: bool = False
    """Change the sure places without asking."""
    only: tuple[str, ...] = ()
    """Only the places on these lines, sure or not: FILE:LINE …"""
    interactive: bool = False
    """Ask at each place, as `ast-grep scan -i` does: y, n, e(dit), a(ll), q."""
    price_in_usd_per_mtok: float = Field(default=0.0, ge=0)
    """Price of a million prompt tokens, to show what the answers cost."""
    price_out_usd_per_mtok: float = Field(default=0.0, ge=0)
    """Price of a million answer tokens."""
    deadline_s: float = Field(default=10.0, gt=0)
    """CPU seconds per file."""
    json_output: AsJson = False
    """Print one JSON line per place, then one with the rule."""
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
    if not config.instruction.strip() or not config.paths:
        raise UsageError("expected an instruction and files", "or give an example: --like FILE.diff PATH…")
    from rulewright.commands import sentence

    wish.check()
    return sentence.run(config, wish)
