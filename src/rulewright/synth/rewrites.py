"""Edits whose request spells out both sides: "write `fetch(x, ...)[0]` as `table.get(x, ...)`".

Templates and the other families have about a hundred shapes, which a small model memorizes. Here each
edit has a new random shape, so the rule can only be derived from the request. Requests of other families
or templates (one name for another, a qualifier before a call) are excluded, so held-out kinds stay held
out.
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Final

from ast_grep_py import SgNode

from rulewright.difftext import splice
from rulewright.engine.parsing import span
from rulewright.languages import Language
from rulewright.synth import naming
from rulewright.synth.proposals import Code, Proposal, is_callee, rule_of
from rulewright.synth.templates import packaged

_EXPRESSIONS: Final = frozenset({
    "call", "attribute", "subscript", "comparison_operator", "boolean_operator", "binary_operator",
    "not_operator", "unary_operator", "list", "dictionary", "set", "tuple", "string", "integer", "float",
    "true", "false", "none", "call_expression", "member_expression", "subscript_expression",
    "binary_expression", "unary_expression", "array", "number", "null",
})  # fmt: skip
"""Kinds of whole expressions, of Python and of JavaScript, TypeScript and TSX."""
_QUOTABLE: Final = re.compile(r"[^\n`$#]{0,48}")
"""What may stand in a request: nobody quotes longer code."""
_HOLES: Final = ("$A", "$B", "$C")
_REST: Final = "$$$ARGS"
"""The hole for the rest of an argument list, or all of it."""
_HOLE: Final = re.compile(r"\$\$\$ARGS|\$[A-C]")
_LISTS: Final = frozenset({"argument_list", "arguments", "list", "set", "array"})
"""Kinds of what holds elements between commas."""
_SHOWN: Final = (("x", "y", "z"), ("a", "b", "c"), ("p", "q", "r"), ("first", "second", "third"), _HOLES)
"""How a request may name what can be anything."""
_CONSTANTS: Final = ("0", "1", "2", "10", "100", '"utf-8"', '""', '"r"', "[]")
_OPERATORS: Final = ("+", "-", "*", "/", "%", "<", ">", "<=", "==", "!=", "|", "&")
_TOKEN: Final = re.compile(r"\$?\w+|\"[^\"]*\"|'[^']*'|\S")


def rewrite_expression(code: Code, rng: random.Random) -> Proposal | None:
    """Any expression → the one that stands there; what may be anything is kept."""
    if code.language in ("java", "go"):
        return None
    found = [node for node in _expressions(code.root) if _QUOTABLE.fullmatch(node.text())]
    found = [node for node in found if not is_callee(node, code)]
    if not found:
        return None
    node = rng.choice(found)
    new, parts = _opened(node, code, rng)
    old = _composed(list(parts), code, rng)
    if old is None or _is_anothers(old, new, code.language):
        return None
    letters = rng.choice(_SHOWN)
    if any(re.search(rf"\b{re.escape(letter)}\b", old + new) for letter in letters if letter not in _HOLES):
        letters = _HOLES
    names = dict(zip(_HOLES, letters, strict=True))
    names[_REST] = _REST if letters is _HOLES else rng.choice(("...", "*args"))
    pre = splice(code.text, [(*span(node), _filled(old, parts))])
    return Proposal(pre, (rule_of(old, new),), {"old": _filled(old, names), "new": _filled(new, names)})


def _expressions(node: SgNode) -> Iterator[SgNode]:
    if node.kind() in _EXPRESSIONS:
        yield node
    for child in node.children():
        yield from _expressions(child)


def _opened(node: SgNode, code: Code, rng: random.Random) -> tuple[str, dict[str, str]]:
    """The node's text with holes for up to three parts and the rest of a list, and what stands in each."""
    inner = [span(part) for child in node.children() for part in _parts(child, code)]
    rest = _rest_of_list(node, rng)
    taken = [] if rest is None else [rest]
    chosen: list[tuple[int, int]] = []
    for start, end in rng.sample(inner, len(inner)):
        others = [*chosen, *taken]
        apart = all(end <= other[0] or other[1] <= start for other in others)
        if apart and all(code.text[start:end] != code.text[slice(*other)] for other in others):
            chosen.append((start, end))
    chosen = sorted(chosen[: rng.choice((0, 1, 1, 2, 2, 3))])
    holes = dict(zip(_HOLES, chosen, strict=False))
    if rest is not None:
        holes[_REST] = rest
    begin = span(node)[0]
    new = splice(node.text(), [(start - begin, end - begin, hole) for hole, (start, end) in holes.items()])
    return new, {hole: code.text[slice(*where)] for hole, where in holes.items()}


