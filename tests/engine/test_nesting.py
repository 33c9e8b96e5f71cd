"""Which kinds can stand in which: the table against the binding and real trees; rules that ask too much."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ast_grep_py import SgNode, SgRoot

from rulewright.actions.action import Action
from rulewright.engine import audit, nesting
from rulewright.engine.kinds import names
from rulewright.languages import LANGUAGES, Language, language_of_path

OURS = [language for language in LANGUAGES if language != "other"]


@pytest.mark.skipif(
    sys.platform != "linux" or shutil.which("nm") is None, reason="Linux and nm tell where the tables lie"
)
@pytest.mark.parametrize("language", ["python", "go", "kotlin"])
def test_the_file_holds_what_the_binding_does(language: Language, root: Path) -> None:
    """In a process of its own: memory is read by address."""
    code = "import json, sys\nfrom node_kinds import nesting\nprint(json.dumps(nesting(sys.argv[1])))"
    command = [sys.executable, "-c", code, language]
    read = subprocess.run(command, cwd=root / "tools", capture_output=True, text=True, check=True)
    assert json.loads(nesting.FILE.read_text())[language] == json.loads(read.stdout)


@pytest.mark.parametrize("language", OURS)
def test_every_kind_of_node_is_a_name_of_the_grammar(language: Language) -> None:
    entry = json.loads(nesting.FILE.read_text())[language]
    kinds = entry["kinds"].split()
    assert len(entry["children"].split()) == len(entry["with"].split()) == len(kinds) > 100
    assert set(entry["fields"].split()) <= set(names(language).fields)
    assert {kind for kind in kinds if kind[0].islower()} <= set(names(language).kinds)


def _pairs(node: SgNode) -> Iterator[tuple[str, str]]:
    for child in node.children():
        if child.is_named():
            yield node.kind(), child.kind()
        yield from _pairs(child)


def _fields(node: SgNode, known: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    yield from ((node.kind(), name) for name in known if node.field(name) is not None)
    for child in node.children():
        yield from _fields(child, known)


def test_whatever_stands_in_real_code_may_stand_there() -> None:
    folder = Path(__file__).parent
    files = [*folder.glob("samples/*"), *folder.glob("test_*.py"), *Path(audit.__file__).parent.glob("*.py")]
    n = n_fields = 0
    for file in files[:60]:
        language = language_of_path(file)
        if language == "other":
            continue
        root = SgRoot(file.read_text(encoding="utf-8"), language).root()
        if root.find(kind="ERROR") is not None:
            continue
        table = nesting.nesting_of(language)
        for outer, inner in set(_pairs(root)):
            n += 1
            assert not table.why_never("has", frozenset({outer}), frozenset({inner}), False), (
                file,
                outer,
                inner,
            )
            assert not table.why_never("inside", frozenset({inner}), frozenset({outer}), True)
        for kind, name in set(_fields(root, names(language).fields)):
            n_fields += 1
            assert not table.why_no_field(name, frozenset({kind})), (file, kind, name)
    assert n > 1000 and n_fields > 500


def _found(language: Language, rule: dict[str, Any], **more: Any) -> list[str]:
    action = Action(language, ({"rule": rule, **more},), mode="rule")
    return [finding.detail for finding in audit.form(action) if finding.kind == "matches-nothing"]


NEVER: list[tuple[Language, dict[str, Any], str]] = [
    ("python", {"pattern": "f($A)", "inside": {"kind": "module"}}, "has no child `call`; with `stopBy: end`"),
    ("python", {"kind": "call", "has": {"kind": "module", "stopBy": "end"}}, "`module` stands in no node"),
    ("python", {"kind": "string", "has": {"kind": "class_definition", "stopBy": "end"}}, "`string` holds no"),
    ("python", {"kind": "import_prefix", "follows": {"kind": "block"}}, "are never siblings"),
    ("python", {"kind": "module", "precedes": {"regex": "x"}}, "`module` has no siblings"),
    ("python", {"kind": "call", "has": {"kind": "primary_expression"}}, "name for several kinds"),
    ("python", {"kind": "expression"}, "no node has the kind `expression`"),
    ("python", {"all": [{"kind": "call"}, {"has": {"any": [{"kind": "block"}, {"kind": "pair"}]}}]}, "`has`"),
    ("python", {"kind": "if_statement", "has": {"kind": "call", "has": {"kind": "block"}}}, "`has`: `has`: "),
    ("python", {"kind": "call", "has": {"regex": "x", "has": {"kind": "module"}}}, "`module` stands in no"),
    ("javascript", {"pattern": "await $A", "inside": {"kind": "statement_block"}}, "`inside`: "),
    ("go", {"kind": "call_expression", "has": {"kind": "block", "field": "arguments"}}, "`has`: "),
    ("java", {"kind": "identifier", "has": {"kind": "identifier", "stopBy": "end"}}, "`identifier` holds no"),
    ("python", {"kind": "call", "has": {"field": "body", "regex": "x"}}, "`has`: `call` has no `body`"),
    ("python", {"kind": "list", "inside": {"kind": "call", "field": "name"}}, "`call` has no `name`"),
    (
        "python",
        {"kind": "call", "any": [{"has": {"kind": "module"}}, {"inside": {"kind": "block"}}]},
        "`any`: `has`: `module` stands in no node",
    ),
    ("python", {"kind": "call", "any": [{"kind": "list"}, {"has": {"field": "name", "kind": "set"}}]}, "any"),
]  # fmt: skip


@pytest.mark.parametrize(("language", "rule", "words"), NEVER)
def test_a_relation_that_no_tree_has_is_told(language: Language, rule: dict[str, Any], words: str) -> None:
    (said,) = _found(language, rule)
    assert words in said


@pytest.mark.parametrize(
    ("language", "rule"),
    [
        ("python", {"pattern": "print($A)", "inside": {"kind": "module", "stopBy": "end"}}),
        ("python", {"pattern": "print($A)", "inside": {"kind": "expression_statement"}}),
        ("python", {"kind": "call", "has": {"kind": "comment"}}),
        ("python", {"kind": "call", "has": {"kind": "ERROR"}}),
        ("python", {"kind": "call", "has": {"regex": "x", "has": {"kind": "list"}}}),
        ("python", {"kind": "string", "has": {"kind": "call", "stopBy": "end"}}),
        ("python", {"regex": "x", "kind": "identifier", "inside": {"regex": "y"}}),
        ("python", {"kind": "call", "not": {"has": {"kind": "module"}}}),
        (
            "python",
            {"kind": "call", "any": [{"has": {"kind": "module"}}, {"regex": "x"}]},
        ),
        ("python", {"any": [{"kind": "expression"}, {"kind": "call"}]}),
        ("python", {"kind": "call", "has": {"field": "function", "regex": "x"}}),
        (
            "python",
            {"any": [{"kind": "call"}, {"kind": "block"}], "has": {"field": "arguments", "regex": "x"}},
        ),
        ("python", {"kind": "identifier", "inside": {"regex": "x", "field": "body"}}),
        ("python", {"kind": "if_statement", "follows": {"kind": "comment"}}),
        ("javascript", {"pattern": "await $A", "inside": {"kind": "for_statement", "stopBy": "end"}}),
        ("ruby", {"kind": "heredoc_body", "has": {"kind": "call", "stopBy": "end"}}),
        ("tsx", {"kind": "identifier", "inside": {"kind": "jsx_opening_element"}}),
    ],
)
def test_what_may_be_is_no_finding(language: Language, rule: dict[str, Any]) -> None:
    assert _found(language, rule) == []
