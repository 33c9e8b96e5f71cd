"""Doubts: why a rule that makes a change by hand may be wrong elsewhere.

Each doubt is a sentence for the user, or an empty text.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Final, NamedTuple

from ast_grep_py import SgNode

from rulewright import difftext
from rulewright.actions.action import Action, Rule
from rulewright.engine.name_use import dense, is_one_word
from rulewright.grammars import CONSTANTS
from rulewright.languages import Language
from rulewright.mining.by_hand.diffs import Change
from rulewright.mining.by_hand.replay import places_and_wrong_lines, places_of, with_their_parts
from rulewright.mining.judge.confidence import drops_unnamed, names_nothing
from rulewright.mining.learn.grading import Tier
from rulewright.mining.rules import callees, import_statements, imports, specificity
from rulewright.mining.rules.reading import new_text, old_text, standalone_names, terms, text_bits, words_of
from rulewright.mining.text.tree import Tree
from rulewright.verdict import Place

LEFT_RATE: Final = 1 / 3
"""Unchanged matching places per changed one from which they count against a rule."""
ROLES: Final[Mapping[str, str]] = {
    "definition": "it is defined there",
    "base": "it is inherited from there",
    "new": "an object of it is made there",
    "type": "it is a type there",
    "generic": "it is a type with arguments there",
    "value": "it is a value there",
    "namespace": "it is a part of a namespace there",
}


def tier_of(
    plain: Action, action: Action, changes: Sequence[Change], reason: str, of_members: bool
) -> tuple[Tier, str]:
    """The tier of a rule that looks right, with the reason.

    Args:
        plain: the rule as it was found.
        action: the rule with its guards.
        changes: the change.
        reason: why it looks right.
        of_members: whether it is held to the members that the change shows, or to the base of own members.
    """
    why = why_context_dependent(plain, action, changes, of_members) or why_vague(plain, action, changes)
    return ("literal", why) if why else ("train", reason)


def why_vague(plain: Action, action: Action, changes: Sequence[Change]) -> str:
    """Why a rule is too vague: it may match code that the change is not about."""
    names = callees.bare_rename(plain)
    rule = plain.rules[0]
    made, left = places_of(action, changes)
    # Several places that agree are no evidence for a plain word: it has many meanings.
    if names is not None and plain == action:
        # In Go a member may begin so, too.
        is_type = names[0][:1].isupper() and rule["rule"].get("kind") != "field_identifier"
        is_plain = is_one_word(names[0]) or (len(made) < 2 and not names[0][:1].isupper())
        if is_plain and not is_type:
            return f"it renames every `{names[0]}`, whatever that stands for"
    if names_nothing(rule):
        return "too general: it asks for no name"
    if "rewriters" not in rule and drops_unnamed(rule):
        return "it drops code that it does not name"
    if why := specificity.why_vague(rule):
        return why
    if len({place.old for place in made}) < 2 and (why := specificity.why_one_place_is_too_few(rule)):
        return f"one place alone shows that {why}"
    used = [place for place in made if not place.in_import]
    old, new = old_text(rule), new_text(rule)
    imported = (one for change in changes for one in imports.bindings(change.pre, action.language))
    if len(used) == 1 and _NAME.fullmatch(old) and any(new == one.name for one in imported):
        return f"one place alone shows `{new}`, which was there before, in place of `{old}`"
    if left and len(left) >= LEFT_RATE * len(made):
        more = "one more place" if len(left) == 1 else f"{len(left)} more places"
        return f"the files that you changed hold {more} like the {len(made)} that you changed"
    return ""


def why_context_dependent(plain: Action, action: Action, changes: Sequence[Change], of_members: bool) -> str:
    """Why the right change depends on the code around a place, so that equal code may need another one."""
    names = callees.bare_rename(plain)
    rule = plain.rules[0]
    if why := specificity.why_context_dependent(rule):
        return why
    if names is not None and not of_members and len(known := members_changed(names[0], changes)) == 1:
        return f"of `{names[0]}` the change shows `{known.pop()}` only"
    if (owner := callees.own_member(plain)) and not of_members:
        return f"`{owner}` is of another class elsewhere"
    if own := _own_method(action, changes):
        return f"`{own}` is a method of another class elsewhere"
    if _deletes(rule):
        unguarded = specificity.unguarded_import(old_text(rule), action.language)
        if unguarded and action.language not in import_statements.KINDS:
            return unguarded
        if _moves(rule, changes):
            return "what it takes away stands elsewhere in your change"
    made, _ = places_of(action, changes)
    directives = [line for change in changes for line in _changed_lines(change) if _DIRECTIVE.match(line)]
    if any(place.old in line for place in made for line in directives):
        return "a condition of the build decides for its own code"
    # The standalone names that it adds.
    for name in sorted(standalone_names(new_text(rule)) - standalone_names(old_text(rule)) - CONSTANTS):
        holding = (change for change in changes if name in change.post)
        if any(change.tree_after.has_local(name) for change in holding):
            return f"`{name}` is a variable of the code that you changed"
        if _is_own_member(name, rule, changes, action.language):
            return f"`{name}` is of the class that you changed"
    return ""


def _deletes(rule: Rule) -> bool:
    """Whether a rule removes code and adds none."""
    return not terms(new_text(rule)) - terms(old_text(rule)) and (
        isinstance(rule["fix"], Mapping) or not new_text(rule).strip()
    )


def _moves(rule: Rule, changes: Sequence[Change]) -> bool:
    """Whether all that a rule removes is added on other lines of the change: then the code moved."""
    gone = terms(old_text(rule)) - terms(new_text(rule))
    come = (
        line
        for change in changes
        for pre, post in [(difftext.rows(change.pre), difftext.rows(change.post))]
        for _, _, b0, b1 in difftext.changed(pre, post)
        for line in post[b0:b1]
    )
    return bool(gone) and any(gone <= terms(line) for line in come)


_NAME: Final = re.compile(r"\w+")
_DIRECTIVE: Final = re.compile(r"\ufeff?\s*#\s*(?:if|elif)\b")


def _is_own_member(name: str, rule: Rule, changes: Sequence[Change], language: Language) -> bool:
    """Whether a name that a rule adds may be a member of the own class, used without an owner."""
    new = new_text(rule)
    is_text = specificity.is_about_text(rule) or _COMMENT.match(new)
    if language not in _SELF_UNSAID or new == name or is_text or specificity.is_type(name):
        return False
    # Part of a package path: the name at its end is capitalized.
    in_package = re.search(rf"\b{re.escape(name)}(?:\.[a-z]\w*)*\.[A-Z]", new) is not None
    is_plain = re.match(r"[a-z]\w*[a-z]", name) is not None and name in terms(new)
    imported = any(name == one.name for change in changes for one in imports.bindings(change.pre, language))
    return is_plain and not in_package and not imported


_SELF_UNSAID: Final = frozenset({"ruby", "java", "csharp"})
"""Languages in which a member of the own class needs no owner before it."""


def _own_method(action: Action, changes: Sequence[Change]) -> str:
    """A method that a rule is about and that the changed code calls without a receiver; else empty.

    In Java and C# that is a method of the own class or of its bases, unless it is imported.
    """
    if action.language not in ("java", "csharp"):
        return ""
    text = old_text(action.rules[0])
    names = {text} if re.fullmatch(r"\w+", text) else set(_BARE_CALL.findall(text))
    for change in changes:
        changed = "\n".join(_changed_lines(change))
        for name in sorted(names & set(_BARE_CALL.findall(changed))):
            if not re.search(rf"import\s+static\s.*(?:\b{re.escape(name)}|\*)\s*;", change.pre):
                return name
    return ""


_BARE_CALL: Final = re.compile(
    r"(?<![\w.$@])(?<!new )(?!(?:if|for|while|switch|catch|return|this|super)\b)(\w+)\s*\("
)


def members_changed(name: str, changes: Sequence[Change]) -> set[str]:
    """The members of a name on the changed lines: `b` of `a.b`."""
    member = re.compile(rf"(?<![\w.]){re.escape(name)}(?:\.|::|->)(\w+)")
    return {word for change in changes for line in _changed_lines(change) for word in member.findall(line)}


def changed_code(changes: Sequence[Change], language: Language) -> list[str]:
    """The lines of code that a change removes, without imports and comments."""
    lines = (
        line
        for change in changes
        for line in sorted({*_changed_lines(change)} & {*imports.code_lines(change.pre, language)})
    )
    return [line for line in lines if not _COMMENT.match(line)]


_COMMENT: Final = re.compile(r"\s*(?://|\*|/\*|#(?!\[)|--)")


def _changed_lines(change: Change) -> list[str]:
    """The changed lines of a file, as before the change."""
    lines = difftext.rows(change.pre)
    return [lines[n - 1] for n in sorted(change.changed) if 0 < n <= len(lines)]


def shown_roles(action: Action, changes: Sequence[Change]) -> frozenset[str]:
    """The roles in which the change replaces a class by another one; empty: any role will do.

    That a variable gets an interface as its type says nothing of constructors: `new List()` is an error.
    But if the change shows a constructor or a definition, the class is replaced everywhere. A renamed
    method is held to what it is called on, unless the change shows several such things.
    """
    made = [place for place in places_of(action, changes)[0] if not place.in_import]
    found = frozenset(place.role for place in made)
    values = {role for role in found if role.startswith("of ") and not role[3].isupper()}
    asked = {f"of {word}" for word in words_of(old_text(action.rules[0]))}
    if len(values) > 1 or values & asked:
        return frozenset()
    is_same = any(re.search(rf"\b{re.escape(place.old)}$", place.new) for place in made)
    return frozenset() if is_same or found & {"", "definition", "new"} else found


class ShownArguments(NamedTuple):
    """With which arguments the change replaces what is called by something else."""

    fewest: int
    most: int
    """Fewest and most arguments without a name."""
    names: frozenset[str]
    """Names of the others; `*` for spread ones."""

    def doubt(self, arguments: Sequence[str]) -> str:
        """What a call has that the change does not show, or lacks altogether; empty if neither."""
        if more := sorted({*arguments} - self.names - {""}):
            what = "spread arguments" if more == ["*"] else f"`{max(more)}`"
        elif arguments.count("") > self.most:
            what = f"{arguments.count('')} arguments"
        elif not arguments and (self.fewest or self.names):
            what = "no arguments"
        else:
            return ""
        return f"it is called with {what} there, which your change does not show"


def shown_arguments(action: Action, changes: Sequence[Change]) -> ShownArguments | None:
    """The arguments with which the change calls something else than before; `None`: any will do.

    Any will do for one and the same thing under a new name: a like name, one of the same module, or a
    function that the change defines.
    """
    made = [place for place in places_of(action, changes)[0] if place.arguments is not None]
    renamed = _renamed_in_modules(changes, action.language)
    if all(
        any(_is_like(old, new) or (old, new) in renamed for old in one.gone for new in one.come)
        for one in made
    ):
        return None
    names = {name for place in made for name in place.come}
    if any(True for change in changes for name in names for _ in change.tree_after.definitions(name)):
        return None
    shown = [place.arguments or () for place in made]
    counts = [one.count("") for one in shown]
    return ShownArguments(min(counts), max(counts), frozenset(name for one in shown for name in one if name))


def _renamed_in_modules(changes: Sequence[Change], language: Language) -> set[tuple[str, str]]:
    """The imported names that the change replaces by others of the same module."""
    sides = [(imports.bindings(one.pre, language), imports.bindings(one.post, language)) for one in changes]
    return {
        (one.name, other.name)
        for old, new in sides
        for one in old
        for other in new
        if one not in new
        and other not in old
        and one.module.removesuffix(one.name) == other.module.removesuffix(other.name)
    }


_ADDED_LETTERS: Final = 3
"""By how many letters two names of one thing differ at most: `warn` and `warning`."""


def _is_like(old: str, new: str) -> bool:
    """Whether one name holds the other, but for a few letters, cases and underscores."""
    short, long = sorted((one.replace("_", "").lower() for one in (old, new)), key=len)
    return short in long and len(long) - len(short) <= _ADDED_LETTERS


TELLING_BITS: Final = 14
"""Bits of the names in code (about two names) from which equal code elsewhere is no accident."""


def safe_edits(action: Action, every: Action, changes: Sequence[Change]) -> frozenset[tuple[str, str]]:
    """Old and new code, without blanks, of the rule's places that mean the same anywhere.

    What a rule replaces as the person did, or the whole lines of it. Not if names that go or come are
    variables there, not if the same code stays elsewhere in the change, and not in a hunk of which all
    trusted rules together (`every`) make a part only.
    """
    found: set[tuple[str, str]] = set()
    _, left = places_of(action, changes)
    for change in changes:
        made, wrong = places_and_wrong_lines(action, change)
        if made:
            wrong |= with_their_parts(places_and_wrong_lines(every, change)[1], change)
        lines = difftext.rows(change.pre)
        stay = {dense(line) for line in difftext.rows(change.post)}
        for place in (one for one in made if not one.touches(wrong)):
            trees = change.tree, change.tree_after
            if any(tree.has_local(name) for name in {*place.gone, *place.come} for tree in trees):
                continue
            here = lines[place.line - 1 : place.last_line]
            if _is_telling("\n".join(here)) and not stay.issuperset(map(dense, here)):
                found.add((dense("\n".join(here)), dense(place.new)))
            if not left and place.gone and _is_telling(place.old):
                found.add((dense(place.old), dense(place.new)))
    return frozenset(found)


def _is_telling(code: str) -> bool:
    """Whether code is so specific that equal code elsewhere is no accident."""
    return sum(map(text_bits, terms(code))) >= TELLING_BITS


def misplaced(places: Sequence[Place], tree: Tree) -> dict[Place, str]:
    """Doubts about places where an `await` or Rust's `?` comes in, and the function around takes none.

    Parsers take such code; compilers and interpreters refuse it.
    """
    found: dict[Place, str] = {}
    for comes, takes, why, languages in _OF_FUNCTIONS:
        if tree.language in languages:
            coming = (one for one in places if comes.search(one.new) and not comes.search(one.old))
            found |= {one: why for one in coming if _has_way_without(tree.root.sg, one, takes)}
    return found


def _has_way_without(root: SgNode, place: Place, takes: Callable[[SgNode], bool]) -> bool:
    """Whether code like a place's, on its lines, stands directly in a function that does not take it."""
    stack = [(root, False)]
    while stack:
        node, is_taken = stack.pop()
        if _FUNCTION.search(node.kind()):
            is_taken = takes(node)
        inner = [child for child in node.children() if _covers(child, place)]
        if not inner and not is_taken:
            return True
        stack += [(child, is_taken) for child in inner]
    return False