def _rest_of_list(node: SgNode, rng: random.Random) -> tuple[int, int] | None:
    """The range of the last elements of an argument list or a list; `None` for a random fourth."""
    lists = [part for part in (node, *node.children()) if part.kind() in _LISTS]
    if not lists or rng.random() < 0.25:
        return None
    elements = [part for part in lists[0].children() if part.is_named() and part.kind() != "comment"]
    if not elements:
        return None
    return span(rng.choice((elements[0], *elements)))[0], span(elements[-1])[1]


def _parts(node: SgNode, code: Code) -> Iterator[SgNode]:
    """The expressions within, names too, but for called names, properties and keywords."""
    parent = node.parent()
    named = parent is not None and any(
        (held := parent.field(field)) is not None and span(held) == span(node)
        for field in (code.grammar.property, "name")
    )
    is_whole = node.kind() in _EXPRESSIONS or node.kind() == code.grammar.identifier
    if is_whole and not named and not is_callee(node, code):
        yield node
    for child in node.children():
        yield from _parts(child, code)


def _composed(holes: list[str], code: Code, rng: random.Random) -> str | None:
    """Some expression with these holes, each once, that the code does not hold yet."""
    if not code.names:
        return None
    name = naming.other_name(rng.choice(code.names), code.names, code.text, rng)
    if name is None:
        return None
    owner, constant, operator = rng.choice(code.names), rng.choice(_CONSTANTS), rng.choice(_OPERATORS)
    rng.shuffle(holes)
    holes.sort(key=lambda hole: hole == _REST)  # the rest of a list ends a list
    arguments = list(holes)
    if not holes or rng.random() < 0.2:
        arguments.insert(0 if _REST in holes else len(holes), constant)
    listed = ", ".join(arguments)
    call = f"{name}({listed})"
    forms = [call, f"{owner}.{call}", f"{owner}({call})", f"{call}[0]"]
    if _REST in holes:
        forms += [f"[{listed}]", f"{name}([{listed}])"]
        if len(holes) > 1:
            forms.append(f"{holes[0]}.{name}({', '.join(holes[1:])})")
        return rng.choice(forms)
    if not holes:
        forms += [f"{name}()", name, name.upper(), f"{owner}.{name}", f"'{name}'", constant]
        forms += [f"{name}[{constant}]"]
        return rng.choice(forms)
    first, rest = holes[0], ", ".join(holes[1:])
    forms += [f"{first}.{name}({rest})", f"{name}({first}).{owner}({rest})"]
    if len(holes) == 1:
        forms += [f"{first}[{constant}]", f"{name}[{first}]", f"[{first}]", f"{first}.{name}"]
        forms += [f"{first} {operator} {constant}"]
    if len(holes) == 2:
        forms += [f"{first} {operator} {rest}", f"{first}[{rest}]", f"{name}({first})({rest})"]
    return rng.choice(forms)


def _filled(text: str, values: Mapping[str, str]) -> str:
    return _HOLE.sub(lambda hole: values[hole[0]], text)


def _is_anothers(old: str, new: str, language: Language) -> bool:
    """Whether a family or a template asks for this: at most a word differs, or something is put before."""
    before, after = _TOKEN.findall(old), _TOKEN.findall(new)
    differ = sum(one != other for one, other in zip(before, after, strict=False))
    alike = len(before) == len(after) and differ <= 1
    return alike or old.endswith(new) or new.endswith(old) or _anonymous(old) in _patterns(language)


def _anonymous(pattern: str) -> str:
    return re.sub(r"\$+\w+", "$", pattern)


@lru_cache(maxsize=8)
def _patterns(language: Language) -> frozenset[str]:
    """What the packaged templates of a language look for, where that is a plain pattern."""
    found = (one.forward["rule"].get("pattern") for one in packaged() if one.language == language)
    return frozenset(_anonymous(pattern) for pattern in found if isinstance(pattern, str))
