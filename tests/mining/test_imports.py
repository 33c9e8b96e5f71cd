"""What a file imports, and what the rules for a change of its imports do to another file."""

from __future__ import annotations

from typing import Any

import pytest
from ast_grep_py import SgRoot

from rulewright import engine
from rulewright.actions import Action
from rulewright.languages import Language
from rulewright.mining.rules import guards, import_rules, import_statements, imports
from rulewright.mining.rules.import_statements import Binding


@pytest.mark.parametrize(
    ("language", "text", "names"),
    [
        ("python", "import a.b\nfrom m import (\n    c as d,\n    e,\n)\n\n\ndef f():\n    import g\n",
         {("a.b", "a"), ("m", "d"), ("m", "e")}),
        ("javascript", "import { a, b as c } from 'm';\nconst { d } = require('n');\nconst e = 1;\n",
         {("m", "a"), ("m", "c"), ("n", "d")}),
        ("go", 'package p\n\nimport (\n\t"io/ioutil"\n\tq "x/y"\n)\n',
         {("io/ioutil", "ioutil"), ("x/y", "q")}),
        ("java", "import a.B;\nimport static c.D.e;\n\nclass A {}\n", {("a.B", "B"), ("c.D.e", "e")}),
        ("rust", "use a::{B, C};\n", {("a", "B"), ("a", "C")}),
        ("kotlin", "import a.B\nimport c.D as E\n\nval x = 1\n", {("a.B", "B"), ("c.D", "E")}),
        ("ruby", "require 'a'\n", set()),
        # A list may hold paths and lists: each name with its own module.
        ("rust", "use a::{b::C, d::{E, f::G as H}, I};\n",
         {("a::b", "C"), ("a::d", "E"), ("a::d::f", "H"), ("a", "I")}),
        ("php", "<?php\nuse A\\{B\\C, D};\n", {("A\\B", "C"), ("A", "D")}),
        # Several imports in one statement, each of its own module; and what else a statement may begin with.
        ("python", "import a, b.c as d\n", {("a", "a"), ("b.c", "d")}),
        ("javascript", "var a = require('m'),\n  { b, c } = require('n'),\n  d = 1;\n",
         {("m", "a"), ("n", "b"), ("n", "c")}),
        ("php", "<?php\nuse A\\B, C\\D as E;\n", {("A\\B", "B"), ("C\\D", "E")}),
        ("typescript", "import a = require('m');\n", {("m", "a")}),
        ("rust", "pub(crate) use a::B;\n", {("a::B", "B")}),
        ("rust", "use a::{self as b, c::*, self};\n", {("a", "b")}),
        ("kotlin", "import a.`when`\n\nval x = 1\n", {("a.`when`", "`when`")}),
        # What a list gives: a name beside its default, the names in a pattern; a type is no value.
        ("javascript", "const { a = b, c: { d }, ...e } = require('m').f('n');\n",
         {("m", "a"), ("m", "d"), ("m", "e")}),
        ("typescript", "const { a } = require('m') as { a: string };\n", {("m", "a")}),
        ("javascript", "const f = () => {\n  const b = require('m');\n  return b;\n};\n", set()),
        # A comment names nothing.
        ("python", "from a import (\n    b,  # c\n    # d\n)\n", {("a", "b")}),
        ("javascript", "import {\n  a, // it's b\n  /* c */\n} from 'https://d/e';\n",
         {("https://d/e", "a")}),
        ("rust", "use a::{\n    B, // C\n};\n", {("a", "B")}),
        # Names are of letters of any language; of JavaScript also with `$`.
        ("python", "from a import élan\n", {("a", "élan")}),
        ("javascript", "import { $a, b$ as $ } from 'm';\n", {("m", "$a"), ("m", "$")}),
        # The last part of a Go path may be a version, or not tell the name of the package.
        ("go", 'package p\n\nimport (\n\t"x/a/v2"\n\t"x/b.v3"\n\t"x/go-c"\n)\n',
         {("x/a/v2", "a"), ("x/b.v3", "b")}),
    ],
)  # fmt: skip
def test_the_names_that_a_file_imports(language: Language, text: str, names: set[tuple[str, str]]) -> None:
    assert {(one.module, one.name) for one in imports.bindings(text, language)} == names


