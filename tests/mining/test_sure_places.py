"""What a change made by hand does not show: such places elsewhere are possible, or no places at all."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from rulewright import cli
from rulewright.actions.action import Action
from rulewright.mining.by_hand import doubts, replay
from rulewright.mining.by_hand.diffs import Change


class Case(NamedTuple):
    """A file before and after a change by hand, another file, and why its places are not sure."""

    suffix: str
    pre: str
    post: str
    other: str
    why: str


def like(
    folder: Path, case: Case, capsys: pytest.CaptureFixture[str]
) -> tuple[list[dict[str, Any]], str, str]:
    """The places in the other file, its text after the sure ones were written, and what was said."""
    for name, text in (("before", case.pre), ("after", case.post), ("other", case.other)):
        (folder / f"{name}{case.suffix}").write_text(text)
    names = [str(folder / f"{name}{case.suffix}") for name in ("before", "after", "other")]
    cli.main(["edit", "--like", *names, "--json", "--write"])
    told = capsys.readouterr()
    rows = [json.loads(line) for line in told.out.splitlines()][:-1]
    said = " ".join([told.err, *(row["why"] for row in rows)])
    return rows, (folder / f"other{case.suffix}").read_text(), said


_TEXTS = (
    "import form\n\n\ndef b(it):\n    return form.text_of(it)\n\n\n"
    "def c(it, n):\n    return form.text_of(it.all(n))\n"
)
_LONG_TEXTS = _TEXTS.replace("form\n", "form\n\nLONG = True\n", 1).replace(")\n\n", ", LONG)\n\n")
_LONG_TEXTS = _LONG_TEXTS.replace("n))", "n), LONG)").replace("def b(it, LONG)", "def b(it)")

_HUBS = (
    "class A {\n    int a;\n    int b;\n\n    void F() {\n        Get(Settings.HubName);\n    }\n\n"
    "    void G() {\n        Put(Settings.HubName, 3);\n    }\n}\n"
)

_CASES = (
    "from unittest import TestCase\n\n\nclass A({}):\n    def test(self):\n        self.{}\n        self.{}\n"
)
_PARTS = (
    "import {{ Part }} from 'parts';\n\n"
    "class A extends {} {{\n  f() {{\n    this.{};\n    this.{};\n  }}\n}}\n"
)
_OWN_CHECK = "\n    def check(self): pass\n"

FAR = "b = 2\n" * 9
"""Lines between a change and what its diff does not show."""

_TOKENS = "package p\n\ntype a interface {\n\tToken(b) c\n}\n\nfunc f() {\n\tg(cfg.Token(b))\n}\n"
_TAKEN = "package p\n\nfunc h() {\n\treturn answer.Token\n}\n"

_MODES = (
    "rows = cache.find_rows(OldMode.ALL, 1)\nmore = pick(OldMode.SOME, OldMode.ALL)\n"
    "rest = store.find_rows(OldMode.SOME)\n\n\ndef f(it: OldMode): ...\n"
)
_NEW_MODES = _MODES.replace("find_rows", "load_rows").replace("OldMode", "Mode")

POSSIBLE = {
    "a property that is defined, of which the change shows uses only": Case(
        ".kt", "val x = f(call.localRoute)\nval y = call.localRoute.size\n",
        "val x = f(call.place)\nval y = call.place.size\n",
        "class A : B() {\n    override val localRoute = object : C {}\n}\n", "it is defined there",
    ),
    "an import of everything in a file that uses nothing of it that the change shows": Case(
        ".kt", "import org.acme.logs.*\n\nval x: OldLog = y\nval z: OldLog = w\n",
        "import org.api.*\n\nval x: FreshLog = y\nval z: FreshLog = w\n",
        "import org.acme.logs.*\n\nval log = OtherLog()\n",
        "whether the file uses what it brings is not said",
    ),
    "a call with more arguments than the change shows": Case(
        ".js", "x = row.firstPart(1);\ny = f(it).firstPart(2);\n", "x = row.cut(1);\ny = f(it).cut(2);\n",
        "z = row.firstPart(1, 2);\n", "it is called with 2 arguments there",
    ),
    "a call with a named argument that the change does not show": Case(
        ".py", "import kit\n\nx = kit.load(f)\ny = kit.load(g())\n",
        "import kit\n\nx = kit.safe_load(f)\ny = kit.safe_load(g())\n",
        "import kit\n\nz = kit.load(h, Loader=kit.All)\n", "it is called with `Loader` there",
    ),
    "a call without arguments, of which the change shows none": Case(
        ".java", "class A {\n    void f() { Kit.printLine(1); Kit.printLine(x); }\n}\n",
        "class A {\n    void f() { Kit.info(1); Kit.info(x); }\n}\n",
        "class B {\n    void g() { Kit.printLine(); }\n}\n", "it is called with no arguments there",
    ),
    "a call of another function with spread arguments": Case(
        ".php", "<?php\n$a = old_text($x);\n$b = old_text(f($y));\n",
        "<?php\n$a = any_part($x);\n$b = any_part(f($y));\n", "<?php\n$c = old_text(...$z);\n",
        "it is called with spread arguments there",
    ),
    "a member of another base": Case(
        ".py", _CASES.format("TestCase", "assertEquals(f(1), 2)", "assertEquals(g(), 'x')"),
        _CASES.format("TestCase", "assertEqual(f(1), 2)", "assertEqual(g(), 'x')"),
        _CASES.format("Other", "assertEquals(a, b)", "stop()"), "",
    ),
    "a member of a base of another module": Case(
        ".py", _CASES.format("TestCase", "assertEquals(f(1), 2)", "assertEquals(g(), 'x')"),
        _CASES.format("TestCase", "assertEqual(f(1), 2)", "assertEqual(g(), 'x')"),
        _CASES.format("TestCase", "assertEquals(a, b)", "stop()").replace("unittest", "ours.tests"), "",
    ),
    "a member that the class has itself": Case(
        ".py", _CASES.format("TestCase", "check(f(1), 2)", "check(g(), 'x')") + _OWN_CHECK,
        _CASES.format("TestCase", "verify(f(1), 2)", "verify(g(), 'x')") + _OWN_CHECK,
        _CASES.format("TestCase", "check(a, b)", "stop()"), "`self` is of another class elsewhere",
    ),
    "a member of a base that the file has itself": Case(
        ".py", _CASES.format("Local", "check(f(1), 2)", "check(g(), 'x')"),
        _CASES.format("Local", "verify(f(1), 2)", "verify(g(), 'x')"),
        _CASES.format("Local", "check(a, b)", "stop()"), "`self` is of another class elsewhere",
    ),
    "a call where what always changes with it is not": Case(
        ".py", _MODES, _NEW_MODES, "x = db.find_rows(3)\n", "it is always a part of a larger change",
    ),
    "a compound name that one place shows": Case(
        ".py", "size = depth_limit\n", "size = level_limit\n", "print(depth_limit)\n",
        "it renames every `depth_limit`",
    ),
    "a member of one word that begins as types do": Case(
        ".go", _TOKENS, _TOKENS.replace("Token", "FreshToken"), _TAKEN, "it renames every `Token`",
    ),
    "the line that was changed, where its variable may be another": Case(
        ".py", "def f(rows):\n    other = 1\n    use(rows.first())\n",
        "def f(rows):\n    other = 1\n    use(other.first())\n",
        "def g(rows):\n    use(rows.first())\n", "is a variable of",
    ),
    "the line that was changed, where another like it was left": Case(
        ".py", "class A:\n    name: str = None\n\n\nclass B:\n    name: str = None\n",
        "class A:\n    name: str\n\n\nclass B:\n    name: str = None\n",
        "class C:\n    name: str = None\n", "tier literal",
    ),
    "a value between values of its kind": Case(
        ".py", 'EDGE = (2, 1, 0)\n\nLABEL = ".".join(EDGE[0:3])\n',
        'EDGE = (2, 1, 0, "rc")\n\nLABEL = ".".join(EDGE[0:3])\n', "SIZE = (0, 4, 0)\n",
        "a constant, a number or one letter",
    ),
    "a pattern of no name": Case(
        ".py", "class A:\n    name: str = None\n    size: int = None\n",
        "class A:\n    name: str\n    size: int\n", "class B:\n    held: Rows = None\n",
        "it asks for no name",
    ),
    "one call that is put into something": Case(
        ".py", "x = join(xs) + 1\n", "x = (await join(xs)) + 1\n", "y = join(ys) + 2\n",
        "one place alone shows that something is put around it",
    ),
    "a value by its spelling, whatever it is called then": Case(
        ".py", "size = depth_limit\n", "size = DepthLimit\n", "print(depth_limit)\n",
        "it renames every `depth_limit`",
    ),
    "an import whose uses nobody can tell": Case(
        ".cs", "using System;\nusing Acme.Core;\n\nclass A { }\n", "using System;\n\nclass A { }\n",
        "using System;\nusing Acme.Core;\n\nclass B { Core x; }\n", "an import goes",
    ),
    "a line that moves": Case(
        ".cs", "class A {\n    readonly string _host;\n    Formatter _form;\n\n    int n = Run(1);\n}\n",
        "class A {\n    readonly Formatter _form;\n    readonly string _host;\n\n    int n = Run(1);\n}\n",
        "class B {\n    int _n;\n    Formatter _form;\n}\n", "what it takes away stands elsewhere",
    ),
    "a namespace, and a class that is defined": Case(
        ".php", "<?php\n\nput(Output::QUIET);\nput(Output::VERBOSE);\n",
        "<?php\n\nput(AnyOutput::QUIET);\nput(AnyOutput::VERBOSE);\n",
        "<?php\n\nnamespace Acme\\Output;\n\nclass Output implements AnyOutput\n{\n}\n",
        "it is a part of a namespace there",
    ),
    "a class of Kotlin that is defined": Case(
        ".kt", "package a\n\nfun f(x: FastClock): FastClock = x\n",
        "package a\n\nfun f(x: MockClock): MockClock = x\n", "package a\n\nclass FastClock { }\n",
        "it is defined there",
    ),
    "a value whose uses change as well": Case(
        ".js", "const SEEN = Symbol();\nf(Symbol());\nif (node[SEEN]) f();\n",
        "const SEEN = new WeakSet();\nf(Symbol());\nif (SEEN.has(node)) f();\n", "const NAME = Symbol();\n",
        "it is always a part of a larger change",
    ),
    "a call whose text below it changes, too": Case(
        ".rb", "it 'a' do\n  old_check(<<-CODE)\n    x = 1\n    y = 2\n  CODE\nend\n",
        "it 'a' do\n  fresh_check(<<-CODE)\n    x = 1\n    ^ too short\n    y = 2\n  CODE\nend\n",
        "it 'b' do\n  old_check('z = 3')\nend\n", "it is always a part of a larger change",
    ),
    "a call whose value is used in another way then": Case(
        ".rs", "fn f(v: V) {\n    let path = v.old_text();\n\n    go();\n    open(path);\n}\n",
        "fn f(v: V) {\n    let path = v.fresh_text();\n\n    go();\n    open(path.as_ref());\n}\n",
        "fn g(v: V) {\n    let name = v.old_text();\n    open(name);\n}\n",
        "it is always a part of a larger change",
    ),
    "a type that says nothing of its use": Case(
        ".rs", "struct A {\n    build: Option<String>,\n}\n", "struct A {\n    build: Vec<String>,\n}\n",
        "struct B {\n    path: Option<String>,\n}\n", "`Option` may be anything elsewhere",
    ),
    "a variable that Go declares by var": Case(
        ".go", "package p\n\nfunc f() {\n\tvar info data\n\tif Tracing {\n\t\tg(info)\n\t}\n}\n",
        "package p\n\nfunc f() {\n\tvar info data\n\tif info.tr != nil {\n\t\tg(info)\n\t}\n}\n",
        "package p\n\nfunc h() {\n\tif Tracing {\n\t\tk()\n\t}\n}\n",
        "`info` is a variable of this code",
    ),
    "a method of the object itself, of which Ruby says nothing": Case(
        ".rb", "def to(dest)\n  path = Place.sanitized(dest, url)\n  path\nend\n",
        "def to(dest)\n  path = site.in_folder(dest, url)\n  path\nend\n",
        "def go(dest)\n  Place.sanitized(dest, 'x')\nend\n", "`site` is of the class that you changed",
    ),
    "a class of which one member is shown": Case(
        ".rs", "fn f() {\n    go(Mode::Bench, 1);\n}\n", "fn f() {\n    go(Intent::Bench, 1);\n}\n",
        "fn g(m: Mode) {\n    if m == Mode::Build { h(); }\n}\n", "of `Mode` the change shows `Bench` only",
    ),
    "a class that is named with another package": Case(
        ".java", "class A {\n    List<Header> x;\n\n    void f(List<Header> y) { }\n}\n",
        "class A {\n    List<HeaderPair> x;\n\n    void f(List<HeaderPair> y) { }\n}\n",
        "class B {\n    org.web.Header x;\n}\n", "it is of web there",
    ),
    "a method that gets something of anything": Case(
        ".js", "f(record.getState());\n", "f(record.state());\n", "f(transaction.getState());\n",
        "it is of transaction there",
    ),
    "a symbol by its spelling": Case(
        ".rb", "def f\n  :textile\nend\n", "def f\n  'textile'\nend\n", "g = [:textile]\n",
        "a word in quotes may mean anything elsewhere",
    ),
    "an annotation that goes once": Case(
        ".java", "class A {\n    void f(@Nullable Rows x) { }\n}\n", "class A {\n    void f(Rows x) { }\n}\n",
        "class B {\n    void g(@Nullable Rows y) { }\n}\n", "an annotation goes",
    ),
    "a part of a larger change": Case(
        ".py", "def f(it):\n    it.check_depth(3)\n    go(it)\n    it.check_depth(size=40)\n",
        "def f(it):\n    it.check_levels(7)\n    go(it)\n    it.check_levels(size=90)\n",
        "it.check_depth(9)\n", "it is always a part of a larger change",
    ),
    "a line of a hunk that is not made": Case(
        ".java",
        "class A {\n    int get(Errors errors)\n        throws OldException {\n        return 1;\n    }\n}\n",
        "class A {\n    int get()\n        throws FreshException {\n        return 1;\n    }\n}\n",
        "class B {\n    int set()\n        throws OldException {\n        return 2;\n    }\n}\n",
        "it is always a part of a larger change",
    ),
    "a line after which another one must come": Case(
        ".py", "def f():\n    with catch_warnings(record=True):\n        go()\n",
        "def f():\n    with catch_warnings():\n        simplefilter('ignore', OldWarning)\n        go()\n",
        "with catch_warnings(record=True) as seen:\n    run(seen)\n",
        "it is always a part of a larger change",
    ),
    "code that the change replaces in two ways": Case(
        ".ts", "depth = Object.create(null);\nconst names: Names<T> = Object.create(null);\n",
        "depth = {} as Depths;\nconst names: Names<T> = {};\n", "other = Object.create(null);\n",
        "your change replaces the same in another way, too",
    ),
    "the definition of what comes in": Case(
        ".py", "import rows\n\na = rows.of(1, sort=True)\nb = rows.of(2, sort=True)\n",
        "import rows\n\na = rows.sorted_of(1)\nb = rows.sorted_of(2)\n",
        "import rows\n\n\ndef sorted_of(it):\n    return rows.of(it, sort=True)\n",
        "it is in the definition of `sorted_of`, which comes in",
    ),
    "the file of a class that stays": Case(
        ".java", "class A {\n    int f(OldCall it) { return 1; }\n    int g(OldCall it) { return 2; }\n}\n",
        "class A {\n    int f(AnyCall it) { return 1; }\n    int g(AnyCall it) { return 2; }\n}\n",
        "class OldCall {\n    boolean equals(Object o) {\n        OldCall it = (OldCall) o;\n    }\n}\n",
        "the file defines `OldCall`, which stays",
    ),
    "the file of a C++ member that stays": Case(
        ".cpp", "int f() {\n  return Place::nowhere();\n}\n", "int f() {\n  return Place::sample();\n}\n",
        "int *Place::nowhere() {\n  return 0;\n}\nint g() {\n  return Place::nowhere() + 1;\n}\n",
        "the file defines `nowhere`, which stays",
    ),
    "the file of a C function that stays": Case(
        ".c", "int f() {\n  return old_size(1);\n}\nint g() {\n  return old_size(2);\n}\n",
        "int f() {\n  return any_size(1);\n}\nint g() {\n  return any_size(2);\n}\n",
        "static int old_size(int n) { return n; }\nint h() {\n  return old_size(3);\n}\n",
        "the file defines `old_size`, which stays",
    ),
    "the definition in C of what comes in": Case(
        ".c", "int f() {\n  return old_size(1);\n}\nint g() {\n  return old_size(2);\n}\n",
        "int f() {\n  return any_size(1);\n}\nint g() {\n  return any_size(2);\n}\n",
        "int *any_size(int n) {\n  return old_size(n);\n}\n",
        "it is in the definition of `any_size`, which comes in",
    ),
    "the file of a Ruby method that stays": Case(
        ".rb", "def f\n  old_size(1)\nend\n\ndef g\n  old_size(2)\nend\n",
        "def f\n  any_size(1)\nend\n\ndef g\n  any_size(2)\nend\n",
        "def old_size(n)\n  n\nend\n\ndef h\n  old_size(3)\nend\n",
        "the file defines `old_size`, which stays",
    ),
    "a class of the language": Case(
        ".py", "from typing import Callable\n\n\ndef f(a: Callable): ...\n\n\ndef g(b: Callable): ...\n",
        "from kit import Hook\n\n\ndef f(a: Hook): ...\n\n\ndef g(b: Hook): ...\n",
        "from typing import Callable\n\n\ndef h(c: Callable): ...\n",
        "`Callable` may be anything elsewhere",
    ),
    "a class for which one of the language stands": Case(
        ".java", "class A {\n    void f() { throw new OldException(1); }\n}\n",
        "class A {\n    void f() { throw new RuntimeException(1); }\n}\n",
        "class B {\n    void g() { throw new OldException(2); }\n}\n",
        "`RuntimeException` may be anything elsewhere",
    ),
    "a type with arguments": Case(
        ".ts", "let a: OldResult;\nlet b: OldResult;\n", "let a: FreshResult;\nlet b: FreshResult;\n",
        "let c: OldResult<number>;\n", "it is a type with arguments there",
    ),
    "a type without arguments": Case(
        ".ts", "let a: OldResult<T>;\nlet b: OldResult<U>;\n",
        "let a: FreshResult<T>;\nlet b: FreshResult<U>;\n", "let c: OldResult;\n", "it is a type there",
    ),
    "a constant that the change adds to the class": Case(
        ".cs", _HUBS,
        _HUBS.replace("Settings.", "").replace("int a;", 'int a;\n    const string HubName = "a";'),
        "class B {\n    void G() { Get(Settings.HubName); }\n}\n",
        "nothing in the file imports or defines `HubName`",
    ),
    "a type made of types of the language": Case(
        ".ts", "function f(key: any[]): void {}\nfunction g(key: any[]): void {}\n",
        "function f(key: CacheKey): void {}\nfunction g(key: CacheKey): void {}\n",
        "export type Rows = any[];\n", "`any[]` may be anything elsewhere",
    ),
    "a name that only the changed file defines": Case(
        ".py", _TEXTS, _LONG_TEXTS, "import form\n\nform.text_of(that)\n",
        "nothing in the file imports or defines `LONG`",
    ),
    "a variable that is declared under another name": Case(
        ".js", "function f(graph) {\n  const used = graph.getUsed(it);\n  hash(used === null);\n}\n",
        "function f(graph) {\n  const names = graph.getNames(it).all;\n"
        "  for (const one of names) hash(one);\n}\n",
        "function g(graph) {\n  const used = graph.getUsed(it);\n  return used;\n}\n",
        "is a variable of this code",
    ),
    "a condition that is dropped with what it is about": Case(
        ".py", "def stop(self):\n    if self._task is not None and not self._task.finished():\n"
        "        go()\n",
        "def stop(self):\n    if self._task is not None:\n        go()\n",
        "if worker and not reader.finished():\n    halt()\n", "",
    ),
    "a type parameter": Case(
        ".ts", "export function pick<T>(from: Source<T>): Source<T> {\n  return from;\n}\n",
        "export function pick(from: Source<any>): Source<any> {\n  return from;\n}\n",
        "export function drop<T>(it: Source<T>): number {\n  return 1;\n}\n",
        "`T` is a variable of this code",
    ),
    "a class that is made elsewhere": Case(
        ".java", "import java.util.LinkedList;\n\nclass A {\n    LinkedList<String> all = read();\n}\n",
        "import java.util.List;\n\nclass A {\n    List<String> all = read();\n}\n",
        "import java.util.LinkedList;\n\nclass B {\n    Object x = new LinkedList<>();\n}\n",
        "an object of it is made there, which your change does not show",
    ),
    "a class that is a type elsewhere": Case(
        ".py", "from typing import Shape\n\nok = isinstance(x, Shape)\n",
        "from abc import BaseShape\n\nok = isinstance(x, BaseShape)\n",
        "from typing import Shape\n\ndef area(of: Shape | None) -> int: ...\n",
        "it is a type there, which your change does not show",
    ),
    "a name of another owner": Case(
        ".rs", "fn f(x: Tone) -> bool {\n    x == Tone::High\n}\n",
        "fn f(x: Tone) -> bool {\n    x == Tone::Shrill\n}\n",
        "fn g(x: Level) -> bool {\n    x == Level::High\n}\n", "it is of Level there",
    ),
    "a place like the one that was left": Case(
        ".py", f"a = load_rows(1)\n{FAR}c = load_rows(3)\n", f"a = load_lines(1)\n{FAR}c = load_rows(3)\n",
        "d = load_rows(4)\n", "the files that you changed hold one more place like the 1",
    ),
    "a name of another number": Case(
        ".go", "package p\n\nconst _ = wire.SupportsVersion8\n",
        "package p\n\nconst _ = wire.SupportsVersion9\n",
        "package q\n\nconst _ = wire.SupportsVersion8\n", "only a number in it changes",
    ),
    "a function that was imported before": Case(
        ".py", "from kit import as_bytes, as_text\n\nx = as_text(1)\nwarn(as_bytes(x))\n",
        "from kit import as_text\n\nx = as_text(1)\nwarn(as_text(x))\n",
        "from kit import as_bytes, as_text\n\ny = as_text(2)\nsend(as_bytes(y))\n",
        "one place alone shows `as_text`, which was there before",
    ),
    "a method of something else": Case(
        ".py", "row = cache.fetch(1)\n", "row = cache.load(1)\n", "row = db.fetch(2)\n",
        "it is of db there, which your change does not show",
    ),
    "a method of what a call gives": Case(
        ".java", "class A {\n    int x = store.fetch(1);\n    int y = store.fetch(two(2));\n}\n",
        "class A {\n    int x = store.load(1);\n    int y = store.load(two(2));\n}\n",
        "class B {\n    int x = stores.get(1)\n        .fetch(2);\n}\n", "it is of get there",
    ),
    "a method of a value": Case(
        ".go", "package p\n\nfunc f() { clock.Fail(1) }\n", "package p\n\nfunc f() { clock.Stop(1) }\n",
        "package p\n\nfunc g(t T) { (t).Fail(1) }\n", "it is of a value there",
    ),
    "a method of another class than the two that are shown": Case(
        ".java", "class A {\n    Object x = Lists.of(1);\n    Object y = Sets.of(2);\n}\n",
        "class A {\n    Object x = Lists.with(1);\n    Object y = Sets.with(2);\n}\n",
        "class B {\n    Object x = Maps.of(3);\n}\n", "it is of Maps there",
    ),
    "a number of another size": Case(
        ".kt", "var freeSegments: Long = next()\n", "var freeSegments: Int = next()\n",
        "var allSegments: Long = other()\n", "a type that all code has",
    ),
    "a condition of the build": Case(
        ".cs", "class A {\n#if POCKET_EDITION\n    int x;\n#endif\n}\n",
        "class A {\n#if PHONE_EDITION\n    int x;\n#endif\n}\n",
        "class B {\n#if POCKET_EDITION\n    int y;\n#endif\n}\n", "a condition of the build",
    ),
    "a type of the language": Case(
        ".ts", "function load(options: unknown): Rows {\n  return it;\n}\n",
        "function load(options: Settings): Rows {\n  return it;\n}\n",
        "function init(of: unknown): void {}\n", "`unknown` may be anything elsewhere",
    ),
    "a member that is dropped": Case(
        ".ts", "raise(left.location, a);\nraise(right.location, b);\n", "raise(left, a);\nraise(right, b);\n",
        "here = fault.location;\n", "what it drops is a member",
    ),
    "the object that the code is of": Case(
        ".java", "class A {\n    void f() {\n        errors.missingBinding(key);\n    }\n}\n",
        "class A {\n    void f() {\n        errors.missingBindingHint(key, this);\n    }\n}\n",
        "class B {\n    void g() {\n        errors.missingBinding(other);\n    }\n}\n",
        "`this` is another thing elsewhere",
    ),
    "a text of one place": Case(
        ".py", "def f(x):\n    raise InvalidSettings(x)\n",
        'def f(x):\n    raise WrongSettings(x, "the depth is unknown")\n',
        "def g(y):\n    raise InvalidSettings(y)\n", "a text comes in",
    ),
    "a part of a condition": Case(
        ".js", "if (isReady(a) && !window.oldEngine) go();\n", "if (isReady(a)) go();\n",
        "if (isDone(b) && !window.oldEngine) stop();\n", "a part of a condition goes",
    ),
    "a getter of anything": Case(
        ".java", "class A {\n    Object x = find(lookup.getBindingKey());\n}\n",
        "class A {\n    Object x = find(lookup.getDependency());\n}\n",
        "class B {\n    Object y = binding.getBindingKey();\n}\n", "a member of anything is meant",
    ),
    "a path from its file": Case(
        ".rb", "load File.join(HERE, '../lib/shapes/round')\n", "load File.join(HERE, '../lib/shapes')\n",
        "load File.join(HERE, '../lib/shapes/round')\n", "a path depends on its file",
    ),
    "a variable that only the changed code declares": Case(
        ".py", "def text(of):\n    return quoted_text(of)\n",
        "def text(of, sink):\n    return sink.quoted(of)\n",
        "def other(it):\n    return quoted_text(it)\n", "`sink` is a variable of the code that you changed",
    ),
    "a name that only the changed file imports": Case(
        ".py", "import shapes\n\n\ndef f(it):\n    return shapes.area(it) + deep_copy(it)\n",
        "import shapes\n\n\ndef f(it):\n    return shapes.area(it) + shapes.copy(it)\n",
        "x = deep_copy(y)\n", "nothing in the file imports or defines `shapes`",
    ),
    "a statement that becomes an unlike one": Case(
        ".rs", "extern crate cloth;\n\nfn main() {}\n", "mod helpers;\n\nfn main() {}\n",
        "extern crate cloth;\n\nfn other() {}\n", "nothing of what it takes away stays",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", POSSIBLE.values(), ids=POSSIBLE.keys())
def test_what_the_change_does_not_show_is_not_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], case: Case
) -> None:
    rows, text, said = like(tmp_path, case, capsys)
    assert text == case.other
    assert not [row for row in rows if row["sure"]]
    assert case.why in said


SURE = {
    "a call with more arguments of a function that is defined under its new name": Case(
        ".rb", "def load_rows(*a)\nend\nx = load_rows(1)\ny = load_rows(f(2))\n",
        "def read_lines(*a)\nend\nx = read_lines(1)\ny = read_lines(f(2))\n",
        "z = load_rows(3, size: 4)\n", "z = read_lines(3, size: 4)\n",
    ),
    "a call with more arguments of what is named alike": Case(
        ".js", "x = kit.ensureEquals(1, a);\ny = kit.ensureEquals(2, b);\n",
        "x = kit.ensureEqual(1, a);\ny = kit.ensureEqual(2, b);\n",
        "z = kit.ensureEquals(3, c, 'why');\n", "z = kit.ensureEqual(3, c, 'why');\n",
    ),
    "a call with fewer arguments": Case(
        ".js", "x = kit.pickOne(1, a);\ny = kit.pickOne(2, b);\n",
        "x = kit.firstOf(1, a);\ny = kit.firstOf(2, b);\n",
        "z = kit.pickOne(3);\n", "z = kit.firstOf(3);\n",
    ),
    "a class that is renamed with its definition": Case(
        ".java", "class OldCall {\n    OldCall f() { return null; }\n}\n",
        "class FreshCall {\n    FreshCall f() { return null; }\n}\n",
        "class A {\n    class OldCall { }\n    OldCall x;\n}\n",
        "class A {\n    class FreshCall { }\n    FreshCall x;\n}\n",
    ),
    "a variable that is named as the member that comes in": Case(
        ".rb", "a = f(node.arguments.last)\nb = g(x.arguments.last)\n",
        "a = f(node.last_argument)\nb = g(x.last_argument)\n",
        "last_argument = node.arguments.last\n", "last_argument = node.last_argument\n",
    ),
    "a member of several words that begins as types do": Case(
        ".go", _TOKENS.replace("Token", "HostToken"), _TOKENS.replace("Token", "FreshToken"),
        _TAKEN.replace("Token", "HostToken"), _TAKEN.replace("Token", "FreshToken"),
    ),
    "a call whose text below it changes in one place of two": Case(
        ".rb", "old_check(<<-CODE)\n  x = 1\n  y = 2\nCODE\ngo\nold_check('w = 2')\n",
        "fresh_check(<<-CODE)\n  x = 1\n  ^ too short\n  y = 2\nCODE\ngo\nfresh_check('w = 2')\n",
        "old_check('z = 3')\n", "fresh_check('z = 3')\n",
    ),
    "a call beside another change, of what another function names alike": Case(
        ".rs", "fn f(v: V) {\n    let path = v.old_text();\n}\n\nfn h(path: P) {\n    open(path);\n}\n",
        "fn f(v: V) {\n    let path = v.fresh_text();\n}\n\nfn h(path: P) {\n    open(path.as_ref());\n}\n",
        "fn g(v: V) {\n    let name = v.old_text();\n    open(name);\n}\n",
        "fn g(v: V) {\n    let name = v.fresh_text();\n    open(name);\n}\n",
    ),
    "a call where what always changes with it is": Case(
        ".py", _MODES, _NEW_MODES, "x = db.find_rows(OldMode.ALL, 3)\n", "x = db.load_rows(Mode.ALL, 3)\n",
    ),
    "a compound name that two places show": Case(
        ".py", "size = depth_limit\nmore = depth_limit\n", "size = level_limit\nmore = level_limit\n",
        "print(depth_limit)\n", "print(level_limit)\n",
    ),
    "the very line that was changed": Case(
        ".ts", "const manager = new ServiceManager();\n",
        "const manager = new ServiceManager({ standby: 'never' });\n",
        "const manager = new ServiceManager();\nconst other = new ServiceManager();\n",
        "const manager = new ServiceManager({ standby: 'never' });\nconst other = new ServiceManager();\n",
    ),
    "the very code that was changed, with its import": Case(
        ".py", "import os\nfrom net import tcp\n\nkinds = list(tcp.kinds_known)\n",
        "import os\nfrom net import tls\n\nkinds = list(tls.VERSION_KINDS)\n",
        "import os\nfrom net import tcp\n\nprint(tcp.kinds_known[3])\n",
        "import os\nfrom net import tls\n\nprint(tls.VERSION_KINDS[3])\n",
    ),
    "the very comment that was changed": Case(
        ".py", "# Reads old rows\nx = 1\n", "# Reads fresh rows\nx = 1\n",
        "# Reads old rows\ny = 2\n# Reads old rows too\n",
        "# Reads fresh rows\ny = 2\n# Reads old rows too\n",
    ),
    "a class that the change makes": Case(
        ".cs", "class A {\n    object x = new FakeClock();\n}\n",
        "class A {\n    object x = new MockClock();\n}\n",
        "class B {\n    FakeClock y = read();\n}\n", "class B {\n    MockClock y = read();\n}\n",
    ),
    "a text of several words": Case(
        ".rb", "a = { 'Media-Kind' => 'text' }\nb = { 'Media-Kind' => page }\n",
        "a = { 'media-kind' => 'text' }\nb = { 'media-kind' => page }\n",
        "c = { 'Media-Kind' => other }\n", "c = { 'media-kind' => other }\n",
    ),
    "a call that becomes an unlike one": Case(
        ".php", "<?php\nif (extension_loaded('trace')) { f(); }\n",
        "<?php\nif (Tracer::isActive()) { f(); }\n",
        "<?php\nif (extension_loaded('trace') && g()) { h(); }\n",
        "<?php\nif (Tracer::isActive() && g()) { h(); }\n",
    ),
    "two unlike calls that are put into another": Case(
        ".py", "a = load_rows(one)\nb = load_rows(two(2))\n",
        "a = tidied(load_rows(one))\nb = tidied(load_rows(two(2)))\n",
        "c = load_rows(3)\n", "c = tidied(load_rows(3))\n",
    ),
    "a name that the other file defines, too": Case(
        ".py", _TEXTS, _LONG_TEXTS, "import form\n\nLONG = 2\nform.text_of(that)\n",
        "import form\n\nLONG = 2\nform.text_of(that, LONG)\n",
    ),
    "a class that is renamed where it is defined": Case(
        ".java", "class Finder {\n    Finder next;\n}\n", "class Seeker {\n    Seeker next;\n}\n",
        "class B {\n    Finder x = new Finder();\n}\n", "class B {\n    Seeker x = new Seeker();\n}\n",
    ),
    "a package of Go before a call": Case(
        ".go", 'package p\n\nimport (\n\t"a/journal"\n)\n\nvar x = journal.New(1)\n',
        'package p\n\nimport (\n\t"a/journal"\n)\n\nvar x = journal.NewPlain(1)\n',
        'package p\n\nimport (\n\t"a/cache"\n\t"a/journal"\n)\n\nvar x = cache.New(journal.New(2))\n',
        'package p\n\nimport (\n\t"a/cache"\n\t"a/journal"\n)\n\nvar x = cache.New(journal.NewPlain(2))\n',
    ),
    "what the change takes from a class, and no more": Case(
        ".java", "import a.B;\nimport old.Things;\n\nclass A {\n    String x = Things.describe(this);\n}\n",
        "import a.B;\nimport old.MoreThings;\n\nclass A {\n    String x = MoreThings.describe(this);\n}\n",
        "import old.Things;\n\nclass C {\n    String x = Things.describe(1);\n"
        "    int y = Things.hash(2);\n}\n",
        "import old.Things;\nimport old.MoreThings;\n\nclass C {\n    String x = MoreThings.describe(1);\n"
        "    int y = Things.hash(2);\n}\n",
    ),
    "a method of the same": Case(
        ".py", "row = cache.fetch(1)\n", "row = cache.load(1)\n", "row = self._cache.fetch(2)\n",
        "row = self._cache.load(2)\n",
    ),
    "a method that the change shows of unlike things": Case(
        ".py", "row = cache.fetch(1)\nx = store.fetch(row)\n", "row = cache.load(1)\nx = store.load(row)\n",
        "row = db.fetch(2)\n", "row = db.load(2)\n",
    ),
    "a method of several words": Case(
        ".js", "f(cache.fetchRow(1));\n", "f(cache.loadRow(1));\n", "f(db.fetchRow(2));\n",
        "f(db.loadRow(2));\n",
    ),
    "a method with its arguments": Case(
        ".java", 'class A {\n    boolean x = a.equals("");\n}\n',
        "class A {\n    boolean x = a.isEmpty();\n}\n",
        'class B {\n    boolean x = b.equals("");\n}\n', "class B {\n    boolean x = b.isEmpty();\n}\n",
    ),
    "a keyword argument where it is not there yet": Case(
        ".py", "run(one)\nrun(two, at=place)\n", "run(one, check=True)\nrun(two, at=place, check=True)\n",
        "run(a, check=False)\nrun(b, at=c, check=True)\nrun(d)\n",
        "run(a, check=False)\nrun(b, at=c, check=True)\nrun(d, check=True)\n",
    ),
    "a statement after another where it is not there yet": Case(
        ".py", "def f(a):\n    a.start_it(1)\n\n\ndef g(b):\n    b.start_it(two)\n",
        "def f(a):\n    a.start_it(1)\n    a.mark()\n\n\ndef g(b):\n    b.start_it(two)\n    b.mark()\n",
        "def h(q):\n    q.start_it(3)\n    q.mark()\n    q.start_it(4)\n    y.mark()\n",
        "def h(q):\n    q.start_it(3)\n    q.mark()\n    q.start_it(4)\n    q.mark()\n    y.mark()\n",
    ),
    "a statement before another where it is not there yet": Case(
        ".js", "start_it(1);\nx = 1;\nstart_it(two);\n",
        "trace_it();\nstart_it(1);\nx = 1;\ntrace_it();\nstart_it(two);\n",
        "trace_it();\nstart_it(3);\nx = 2;\nstart_it(4);\n",
        "trace_it();\nstart_it(3);\nx = 2;\ntrace_it();\nstart_it(4);\n",
    ),
    "a member that becomes a call": Case(
        ".java", "class A {\n    int x = a.rowCount;\n    int y = b.rowCount;\n}\n",
        "class A {\n    int x = a.rowCount();\n    int y = b.rowCount();\n}\n",
        "class B {\n    int z = c.rowCount;\n}\n", "class B {\n    int z = c.rowCount();\n}\n",
    ),
    "a member of a type that nothing calls there": Case(
        ".rs", "fn f(m: &mut Map) {\n    m.or_insert_with(Bag::new);\n}\n",
        "fn f(m: &mut Map) {\n    m.or_insert_with(Bag::default);\n}\n",
        "fn g(m: &mut Map) {\n    m.or_else(Bag::new);\n    m.or_insert_with(Vec::new);\n}\n",
        "fn g(m: &mut Map) {\n    m.or_else(Bag::default);\n    m.or_insert_with(Vec::new);\n}\n",
    ),
    "what three like places agree on": Case(
        ".js", "f();\nconsole.log(1);\ng();\nconsole.log(1);\nh();\nconsole.log(1);\n",
        "f();\nlog.info(1);\ng();\nlog.info(1);\nh();\nlog.info(1);\n", "console.log(2);\n",
        "log.info(2);\n",
    ),
    "a short name of calls on unlike things": Case(
        ".py", "a.get(1)\nb.get(x)\n", "a.take_all_of(1)\nb.take_all_of(x)\n", "c.get(2)\n",
        "c.take_all_of(2)\n",
    ),
    "a call without a receiver": Case(
        ".rb", "put_line 'a'\nput_line 'b'\n", "log_line 'a'\nlog_line 'b'\n",
        "put_line 'c'\n$stderr.put_line 'd'\n", "log_line 'c'\n$stderr.put_line 'd'\n",
    ),
    "what the change takes from a package": Case(
        ".go", 'package p\n\nimport (\n\t"fmt"\n\t"os"\n)\n\n'
        'func f() {\n\tfmt.Println(1)\n\tfmt.Printf("%d", 2)\n}\n',
        'package p\n\nimport (\n\t"os"\n\tlog "a/talk"\n)\n\n'
        'func f() {\n\tlog.OUT.Println(1)\n\tlog.OUT.Printf("%d", 2)\n}\n',
        'package p\n\nimport (\n\t"fmt"\n\t"os"\n)\n\n'
        'func g() error {\n\tfmt.Println(3)\n\treturn fmt.Errorf("no")\n}\n',
        'package p\n\nimport (\n\t"fmt"\n\t"os"\n\tlog "a/talk"\n)\n\n'
        'func g() error {\n\tlog.OUT.Println(3)\n\treturn fmt.Errorf("no")\n}\n',
    ),
    "a member of a base that the file imports": Case(
        ".py", _CASES.format("TestCase", "assertEquals(f(1), 2)", "assertEquals(g(), 'x')"),
        _CASES.format("TestCase", "assertEqual(f(1), 2)", "assertEqual(g(), 'x')"),
        _CASES.format("TestCase", "assertEquals(a, b, 'c')", "made.assertEquals(1)"),
        _CASES.format("TestCase", "assertEqual(a, b, 'c')", "made.assertEquals(1)"),
    ),
    "a member of a base with arguments": Case(
        ".ts", _PARTS.format("Part<Props>", "render(1)", "render(a.b)"),
        _PARTS.format("Part<Props>", "draw(1)", "draw(a.b)"),
        _PARTS.format("Part", "render(2)", "other.render(3)"),
        _PARTS.format("Part", "draw(2)", "other.render(3)"),
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", SURE.values(), ids=SURE.keys())
def test_what_the_change_shows_is_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], case: Case
) -> None:
    _, text, _ = like(tmp_path, case, capsys)
    assert text == case.why


AWAITING = {
    "Python": Case(
        ".py", "async def a():\n    load_user(1, x)\n    load_user(y, 2)\n",
        "async def a():\n    await fetch_user(1, x)\n    await fetch_user(y, 2)\n",
        "async def b():\n    load_user(3)\n    f(lambda: load_user(4))\n\ndef c():\n  load_user(5)\n",
        "async def b():\n    await fetch_user(3)\n    f(lambda: load_user(4))\n\ndef c():\n  load_user(5)\n",
    ),
    "TypeScript": Case(
        ".ts", "const a = async () => {\n  loadUser(1, x)\n  loadUser(y, 2)\n}\n",
        "const a = async () => {\n  await fetchUser(1, x)\n  await fetchUser(y, 2)\n}\n",
        "class B { async b() { loadUser(3) } }\nasync function c() { return () => loadUser(4) }\n"
        "loadUser(5)\n",
        "class B { async b() { await fetchUser(3) } }\nasync function c() { return () => loadUser(4) }\n"
        "loadUser(5)\n",
    ),
    "C#": Case(
        ".cs", "class A { public async Task a() {\n  Users.Load(1, x);\n  Users.Load(y, 2);\n} }\n",
        "class A { public async Task a() {\n  await Users.Fetch(1, x);\n  await Users.Fetch(y, 2);\n} }\n",
        "class B {\n  async Task b() { Users.Load(3); }\n  void c() { Users.Load(4); }\n}\n",
        "class B {\n  async Task b() { await Users.Fetch(3); }\n  void c() { Users.Load(4); }\n}\n",
    ),
    "Rust": Case(
        ".rs", "fn a() -> Result<()> {\n    load_user(1, x).unwrap();\n    load_user(y, 2).unwrap();\n}\n",
        "fn a() -> Result<()> {\n    fetch_user(1, x)?;\n    fetch_user(y, 2)?;\n}\n",
        "fn b() -> io::Result<u8> { load_user(3).unwrap() }\nfn c() -> u8 { load_user(4).unwrap() }\n"
        "fn d() -> Option<u8> { f(|x| load_user(5).unwrap()) }\n",
        "fn b() -> io::Result<u8> { fetch_user(3)? }\nfn c() -> u8 { load_user(4).unwrap() }\n"
        "fn d() -> Option<u8> { f(|x| load_user(5).unwrap()) }\n",
    ),
}  # fmt: skip


@pytest.mark.parametrize("language", AWAITING)
def test_what_only_some_functions_take_is_written_in_these_only(
    tmp_path: Path, language: str, capsys: pytest.CaptureFixture[str]
) -> None:
    case = AWAITING[language]
    _, text, said = like(tmp_path, case, capsys)
    assert text == case.why
    assert "no `async` function is around it" in said or "a `?` comes in" in said


@pytest.mark.parametrize(
    ("rule", "fix", "why"),
    [
        ({"pattern": "$A.push", "inside": {"kind": "else_clause", "stopBy": "end"}}, "$A!.push", "signs"),
        ({"pattern": "{ return $A; }", "inside": {"kind": "if_statement"}}, "{ $A; }", "no name"),
        ({"pattern": '"string"'}, '"path"', "a word in quotes"),
        ({"pattern": "DESCRIPTOR_0"}, '"shapes.proto"', "a text stands for a name"),
    ],
)
def test_a_rule_that_says_too_little_is_not_trusted(rule: dict[str, Any], fix: str, why: str) -> None:
    action = Action("typescript", ({"rule": rule, "fix": fix},), mode="rule")
    tier, reason = doubts.tier_of(action, action, (), "good", of_members=False)
    assert tier == "literal" and why in reason


def test_an_import_is_no_surer_than_the_uses_of_its_name(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pre = "from shapes import Shape\n\nok = isinstance(x, Shape)\n"
    other = "from shapes import Shape\n\n\ndef area(of: Shape) -> int: ...\n"
    case = Case(".py", pre, pre.replace("Shape", "AnyShape"), other, "")
    rows, text, _ = like(tmp_path, case, capsys)
    assert text == other and len(rows) == 2


def test_a_form_feed_ends_no_line() -> None:
    """The line above the place is not made by the rule; the place is, whatever stands before both."""
    action = Action("python", ({"rule": {"pattern": "old($A)"}, "fix": "new($A)"},), mode="rule")
    change = Change(Path("a.py"), "python", "\fb = 2\n\na = old(1)\n", "\fb = 3\n\na = new(1)\n")
    assert replay.completing_rules(action, change) == {0}


class Import(NamedTuple):
    """An imported name that becomes another one, another file, and that file after the sure places."""

    suffix: str
    pre: str
    other: str
    after: str


ELSEWHERE = {
    "a member and an argument of Python": Import(
        ".py", "from shop import Old\n\nx = Old()\n",
        "import z\nfrom shop import Old\n\nx = Old(1)\ny = z.Old(Old=Old)\n",
        "import z\nfrom shop import Fresh\n\nx = Fresh(1)\ny = z.Old(Old=Fresh)\n",
    ),
    "a class of another package of Java": Import(
        ".java", "import a.b.Old;\n\nclass A { Old x = new Old(); }\n",
        "import a.b.Old;\n\nclass B { Old x = new Old(); q.Old y = z.Old(this.Old); Old.In w; }\n",
        "import a.b.Fresh;\n\nclass B { Fresh x = new Fresh(); q.Old y = z.Old(this.Old); Fresh.In w; }\n",
    ),
    "a method of Java beside a static import": Import(
        ".java", "import static u.S.Old;\n\nclass A { int f() { return Old(1); } }\n",
        "import static u.S.Old;\n\nclass B { int f() { return Old(2) + x.Old(3); } }\n",
        "import static u.S.Fresh;\n\nclass B { int f() { return Fresh(2) + x.Old(3); } }\n",
    ),
    "one name beside the default of a module": Import(
        ".js", "import kit, { Old } from 'kit';\n\nOld(kit);\n",
        "import kit, { Old, more } from 'kit';\n\nOld(more, kit);\n",
        "import kit, { Fresh, more } from 'kit';\n\nFresh(more, kit);\n",
    ),
    "a member of Kotlin, and a type": Import(
        ".kt", "import a.b.Old\n\nval x = Old()\n",
        "import a.b.Old\n\nval x: Old = Old(Old = 1)\nval y: z.Old = z.Old()\nval w = z?.Old\n",
        "import a.b.Fresh\n\nval x: Fresh = Fresh(Old = 1)\nval y: z.Old = z.Old()\nval w = z?.Old\n",
    ),
    "a path of Rust": Import(
        ".rs", "use std::{Arc, Old};\n\nfn f(x: Old<u8>) {}\n",
        "use std::Old;\n\nfn g(x: Old<u8>, y: tokio::Old<u8>) { E::Old; vec![z::Old]; }\n",
        "use std::Fresh;\n\nfn g(x: Fresh<u8>, y: tokio::Old<u8>) { E::Old; vec![z::Old]; }\n",
    ),
    "members of PHP": Import(
        ".php", "<?php\nuse App\\Old;\n\n$x = new Old();\n",
        "<?php\nuse App\\Old;\n\n$x = new Old(1);\nnew \\Z\\Old(Z::Old, $a->Old(), Z::Old(), Old: 2);\n",
        "<?php\nuse App\\Fresh;\n\n$x = new Fresh(1);\nnew \\Z\\Old(Z::Old, $a->Old(), Z::Old(), Old: 2);\n",
    ),
    "a type of a namespace of TypeScript": Import(
        ".ts", "import { Old } from 'shop';\n\nexport const x: Old = new Old();\n",
        "import { Old } from 'shop';\n\nconst x: Old = new Old();\nlet y: Z.Old = Z.Old({ Old: 1 });\n",
        "import { Fresh } from 'shop';\n\nconst x: Fresh = new Fresh();\nlet y: Z.Old = Z.Old({ Old: 1 });\n",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", ELSEWHERE.values(), ids=ELSEWHERE.keys())
def test_an_imported_name_that_belongs_to_something_else_is_another_thing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], case: Import
) -> None:
    edit = Case(case.suffix, case.pre, case.pre.replace("Old", "Fresh"), case.other, "")
    _, text, _ = like(tmp_path, edit, capsys)
    assert text == case.after


_CALL = "import { old } from 'shop';\n\nold(1);\n"

UNDONE = {
    "a parameter of the same name": Case(
        ".js", _CALL, _CALL.replace("old", "fresh"), _CALL + "function f(old) { return old(2); }\n",
        "`old` is another thing in a part of the file",
    ),
    "a method of Kotlin of the same name": Case(
        ".kt", "import a.old\n\nval x = old(1)\n", "import a.fresh\n\nval x = fresh(1)\n",
        "import a.old\n\nval x = old(2)\nclass C { fun old(i: Int) = i }\n",
        "`old` is another thing in a part of the file",
    ),
    "a key that is named like its value": Case(
        ".ts", "import { Old } from 'shop';\n\nf(Old);\n", "import { New } from 'shop';\n\nf(New);\n",
        "import { Old } from 'shop';\n\nf(Old, { Old });\n", "`Old` is used there in another way too",
    ),
    "a name that a package gives on": Case(
        ".py", "from shop import Old\n\nx = Old()\n", "from shop import New\n\nx = New()\n",
        "from shop import Old\n\n__all__ = ['Old']\n", "the file exports `Old`",
    ),
    "a name that a module exports": Case(
        ".ts", "import { Old } from 'shop';\n\nf(Old);\n", "import { New } from 'shop';\n\nf(New);\n",
        "import { Old } from 'shop';\n\nf(Old);\nexport { Old };\n", "the file exports `Old`",
    ),
    "an import that would stay without a use": Case(
        ".js", "const { old } = require('kit');\n\nold(1);\n",
        "const { fresh } = require('kit');\n\nfresh(1);\n",
        "const { old, x } = require('kit');\n\nold(2, x);\n", "the import of `old` would be left over",
    ),
    "a header whose uses are not sure": Case(
        ".cpp", "#include <kit/slot.hpp>\n\nkit::slot<int> f();\n",
        "#include <slot>\n\nstd::slot<int> f();\n",
        "#include <kit/slot.hpp>\n#include <kit/any.hpp>\n\nkit::slot<char> g();\nkit::any h();\n",
        "whether the file uses what it brings is not said",
    ),
    "a header of which no use is found": Case(
        ".c", '#include "old.h"\n\nint a = old_size_of(1);\n',
        '#include "fresh.h"\n\nint a = fresh_size_of(1);\n',
        '#include "old.h"\n\nint b = old_rest_of(1);\n', "whether the file uses what it brings is not said",
    ),
    "a file that Ruby requires": Case(
        ".rb", "require 'old_kit'\n\nOldKit.run(1)\n", "require 'fresh_kit'\n\nFreshKit.run(1)\n",
        "require 'old_kit'\n\nOldKit.stop(2)\n", "whether the file uses what it brings is not said",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", UNDONE.values(), ids=UNDONE.keys())
def test_a_file_that_would_not_be_done_with_a_name_is_left(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], case: Case
) -> None:
    _, text, said = like(tmp_path, case, capsys)
    assert text == case.other and case.why in said


def test_the_only_import_of_a_file_becomes_another_one(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pre = "import moment from 'moment';\n\nexport const now = () => moment().format();\n"
    other = pre.replace("now", "then")
    case = Case(".js", pre, pre.replace("moment", "dayjs"), other, "")
    _, text, _ = like(tmp_path, case, capsys)
    assert text == other.replace("moment", "dayjs")
