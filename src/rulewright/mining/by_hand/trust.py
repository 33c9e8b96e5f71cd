"""How far each rule of a change may be trusted elsewhere, and what it must ask for to deserve that.

A rule gets guards that hold it to what the change shows (`guards`, members, `idempotence`), as
long as the rules together still make as much of the change. Then each gets its tier.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

from rulewright.actions.action import Action, Rule
from rulewright.actions.rule_file import documents_of, joined
from rulewright.actions.visit import regex_escape
from rulewright.languages import Language
from rulewright.mining.by_hand import doubts, idempotence, replay
from rulewright.mining.by_hand.diffs import Change
from rulewright.mining.by_hand.learned import PART_OF_LARGER, LearnedRule
from rulewright.mining.learn import cover
from rulewright.mining.learn.grading import TIERS
from rulewright.mining.rules import bases, callees, guards, imports
from rulewright.mining.rules.import_rules import rules_for_imports
from rulewright.mining.rules.import_statements import Binding, Import
from rulewright.mining.rules.reading import new_text, old_text


@dataclass(frozen=True)
class ImportedNames:
    """The imported names that a change removes and adds, with their statements."""

    gone: dict[Binding, str]
    come: dict[Binding, str]
    post_with_old_imports: dict[Path, str]
    """The files whose imports change what they bind; each after the change but for its imports."""

    @classmethod
    def of(cls, changes: Sequence[Change], language: Language) -> ImportedNames:
        names = cls({}, {}, {})
        for change in changes:
            text = imports.post_with_old_imports(change.pre, change.post, language)
            if text is not None:
                names.post_with_old_imports[change.path] = text
            elif language != "go":
                continue
            old, new = imports.bindings(change.pre, language), imports.bindings(change.post, language)
            names.gone.update({one: old[one] for one in old if one not in new})
            names.come.update({one: new[one] for one in new if one not in old})
        return names

    @property
    def removed_imports(self) -> list[Import]:
        return [Import(frozenset({one.name}), one.module) for one in self.gone]


class _Forms(NamedTuple):
    """One rule in three forms, each asking for no less than the one before."""

    plain: Rule
    """As it was found."""
    guarded: Rule
    """With guards for the imports that it needs, or takes away."""
    narrow: Rule
    """Of a renamed module or class, only for the members that the change shows; of own members, by base."""

    @property
    def is_of_members(self) -> bool:
        return self.narrow is not self.guarded


def action_of(rules: Sequence[LearnedRule]) -> Action | None:
    """The rules, all of one language, as one action; `None` where there are none."""
    return joined([one.document for one in rules]) if rules else None


def graded_rules(
    found: Sequence[cover.GradedRule], changes: Sequence[Change], names: ImportedNames, language: Language
) -> list[LearnedRule]:
    """The rules with their guards and tiers, and those for imports after them."""
    of_imports = rules_for_imports(names.gone, names.come, language)
    forms = _forms([one.rule for one in found], of_imports, changes, names, language)
    graded = {str(one.rule): one for one in found}
    made: list[LearnedRule] = []
    independent: list[bool] = []
    for form in forms:
        rule = _graded(form, graded[str(form.plain)], changes, language)
        made.append(rule)
        action = _action([form.narrow], language)
        depends = doubts.why_context_dependent(
            _action([form.plain], language), action, changes, form.is_of_members
        )
        independent.append(graded[str(form.plain)].tier != "reject" and not depends)
    for_imports = [
        LearnedRule(documents_of(_action([rule], language))[0], "train", _OF_IMPORT) for rule in of_imports
    ]
    made = _doubt_contradicted(made, changes)
    made = _doubt_parts(made, for_imports, changes, language)
    made = _with_safe_edits(made, independent, changes)
    return _as_their_uses([*made, *for_imports], len(forms), language)


_OF_IMPORT = "an import, by what the file uses and binds"


def _action(rules: Sequence[Rule], language: Language) -> Action:
    return Action(language, tuple(rules), mode="rule")


def _forms(
    found: Sequence[Rule], of_imports: Sequence[Rule], changes: Sequence[Change], names: ImportedNames,
    language: Language,
) -> list[_Forms]:  # fmt: skip
    """The rules with their guards, as far as they make as much of the change as without."""
    missing = replay.Missing(changes, language)
    plain = guards.uses_first(found, language)
    guarded = guards.with_import_guards(plain, language)
    if guarded != plain and missing(guarded) > missing(plain):
        guarded = plain
    if names.post_with_old_imports:
        guarded = [guards.only_where_imported(rule, names.removed_imports, language) for rule in guarded]
        by_itself = [
            _by_itself(before, rule, names, language) for before, rule in zip(plain, guarded, strict=True)
        ]
        if by_itself != guarded and missing(by_itself) <= missing(guarded):
            guarded = by_itself
    if n := missing([*guarded, *of_imports]):
        elsewhere = [guards.not_in_imports(rule, language) for rule in guarded]
        if missing([*elsewhere, *of_imports]) < n:
            guarded = elsewhere
    narrow = [
        _of_its_base(before, _for_members(before, rule, plain, changes, names, language), changes, language)
        for before, rule in zip(plain, guarded, strict=True)
    ]
    # A wide rule may rename the import as well, which for a narrow one the rules for imports do.
    if narrow != guarded and missing([*narrow, *of_imports]) > missing([*guarded, *of_imports]):
        narrow = guarded
    return [_Forms(*forms) for forms in zip(plain, guarded, narrow, strict=True)]


def _graded(
    form: _Forms, found: cover.GradedRule, changes: Sequence[Change], language: Language
) -> LearnedRule:
    """A rule that leaves its own results alone, with its tier and the roles that the change shows."""
    stable = idempotence.idempotent(form.narrow, changes, language)
    tier, reason = found.tier, found.reason
    if tier == "train":
        plain, action = _action([form.plain], language), _action([form.narrow], language)
        tier, reason = doubts.tier_of(plain, action, changes, reason, form.is_of_members)
    if tier == "train" and stable is None:
        tier, reason = "literal", "it changes again what it made"
    action = _action([stable or form.narrow], language)
    roles, arguments = doubts.shown_roles(action, changes), doubts.shown_arguments(action, changes)
    return LearnedRule(documents_of(action)[0], tier, reason, roles, arguments)


def _with_safe_edits(
    rules: Sequence[LearnedRule], independent: Sequence[bool], changes: Sequence[Change]
) -> list[LearnedRule]:
    """The rules with their safe edits, where what a rule does is `independent` of the code around it."""
    sure = [one.rule for one in rules if one.tier == "train"]
    made: list[LearnedRule] = []
    for one, is_independent in zip(rules, independent, strict=True):
        if is_independent:
            action = one.document.action
            others = [rule for rule in sure if rule != one.rule]
            every = replace(action, rules=(*others, one.rule))
            one = replace(one, safe_edits=doubts.safe_edits(action, every, changes))
        made.append(one)
    return made


def _doubt_contradicted(rules: Sequence[LearnedRule], changes: Sequence[Change]) -> list[LearnedRule]:
    """The rules; of tier `literal` those that put in names where another rule takes the same out for others.

    Which of the two a place needs, something else there decides.
    """
    action = action_of(rules)
    sides = [set[tuple[tuple[str, ...], tuple[str, ...]]]() for _ in rules]
    for place in replay.places_of(action, changes)[0] if action is not None else ():
        if place.gone and not place.in_import:
            sides[place.rule].add((place.gone, place.come))
    made = list(rules)
    for number, one in enumerate(rules):
        others = [side for other, known in enumerate(sides) if other != number for side in known]
        is_other = any(
            come and gone == old and come != new for gone, come in sides[number] for old, new in others
        )
        if one.tier == "train" and is_other:
            made[number] = replace(
                one, tier="literal", reason="your change replaces the same in another way, too"
            )
    return made


def _doubt_parts(
    rules: Sequence[LearnedRule], for_imports: Sequence[LearnedRule], changes: Sequence[Change],
    language: Language,
) -> list[LearnedRule]:  # fmt: skip
    """The rules; of tier `literal` those that make no line right without rules that are not trusted.

    Beside them stand those for imports, which are as good as they are. What changes only together with
    something else is half a change where that other thing is missing.
    """
    made = list(rules)
    while True:
        sure = [one for one in made if one.tier == "train"]
        action = action_of([*sure, *for_imports])
        if action is None:
            return made
        right = {number for change in changes for number in replay.completing_rules(action, change)}
        weak = [
            one
            for number, one in enumerate(sure)
            if number not in right and not guards.is_import_rule(one.rule, language)
        ]
        if not weak:
            return made
        made = [replace(one, tier="literal", reason=PART_OF_LARGER) if one in weak else one for one in made]


def _by_itself(plain: Rule, rule: Rule, names: ImportedNames, language: Language) -> Rule:
    """The rename of an imported name for all its uses, and not where it belongs to something else."""
    renamed = callees.bare_rename(_action([plain], language))
    gone, come = ({one.name for one in side} for side in (names.gone, names.come))
    around = plain["rule"].get("inside", {})
    if around.get("kind") == "method_invocation" and old_text(plain) in gone:  # with or without a receiver
        return guards.with_guards(rule, {"not": guards.belongs_elsewhere(language)})
    if renamed is None or "$" in old_text(plain) or renamed[0] not in gone or renamed[1] not in come:
        return rule
    spelled = {**plain, "rule": guards.spelled(renamed[0], language)}
    return guards.only_where_imported(spelled, names.removed_imports, language)


def _for_members(
    plain: Rule, rule: Rule, rules: Sequence[Rule], changes: Sequence[Change], names: ImportedNames,
    language: Language,
) -> Rule:  # fmt: skip
    """The rename of a module or class to another one, only for the members that the change shows.

    That the other has a `close` says nothing of its `open`. A Go file that uses more members is left alone
    where one of the rules replaces the import itself: the new one could not stand beside the old one.
    """
    # Of `log.out` what an import binds is `log`.
    fix = re.sub(r"^(\w+)(?:\.|::|->)[\w.]+$", r"\1", str(plain["fix"]))
    renamed = callees.bare_rename(_action([{**plain, "fix": fix}], language))
    old, new = renamed or ("", "")
    modules = [
        {one.module for one in side if one.name == name}
        for side, name in ((names.gone, old), (names.come, new))
    ]
    if not modules[0] or modules[0] & modules[1]:
        return rule
    members = doubts.members_changed(old, changes)
    is_replaced = any(
        one in old_text(other) and two in new_text(other)
        for other in rules
        for one in modules[0]
        for two in modules[1]
    )
    uses = re.compile(rf"(?<![\w.]){re.escape(old)}\b(?!\s*(?:\.|::|->)\s*\w)")
    if not members or any(map(uses.search, doubts.changed_code(changes, language))):
        return rule
    member = {"regex": rf"^{regex_escape(old)}\s*(\.|::|->)\s*({'|'.join(sorted(members))})\b"}
    if language != "go" or not is_replaced:
        return guards.with_guards(rule, {"inside": member})
    others = guards.file_uses(frozenset({old}), language, {**member, "stopBy": "neighbor"})
    return guards.with_guards(rule, {"inside": member}, {"not": others})


def _of_its_base(plain: Rule, rule: Rule, changes: Sequence[Change], language: Language) -> Rule:
    """A rule about own members, held to classes of the imported base that has them, if there is one."""
    if not callees.own_member(_action([plain], language)):
        return rule
    texts = [change.pre for change in changes]
    return guards.with_guards(rule, *bases.guards_for(plain, texts, language))


def _as_their_uses(rules: Sequence[LearnedRule], n_found: int, language: Language) -> list[LearnedRule]:
    """Rules for imports are trusted as the rules for their uses are: their guards say where they hold.

    Args:
        rules: those that were found, then those that were made for imports.
        n_found: how many were found.
        language: of all.
    """
    is_import = [
        number >= n_found or guards.is_import_rule(one.rule, language) for number, one in enumerate(rules)
    ]
    uses = [one for one, of_import in zip(rules, is_import, strict=True) if not of_import]
    made = []
    for one, of_import in zip(rules, is_import, strict=True):
        words = guards.names_of(one.rule)
        own = [use for use in uses if guards.names_of(use.rule) & words]
        worst = max(own, key=lambda use: TIERS.index(use.tier), default=None)
        if of_import and worst is not None and one.tier != "reject" and "stopBy" in str(one.rule["rule"]):
            reason = (
                "goes and comes with its uses" if worst.tier == "train" else f"as its uses: {worst.reason}"
            )
            one = replace(one, tier=worst.tier, reason=reason, follows_uses=True)
        made.append(one)
    return made