@pytest.mark.parametrize(
    ("language", "text"),
    [
        ("python", "from a import *"), ("python", "imported = 1"), ("python", "import $A"),
        ("javascript", "import 'a';"), ("javascript", "require('a');"),
        ("javascript", "export { b } from 'a';"), ("java", "import a.*;"),
        ("rust", "use a::{self};"), ("go", "f()"), ("go", 'f.G(x, "a")'),
        ("ruby", "require 'a'"),
    ],
)  # fmt: skip
def test_what_binds_no_name_is_no_import(language: Language, text: str) -> None:
    assert import_statements.parse_import(text, language) is None


@pytest.mark.parametrize(
    ("language", "text", "module", "names"),
    [
        ("javascript", "import type { A, B as C } from 'a';", "a", {"A", "C"}),
        ("javascript", "import d, { e } from 'a';", "a", {"d", "e"}),
        ("javascript", "const f = await import('a');", "a", {"f"}),
        ("javascript", "var { g: h } = require('a')", "a", {"h"}),
        ("rust", "pub use a::b::{self, C};", "a::b", {"C"}),
        ("php", "use function A\\B\\c;", "A\\B\\c", {"c"}),
        ("go", 'd "a/b"', "a/b", {"d"}),
        ("python", "import a.b as c", "a.b", {"c"}),
        ("python", "from a.b import c as d, e", "a.b", {"d", "e"}),
        ("python", "import a.b", "a.b", {"a"}),
        ("javascript", "import {a as b, c} from 'm'", "m", {"b", "c"}),
        ("javascript", "const {a: q, z} = require('m');", "m", {"q", "z"}),
        ("java", "import static a.b.C;", "a.b.C", {"C"}),
        ("go", 'import q "io/ioutil"', "io/ioutil", {"q"}),
        ("rust", "use a::b::{C, D};", "a::b", {"C", "D"}),
        ("rust", "use a::b::C as E;", "a::b::C", {"E"}),
        ("kotlin", "import a.b.C", "a.b.C", {"C"}),
        ("kotlin", "import a.b.C as E", "a.b.C", {"E"}),
        ("php", r"use A\B\C;", r"A\B\C", {"C"}),
        ("php", r"use A\B\{C, D as E};", r"A\B", {"C", "E"}),
    ],
)  # fmt: skip
def test_what_an_import_binds(language: Language, text: str, module: str, names: set[str]) -> None:
    assert import_statements.parse_import(text, language) == import_statements.Import(
        frozenset(names), module
    )


def test_the_lines_of_a_file_without_its_imports() -> None:
    text = "# top\n\nimport a\nfrom b import (\n    c,\n)\n\n\nx = 1\n\ny = 2\n"
    assert imports.code_lines(text, "python") == ["# top", "x = 1", "", "y = 2"]
    assert imports.code_lines("x = 1\n\ny = 2\n", "python") == ["x = 1", "", "y = 2"]
    assert imports.code_lines("require 'a'\nx = 1\n", "ruby") == ["require 'a'", "x = 1"]


