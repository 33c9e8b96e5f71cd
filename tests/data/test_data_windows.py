"""Windows: whole lines around an edit that can be put back."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rulewright import difftext
from rulewright.data import windows
from rulewright.data.clean import error_rate
from rulewright.languages import Language

FILE = '''import os

LIMIT = 3


def first(a):
    return a


class Shop:
    """A shop."""

    # What it costs.
    @property
    def price(self):
        if self.tax == None:
            return 0

        return self.tax

    def name(self):
        return "shop"
'''


def put_back(pre: str, window: windows.Window) -> str:
    """Give the old file with the window's new side in the place of its old side: the new file."""
    lines = difftext.lines(pre)
    indented = [window.indent + line if line.strip() else line for line in difftext.lines(window.post)]
    return "".join(lines[: window.start_line - 1] + indented + lines[window.end_line :])


def test_the_innermost_function_with_its_decorators_and_comments() -> None:
    window = windows.cut(FILE, FILE.replace("== None", "is None"), "python", max_chars=400)
    assert window is not None and window.kind == "decorated_definition" and window.indent == "    "
    assert window.pre.startswith("# What it costs.\n@property\ndef price(self):\n    if self.tax == None:")
    assert (window.start_line, window.end_line) == (13, 19)
    assert put_back(FILE, window) == FILE.replace("== None", "is None")


def test_a_change_outside_functions_gives_its_statements() -> None:
    window = windows.cut(FILE, FILE.replace("LIMIT = 3", "LIMIT = 4"), "python")
    assert window is not None and "LIMIT = 3" in window.pre and "class Shop" not in window.pre


def test_an_insertion_between_functions_takes_its_neighbours() -> None:
    post = FILE.replace("class Shop", "def second(b):\n    return b\n\n\nclass Shop")
    window = windows.cut(FILE, post, "python")
    assert window is not None and put_back(FILE, window) == post
    assert error_rate(window.pre, "python") == error_rate(window.post, "python") == 0


def test_of_nested_functions_the_innermost_is_taken_wherever_it_stands() -> None:
    inner = "    def inner(a):\n        return a + 1\n"
    long = "".join(f"    x{i} = {i}\n" for i in range(9))
    for body, lines in ((inner + long, (2, 3)), (long + inner, (11, 12))):
        pre = f"def outer():\n{body}    return inner\n"
        window = windows.cut(pre, pre.replace("+ 1", "+ 2"), "python")
        assert window is not None and (window.start_line, window.end_line) == lines


def test_the_first_function_of_a_file_begins_at_its_first_line() -> None:
    """Though the last line of the file is a comment."""
    pre = "def first(a):\n    return a + 1\n\n\nlast = first(1)\n# the end\n"
    window = windows.cut(pre, pre.replace("+ 1", "+ 2"), "python")
    assert window is not None and (window.start_line, window.end_line) == (1, 2)


@pytest.mark.parametrize("n_blank", [6, 5])
def test_a_window_has_code_on_both_sides(n_blank: int) -> None:
    """With one blank line fewer the code below lies within three lines of the change."""
    pre = "a = 1\n" + "\n" * n_blank + "b = 1\n"
    lines = difftext.lines(pre)
    new = "".join([*lines[:4], "c = 1\n", *lines[4:]])
    for one, other in ((pre, new), (new, pre)):
        window = windows.cut(one, other, "other")
        assert (window is None) is (n_blank == 6)


def test_what_is_too_large_gives_none() -> None:
    body = "".join(f"    x{i} = {i}\n" for i in range(200))
    pre, post = "def f():\n    a = 1\n" + body + "    b = 1\n", "def f():\n    a = 2\n" + body + "    b = 2\n"
    assert windows.cut(pre, post, "python", max_chars=500) is None


TEXT = [f"line {i}\n" for i in range(9)]


@pytest.mark.parametrize(
    ("place", "max_chars", "span"),
    [(4, 4_000, (2, 8)), (4, 48, (4, 6)), (4, 20, (5, 5)), (0, 4_000, (1, 4)), (8, 4_000, (6, 9))],
)
def test_bare_lines_have_three_around_them_or_fewer_where_there_is_no_room(
    place: int, max_chars: int, span: tuple[int, int]
) -> None:
    post = [*TEXT[:place], "other!\n", *TEXT[place + 1 :]]
    window = windows.cut("".join(TEXT), "".join(post), "other", max_chars)
    assert window is not None and (window.start_line, window.end_line, window.kind) == (*span, "lines")
    assert window.pre == "".join(TEXT[span[0] - 1 : span[1]])


LONG = [f"value_{name} = compute_something_long_enough({name})\n" for name in "abcdef"]
CALL = ["call_it(\n", "    one_argument_that_is_long,\n", "    another_argument_as_well,\n", ")\n"]


