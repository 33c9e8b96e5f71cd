"""An instruction in, a rule out: ask a model, show the rule and its diff over your files.

The model sees the instruction and one of the files; its rule is executed on that file before
it is applied to the others. Several answers are tried until one holds. That a rule holds is no
proof that it means what you said: its places are compared with the words of the instruction,
and only those that agree are sure. --write changes sure places. With --like, no model is
asked: the rules are learnt from a change made by hand.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Final

import tyro
from pydantic import Field

from rulewright import console
from rulewright.actions import Action, Rejection, parse_response
from rulewright.actions.rule_file import documents_of
from rulewright.commands.offers import Offer, Wish, make, rule_text, save
from rulewright.commands.said import Said
from rulewright.config import CommandConfig
from rulewright.errors import RulewrightError, UsageError
from rulewright.generation.open import GeneratorConfig
from rulewright.languages import Language, language_of_path
from rulewright.verdict import Outcome

MODELS: Final = (
    Path("models/srl_stage2"), Path("runs/demo/models/srl_stage2"),
    Path("models/sft_stage1_astgrep"), Path("runs/demo/models/sft_stage1_astgrep"),
)  # fmt: skip
"""Where the pipeline and the demo leave a model that writes rules, the best first."""


class EditConfig(CommandConfig):
    """What to do, where, and who is asked."""

    instruction: Annotated[str, tyro.conf.Positional] = ""
    """What to change, in words ("use `is None` instead of `== None`"); left out with --like."""
    paths: Annotated[tuple[Path, ...], tyro.conf.Positional] = ()
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
    answers: int = Field(default=4, ge=1)
    """Answers to try, the first greedy, until a rule holds."""
    temperature: float = Field(default=0.7, ge=0)
    """Of the answers after the first."""
    max_new_tokens: int = Field(default=1024, ge=1)
    """Longest answer."""
    seed: int = 0
    """Of the answers after the first."""
    save: Path | None = None
    """Also write the rule to this .yml file; with --like a folder gets a rule pack with tests."""
    write: bool = False
    """Change the sure places; without it everything is only shown (and asked for, on a terminal)."""
    yes: bool = False
    """The same as answering yes on a terminal: change the sure places."""
    only: tuple[str, ...] = ()
    """Only the places on these lines, sure or not: FILE:LINE …"""
    interactive: bool = False
    """Ask at each place, as `ast-grep scan -i` does: y, n, e(dit), a(ll), q."""
    deadline_s: float = Field(default=10.0, gt=0)
    """Processor seconds per file."""
    json_output: Annotated[bool, tyro.conf.arg(name="json")] = False
    """One JSON line a place, then one with the rule."""
    generator: tyro.conf.Fixed[tyro.conf.Suppress[GeneratorConfig]] = GeneratorConfig()
    """More about how the model is reached."""


Config = EditConfig


@dataclass(frozen=True)
class Tried:
    """One answer and what its rule did to the file that the model saw."""

    text: str
    outcome: Outcome


def run(config: EditConfig) -> int:
    """Ask, choose, offer; with --like: learn, offer."""
    wish = Wish(config.write, config.yes, config.only, config.interactive, config.json_output)
    if config.like or config.staged:
        from rulewright.commands.like import like

        paths = ([Path(config.instruction)] if config.instruction else []) + list(config.paths)
        return like(config.like, paths, wish, config.save, staged=config.staged, deadline_s=config.deadline_s)
    if not config.instruction or not config.paths:
        raise UsageError("an instruction and files are needed", "or an example: --like FILE.diff PATH…")
    wish.check()
    sample = config.on or _first(config.paths)
    language = language_of_path(sample)
    if language == "other":
        raise UsageError(f"{sample}: of no language that we know", "name a source file with --on")
    try:
        code = sample.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{sample}: cannot be read ({error})", "name another file with --on") from error
    action = _choose(config, code, language, sample)
    return _offer(config, wish, action, Said(config.instruction, code))


def _offer(config: EditConfig, wish: Wish, action: Action, said: Said) -> int:
    """Show what a model's rule does beside what was asked, place by place."""
    from rulewright.commands.judging import How, work_on
    from rulewright.engine import places

    documents = documents_of(action)
    if not wish.as_json:
        console.emit(rule_text(documents).rstrip())
    save(config.save, documents)
    work = work_on(config.paths, documents, How(deadline_s=config.deadline_s))
    found = [place for one in work.good for place in places.of(action, one.before)]
    for line in _compared(said, found):
        console.say(line)
    facts = {"action": {"language": action.language, "rules": list(action.rules)}}
    warnings = said.missing(found)
    return make(Offer(work, lambda path, place: said.doubt(place), warnings=warnings, facts=facts), wish)


def _compared(said: Said, found: Sequence[Any]) -> list[str]:
    """The words that go and come at the places, and which of them the instruction mentions."""
    lines = []
    for title, part in (("takes away", "gone"), ("brings in", "come")):
        words = Counter(word for place in found for word in getattr(place, part))
        for note, wanted in (("as you said", True), ("which you did not mention", False)):
            chosen = [word for word, _ in words.most_common() if said.mentions(word) == wanted]
            if chosen:
                more = f" and {len(chosen) - 8} more" if len(chosen) > 8 else ""
                names = ", ".join(f"`{console.clean(word)[:40]}`" for word in chosen[:8])
                lines.append(f"the rule {title} {names}{more}, {note}")
    return lines


def _first(paths: tuple[Path, ...]) -> Path:
    for path in paths:
        if path.is_file():
            return path
        if not path.exists():
            raise UsageError(f"{path}: no such file", "check the path")
    raise UsageError("only folders are named", "say with --on which file the model shall see")


def _model(config: EditConfig) -> str:
    """The model to ask: the one named, else one that training or the demo left here."""
    if config.model or config.base_url or config.generator.model:
        return config.model
    for path in MODELS:
        if (path / "config.json").is_file() or (path / "adapter_config.json").is_file():
            console.decided("model", path, "the first that is here; --model names another")
            return str(path)
    raise UsageError(
        "no model to ask: none is named, and neither training nor the demo left one here",
        "`make demo` trains one; or --model FOLDER (a checkpoint); or --base-url URL --model NAME",
    )


def _choose(config: EditConfig, code: str, language: Language, sample: Path) -> Action:
    """Ask until a rule holds on the file that the model sees.

    Raises:
        RulewrightError: none of the answers did, with what came of each.
    """
    from rulewright.engine import Engine, Request
    from rulewright.generation import Sampling, open_generator
    from rulewright.prompts import action_prompt

    given: dict[str, Any] = {"model": _model(config), "base_url": config.base_url}
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
                tried.append(Tried(answer.text, Outcome(parsed.verdict, parsed.detail)))
                continue
            outcome = engine.judge(Request(parsed.action, code, language))
            if outcome.ok:
                return parsed.action
            tried.append(Tried(answer.text, outcome))
    listing = "\n".join(
        f"{sample}: answer {i}: {t.outcome.verdict}: {console.clean(t.outcome.detail)}"
        for i, t in enumerate(tried, 1)
    )
    raise RulewrightError(listing, "say it more precisely, raise --answers, or name another --model")