@pytest.mark.parametrize(
    ("language", "pre", "post", "apart"),
    [
        ("python", "import a\nx = a.f(1)\n", "import b\nx = b.f(1)\n", "import a\nx = b.f(1)\n"),
        ("python", "import a\nx = f(1)\n", "import a\nimport b\nx = b.f(1)\n", "import a\nx = b.f(1)\n"),
        ("python", "import a\nimport b\n\nx = b.f(1)\n", "import a\n\nx = f(1)\n",
         "import a\nimport b\n\nx = f(1)\n"),
        ("python", "import a\n# why\nx = f(1)\n", "import b\n# what\nx = f(1)\n",
         "import a\n# what\nx = f(1)\n"),
        ("python", "import a\n\nx = 1\n", "x = 2\n", "import a\nx = 2\n"),
        ("python", "import a\ny = 1\nx = 1\n", "y = 1\nx = 2\n", "import a\ny = 1\nx = 2\n"),
        ("python", "x = f(1)\n", "import a\n\nx = f(1)\n", "x = f(1)\n"),
        ("java", "import a.B;\nclass C {}\n", "import b.B;\nclass D {}\n", "import a.B;\nclass D {}\n"),
        ("python", "import a\nx = f(1)\n", "import a\nx = g(1)\n", None),
        ("javascript", "import { a } from 'm';\na(1);\n", "import { a } from 'n';\na(2);\n", None),
        ("javascript", "import { a } from 'm';\na(1);\n", "import { b } from 'm';\nb(1);\n",
         "import { a } from 'm';\nb(1);\n"),
        ("go", 'package p\n\nimport "a"\n', 'package p\n\nimport "b"\n', None),
    ],
)  # fmt: skip
def test_a_change_is_told_apart_from_that_of_its_imports(
    language: Language, pre: str, post: str, apart: str | None
) -> None:
    assert imports.post_with_old_imports(pre, post, language) == apart


def test_a_name_that_is_used_must_come_from_somewhere() -> None:
    names = frozenset({"b", "c"})
    assert imports.unbound_name("import a\nx = b.f(1)\n", names, "python") == "b"
    assert imports.unbound_name("import b\nx = b.f(1)\n", names, "python") == ""
    assert imports.unbound_name("import b\nx = b.f(c)\n", names, "python") == "c"
    assert imports.unbound_name("x = a.b(1)\n", names, "python") == "", "a member is another thing"
    assert imports.unbound_name("x = bc\n", names, "python") == ""


def after(
    language: Language, gone: dict[tuple[str, str], str], come: dict[tuple[str, str], str], code: str
) -> str:
    made = import_rules.rules_for_imports(
        {Binding(*one): text for one, text in gone.items()},
        {Binding(*one): text for one, text in come.items()},
        language,
    )
    return engine.apply(Action(language, tuple(made)), code).post or code


OS = {("os", "os"): "import os"}
PATH = {("pathlib", "Path"): "from pathlib import Path"}
AS = {("kit", "d"): "from kit import c as d, e"}
TWO = tuple({(kit, name): f"from {kit} import A, B" for name in "AB"} for kit in ("kit", "kit.base"))
MAP = {("kit", "Map"): "from kit import Map"}, {("kit.base", "Map"): "from kit.base import Map"}


