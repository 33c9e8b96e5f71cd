"""A user's rule file: its rules, and the files that each rule applies to.

In an action that a model wrote `files`, `ignores` and `severity` have no effect (`actions.action`); in a
user's file they mean the same as in ast-grep. Documents may be for several languages here.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from rulewright.actions.action import DEFAULT_ID, Action, Rejection, safe_id
from rulewright.actions.codec import is_rule_file, read_action
from rulewright.actions.rule_text import (
    PERSON_BOUNDS,
    Refused,
    check_document,
    language_named,
    read_documents,
    rules_of,
)


@dataclass(frozen=True)
class Document:
    """One rule, and where it applies.

    Args:
        action: the rule alone.
        files, ignores: globs as ast-grep takes them. Without `files` the rule is for every file of its
            language, with an empty list for none.
        off: whether its `severity` is `off`.
    """

    action: Action
    files: tuple[Any, ...] | None = None
    ignores: tuple[Any, ...] = ()
    off: bool = False

    @property
    def scoped(self) -> bool:
        """Whether it is for some files of its language only."""
        return self.files is not None or bool(self.ignores)


def read_given(
    text: str, name: str = DEFAULT_ID, complete: Callable[[Any], Any] = lambda given: given
) -> tuple[Document, ...] | Rejection:
    """Read an input of `apply`: a rule file, an action's JSON, or a model's answer.

    `complete` gives each document of a rule file with what it takes from its project.
    """
    if is_rule_file(text):
        return read_rule_file(text, name, complete)
    action = read_action(text)
    return action if isinstance(action, Rejection) else documents_of(action)


def read_rule_file(
    text: str, name: str = DEFAULT_ID, complete: Callable[[Any], Any] = lambda given: given
) -> tuple[Document, ...] | Rejection:
    """Read a rule file as ast-grep would, one `Document` a rule; arguments as of `read_given`."""
    try:
        found = [complete(given) for given in read_documents(text, PERSON_BOUNDS)]
        return tuple(
            _document(
                given, name_of(name, number, len(found)), f"document {number}: " if len(found) > 1 else ""
            )
            for number, given in enumerate(found, 1)
        )
    except Refused as refused:
        return refused.rejection


def name_of(file: str, number: int, n: int) -> str:
    """What ast-grep calls a rule without an id: as its file, with the place among several."""
    return file if n == 1 else f"{file}-{number - 1}"


def _document(given: Any, name: str, where: str) -> Document:
    checked = check_document(given, where, complete=True)
    language = language_named(checked["language"], where)
    _, rules, _ = rules_of([checked], language, complete=True)
    action = Action(language, rules, "yaml", "", (safe_id(str(checked.get("id", name))),))
    files = checked.get("files")
    return Document(
        action,
        None if files is None else tuple(files),
        tuple(checked.get("ignores") or ()),
        checked.get("severity") == "off",
    )


def documents_of(action: Action) -> tuple[Document, ...]:
    """The rules of an action, each for every file of its language."""
    return tuple(
        Document(Action(action.language, (rule,), action.mode, action.notes, (action.id_of(number),)))
        for number, rule in enumerate(action.rules)
    )


def joined(documents: Sequence[Document]) -> Action:
    """The rules of documents of one language as one action, applied one after another."""
    first = documents[0].action
    rules = tuple(rule for one in documents for rule in one.action.rules)
    ids = tuple(one.action.id_of(0) for one in documents)
    return Action(first.language, rules, first.mode, first.notes, ids)
