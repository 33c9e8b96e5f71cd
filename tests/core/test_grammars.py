"""The table of node kinds names kinds and fields that the grammars have."""

from __future__ import annotations

import pytest
from ast_grep_py import SgRoot

from rulewright import grammars
from rulewright.engine import kinds
from rulewright.languages import Language


@pytest.mark.parametrize("language", grammars.GRAMMARS)
def test_every_kind_and_field_of_a_row_exists(language: Language) -> None:
    row, known = grammars.GRAMMARS[language], kinds.names(language)
    found = {row.call, row.arguments, row.member, row.identifier, *row.integer, *row.string, *row.imports}
    assert found <= set(known.kinds)
    assert {row.callee, row.property} <= set(known.fields)


@pytest.mark.parametrize(
    ("language", "code", "call"),
    [
        ("python", "a.b(c)", "call"),
        ("javascript", "a.b(c)", "call_expression"),
        ("java", "class A { void f() { a.b(c); } }", "method_invocation"),
        ("go", "package p\nfunc f() { a.b(c) }", "call_expression"),
        ("rust", "fn f() { a.b(c); }", "call_expression"),
        ("c", "void f() { a.b(c); }", "call_expression"),
        ("cpp", "void f() { a.b(c); }", "call_expression"),
        ("ruby", "a.b(c)", "call"),
        ("php", "<?php $a->b($c);", "member_call_expression"),
        ("php", "<?php b($c);", "function_call_expression"),
        ("php", "<?php A::b($c);", "scoped_call_expression"),
        ("csharp", "class A { void F() { a.B(c); } }", "invocation_expression"),
        ("kotlin", "fun f() { a.b(c) }", "call_expression"),
    ],
)
def test_a_call_is_known_as_one_and_what_is_not_called_is_none(
    language: Language, code: str, call: str
) -> None:
    root = SgRoot(code, language).root()
    node = root.find(kind=call)
    assert node is not None and grammars.CALL.search(node.kind())
    assert not any(grammars.CALL.search(child.kind()) for child in node.children())


@pytest.mark.parametrize(
    ("language", "line", "other"),
    [
        ("python", "from a import b", "b = a"),
        ("go", '\t"net/http"', 'x := "net/http" + y'),
        ("javascript", "const a = require('a')", "required(a)"),
        ("typescript", "export { a } from 'a'", "const from = a"),
        ("java", "import a.B;", "important(b);"),
        ("rust", "use std::io;", "user();"),
        ("c", "#include <a.h>", "int include;"),
        ("ruby", "require_relative 'a'", "required(a)"),
        ("php", "use A\\B;", "used();"),
        ("csharp", "using A.B;", "using (var a = b) {"),
        ("kotlin", "import a.B", "important(b)"),
    ],
)
def test_lines_that_import(language: Language, line: str, other: str) -> None:
    found = grammars.import_line(language)
    assert found.search(line) and not found.search(other)