@pytest.mark.parametrize(
    ("gone", "come", "code", "wanted"),
    [
        # An import goes where nothing uses it any more, wherever it stands.
        (OS, {}, "import os\nimport sys\nsys.exit(1)\n", "import sys\nsys.exit(1)\n"),
        (OS, {}, "import sys\nimport os\nsys.exit(1)\n", "import sys\nsys.exit(1)\n"),
        (OS, {}, "import os\nos.exit(1)\n", "import os\nos.exit(1)\n"),
        (OS, {}, "import os\nsys.os(1)\n", "sys.os(1)\n"),
        # One of several names goes from their list.
        (PATH, {}, "from pathlib import Path, PurePath\nf(PurePath)\n",
         "from pathlib import PurePath\nf(PurePath)\n"),
        (PATH, {}, "from pathlib import PurePath, Path\nf(PurePath)\n",
         "from pathlib import PurePath\nf(PurePath)\n"),
        # One comes, after the last, where a name is used that nothing binds.
        ({}, PATH, "import sys\nx = Path(1)\n", "import sys\nfrom pathlib import Path\nx = Path(1)\n"),
        ({}, PATH, "import sys\nx = 1\n", "import sys\nx = 1\n"),
        # The note behind an import stays behind it.
        ({}, PATH, "import os\nimport sys  # noqa: F401\nx = Path(1)\n",
         "import os\nfrom pathlib import Path\nimport sys  # noqa: F401\nx = Path(1)\n"),
        ({}, PATH, "import os  # noqa\nx = Path(1)\n", "import os  # noqa\nx = Path(1)\n"),
        ({}, PATH, "import os\n\n# Places.\nx = Path(1)\n",
         "import os\nfrom pathlib import Path\n\n# Places.\nx = Path(1)\n"),
        # Of several imports in one statement each binds its name.
        ({}, OS, "import os, sys\nos.exit(1)\n", "import os, sys\nos.exit(1)\n"),
        ({}, PATH, "import Path\nx = Path(1)\n", "import Path\nx = Path(1)\n"),
        ({}, PATH, "import sys\nclass Path: pass\nx = Path(1)\n",
         "import sys\nclass Path: pass\nx = Path(1)\n"),
        ({}, OS, "import sys\nx.os(1)\n", "import sys\nx.os(1)\n"),
        # The name of an argument is no use.
        ({}, OS, "import sys\nf(os=1)\n", "import sys\nf(os=1)\n"),
        ({}, OS, "import sys\nf(x=os)\n", "import sys\nimport os\nf(x=os)\n"),
        (OS, {}, "import sys\nimport os\nf(os=1)\n", "import sys\nf(os=1)\n"),
        # With the name that it has in the file, alone or out of a list.
        ({}, AS, "import sys\nd(1)\n", "import sys\nfrom kit import c as d\nd(1)\n"),
        (AS, {}, "from kit import c as d, e\ne(1)\n", "from kit import e\ne(1)\n"),
        (AS, {}, "from kit import c as d\ne(1)\n", "e(1)\n"),
        # Several names move at once where they stand alone, else one by one.
        (*TWO, "from kit import A, B\nf(A, B)\n", "from kit.base import A, B\nf(A, B)\n"),
        (*TWO, "from kit import A\nf(A)\n", "from kit.base import A\nf(A)\n"),
        (*TWO, "from kit import A, B, C\nf(A, B, C)\n",
         "from kit import C\nfrom kit.base import A, B\nf(A, B, C)\n"),
        # One moves, whole or out of its list.
        (*MAP, "from kit import Map\nf(Map)\n", "from kit.base import Map\nf(Map)\n"),
        (*MAP, "from kit import Seq\nf(Seq)\n", "from kit import Seq\nf(Seq)\n"),
        (*MAP, "from kit import Map, Seq\nfrom kit.base import Map\nf(Map)\n",
         "from kit import Seq\nfrom kit.base import Map\nf(Map)\n"),
        (*MAP, "from kit import Map, Seq\nf(Map, Seq)\n",
         "from kit import Seq\nfrom kit.base import Map\nf(Map, Seq)\n"),
    ],
)  # fmt: skip
def test_what_the_rules_for_imports_do_to_another_file(
    gone: dict[tuple[str, str], str], come: dict[tuple[str, str], str], code: str, wanted: str
) -> None:
    assert after("python", gone, come, code) == wanted


FORMS = [
    (name, "import D, * as ns from 'm';", wanted)
    for name, wanted in (("D", "import D from 'm';"), ("ns", "import * as ns from 'm';"))
] + [
    (name, "import D, { a, b as c1 } from 'm';", wanted)
    for name, wanted in (
        ("D", "import D from 'm';"), ("a", "import { a } from 'm';"), ("c1", "import { b as c1 } from 'm';"),
    )
]  # fmt: skip
REQUIRED = [
    ("c1", "const { b: c1, d } = require('m');", "const { b: c1 } = require('m');"),
    ("d", "const { b: c1, d } = await import('m');", "const { d } = await import('m');"),
]
"""A name, the statement of several that binds it, and the statement for it alone."""


