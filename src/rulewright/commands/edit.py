"""An instruction in, a rule out: ask a model, show the rule and its diff over your files.

The model sees the instruction and one of the files; its rule is executed on that file
before it is applied to the others. Several answers are tried until one holds. With --like,
no model is asked: the rule is learnt from a change made by hand in one place.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Final

import tyro
from pydantic import Field

from rulewright import console, jsonl
from rulewright.actions import Action, Rejection, parse_response, render_action
from rulewright.commands import apply
from rulewright.config import CommandConfig
from rulewright.errors import RulewrightError, UsageError
from rulewright.generation.open import GeneratorConfig
from rulewright.languages import Language, language_of_path
from rulewright.verdict import Outcome

LIKE_BUDGET_S: Final = 2.0


class EditConfig(CommandConfig):
    """What to do, where, and who is asked."""

    instruction: Annotated[str, tyro.conf.Positional] = ""
    """What to change, in words ("use `is None` instead of `== None`"); left out with --like."""
    paths: Annotated[tuple[Path, ...], tyro.conf.Positional] = ()
    """Files to change; of a folder, those of the language."""
    like: str = ""
    """A unified diff of one change made by hand (`-`: stdin): learn its rule, list its other matches."""
    model: str = "models/srl_stage2"
    """Checkpoint folder; with --base-url the model's name there."""
    base_url: str = ""
    """An OpenAI-compatible endpoint."""
    on: Path | None = None
    """The file that the model sees; default: the first of the files."""
    answers: int = Field(default=4, ge=1)
    """Answers to try, the first greedy, until a rule holds."""
    temperature: float = Field(default=0.7, ge=0)
    """Of the answers after the first."""
    max_new_tokens: int = Field(default=1024, ge=1)
    """Longest answer."""
    seed: int = 0
    """Of the answers after the first."""
    save: Path | None = None
    """Also write the rule to this file, for `ast-grep scan --rule`."""
    write: bool = False
    """Change the files; without it only the diff is shown."""
    deadline_s: float = Field(default=10.0, gt=0)
    """Processor seconds per file."""
    json_output: Annotated[bool, tyro.conf.arg(name="json")] = False
    """One JSON line a file instead of the diff."""
    generator: tyro.conf.Fixed[tyro.conf.Suppress[GeneratorConfig]] = GeneratorConfig()
    """More about how the model is reached."""


Config = EditConfig


@dataclass(frozen=True)
class Tried:
    """One answer and what its rule did to the file that the model saw."""

    text: str
    outcome: Outcome
    action: Action | None


def run(config: EditConfig) -> int:
    """Ask, choose, apply; with --like: learn, list, apply."""
    if config.like:
        return _like(config)
    if not config.instruction or not config.paths:
        raise UsageError("an instruction and files are needed", "or an example: --like FILE.diff PATH…")
    sample = config.on or _first(config.paths)
    language = language_of_path(sample)
    if language == "other":
        raise UsageError(f"{sample}: of no language that we know", "name a source file with --on")
    try:
        code = sample.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{sample}: cannot be read ({error})", "name another file with --on") from error
    action = _choose(config, code, language, sample)
    rule = _rule_text(action)
    console.say(rule.rstrip("\n") + "\n")
    if config.save is not None:
        jsonl.write_text(config.save, rule)
    wanted = apply.Config(
        action="-", files=config.paths, write=config.write, deadline_s=config.deadline_s,
        json_output=config.json_output,
    )  # fmt: skip
    return apply.carry_out(wanted, action)


def _like(config: EditConfig) -> int:
    """Do elsewhere what a diff did in one place; the same as `mine --from-diff`."""
    from rulewright.mining.by_hand import learn

    paths = [config.instruction, *map(str, config.paths)] if config.instruction else []
    return learn(config.like, paths, config.write, config.json_output, LIKE_BUDGET_S)


def _first(paths: tuple[Path, ...]) -> Path:
    for path in paths:
        if path.is_file():
            return path
        if not path.exists():
            raise UsageError(f"{path}: no such file", "check the path")
    raise UsageError("only folders are named", "say with --on which file the model shall see")


def _choose(config: EditConfig, code: str, language: Language, sample: Path) -> Action:
    """Ask until a rule holds on the file that the model sees.

    Raises:
        RulewrightError: none of the answers did, with what came of each.
    """
    from rulewright.engine import Engine, Request
    from rulewright.generation import Sampling, open_generator
    from rulewright.prompts import action_prompt

    given: dict[str, Any] = {"model": config.model, "base_url": config.base_url}
    spec = config.generator.model_copy(update={key: value for key, value in given.items() if value})
    tried: list[Tried] = []
    with open_generator(spec) as generator, Engine(workers=1, deadline_s=config.deadline_s) as engine:
        prompt = action_prompt(config.instruction, code, language, style=generator.style)
        for number in range(config.answers):
            heat = config.temperature if number else 0.0
            sampling = Sampling(1, heat, 1.0, config.max_new_tokens, config.seed + number)
            answer = generator.generate([prompt], sampling, [language])[0][0]
            if not answer.answered:
                raise RulewrightError(
                    f"{generator.name}: {answer.error or answer.finish_reason}", "try again"
                )
            parsed = parse_response(answer.text, language)
            if isinstance(parsed, Rejection):
                tried.append(Tried(answer.text, Outcome(parsed.verdict, parsed.detail), None))
                continue
            outcome = engine.judge(Request(parsed.action, code, language))
            if outcome.ok:
                return parsed.action
            tried.append(Tried(answer.text, outcome, parsed.action))
    listing = "\n".join(
        f"{sample}: answer {i}: {t.outcome.verdict}: {console.clean(t.outcome.detail)}"
        for i, t in enumerate(tried, 1)
    )
    raise RulewrightError(listing, "say it more precisely, raise --answers, or name another --model")


def _rule_text(action: Action) -> str:
    text: str = json.loads(render_action(action, "yaml"))["action"]["rule_yaml"]
    return text if text.endswith("\n") else text + "\n"