def _covers(node: SgNode, place: Place) -> bool:
    lines = node.range()
    around = lines.start.line < place.line and place.last_line <= lines.end.line + 1
    return around and place.old in node.text()


_FUNCTION: Final = re.compile(
    r"^(?:generator_)?function(?:_|$)|^(?:method|constructor)_(?:definition|declaration)$|^arrow_function$"
    r"|^lambda(?:_expression)?$|^closure_expression$|^async_block$|^local_function_|^anonymous_method_"
)
_MODIFIER: Final = re.compile(r"^async$|modifiers?$")
_RETURNS: Final = re.compile(r"->[^{]*(?:Result|Option|ControlFlow)")


def _is_async(function: SgNode) -> bool:
    heads = (child.text() for child in function.children() if _MODIFIER.search(child.kind()))
    return any("async" in head.split() for head in heads)


def _passes_on(function: SgNode) -> bool:
    """Whether a function of Rust says that it returns what `?` may pass on."""
    body = function.field("body")
    return _RETURNS.search(function.text()[: -len(body.text())] if body is not None else "") is not None


_OF_FUNCTIONS: Final = (
    (
        re.compile(r"\bawait\b"), _is_async, "an `await` comes in, and no `async` function is around it",
        frozenset({"python", "javascript", "typescript", "tsx", "csharp", "rust"}),
    ),
    (
        re.compile(r"\?(?=[\s;.,)\]}?]|$)"), _passes_on,
        "a `?` comes in, and the function around it does not say that it returns a `Result` or an `Option`",
        frozenset({"rust"}),
    ),
)  # fmt: skip
"""What comes, whether a function takes it, the doubt where it does not, and the languages."""