@pytest.mark.parametrize(
    ("language", "gone", "come", "code", "wanted"),
    [
        ("javascript", {("m", "a"): "const { a } = require('m');"}, {},
         "const { b } = require('n');\nconst { a } = require('m');\n\nb(1);\n",
         "const { b } = require('n');\n\nb(1);\n"),
        ("javascript", {}, {("m", "a"): "import { a, b } from 'm';"}, "import { c } from 'n';\n\na(c);\n",
         "import { c } from 'n';\nimport { a } from 'm';\n\na(c);\n"),
        ("javascript", {}, {("m", "a"): "const { a, b } = require('m');"},
         "const { c } = require('n');\n\na(c);\n",
         "const { c } = require('n');\nconst { a } = require('m');\n\na(c);\n"),
        # In the quotes and with the end that the statement of the change has.
        ("javascript", {}, {("m", "a"): 'import { a, b } from "m"'}, 'import { c } from "n"\n\na(c)\n',
         'import { c } from "n"\nimport { a } from "m"\n\na(c)\n'),
        ("javascript", {}, {("m", "b"): "import { a as b, d } from 'm';"},
         "import { c } from 'n';\n\nb(c);\n",
         "import { c } from 'n';\nimport { a as b } from 'm';\n\nb(c);\n"),
        ("javascript", {}, {("m", "a"): 'let { a, b } = require("m")'},
         'const { c } = require("n")\n\na(c)\n',
         'const { c } = require("n")\nlet { a } = require("m")\n\na(c)\n'),
        ("javascript", {("m", "a"): "import { a, b } from 'm';"}, {},
         "import { a, b } from 'm';\n\nb(1);\n", "import { b } from 'm';\n\nb(1);\n"),
        ("javascript", {("m", "a"): "import { a, b } from 'm';"}, {},
         "import { b, a } from 'm';\n\nb(1);\n", "import { b } from 'm';\n\nb(1);\n"),
        ("javascript", {("m", "a"): "import { a, b } from 'm';"}, {},
         "import { a } from 'm';\nimport { b } from 'n';\n\nb(1);\n",
         "import { b } from 'n';\n\nb(1);\n"),
        ("typescript", {("m", "A"): "import type { A, B } from 'm';"}, {},
         "import type { A, B } from 'm';\n\nlet b: B;\n", "import type { B } from 'm';\n\nlet b: B;\n"),
        ("php", {("A\\B", "B"): "use A\\B;"}, {}, "<?php\nuse X\\Y;\nuse A\\B;\n\nf(new Y());\n",
         "<?php\nuse X\\Y;\n\nf(new Y());\n"),
        ("javascript", {("m", "a"): "import d, { a, b } from 'm';"}, {},
         "import d, { a, b } from 'm';\n\nd(b);\n", "import d, { b } from 'm';\n\nd(b);\n"),
        ("php", {}, {("A\\B", "C"): "use A\\B\\{C, D};"}, "<?php\nuse X\\Y;\n\nf(new C());\n",
         "<?php\nuse X\\Y;\nuse A\\B\\C;\n\nf(new C());\n"),
        ("kotlin", {}, {("c.D", "E"): "import c.D as E"}, "import a.B\n\nval x = E(B)\n",
         "import a.B\nimport c.D as E\n\nval x = E(B)\n"),
        ("java", {}, {("a.B", "B"): "import a.B;"}, "import c.D;\n\nclass E { B d; }\n",
         "import c.D;\nimport a.B;\n\nclass E { B d; }\n"),
        ("java", {}, {("a.B", "B"): "import a.B;"}, "import c.D;\n\nclass B { D d; }\n",
         "import c.D;\n\nclass B { D d; }\n"),
        # Of Go an import that nothing uses goes, and none comes.
        ("go", {("io/ioutil", "ioutil"): '"io/ioutil"'}, {},
         'package p\n\nimport (\n\t"io"\n\t"io/ioutil"\n)\n\nfunc f() { io.F() }\n',
         'package p\n\nimport (\n\t"io"\n)\n\nfunc f() { io.F() }\n'),
        ("go", {("io/ioutil", "ioutil"): '"io/ioutil"'}, {},
         'package p\n\nimport (\n\t"io/ioutil"\n)\n\nfunc f() { ioutil.F() }\n',
         'package p\n\nimport (\n\t"io/ioutil"\n)\n\nfunc f() { ioutil.F() }\n'),
        ("rust", {("a", "B"): "use a::{B, C};"}, {}, "use a::B;\nuse x::Y;\n\nfn f(y: Y) {}\n",
         "use x::Y;\n\nfn f(y: Y) {}\n"),
        ("rust", {}, {("a", "B"): "use a::{B, C};"}, "use x::Y;\n\nfn f(y: Y) -> B { g(y) }\n",
         "use x::Y;\nuse a::B;\n\nfn f(y: Y) -> B { g(y) }\n"),
        ("java", {("a.B", "B"): "import a.B;"}, {}, "import a.B;\nimport c.D;\n\nclass E { D d; }\n",
         "import c.D;\n\nclass E { D d; }\n"),
        # Each name of a statement comes in its own form: the default, the whole module, one of the list.
        *[("javascript", {}, {("m", name): statement}, f"import {{ c }} from 'n';\n\n{name}(c);\n",
           f"import {{ c }} from 'n';\n{wanted}\n\n{name}(c);\n") for name, statement, wanted in FORMS],
        *[("javascript", {}, {("m", name): statement}, f"const {{ c }} = require('n');\n\n{name}(c);\n",
           f"const {{ c }} = require('n');\n{wanted}\n\n{name}(c);\n")
          for name, statement, wanted in REQUIRED],
        ("typescript", {}, {("m", "A"): "import type { A, B } from 'm'"},
         "import { c } from 'n'\n\nlet a: A = c\n",
         "import { c } from 'n'\nimport type { A } from 'm'\n\nlet a: A = c\n"),
        ("rust", {}, {("a::b", "C"): "use a::{b::C, D};"}, "use x::Y;\n\nfn f(y: Y) -> C { g(y) }\n",
         "use x::Y;\nuse a::b::C;\n\nfn f(y: Y) -> C { g(y) }\n"),
        ("php", {}, {("A", "b"): "use function A\\{b, c};"}, "<?php\nuse X\\Y;\n\nb(new Y());\n",
         "<?php\nuse X\\Y;\nuse function A\\b;\n\nb(new Y());\n"),
        ("javascript", {("m", "D"): "import D, { a } from 'm';"}, {},
         "import { c } from 'n';\nimport D from 'm';\n\nc(1);\n", "import { c } from 'n';\n\nc(1);\n"),
        # A name with `$` is another one than without.
        ("javascript", {("m", "$a"): "import { $a } from 'm';"}, {},
         "import { b } from 'n';\nimport { $a } from 'm';\n\nb($a);\n",
         "import { b } from 'n';\nimport { $a } from 'm';\n\nb($a);\n"),
        ("javascript", {("m", "$a"): "import { $a } from 'm';"}, {},
         "import { b } from 'n';\nimport { $a } from 'm';\n\nb(a);\n", "import { b } from 'n';\n\nb(a);\n"),
        # A module is no part of the name of another one.
        ("javascript", {("m", "a"): "import { a } from 'm';"}, {("m2", "a"): "import { a } from 'm2';"},
         "import { a, b } from 'm-x';\n\na(b);\n", "import { a, b } from 'm-x';\n\na(b);\n"),
    ],
)  # fmt: skip
def test_imports_of_other_languages(
    language: Language,
    gone: dict[tuple[str, str], str],
    come: dict[tuple[str, str], str],
    code: str,
    wanted: str,
) -> None:
    assert after(language, gone, come, code) == wanted


