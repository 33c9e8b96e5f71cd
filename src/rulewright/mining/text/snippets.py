"""Snippets around a pattern that make it parse as the intended kind of node.

ast-grep parses a pattern by itself; a class member, a parameter or a switch case is then another
kind of node. A snippet with a `selector` says which kind is meant. Nothing is matched here.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from itertools import islice
from typing import Any, Final

from ast_grep_py import SgNode, SgRoot

from rulewright import grammars
from rulewright.engine.parsing import faults, span
from rulewright.engine.patterns import is_plain, to_source
from rulewright.languages import Language

MAX_FIT: Final = 3
"""Snippets to try for one node."""

_JS: Final = (
    "f({})", "class C {{ {} }}", "x = {{ {} }}", "import {{ {} }} from 'm'", "import {} from 'm'",
    "export {{ {} }} from 'm'", "function f({}) {{}}", "switch (x) {{ {} }}", "try {{}} {}", "if (a) {{}} {}",
    "const {} ;", "const {{ {} }} = x", "const [ {} ] = x", "async function f() {{ {} }}",
    "function* f() {{ {} }}",
    "let x = {}", "let x = async () => {}", "<a {}/>", "<a>{}</a>", "class C {} {{}}", "[{}]", "x.{}",
    "`${{{}}}`",
    "for (const {} of y) {{}}", "function f() {}", "x => {}",
)  # fmt: skip
_TS: Final = (
    "let x: {} = y", "let x{} = y", "interface I {{ {} }}", "type T = {}", "f<{}>()", "function f<{}>() {{}}",
    "abstract class C {{ {} }}", "enum E {{ {} }}", "function f(){} {{}}",
)  # fmt: skip

WRAPPERS: Final[dict[str, tuple[str, ...]]] = {
    "python": (
        "f({})", "def f({}): pass", "x: {} = 1", "import {}", "from {} import a", "from m import {}",
        "try:\n    pass\n{}", "if a:\n    pass\n{}", "match x:\n    {}", "{{{}}}", "[{}]", "lambda {}: 1",
        "[a {}]", "with {}: pass", "class C({}): pass", "{}\ndef f(): pass", "for {} in y: pass", "x[{}]",
        "x.{}",
        "def f() -> {}: pass", "async def f():\n    {}", "(a, {})", "f'{{{}}}'",
    ),
    "javascript": _JS,
    "typescript": (*_JS[:3], *_TS, *_JS[3:17], *_JS[19:]),
    "tsx": (*_JS[:3], *_TS, *_JS[3:]),
    "java": (
        "class C {{ Object x = {}; }}", "class C {{ void f() {{ {} }} }}", "class C {{ {} }}",
        "class C {{ {} x; }}",
        "class C {{ void f({}) {{}} }}", "class C {{ {} void f() {{}} }}", "interface I {{ {} }}",
        "enum E {{ {} }}",
        "class C {{ void f() {{ switch (x) {{ {} }} }} }}", "class C {{ void f() {{ try {{ }} {} }} }}",
        "class C {{ void f() {{ g({}); }} }}", "class C {{ void f() {} {{ }} }}", "class C {} {{ }}",
        "class C {{ @A({}) void f() {{}} }}", "class C {{ int {}; }}", "import {};", "class C<{}> {{ }}",
        "class C {{ List<{}> x; }}", "@interface A {{ {} }}", "class C {{ void f() {{ g{}; }} }}",
        "class C {{ void f() {} }}", "class C {{ void f{} {{ }} }}",
    ),
    "go": (
        "package p\nfunc f() {{ {} }}", "package p\nvar _ = {}", "package p\n{}", "package p\nvar x {}",
        "package p\nfunc f({}) {{}}", "package p\nimport ( {} )", "package p\ntype T struct {{ {} }}",
        "package p\ntype T interface {{ {} }}", "package p\nvar _ = T{{ {} }}",
        "package p\nfunc f() {{ switch x {{ {} }} }}", "package p\nconst ( {} )", "package p\nvar ( {} )",
        "package p\nfunc f() {} {{}}", "package p\nfunc ({}) f() {{}}", "package p\ntype ( {} )",
        "package p\nfunc f() {{ select {{ {} }} }}", "package p\nfunc f() {{ g({}) }}",
        "package p\nfunc f() {{ x.{} }}", "package p\nfunc f() {{ g{} }}",
        "package p\nfunc f() {{ switch x.(type) {{ {} }} }}",
        "package p\nfunc f{} {{}}", "package p\nfunc f() {}", "package p\nfunc f() {{ for {} {{}} }}",
        "package p\nvar _ = T{}",
    ),
    "rust": (
        "fn f() {{ {} }}", "fn f() {{ let _ = {}; }}", "struct S {{ {} }}", "impl S {{ {} }}",
        "trait T {{ {} }}",
        "enum E {{ {} }}", "fn f({}) {{}}", "fn f() -> {} {{}}", "use {};", "fn f() {{ match x {{ {} }} }}",
        "fn f() {{ S {{ {} }} }}", "fn f() {{ g({}) }}", "fn f() {{ x.{} }}", "fn f() {}", "fn f<{}>() {{}}",
        "{} fn f() {{}}",
    ),
    "c": (
        "void f() {{ {} }}", "int x = {};", "struct S {{ {} }};", "void f({}) {{}}", "enum E {{ {} }};",
        "void f() {{ switch (x) {{ {} }} }}", "int {};", "{} x;", "void f() {{ g({}); }}", "void f() {}",
    ),
    "cpp": (
        "void f() {{ {} }}", "int x = {};", "class C {{ {} }};", "struct S {{ {} }};", "void f({}) {{}}",
        "enum E {{ {} }};", "void f() {{ switch (x) {{ {} }} }}", "int {};", "{} x;", "void f() {{ g({}); }}",
        "namespace n {{ {} }}", "template <{}> void f();", "void f() {}", "std::vector<{}> x;",
    ),
    "ruby": (
        "f({})", "def f({})\n  x\nend", "class C\n  {}\nend", "x = {{ {} }}", "[{}]", "f do |{}|\n  x\nend",
        "case x\n{}\nend", "begin\n  x\n{}\nend", "if a\n  b\n{}\nend", "class C {}\nend", "x.{}", "f {}",
        "def f\n  {}\nend", "def f{}\n  x\nend", "f{}", "{{ {}: 1 }}", "begin\n  x\nrescue {} => e\n  y\nend",
        "begin\n  x\nrescue E {}\n  y\nend", "x = {}", "while a {}\nend", "f do\n  {}\nend", "f {{ {} }}",
        "x = %w[{}]", "->{} {{ x }}",
    ),
    "php": (
        "{};", "f({});", "class C {{ {} }}", "function f({}) {{}}", "function f() {{ {} }}", "$x = [{}];",
        "$x = {};", "function f(): {} {{}}", "function f({} $x) {{}}", "switch ($x) {{ {} }}",
        "$x = match ($y) {{ {} }};", "try {{}} {}", "if ($a) {{}} {}", "use {};", "use A\\{{ {} }};",
        "class C {} {{}}", "class C extends {} {{}}", "try {{}} catch ({} $e) {{}}", "$x->{};", "{}::f();",
        "new {}();", "f{};", "function f{} {{}}", "function f() {}", "class C {}", "#[{}]\nfunction f() {{}}",
        "{} function f() {{}}", "class C {{ {} function f() {{}} }}", "class C {{ public {}; }}",
        "class C {{ {} $x; }}", "class C {{ const {}; }}", "foreach ($a as {}) {{}}",
        "$x = function () use ({}) {{}};",
        "interface I {{ {} }}", "enum E {{ {} }}", "namespace {};", "if {} {{}}", "C::{};",
    ),
    "csharp": (
        "class C {{ void F() {{ {} }} }}", "class C {{ object x = {}; }}", "class C {{ {} }}",
        "class C {{ {} x; }}",
        "class C {{ void F({}) {{ }} }}", "class C {{ {} void F() {{ }} }}", "interface I {{ {} }}",
        "enum E {{ {} }}",
        "class C {{ void F() {{ switch (x) {{ {} }} }} }}", "class C {{ object x = y switch {{ {} }}; }}",
        "class C {{ void F() {{ try {{ }} {} }} }}", "class C {{ void F() {{ G({}); }} }}",
        "class C {{ void F() {{ G{}; }} }}", "class C {{ void F() {} }}", "class C {{ void F() {}; }}",
        "class C {{ void F{} {{ }} }}", "class C {} {{ }}", "class C : {} {{ }}", "class C<{}> {{ }}",
        "class C {{ List<{}> x; }}", "class C {{ List{} x; }}", "class C {{ int P {{ {} }} }}",
        "class C {{ int P {} }}", "class C {{ int {}; }}", "using {};", "namespace {};", "[{}] class C {{ }}",
        "[A({})] class C {{ }}", "{} class C {{ }}", "class C {{ object x = new T {{ {} }}; }}",
        "class C {{ object x = new T {}; }}", "class C {{ object x = $\"{{{}}}\"; }}",
        "class C {{ void F<T>() {} {{ }} }}", "class C {{ bool x = y is {}; }}",
        "class C {{ object x = {} => 1; }}",
        "class C {{ void F() {{ x.{}; }} }}", "class C {{ C() {} {{ }} }}",
        "class C {{ object x = from a in b {} select a; }}", "namespace N {{ {} }}", "class C {}",
        "interface I {}",
    ),
    "kotlin": (
        "fun f() {{ {} }}", "val x = {}", "class C {{ {} }}", "fun f({}) {{}}", "f({})", "val x: {} = y",
        "class C({})", "class C : {} {{}}", "when (x) {{ {} }}", "fun f() = try {{ }} {}",
        "enum class E {{ {} }}",
        "import {}", "{} fun f() {{}}", "{} class C", "fun <{}> f() {{}}", "fun f(): {} {{}}", "x.map {}",
        "x.map {{ {} }}", "x.map {{ {} -> y }}", "x{}", "f{}", "val {} = x", "fun f() {}", "fun f{} {{}}",
        "class C {}", "\"${{{}}}\"", "if (a) {} else b", "if (a) b else {}", "for ({} in y) {{}}",
        "val x: List<{}> = y", "val x: List{} = y", "object O {{ {} }}", "@A({}) fun f() {{}}", "package {}",
        "fun f() {{ {}\n}}", "@{} fun f() {{}}", "f {}",
    ),
}  # fmt: skip

_ENDS: Final = sorted(
    {tuple(wrapper.format("\0").split("\0")) for group in WRAPPERS.values() for wrapper in group}
)


def of_kinds(kinds: Sequence[str]) -> dict[str, Any]:
    """A matcher for a node of one of these kinds."""
    return {"any": [{"kind": kind} for kind in kinds]} if len(kinds) > 1 else {"kind": kinds[0]}


def selector_rule(
    pattern: str, kind: str, language: Language, literal: str = "", strict: bool = False
) -> dict[str, Any] | None:
    """The rule that matches `pattern` as a node of `kind`; `None` where no snippet gives it.

    The plain pattern is used where it parses to that kind, or to the only descendant of it.

    Args:
        pattern: with metavariables.
        kind: of the node that the pattern should match.
        language: of both.
        literal: the text that the pattern was made from; only snippets that make this text a node of
            the kind are tried.
        strict: match nodes of `kind` only, not their only descendant as well.
    """
    if re.fullmatch(r"\$(?:\$\$)?[A-Z_][A-Z0-9_]*", pattern.strip()):
        return {"kind": kind, "pattern": pattern}
    code = to_source(pattern, language)
    chain = _parse(code, language)
    if kind in chain:
        if strict and chain[-1] != kind:
            return {"pattern": {"context": pattern, "selector": kind}}
        return {"pattern": pattern}
    wrappers = _wrappers_for(literal, kind, language) if literal else WRAPPERS.get(language, ())
    for wrapper in wrappers:
        if _first_of_kind(wrapper, code, kind, language):
            return {"pattern": {"context": wrapper.format(pattern), "selector": kind}}
    return None


def is_wrapped(matcher: Mapping[str, Any]) -> bool:
    """Whether a matcher needs a snippet around its pattern, or a kind beside it."""
    return "kind" in matcher or isinstance(matcher["pattern"], dict)


def parses_as(text: str, kind: str, language: Language) -> bool:
    """Whether a text, alone or in one of the snippets, is a node of a kind."""
    return kind in _parse(text, language) or bool(_wrappers_for(text, kind, language))


@lru_cache(maxsize=1024)
def _wrappers_for(text: str, kind: str, language: Language) -> tuple[str, ...]:
    """The first few snippets that make a text a node of this kind."""
    wrappers = WRAPPERS.get(language, ())
    fit = (wrapper for wrapper in wrappers if _first_of_kind(wrapper, text, kind, language))
    return tuple(islice(fit, MAX_FIT))


@lru_cache(maxsize=4096)
def _parse(code: str, language: Language) -> tuple[str, ...]:
    """The kinds from a snippet's root to the pattern node; none where it does not parse."""
    root = SgRoot(code, language).root()
    if not _is_sound(root, code):
        return ()
    chain: list[str] = []
    node: SgNode | None = root
    while node is not None:
        chain.append(node.kind())
        children = node.children()
        single = len(children) == 1 or (len(children) == 2 and not children[1].text())
        node = children[0] if single else None
    if len(chain) == 1 and len(root.children()) > 1:
        return ()
    return tuple(chain)


def _is_sound(root: SgNode, source: str) -> bool:
    """Whether a text parses without errors: no node that the parser could not place or had to invent."""
    return all(node.kind() != grammars.ERROR and is_plain(node, source) for node in faults(root))


@lru_cache(maxsize=4096)
def _first_of_kind(wrapper: str, code: str, kind: str, language: Language) -> bool:
    """Whether the first node of a kind in a snippet is just the code that was put into it."""
    start = wrapper.format("\0").index("\0")
    root = SgRoot(wrapper.format(code), language).root()
    found = root.find(kind=kind)
    if found is None or not _is_sound(root, wrapper.format(code)):
        return False
    return span(found) == (start, start + len(code))


def unwrapped(context: str) -> str:
    """The pattern inside a snippet: its text without the wrapper.

    >>> unwrapped("class C { Object x = ($A); }"), unwrapped("function f() {}")
    ('($A)', '{}')
    """
    fit = [(len(a) + len(b), a, b) for a, b in _ENDS if context.startswith(a) and context.endswith(b)]
    _, before, after = max((one for one in fit if one[0] < len(context)), default=(0, "", ""))
    return context[len(before) : len(context) - len(after)]
