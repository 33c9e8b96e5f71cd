"""What a name at a place is used for, and whose it is: equal names of unlike things are told apart by it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Final

from ast_grep_py import SgNode

from rulewright import grammars
from rulewright.engine.applier import MatchEdit
from rulewright.languages import Language

_CLASS_NAME: Final = re.compile(r"[A-Z]\w*[a-z]\w*")
_DEFINES: Final = re.compile(
    r"class|interface|struct|enum|trait|record|module|type_spec|type_alias|type_item"
)
_BASES: Final = re.compile(r"super|base_|extends|heritage|delegation|constructor_invocation|impl_item")
_MAKES: Final = frozenset(
    {
        "object_creation_expression", "new_expression", "composite_literal", "compound_literal_expression",
        "struct_expression",
    }
)  # fmt: skip
_GENERIC: Final = frozenset({"generic_type", "generic_name"})
_OF_ONE: Final = grammars.MEMBERS | _GENERIC | {"qualified_type", "scoped_type_identifier", "user_type"}
"""A name with its qualifier or its arguments."""
_OF_SEVERAL: Final = frozenset({"binary_operator", "binary_expression", "union_type", "tuple"})
"""What joins types in an annotation, or values in an expression."""
_FUNCTIONS: Final = frozenset({"go", "c"})
"""Languages in which a capital letter does not tell a class from a function."""


def role_of(node: SgNode | None, language: Language) -> str:
    """What the name of a class is used for, or whose it is; nothing of any other node."""
    if node is None or not _CLASS_NAME.fullmatch(node.text()):
        return ""
    while inner := node.children():
        node = inner[0]
    if _names_space(node):
        return "namespace"
    is_type = node.kind() == "type_identifier"
    has_arguments = False
    parent = node.parent()
    while parent is not None and parent.kind() in _OF_ONE:
        is_type |= "type" in parent.kind()
        has_arguments |= parent.kind() in _GENERIC
        first = parent.children()[0]
        if first == node and parent.kind() in grammars.MEMBERS:
            break
        owner = re.split(r"\W+", first.text())[-1]
        if first != node and (owner[:1].isupper() or _in_package(parent)):
            return f"of {owner}"
        node, parent = parent, parent.parent()
    while parent is not None and parent.kind() in _OF_SEVERAL:
        node, parent = parent, parent.parent()
    if parent is None:
        return "value"
    kind = parent.kind()
    unnamed = grammars.UNNAMED_ROLES.get((kind, node.kind()))
    is_called = parent.field("function") == node or unnamed == "function"
    if kind in _MAKES or (is_called and language not in _FUNCTIONS):
        return "new"
    if _DEFINES.search(kind) and (parent.field("name") == node or unnamed == "name"):
        return "definition"
    above = parent.parent()
    if _BASES.search(kind) or (above is not None and above.kind() == "class_definition"):
        return "base"
    is_type |= "type" in kind or parent.field("type") == node
    return "value" if not is_type else "generic" if has_arguments else "type"


def _in_package(parent: SgNode) -> bool:
    """Whether a class is named with its package, as Java does where another one of its name is imported."""
    return parent.kind() == "scoped_type_identifier" and "::" not in parent.text()


def _names_space(node: SgNode) -> bool:
    """Whether a name is a part of the namespace or package that a file says to be in."""
    parent = node.parent()
    while parent is not None and parent.kind() in _PATH_KINDS:
        parent = parent.parent()
    return parent is not None and parent.kind() in _NAMESPACES


_PATH_KINDS: Final = frozenset({"namespace_name", "qualified_name", "scoped_identifier", "identifier"})
_NAMESPACES: Final = frozenset(
    {
        "namespace_definition", "namespace_declaration", "file_scoped_namespace_declaration",
        "package_declaration", "package_header", "package_clause",
    }
)  # fmt: skip


_WORD: Final = re.compile(r"(?:(?:get|set|is|has)(?:_|(?=[A-Z])))?[A-Z]?[a-z]+")
_CALLS: Final = re.compile(r"\s*(?:\(|\{|::<)")
_OWNED: Final = re.compile(r"[?!]*\s*(?:\.|->)\s*$")
_LAST_NAME: Final = re.compile(r"\w+$")
_CLOSING: Final = {")": "(", "]": "["}
_REACH: Final = 400
"""Characters to look back for what a method is called on."""


def is_one_word(name: str) -> bool:
    """Whether a name is of one word, as methods of unlike classes have; `get_it` is no other."""
    return _WORD.fullmatch(name) is not None


def owner_of(
    source: str, edit: MatchEdit, gone: Sequence[str], come: Sequence[str], language: Language
) -> str:
    """Whose method is called at a place where nothing but its name, one plain word, changes; else nothing.

    >>> owner_of("self.cache.fetch(1)", MatchEdit(11, 16, "load"), ["fetch"], ["load"], "python")
    'of cache'
    """
    if len(gone) != 1 or len(come) != 1 or not is_one_word(gone[0]):
        return ""
    old, name = source[edit.start : edit.end], gone[0]
    found = re.search(rf"(?:^|[.>]\s*)({name})\b", old)
    if found is None or (dense(old[: found.start(1)] + come[0] + old[found.end(1) :]) != dense(edit.text)):
        return ""
    start, end = edit.start + found.start(1), edit.start + found.end(1)
    before = source[max(0, start - _REACH) : start]
    sign = _OWNED.search(before)
    if sign is None or not (language == "ruby" or _CALLS.match(source, end)):
        return ""
    owner = _LAST_NAME.search(_without_arguments(before[: sign.start()]))
    return f"of {owner[0].strip('_') or owner[0]}" if owner is not None else "of a value"


def arguments_of(node: SgNode | None, gone: Sequence[str]) -> tuple[str, ...] | None:
    """The arguments of the call in or around a node whose name is one of some; `None` where there is none.

    Of each argument its name, `*` for a spread one, empty for others.
    """
    if node is None or not gone:
        return None
    call = next((one for one in _calls_at(node) if _called_name(one) in gone), None)
    listed = call.field("arguments") if call is not None else None
    if call is not None and listed is None:  # Kotlin has a suffix with the list in it
        listed = next((one for one in _below(call) if one.kind() == "value_arguments"), None)
    if listed is None:
        return None
    return tuple(
        _argument_name(one) for one in listed.children() if one.is_named() and "comment" not in one.kind()
    )


def _calls_at(node: SgNode) -> Iterator[SgNode]:
    """The calls in a node, and that which a node is the name of."""
    yield from (one for one in _below(node) if grammars.CALL.search(one.kind()))
    end, parent = node.range().end.index, node.parent()
    while parent is not None and parent.kind() in grammars.MEMBERS and parent.range().end.index == end:
        parent = parent.parent()
    if parent is not None and grammars.CALL.search(parent.kind()):
        yield parent


def _below(node: SgNode) -> Iterator[SgNode]:
    """A node and those in it, itself first."""
    left = [node]
    while left:
        yield (one := left.pop())
        left += reversed(one.children())


def _called_name(call: SgNode) -> str:
    """The last word of what a call calls."""
    fields = ("function", "name", "method", "macro")
    called = next(filter(None, map(call.field, fields)), None) or call.children()[0]
    found = _CALLED.search(called.text())
    return found[0] if found is not None else ""


_CALLED: Final = re.compile(r"\w+[?!]?$")


def _argument_name(argument: SgNode) -> str:
    parts = argument.children()
    if argument.kind() in grammars.KEYED and len(parts) > 1 and parts[1].text() in _NAMES_VALUE:
        return parts[0].text()
    is_spread = any(one.kind() in grammars.SPREADS for one in (argument, *parts[:1]))
    return "*" if is_spread or (parts and parts[0].text() in ("*", "**", "...", "&")) else ""


_NAMES_VALUE: Final = frozenset({"=", ":", "=>"})
"""Signs between the name of an argument and its value."""


def dense(text: str) -> str:
    """A text without its blanks."""
    return "".join(text.split())


def _without_arguments(text: str) -> str:
    """A text up to the brackets that it ends with."""
    while text[-1:] in _CLOSING:
        closing, depth = text[-1], 0
        for at in range(len(text) - 1, -1, -1):
            depth += (text[at] == closing) - (text[at] == _CLOSING[closing])
            if not depth:
                break
        text = text[:at].rstrip()
    return text