def test_what_a_file_binds_comes_in_one_order_in_every_run() -> None:
    found = imports.bindings("from kit import h, c, a, g, b, f, e, d\n", "python")
    assert [one.name for one in found] == [*"abcdefgh"]


def test_what_a_file_must_use_outside_of_its_imports() -> None:
    root = {"kind": "program", "stopBy": "end"}
    kinds = {"any": [{"kind": "identifier"}, {"kind": "type_identifier"}], "regex": "^(Old)$"}
    away = {"inside": {"kind": "import_declaration", "stopBy": "end"}}
    member = {"follows": {"regex": r"^(\.|\?\.|::)$"}}
    argument = {"precedes": {"regex": "^[=:]$"}, "inside": {"kind": "element_value_pair"}}
    assert guards.file_uses(frozenset({"Old"}), "java") == {
        "inside": {**root, "has": {**kinds, "not": {"any": [away, member, argument]}, "stopBy": "end"}}
    }
    within = {"inside": {"kind": "block", "stopBy": "end"}}
    used = guards.file_uses(frozenset({"Old"}), "java", {"kind": "block"})
    assert used["inside"]["has"]["not"]["any"] == [away, within, member, argument]


@pytest.mark.parametrize(
    ("word", "language", "text", "name"),
    [
        ("kit", "python", "from kit.all import Shelf\n", "Shelf"),
        ("all", "python", "from kit.all import Shelf\n", "Shelf"),
        ("kit-box", "javascript", "import { a } from 'kit-box/b';\n", "a"),
        ("kit", "javascript", "const { a } = require('kit');\n", "a"),
        ("Kit", "java", "import a.Kit.Shelf;\n", "Shelf"),
        ("kit", "java", "import my.kit.box.A;\n", "box"),
        ("kit", "rust", "use kit::Shelf;\n", "Shelf"),
        # A part of a word, the module itself, or all of it under another name.
        ("al", "python", "from kit.all import Shelf\n", ""),
        ("kit", "python", "from kit import kit\n", ""),
        ("kit", "python", "import kit as Shelf\n", ""),
        ("kit", "javascript", "import a from 'kit';\n", ""),
        ("kit", "javascript", "const a = require('kit');\n", ""),
        # A package that follows in all paths.
        ("kit", "java", "import kit.box.Shelf;\n", "box"),
        ("kit", "java", "import kit.box.Shelf;\nimport kit.jar.Lid;\n", ""),
    ],
)
def test_the_one_name_from_a_module(word: str, language: Language, text: str, name: str) -> None:
    assert imports.only_import_from(word, text, language) == name


