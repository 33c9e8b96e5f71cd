"""The rules of a change made by hand, and the places where each may be applied without asking.

What the person saw and left alone is evidence: a place that the diff shows unchanged is no candidate,
and the other places in a changed file are possible ones only.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache, cached_property
from pathlib import Path
from typing import Final, NamedTuple

from rulewright import difftext
from rulewright.actions.action import Rule
from rulewright.actions.rule_file import Document, joined
from rulewright.engine.name_use import dense
from rulewright.grammars import import_line
from rulewright.languages import Language
from rulewright.mining.by_hand import doubts, replay
from rulewright.mining.by_hand.diffs import Change
from rulewright.mining.learn.grading import TIERS, Tier
from rulewright.mining.rules import guards, import_statements, imports
from rulewright.mining.text.tree import Tree
from rulewright.verdict import Place

PART_OF_LARGER: Final = "in your change it is always a part of a larger change"
"""Why a rule or place is not sure that the change shows only together with others."""


@dataclass(frozen=True)
class LearnedRule:
    """A learned rule and how far to trust it."""

    document: Document
    tier: Tier
    reason: str
    roles: frozenset[str] = frozenset()
    """For a class that another one replaces: how the change uses it (`Place.role`). Empty: any will do."""
    arguments: doubts.ShownArguments | None = None
    """For a function in whose place an unlike one is called: with which arguments. None: any will do."""
    safe_edits: frozenset[tuple[str, str]] = frozenset()
    """Old and new code, without blanks, that is sure even where the rule is not (`doubts.safe_edits`)."""
    follows_uses: bool = False
    """Whether it is for an import and only as good as the rules for the uses of what that binds."""

    @property
    def rule(self) -> Rule:
        """The one rule of its document."""
        [rule] = self.document.action.rules
        return rule

    def doubt(self, place: Place) -> str:
        """Why a place is not sure by the rule alone; empty where it is."""
        if self.tier != "train":
            return f"the rule is of tier {self.tier}: {self.reason}"
        if place.comments_only:
            return "only a comment changes"
        if doubts.is_part_of_text(self.rule, place.old):
            return "only words of a text change"
        if doubts.in_longer_word(self.rule, place.old):
            return "it is a part of a longer word there"
        if self.arguments is not None and place.arguments is not None:
            return self.arguments.doubt(place.arguments)
        return ""

    def repeats_safe_edit(self, place: Place, lines: Sequence[str]) -> bool:
        """Whether a place, or its whole lines, are the same code as a safe edit of the change."""
        here = "\n".join(lines[place.line - 1 : place.last_line])
        new = dense(place.new)
        return bool(self.safe_edits) and any(
            (dense(old), new) in self.safe_edits for old in (place.old, here)
        )

    def is_trusted_for(self, language: Language) -> bool:
        """Whether it may be applied to files of a language without asking."""
        return self.tier == "train" and self.document.action.language == language


class ChangedNames(NamedTuple):
    """Names that a change in one language is about."""

    imported: frozenset[str] = frozenset()
    """Names that it newly imports."""
    defined: frozenset[str] = frozenset()
    """Names that its rules insert and that the changed files define themselves."""
    removed: frozenset[str] = frozenset()
    """Names that it imports no longer."""


@dataclass(frozen=True)
class LearnedRules:
    """The rules of a change.

    Args:
        rules: in order.
        problems: what could not be expressed, one line a hunk: `FILE:LINE: old → new`.
        changes: the change, by file.
        names: what it is about, by language.
    """

    rules: tuple[LearnedRule, ...]
    problems: tuple[str, ...]
    changes: tuple[Change, ...]
    names: Mapping[Language, ChangedNames] = field(default_factory=dict)

    @property
    def documents(self) -> tuple[Document, ...]:
        return tuple(rule.document for rule in self.rules)

    @property
    def least_trusted(self) -> LearnedRule:
        """The rule of the lowest tier."""
        return max(self.rules, key=lambda rule: TIERS.index(rule.tier))

    def doubt(self, path: Path, place: Place, lines: Sequence[str] = ()) -> str:
        """Why a place is not sure; empty where it is. `lines` are those of its file."""
        rule = self.rules[place.rule]
        if not rule.repeats_safe_edit(place, lines) and (why := rule.doubt(place)):
            return why
        if (change := self._change_of(path)) is not None:
            is_the_change = change.now == change.pre and place.touches(change.changed)
            left = "you left it as it was in a file that you changed"
            return "your own change, which is not made in this file yet" if is_the_change else left
        if rule.roles and place.role not in rule.roles and not place.in_import:
            used = doubts.ROLES.get(place.role, f"it is {place.role or 'not called'} there")
            return f"{used}, which your change does not show"
        return ""

    def incomplete(self, sure: Sequence[Place], tree: Tree) -> list[Place]:
        """The places of a file, each sure by itself, that lack the others they need to be sure.

        In the change the rules of such a place changed its statement only together with other rules.
        """
        tied = {rule: shown for rule, shown in self._partners.items() if frozenset() not in shown}
        left, incomplete = list(sure), list[Place]()
        while any(place.rule in tied for place in left):
            around = replay.rules_around(left, tree)
            more = [
                place
                for place in left
                if place.rule in tied
                and not place.in_import
                and not any(others <= around[place] for others in tied[place.rule])
            ]
            if not more:
                break
            incomplete += more
            left = [place for place in left if place not in more]
        return incomplete

    @cached_property
    def _partners(self) -> dict[int, set[frozenset[int]]]:
        """By rule, the sets of other rules with which it changed statements (`replay.partners`)."""
        found: dict[int, set[frozenset[int]]] = {}
        for change in self.changes:
            mine = [number for number, one in enumerate(self.rules) if one.is_trusted_for(change.language)]
            if len(mine) > 1:
                action = joined([self.rules[number].document for number in mine])
                for rule, shown in replay.partners(action, change).items():
                    more = (frozenset(mine[other] for other in others) for others in shown)
                    found.setdefault(mine[rule], set()).update(more)
        return found

    def missing_name(self, tree: Tree, after: str) -> str:
        """A name that the rules insert and that a file would neither import nor define; else empty."""
        language = tree.language
        imported, defined, _ = self.names.get(language, ChangedNames())
        # What an import brings is another thing than what the changed files define under the same name.
        own = [name for name in sorted(defined) if re.search(rf"(?<![\w.]){re.escape(name)}\b", after)]
        needed = [*filter(None, [imports.unbound_name(after, imported - defined, language)]), *own]
        known = {one.name for one in imports.bindings(tree.text, language)} if needed else set()
        return next((one for one in needed if one not in known and not tree.defines(one)), "")

    def doubted_imports(
        self, doubts_of: Mapping[Place, str], lines: Sequence[str], language: Language
    ) -> dict[Place, str]:
        """Doubts about imports that do not say what they bind, as of everything (`*`) or in C#.

        Where code changes with such an import, it is as sure as the other places of the file are.
        """
        is_import = import_line(language).match
        if language in import_statements.KINDS:
            is_import = _OF_EVERYTHING.match
        changed = doubts.changed_code([one for one in self.changes if one.language == language], language)
        found = [place for place in doubts_of if is_import(lines[place.line - 1])]
        rest = [doubts_of[place] for place in doubts_of if place not in found]
        if all(map(is_import, changed)) or (rest and not any(rest)):
            return {}
        return {
            place: doubts_of[place] or "whether the file uses what it brings is not said" for place in found
        }

    def against_definitions(self, sure: Sequence[Place], tree: Tree) -> dict[Place, str]:
        """Doubts about places in a file that defines what comes in there, or what goes and stays defined."""
        found: dict[Place, str] = {}
        uses = [place for place in sure if not place.in_import]
        for name in sorted({name for place in uses for name in place.gone}):
            lines = {at.range().start.line + 1 for at in tree.definitions(name)}
            if lines and not self._renames_definition(name):
                at_one = [place for place in uses if name in place.gone and place.touches(lines)]
                found |= dict.fromkeys(at_one, "it is defined there, which your change does not show")
        uses = [place for place in uses if place not in found]
        for name in sorted({name for place in uses for name in place.gone + place.come if name in tree.text}):
            is_free = re.compile(rf"(?<![\w.$]){re.escape(name)}\b").search
            for at in tree.definitions(name):
                definition = tree.definition_of(at)
                is_function = (at.parent() or at).kind() == "function_declarator"
                is_variable = not is_function and _VARIABLE.search(definition.kind()) is not None
                inside = range(definition.range().start.line + 1, definition.range().end.line + 2)
                coming = [one for one in uses if name in one.come and one.touches(inside)]
                coming = [one for one in coming if not is_variable or is_free(one.new)]
                found |= dict.fromkeys(coming, f"it is in the definition of `{name}`, which comes in")
                going = [one for one in uses if name in one.gone and not is_variable]
                if not any(one.touches({at.range().start.line + 1}) for one in going):
                    found |= dict.fromkeys(going, f"the file defines `{name}`, which stays")
        return found

    def _renames_definition(self, name: str) -> bool:
        """Whether the change touches a definition of a name."""
        return any(
            at.range().start.line + 1 in change.changed
            for change in self.changes
            for at in change.tree.definitions(name)
        )

    def misused_name(self, tree: Tree, after: str) -> str:
        """Why a file would still use a name after the change removed its import; else empty."""
        removed = self.names.get(tree.language, ChangedNames()).removed
        return guards.misused_name(tree, after, removed) if removed else ""

    def is_excluded(self, path: Path, place: Place) -> bool:
        """Whether a place is no candidate at all: the diff itself shows it unchanged."""
        change = self._change_of(path)
        if change is None:
            return False
        shown, changed = self._current_lines(change)
        return place.touches(shown) and not place.touches(changed)

    @cached_property
    def _change_of(self) -> Callable[[Path], Change | None]:
        """The change of a file; asked for each of its places, and a name is resolved once."""
        by_path = {change.path.resolve(): change for change in reversed(self.changes)}
        return cache(lambda path: by_path.get(path.resolve()))

    @cached_property
    def _current_lines(self) -> Callable[[Change], tuple[set[int], set[int]]]:
        """Lines (from 1) of a file as it is now: shown unchanged by the diff, and changed."""
        return cache(_current_lines)


_OF_EVERYTHING: Final = re.compile(r"\s*(?:import|from|(?:pub\s+)?use)\b.*\*\s*;?\s*$")
"""An import of all that a module has."""
_VARIABLE: Final = re.compile(
    r"assign|declarator|variable|property|field|parameter|short_var|let_|(?:const|var)_spec$|^declaration$"
)
"""Node kinds of definitions of variables: a member of that name may be another thing."""


def _current_lines(change: Change) -> tuple[set[int], set[int]]:
    now = difftext.lines(change.now)
    ranges = difftext.changed(difftext.lines(change.pre), now)
    moved = {line for _, _, b0, b1 in ranges for line in range(b0, b1)}
    stayed = (line for line in range(len(now)) if line not in moved)
    shown = {line + 1 for line in stayed if difftext.old_line(line, ranges) + 1 in change.seen}
    if change.now == change.pre:
        return shown, set(change.changed)
    return shown, set(difftext.changed_lines(change.pre, change.now, old_side=False))
