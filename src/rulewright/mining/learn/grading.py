"""Grade a verified action: its figures, and the tier that says whether it is fit to learn from."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal, get_args

from rulewright import engine, grammars
from rulewright.actions import visit
from rulewright.actions.action import Action, Rule
from rulewright.mining.judge import background
from rulewright.mining.judge.confidence import (
    CLAIM_BITS,
    CONFIDENT,
    MANY_PLACES,
    confidence,
    is_bare_value,
    is_reckless,
    is_root_type,
    lists_values,
    n_guesses,
    takes_member_of_several,
)
from rulewright.mining.learn.search import imported_names
from rulewright.mining.propose.candidate import SHORT_TOKENS, Candidate
from rulewright.mining.rules import imports, reading, specificity
from rulewright.mining.text.tree import Tree
from rulewright.verdict import Outcome, Verdict

Tier = Literal["train", "literal", "reject"]
TIERS: Final[tuple[Tier, ...]] = get_args(Tier)
"""The most trusted first."""

MAX_VARS: Final = 6
FEW_BITS: Final = 6.0
"""Fewest bits of a rule of tier `train`."""
MANY_KNOWN: Final = 15
"""Background files from which finding next to nothing in them counts as evidence."""
FILE_TOKENS: Final = 25
"""Words and signs from which a text of several lines counts as a file, not as a snippet."""
SILENCE_GAIN: Final = 0.12
"""How much less confidence is needed if nothing is found in the background files."""
_NAME: Final = re.compile(r"[A-Za-z_]\w*")
_WORDS: Final = re.compile(r"[A-Za-z]{3,}")
_NOT_CODE: Final = frozenset({"kind", "selector", "stopBy", "field"})


@dataclass(frozen=True)
class Figures:
    """Figures of a mined action."""

    n_rules: int = 0
    n_vars: int = 0
    n_chars: int = 0
    """Characters of the rules as JSON."""
    bits: float = 0.0
    """Of the least specific rule (`reading.bits`)."""
    confidence: float = 0.0
    """How likely the rules are right elsewhere, by their text (`judge.confidence`)."""
    sites: int = 0
    """Places that all rules change."""
    support: int = 1
    """Edits that the action reproduces."""
    lossy: bool = False
    degenerate: bool = False
    matches_elsewhere: int | None = None
    """Matches in the background files; `None` where there were none to look at."""
    instruction_overlap: float | None = None
    """Share of the action's words that the instruction has too; `None` without an instruction."""
    work: int = 0
    """Rule evaluations spent."""


def measure(
    action: Action, steps: Sequence[Candidate], outcome: Outcome, sites: int, instruction: str, work: int
) -> Figures:
    """The figures of an action, from its rules and the engine's judgment."""
    return Figures(
        **told_by_text(action, [step.rule for step in steps]),
        sites=sites,
        lossy=Verdict.LOSSY in outcome.flags,
        degenerate=Verdict.DEGENERATE in outcome.flags,
        instruction_overlap=overlap(instruction, action) if instruction else None,
        work=work,
    )


def told_by_text(action: Action, plain: Sequence[Rule]) -> dict[str, Any]:
    """The figures that the text of an action tells; `plain` are its rules without import guards."""
    return {
        "n_rules": len(action.rules),
        "n_vars": sum(len(visit.bound(rule["rule"])) for rule in plain),
        "n_chars": len(action.rules_json()),
        "bits": min(map(reading.bits, plain)),
        "confidence": round(confidence(action.rules), 3),
    }


def grade(steps: Sequence[Candidate], figures: Figures, n_known: int = 0) -> tuple[Tier, str]:
    """The tier of a verified action, with the reason."""
    if figures.degenerate:
        return "reject", "degenerate: replaces most of the file by a literal"
    if figures.lossy:
        return "reject", "lossy: drops code that it does not name"
    worst = next((s for s in steps if not s.generalizes), None)
    if worst is not None:
        return "literal", f"a rule of shape {worst.shape}"
    if not all(step.is_short and step.n_vars <= MAX_VARS for step in steps):
        return "literal", f"more than {SHORT_TOKENS} words and signs or {MAX_VARS} variables in a rule"
    if figures.sites <= len(steps) and any(s.inserts and s.n_vars for s in steps):
        return "literal", "inserts beside code that the change is not about"
    if all(s.blanks for s in steps):
        return "literal", "changes blanks only"
    if any(lists_values(step.rule) for step in steps):
        return "literal", "holds for the values only that were seen"
    if any(is_bare_value(step.rule) for step in steps):
        return "literal", "a constant, a number or one letter by itself"
    if local := next((name for step in steps for names in local_names(step)[::-1] for name in names), ""):
        return "literal", f"`{local}` is a variable of this code"
    if any(is_root_type(step.rule) for step in steps):
        return "literal", "a type that all code has: which one is meant is not said"
    if any(takes_member_of_several(step.rule) for step in steps):
        return "literal", "takes a member of what may be several values"
    # Fewer bits are enough if next to nothing was found in other files.
    if figures.bits < FEW_BITS - _is_silent(figures, n_known):
        return "literal", f"too general: asks for {figures.bits:.0f} bits only"
    enough = CONFIDENT - (SILENCE_GAIN if _is_silent(figures, n_known) else 0.0)
    if figures.confidence < enough and not _agree(steps, figures):
        return "literal", f"too doubtful: {figures.confidence:.2f} likely to be right elsewhere"
    options = (step.rule["rule"] for step in steps if step.kind in grammars.OPTIONS)
    anywhere = not all(any("inside" in part for part in visit.required(rule)) for rule in options)
    if figures.sites <= len(steps) and anywhere:
        return "literal", "a key with its value: what holds it is not said"
    elsewhere = figures.matches_elsewhere or 0
    if background.is_too_many(elsewhere, n_known):
        return "literal", f"too general: matches {elsewhere} other places of the repository"
    return "train", "compact, general and named"


