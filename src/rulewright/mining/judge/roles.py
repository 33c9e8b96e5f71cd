"""What a rule silently takes for granted of the places that it was learned from.

Parentheses that a fix adds answer to what stands inside or around them, a prefix glued
to a variable wants a string, a name that is declared is not every use of the word. Such
roles are added to a rule as constraints; they exclude no place that the rule did right.
Nothing is judged here.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from rulewright import grammars
from rulewright.mining.candidate import Candidate, Effect
from rulewright.mining.judge.refine import Option, added, hole_parts
from rulewright.mining.judge.soundness import nodes_of
from rulewright.mining.reading import old_text
from rulewright.mining.text.align import Edit
from rulewright.mining.text.tree import Node

MAX_KINDS: Final = 3

_GLUED: Final = re.compile(r"(?<![\w$])[A-Za-z_]\w*\$([A-Z])(?![A-Z0-9_])")
_PAREN: Final = re.compile(r"(?<![\w\])$])\(\$([A-Z])\)")


def guarded(edit: Edit, candidate: Candidate, done: Effect) -> Candidate | None:
    """The same rule, with the roles that it relies on spelled out; `None` if there are none."""
    good = nodes_of(edit.pre, done.positives, candidate.kind)
    if not good or len(good) < len(done.positives) or not isinstance(candidate.rule["fix"], str):
        return None
    options = [*_variables(edit, candidate, good), *_place(candidate, good)]
    options = [o for o in options if all(o.holds(node) for node in good)]
    return added(candidate, options) if options else None


def takes_lines_after(edit: Edit, candidate: Candidate) -> bool:
    """Whether a deletion takes along the line ends between what goes and what follows."""
    others = (node for node in candidate.anchor.siblings_after() if node.size)
    after = next(others, None) if "precedes" in candidate.rule["rule"] else None
    return after is not None and "\n" in edit.pre.text[candidate.anchor.end : after.start]


def as_first(edit: Edit, candidate: Candidate, done: Effect) -> Candidate | None:
    """A rule asked to match the first of its siblings only; `None` where it matched another."""
    good = nodes_of(edit.pre, done.positives, candidate.kind)
    if not good or any(before.named for node in good for before in node.siblings_before()):
        return None
    return added(candidate, [Option("nthChild", {"position": 1}, 0.0, _anything)])


def _variables(edit: Edit, candidate: Candidate, good: list[Node]) -> Iterator[Option]:
    """Kinds of the variables that the fix puts into parentheses or behind a prefix."""
    fix = candidate.rule["fix"]
    old = str(candidate.rule["rule"].get("pattern", ""))
    wanted: set[str] = set()
    for sign in (_GLUED, _PAREN):
        wanted |= set(sign.findall(fix)) - set(sign.findall(old))
    have = candidate.rule.get("constraints", {})
    for name in sorted(wanted - set(have)):
        parts = hole_parts(edit.pre, good, candidate, name)
        kinds = sorted({part.kind for part in parts})
        if 0 < len(kinds) <= MAX_KINDS:
            rule = {"kind": kinds[0]} if len(kinds) == 1 else {"any": [{"kind": kind} for kind in kinds]}
            yield Option(f"constraints.{name}", rule, 0.0, _anything)


def _place(candidate: Candidate, good: list[Node]) -> Iterator[Option]:
    """The parent's kind where the fix adds parentheses around all, or where a name plays a role."""
    matcher, fix = candidate.rule["rule"], candidate.rule["fix"].strip()
    if "inside" in matcher:
        return
    parents = {node.parent.kind for node in good if node.parent is not None}
    if len(parents) != 1 or any(n.parent is None or n.parent.parent is None for n in good):
        return
    kind = next(iter(parents))
    if _wrapped(fix) and not _wrapped(old_text(candidate.rule).strip() or "()"):
        yield Option("inside", {"kind": kind}, 0.0, _anything)
    elif candidate.is_token and _is_name(candidate):
        fields = {node.field() for node in good}
        if len(fields) == 1 and fields <= grammars.ROLE_FIELDS and "import" not in kind:
            yield Option("inside", {"kind": kind, "field": next(iter(fields))}, 0.0, _anything)


def _is_name(candidate: Candidate) -> bool:
    """Whether a token is a name that its kind does not tell from other names."""
    return candidate.kind == "identifier" or (
        "identifier" in candidate.kind and "regex" not in candidate.rule["rule"]
    )


def _wrapped(text: str) -> bool:
    """Whether one pair of parentheses holds the whole text.

    >>> _wrapped("($A in $B)"), _wrapped("(f)(x)"), _wrapped("f(x)")
    (True, False, False)
    """
    if not text.startswith("(") or not text.endswith(")"):
        return False
    depth = 0
    for place, sign in enumerate(text):
        depth += (sign == "(") - (sign == ")")
        if depth == 0:
            return place == len(text) - 1
    return False


def _anything(_: Node) -> bool:
    return True