@pytest.mark.parametrize(
    ("start", "end", "new", "span"),
    [
        # An insertion takes the statements on both sides of it, or the one that there is.
        (2, 2, "NEW = 1\n", (2, 3)),
        (0, 0, "NEW = 1\n", (1, 1)),
        (10, 10, "NEW = 1\n", (10, 10)),
        (3, 3, "NEW = 1\n", (3, 7)),
        (7, 7, "NEW = 1\n", (4, 8)),
        (5, 5, "    new,\n", (5, 6)),
        # A change takes what it touches, as a whole.
        (1, 2, "NEW = 1\n", (2, 2)),
        (1, 3, "NEW = 1\n", (2, 3)),
        (4, 5, "NEW = 1\n", (4, 7)),
    ],
)
def test_the_statements_that_a_change_takes(start: int, end: int, new: str, span: tuple[int, int]) -> None:
    lines = [*LONG[:3], *CALL, *LONG[3:]]
    post = "".join([*lines[:start], new, *lines[end:]])
    window = windows.cut("".join(lines), post, "python")
    assert window is not None
    assert (window.start_line, window.end_line, window.kind) == (*span, "statements")


@pytest.mark.parametrize(("pad", "kind"), [(9, "statements"), (8, "lines")])
def test_statements_of_fewer_than_forty_characters_are_no_window(pad: int, kind: str) -> None:
    """The statement alone would be one; the lines around it are taken instead."""
    pre = "\n".join(
        ["import os", "", f"VALUE_OF_THE_LIMIT_TO_USE = {'1' * pad}0 ", "", "import re", "", "a = 1"]
    )
    assert len(pre.split("\n")[2]) + 1 == (40 if kind == "statements" else 39)
    window = windows.cut(pre + "\n", pre.replace("0 ", "2 ") + "\n", "python")
    assert window is not None and window.kind == kind


@pytest.mark.parametrize(("n", "found"), [(4_000, True), (4_001, False)])
def test_a_window_has_at_most_4000_characters_on_each_side(n: int, found: bool) -> None:
    for pre, post in (("a" * n, "b"), ("b", "a" * n)):
        assert (windows.cut(pre, post, "other") is not None) is found


JAVA = "class A {\n  int a() {\n    return 1;\n  }\n\n  int b() { return 2; }\n}\n" * 2
GO = "package p\n\nfunc a() int {\n\treturn 1\n}\n\nfunc b() {}\n"
RUST = "struct A;\nimpl A {\n    fn a() -> i32 {\n        let v = 1;\n        v\n    }\n}\n"
RUBY = "class A\n  # first\n  def a\n    one\n  end\n\n  def self.b\n    two\n  end\nend\n"
PHP = "<?php\nfunction a() {\n    $x = 1;\n}\nclass A {\n    public function b() {\n    c();\n    }\n}\n"
CSHARP = "class A\n{\n    [Old]\n    int B()\n    {\n        return 1;\n    }\n\n    int C() => 2;\n}\n"
KOTLIN = "class A {\n    fun a(): Int {\n        return 1\n    }\n\n    fun b() = 2\n}\n"
TYPESCRIPT = "import a from 'a';\nexport function f(x: number): number {\n  return x + 1;\n}\nf(2);\n"


@pytest.mark.parametrize(
    ("language", "pre", "old", "new", "kind"),
    [
        ("java", JAVA, "1;", "3;", "method_declaration"),
        ("go", GO, "1", "2", "function_declaration"),
        ("rust", RUST, "1;", "2;", "function_item"),
        ("typescript", TYPESCRIPT, "+ 1", "+ 2", "export_statement"),
        ("ruby", RUBY, "two", "three", "singleton_method"),
        ("php", PHP, "1;", "3;", "function_definition"),
        ("php", PHP, "c();", "d();", "class_declaration"),  # its method alone is a syntax error
        ("csharp", CSHARP, "1;", "3;", "method_declaration"),
        ("kotlin", KOTLIN, "1", "3", "function_declaration"),
    ],
)
def test_functions_of_other_languages(language: Language, pre: str, old: str, new: str, kind: str) -> None:
    window = windows.cut(pre, pre.replace(old, new, 1), language)
    assert window is not None and window.kind == kind
    assert put_back(pre, window) == pre.replace(old, new, 1)


LINES = st.lists(
    st.sampled_from(
        ["def f(x):", "    return x", "class A:", "    def m(self):", "        pass", "", "x = 1", "\ty",
         "    ", "# c", "'''", "a\x0cb", "é = 'ü'", "@d"]
    ), max_size=25,
)  # fmt: skip


@settings(max_examples=150, deadline=None)
@given(LINES, LINES, LINES, LINES, st.booleans(), st.sampled_from([40, 200, 4000]))
def test_a_window_put_back_gives_the_new_file(
    head: list[str], old: list[str], new: list[str], tail: list[str], newline: bool, max_chars: int
) -> None:
    end = "\n" if newline else ""
    pre, post = "\n".join([*head, *old, *tail]) + end, "\n".join([*head, *new, *tail]) + end
    window = windows.cut(pre, post, "python", max_chars)
    if pre != post and window is not None:
        assert put_back(pre, window) == post
        assert max(len(window.pre), len(window.post)) <= max_chars
        assert window.pre != window.post
