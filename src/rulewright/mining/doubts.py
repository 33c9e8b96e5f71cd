"""What a change made by hand does not show: why a rule that looks right is not trusted elsewhere.

Each doubt is a sentence for a person, or an empty text. Nothing is learned and nothing is written here.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Final

from rulewright import difftext
from rulewright.actions.action import Action, Rule
from rulewright.actions.visit import variables
from rulewright.engine import places
from rulewright.languages import Language
from rulewright.mining import callees
from rulewright.mining.diffs import Change
from rulewright.mining.judge.confidence import drops_unnamed, names_nothing
from rulewright.mining.learn.mined import Tier
from rulewright.mining.propose.as_written import put_around
from rulewright.mining.reading import new_text, old_text, said, words_of
from rulewright.mining.text.tree import Tree
from rulewright.verdict import Place

MANY_LEFT: Final = 3
"""Like places that a person left alone, from which more than twice the changed ones tell against a rule."""
ROLES: Final[Mapping[str, str]] = {
    "definition": "it is defined there",
    "base": "it is inherited from there",
    "new": "an object of it is made there",
    "type": "it is a type there",
    "value": "it is a value there",
}


def doubted(
    plain: Action, action: Action, changes: Sequence[Change], reason: str, of_members: bool
) -> tuple[Tier, str]:
    """The tier of a rule that looks right: what speaks against it elsewhere."""
    names = callees.bare_name(plain)
    rule = plain.rules[0]
    if names is not None and not names[0][:1].isupper() and plain == action:
        return "literal", f"it renames every `{names[0]}`, whatever that stands for"
    if names is not None and not of_members and len(known := members(names[0], changes)) == 1:
        return "literal", f"of `{names[0]}` the change shows `{known.pop()}` only"
    if owner := callees.own_member(plain):
        return "literal", f"`{owner}` is of another class elsewhere"
    if own := _own_method(action, changes):
        return "literal", f"`{own}` is a method of another class elsewhere"
    if names_nothing(rule):
        return "literal", "too general: it asks for no name"
    if "rewriters" not in rule and drops_unnamed(rule):
        return "literal", "it drops code that it does not name"
    if _is_unlike(rule):
        return "literal", "nothing of what it takes away stays: it may mean something else elsewhere"
    made, left = _shown(action, changes)
    if len({place.old for place in made}) < 2 and _puts_around(rule):
        return "literal", "one place alone shows that something is put around it"
    if len(left) >= MANY_LEFT and len(left) > 2 * len(made):
        return "literal", (
            f"the files that you changed hold {len(left)} more places like the {len(made)} that you changed"
        )
    return "train", reason


def _is_unlike(rule: Rule) -> bool:
    """Whether code of several words that calls nothing becomes other code, and no name or variable stays."""
    old, new = old_text(rule), new_text(rule)
    if "(" in old or "regex" in rule["rule"]:
        return False
    several = sum(re.match(r"[\w\"']", word) is not None for word in words_of(old)) > 1
    return several and bool(said(new)) and not said(old) & said(new) and not variables(old) & variables(new)


def _puts_around(rule: Rule) -> bool:
    """Whether all that a rule matches stays, and something comes around it."""
    fix = rule["fix"]
    return isinstance(fix, str) and put_around(old_text(rule), fix, "$_") is not None


def _own_method(action: Action, changes: Sequence[Change]) -> str:
    """A method that the changed code calls without a receiver, if a rule is about such a call.

    In Java and C# that is a method of the class itself, or of what it derives from, unless it is imported.
    """
    if action.language not in ("java", "csharp"):
        return ""
    text = old_text(action.rules[0])
    names = {text} if re.fullmatch(r"\w+", text) else set(_BARE_CALL.findall(text))
    for change in changes:
        lines = difftext.rows(change.pre)
        changed = "\n".join(lines[n - 1] for n in change.changed if 0 < n <= len(lines))
        for name in names & set(_BARE_CALL.findall(changed)):
            if not re.search(rf"import\s+static\s.*(?:\b{re.escape(name)}|\*)\s*;", change.pre):
                return name
    return ""


_BARE_CALL: Final = re.compile(
    r"(?<![\w.$])(?<!new )(?!(?:if|for|while|switch|catch|return|this|super)\b)(\w+)\s*\("
)


def members(name: str, changes: Sequence[Change]) -> set[str]:
    """What is taken from a name in the changed files: `b` of `a.b`."""
    sought = re.compile(rf"(?<![\w.]){re.escape(name)}(?:\.|::|->)(\w+)")
    return {word for change in changes for word in sought.findall(change.pre)}


def roles(action: Action, changes: Sequence[Change]) -> frozenset[str]:
    """How a class that a rule replaces by another is used in the change; empty: any use is as good.

    That a list is declared by its interface says nothing of where it is made: `new List()` is an error.
    What is made as another class, or defined under another name, is that class everywhere.
    """
    made = [place for place in _shown(action, changes)[0] if not place.in_import]
    found = frozenset(place.role for place in made)
    is_same = any(re.search(rf"\b{re.escape(place.old)}$", place.new) for place in made)
    return frozenset() if is_same or found & {"", "definition", "new"} else found


def _shown(action: Action, changes: Sequence[Change]) -> tuple[list[Place], list[Place]]:
    """The places of a rule in the changed files: those that were changed, and those that were left alone."""
    made: list[Place] = []
    left: list[Place] = []
    for change in changes:
        for place in places.of(action, change.pre):
            touches = change.changed.intersection(range(place.line, place.last_line + 1))
            (made if touches else left).append(place)
    return made, left


def right(action: Action, change: Change) -> set[int]:
    """The rules of an action that make a place of a change, or a part of one, as it is after it."""
    near: list[Place] = []

    def keep(place: Place) -> str | None:
        if not change.changed.intersection(range(place.line, place.last_line + 1)):
            return None
        near.append(place)
        return place.new

    done = places.change(action, change.pre, keep)
    text = done.steps[-1].after if done.steps and done.failure is None else change.pre
    pre, now, post = map(difftext.rows, (change.pre, text, change.post))
    shift = difftext.changed(pre, now)
    others = (line for a0, a1, _, _ in difftext.changed(now, post) for line in range(a0, a1))
    wrong = {line_before(line, shift) + 1 for line in others}
    return {place.rule for place in near if not wrong.intersection(range(place.line, place.last_line + 1))}


def line_before(line: int, shift: Sequence[tuple[int, int, int, int]]) -> int:
    """The line (from 0) that a line of a changed text had before."""
    for a0, a1, b0, b1 in reversed(shift):
        if line >= b1:
            return line - b1 + a1
        if line >= b0:
            return min(a0 + line - b0, max(a0, a1 - 1))
    return line


def defined(rules: Sequence[Rule], changes: Sequence[Change], language: Language) -> frozenset[str]:
    """Names that rules bring by themselves, and that the changed files define on their own."""
    if language not in _SEEN_BY_IMPORT:
        return frozenset()
    sides = [(_free_names(old_text(one)), _free_names(new_text(one))) for one in rules]
    come = {name for old, new in sides for name in new - old}
    # A class of the same package needs no import.
    come = {name for name in come if language not in ("java", "csharp") or not name[:1].isupper()}
    trees = [Tree(change.post, language) for change in changes] if come else []
    return frozenset(name for name in come if any(tree.defines(name) for tree in trees))


_SEEN_BY_IMPORT: Final = frozenset({"python", "javascript", "typescript", "tsx", "java", "csharp"})
"""Languages in which a file does not see what another one defines unless it says so."""


def _free_names(text: str) -> set[str]:
    """The names of a pattern or fix that belong to nothing there."""
    return set(re.findall(r"(?<![\w.$>:@'\"])[A-Za-z_]\w*", text)) & said(text)


def is_prose(action: Action, old: str) -> bool:
    """Whether a part of a string of several words is what a rule replaces."""
    matcher = action.rules[0]["rule"]
    return "transform" in action.rules[0] and "string" in str(matcher.get("kind")) and " " in old.strip()


def in_longer_word(action: Action, old: str) -> bool:
    """Whether a part of a token that the rule replaces stands within a longer word at a place."""
    for step in (action.rules[0].get("transform") or {}).values():
        given = step.get("replace") if isinstance(step, dict) else None
        if not isinstance(given, dict):
            continue
        try:
            found = list(re.finditer(str(given.get("replace", "")), old))
        except re.error:
            return True
        for one in found:
            before, after = old[: one.start()][-1:], old[one.end() :][:1]
            if _joins(before, one.group()[:1]) or _joins(one.group()[-1:], after):
                return True
    return False


def _joins(left: str, right: str) -> bool:
    return bool(re.fullmatch(r"\w\w", left + right))