def _is_silent(figures: Figures, n_known: int) -> bool:
    """Whether next to nothing was found in many other files of the repository."""
    elsewhere = figures.matches_elsewhere
    return n_known >= MANY_KNOWN and elsewhere is not None and elsewhere <= 1


def _agree(steps: Sequence[Candidate], figures: Figures) -> bool:
    """Whether several places of the edit agree on a rule that is specific enough."""
    many = len(steps) == 1 and figures.sites >= MANY_PLACES
    return many and figures.bits >= CLAIM_BITS and not is_reckless(steps[0].rule)


def why_doubtful(
    action: Action, steps: Sequence[Candidate], figures: Figures, pre: str, post: str, n_known: int
) -> str:
    """Why rules that look right may be wrong elsewhere, by the one text they come from; else empty."""
    is_seen = len(steps) > 1 or _is_silent(figures, n_known)
    if not is_seen and (why := _unshown(action.rules[0], steps[0].anchor.tree)):
        return why
    names = ((reading.old_text(step.rule), step.bits) for step in steps)
    common = (name for name, bits in names if bits < CLAIM_BITS or specificity.is_type(name))
    if name := next(filter(_NAME.fullmatch, common), ""):
        return f"too general: all code has a `{name}`"
    # A deletion that would go on in `post`: which one goes was an accident.
    deletes = any(step.shape == "delete" for step in steps)
    if deletes and engine.apply(action, post).post not in (None, post):
        return "takes away some only of what it matches"
    for step in steps:
        # A rule that renames a module says too much: the others of its names may stay there.
        word = re.sub(r"^\$[A-Z]\.", "", reading.old_text(step.rule))
        is_name = step.is_token or re.fullmatch(r"[a-z]\w*(\.[a-z]\w*)+", word)
        if is_name and (name := imports.only_import_from(word, pre, step.anchor.tree.language)):
            return f"of `{word}` the edit shows `{name}` only"
    return ""


def _unshown(rule: Rule, before: Tree) -> str:
    """What the one file that a rule comes from does not show; empty where it may be enough."""
    old, new = reading.old_text(rule), reading.new_text(rule)
    if not new.strip() and (why := specificity.unguarded_import(old, before.language)):
        return why
    if "\n" not in before.text.strip() or len(visit.tokens(before.text)) < FILE_TOKENS:
        return ""
    if n_guesses(rule):
        return "says several things, and one file alone shows them"
    place = rule["rule"].get("inside")
    is_placed = place is not None and not grammars.CALL.search(str(place.get("kind")))
    is_type = old[:1].isupper() and not old.isupper()
    is_bound = is_placed or is_type or old in imported_names(before)
    if is_bound and _NAME.fullmatch(old) and _NAME.fullmatch(new):
        return f"what else changes with `{old}`, one file alone does not show"
    return ""


def local_names(step: Candidate) -> tuple[list[str], list[str]]:
    """The local variables and type parameters of the example that a rule removes, and those that it adds."""
    old, new = (reading.standalone_names(text(step.rule)) for text in (reading.old_text, reading.new_text))
    tree = step.anchor.tree
    gone, came = (
        [name for name in sorted(names - grammars.CONSTANTS) if tree.has_local(name)]
        for names in (old - new, new - old)
    )
    return gone, came


def overlap(instruction: str, action: Action) -> float:
    """The share of the words in the patterns and fixes of an action that the instruction has too.

    Between 0 and 1; camelCase and snake_case names count by their parts.
    """
    named = _parts(instruction)
    own = _parts(" ".join(text for rule in action.rules for _, text in visit.texts(rule, _NOT_CODE)))
    return len(own & named) / len(own) if own else 0.0


def _parts(text: str) -> set[str]:
    split = re.sub(r"([a-z0-9])([A-Z])", r"\1 \2", text)
    return {word.lower() for word in _WORDS.findall(split)}