def defined_names(rules: Sequence[Rule], changes: Sequence[Change], language: Language) -> frozenset[str]:
    """Standalone names that rules add and that the changed files define, or imported already."""
    if language not in _SEEN_BY_IMPORT or not rules:
        return frozenset()
    made, _ = places_of(Action(language, tuple(rules), mode="rule"), changes)
    come = {name for place in made for name in _free_names(place.new) - _free_names(place.old)}
    found = {
        name: [one.parent() for change in changes for one in change.tree_after.definitions(name)]
        for name in come
    }
    imported = {one.name for change in changes if come for one in imports.bindings(change.pre, language)}
    # A class of the same package needs no import.
    shared = _CLASS.search if language in ("java", "csharp") else lambda kind: None
    own = (name for name in come if any(one is not None and not shared(one.kind()) for one in found[name]))
    return frozenset([*own, *(come & imported)])


_CLASS: Final = re.compile(r"class|interface|struct|enum|record|delegate")
_SEEN_BY_IMPORT: Final = frozenset({"python", "javascript", "typescript", "tsx", "java", "csharp"})
"""Languages in which a file must import what another file defines."""


def _free_names(text: str) -> set[str]:
    """The names of a pattern or fix without an owner."""
    return set(re.findall(r"(?<![\w.$>:@'\"])[A-Za-z_]\w*", text)) & terms(text)


def is_part_of_text(rule: Rule, old: str) -> bool:
    """Whether a rule replaces a part of a string of several words."""
    return "transform" in rule and "string" in str(rule["rule"].get("kind")) and " " in old.strip()


def in_longer_word(rule: Rule, old: str) -> bool:
    """Whether a rule would replace a part of a longer word."""
    steps = rule.get("transform", {}).values()
    parts = [step["replace"]["replace"] for step in steps if isinstance(step, dict) and "replace" in step]
    for one in (found for part in parts for found in re.finditer(part, old)):
        before, after = old[: one.start()][-1:], old[one.end() :][:1]
        if _joins(before, one.group()[:1]) or _joins(one.group()[-1:], after):
            return True
    return False


def _joins(left: str, right: str) -> bool:
    return bool(re.fullmatch(r"\w\w", left + right))
