"""`edit "sentence"`: ask a model until rules hold, and let the user choose among what they do."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from rulewright import console
from rulewright.actions import Rejection
from rulewright.actions.rule_file import read_given
from rulewright.asking import Asked, Cost, Rounds
from rulewright.codemod.candidates import OfferedRule, Trial, propose, why_none_holds
from rulewright.codemod.instruction import InstructionWords
from rulewright.codemod.offer import counts, rule_text
from rulewright.commands import choosing, offers
from rulewright.commands.offers import Wish
from rulewright.errors import RulewrightError, UsageError
from rulewright.generation import open_generator
from rulewright.generation.open import one_that_is_here
from rulewright.replacing import read_text

if TYPE_CHECKING:
    from rulewright.commands.edit import EditConfig

OTHERS: Final = 3
"""Other candidates that are described beside the one that is shown."""


def run(config: EditConfig, wish: Wish) -> int:
    """Ask, group, show, choose; the exit code is that of `offers.finish`.

    Raises:
        RulewrightError: no answer holds; the message has the outcome of each.
    """
    if config.save is not None and config.save.is_dir():
        raise UsageError(f"--save {config.save}: is a folder", "name the .yml file to write")
    sample = config.on or _first(config.paths)
    code = read_text(sample, "name another file with --on")
    said = InstructionWords(config.instruction, code)
    spec = one_that_is_here(config.generator.having(model=config.model, base_url=config.base_url))
    plan = Rounds(config.samples, config.attempts, config.temperature, config.max_new_tokens, config.seed)
    with open_generator(spec) as generator:
        console.say(f"asking {generator.name} for {console.plural(plan.samples, 'answer')}")
        asked, trial = propose(
            generator, plan, config.instruction, code, sample, config.paths, config.deadline_s
        )
    _say_cost(asked.spent, config)
    found = trial.candidates(asked)
    if not found:
        hint = "say it more precisely, raise --samples or --attempts, or name another --model"
        raise RulewrightError(why_none_holds(asked, sample), hint)
    decided = wish.write or wish.yes or wish.only or wish.interactive or wish.as_json
    if not decided and offers.on_terminal():
        return _Choice(config.save, trial, found, said, len(asked.good), wish).run()
    best, *others = found
    best.offer.facts = _facts(best, others, asked)
    offers.save(config.save, best.documents)
    if not wish.as_json:
        console.emit(rule_text(best.documents).rstrip())
    _explain(best, others, said, len(asked.good))
    return offers.make(best.offer, wish)


def _first(paths: Sequence[Path]) -> Path:
    for path in paths:
        if path.is_file():
            return path
        if not path.exists():
            raise UsageError(f"{path}: no such file", "check the path")
    raise UsageError("expected a file, got only folders", "name the file that the model should see with --on")


def _say_cost(spent: Cost, config: EditConfig) -> None:
    prompt, answer = spent.prompt_tokens, spent.answer_tokens
    usd = (prompt * config.price_in_usd_per_mtok + answer * config.price_out_usd_per_mtok) / 1e6
    money = f", ${usd:.4f}" if usd else ""
    tokens = f"{prompt:,} prompt and {answer:,} answer tokens"
    told = tokens if prompt or answer else "tokens not told by the server"
    console.say(f"asked for {console.plural(spent.answers, 'answer')}: {told}, {spent.seconds:.1f} s{money}")


def _facts(best: OfferedRule, others: Sequence[OfferedRule], asked: Asked) -> dict[str, Any]:
    """What `--json` tells beside the places."""
    first = best.documents[0].action
    rules = [rule for one in best.documents for rule in one.action.rules]
    told = [
        {"rule": rule_text(one.documents), "votes": one.votes, "places": len(one.places),
         "doubtful": one.doubtful, "differs": one.differs(best)}
        for one in others
    ]  # fmt: skip
    spent = asked.spent
    return {
        "action": {"language": first.language, "rules": rules}, "votes": best.votes,
        "answers": len(asked.tried), "others": told, "prompt_tokens": spent.prompt_tokens,
        "answer_tokens": spent.answer_tokens,
    }  # fmt: skip


def _explain(one: OfferedRule, others: Sequence[OfferedRule], said: InstructionWords, n_good: int) -> None:
    """What a rule does beside what was said, and beside what the other answers do."""
    found = [place for _, place in one.places]
    console.say_all(said.compared(found))
    one.offer.warnings = said.missing(found)
    if one.votes:
        do = "does" if one.votes == 1 else "do"
        console.say(f"{one.votes} of {console.plural(n_good, 'valid answer')} {do} this")
    lines = []
    for other in others:
        does = "; ".join(other.differs(one)) or "does the same here"
        whose = console.plural(other.votes, "answer") if other.votes else "your own rule"
        lines.append(f"otherwise ({whose}): {does}")
    console.say_all(console.few_lines(lines, OTHERS))


class _Choice:
    """The user before a terminal, who looks at one candidate after another."""

    def __init__(
        self,
        kept: Path | None,
        trial: Trial,
        found: list[OfferedRule],
        said: InstructionWords,
        n_good: int,
        wish: Wish,
    ) -> None:
        self._kept, self._trial, self._found, self._wish = kept, trial, found, wish
        self._said, self._n_good = said, n_good
        self._at = 0

    def run(self) -> int:
        """Show and ask until the user accepts a rule or quits."""
        while True:
            one = self._found[self._at]
            console.emit(rule_text(one.documents).rstrip())
            others = [other for other in self._found if other is not one]
            _explain(one, others, self._said, self._n_good)
            offers.show(one.offer, Wish())
            answer = choosing.pick(*self._question(one))
            if answer in "ap":
                offers.save(self._kept, one.documents)
                wish = replace(self._wish, write=answer == "a", interactive=answer == "p")
                return offers.finish(one.offer, wish)
            if answer == "q":
                return 0
            if answer == "n":
                self._at = (self._at + 1) % len(self._found)
            elif answer == "e":
                self._edit(one)
            else:  # keep some of the files only, for every rule
                line = console.ask("files (paths or globs, with spaces between; nothing: all): ")
                self._trial.narrow((line or "").split())
                for number, kept in enumerate(self._found):
                    again = self._trial.candidate(kept.documents)
                    self._found[number] = replace(again, votes=kept.votes)

    def _question(self, one: OfferedRule) -> tuple[str, str]:
        """What may be answered, and its letters; the last one stands for the end of the input."""
        sure, total = counts(one.listed)
        ways = {}
        if sure:
            ways["a"] = f"[a]ccept ({console.plural(sure, 'sure place')})"
        if total:
            ways["p"] = "[p]lace by place"
        if len(self._found) > 1:
            ways["n"] = f"[n]ext rule ({self._at + 1} of {len(self._found)})"
        ways |= {"e": "[e]dit the rule", "f": "[f]iles", "q": "[q]uit"}
        return f"{', '.join(ways.values())}: ", "".join(ways)

    def _edit(self, one: OfferedRule) -> None:
        """Put what the person makes of a rule before it."""
        text = choosing.edited(rule_text(one.documents), ".yml")
        try:
            read = read_given(text)
            if isinstance(read, Rejection):
                raise RulewrightError(f"{read.verdict}: {console.clean(read.detail)}", "edit the rule again")
            made = self._trial.candidate(read)
        except RulewrightError as error:
            console.error(error)
            return
        made.votes = 0
        self._found.insert(self._at, made)