@pytest.mark.parametrize(
    ("language", "code", "is_there"),
    [
        ("javascript", "const old = require('kit');", True),
        ("javascript", "const { old, b } = await import('kit');", True),
        ("javascript", "const a = () => old(1);", False),
        ("typescript", "import { old } from 'kit';", True),
        ("typescript", "let a = { old: require('kit') };", False),
    ],
)
def test_a_declaration_that_requires_nothing_is_no_import(
    language: Language, code: str, is_there: bool
) -> None:
    rule = {"pattern": "f($A)", **guards.file_binds(frozenset({"old"}), language)}
    found = engine.apply(Action(language, ({"rule": rule, "fix": "g($A)"},)), f"{code}\nf(1);\n")
    assert (found.post == f"{code}\ng(1);\n") is is_there


@pytest.mark.parametrize(
    ("language", "code", "n"),
    [
        ("rust", "fn f() -> old { old::g(z::old, |x| old) }", 3),
        ("kotlin", "val a = b.map(::old, z::old, z?.old) { x -> old }", 2),
        ("php", "<?php f(fn($x) => old, $z->old, $z?->old, Z::old, $old, old: 1);", 1),
        ("java", "class A { B f = x -> old(z.old, y::old, old::h); }", 2),
    ],
)
def test_a_name_behind_what_it_is_taken_from_is_another_one(language: Language, code: str, n: int) -> None:
    rule: Any = {"rule": guards.spelled("old", language)}
    assert len(list(SgRoot(code, language).root().find_all(rule))) == n
