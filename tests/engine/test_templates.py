"""Fix templates: where the slots are, and how text is moved to another indentation."""

from __future__ import annotations

import pytest

from rulewright.engine import template
from rulewright.engine.template import LOOK_BACK_BYTES, Slot


@pytest.mark.parametrize(
    ("text", "fragments", "slots"),
    [
        ("plain", ("plain",), ()),
        ("$A", ("", ""), (Slot("A", False, 0),)),
        ("f($$$ARGS)", ("f(", ")"), (Slot("ARGS", True, 0),)),
        ("$$A", ("", ""), (Slot("A", False, 0),)),
        ("$lower $5 $", ("$lower $5 $",), ()),
        ("$A$B", ("", "", ""), (Slot("A", False, 0), Slot("B", False, 0))),
        ("$Ab", ("", "b"), (Slot("A", False, 0),)),
        ("$A_1.x", ("", ".x"), (Slot("A_1", False, 0),)),
        ("$$$", ("$$$",), ()),
        ("$$$$A", ("$", ""), (Slot("A", True, 0),)),
        ("if x:\n    $BODY\n", ("if x:\n    ", "\n"), (Slot("BODY", False, 4),)),
        ("\t$A", ("\t", ""), (Slot("A", False, 0),)),
    ],
)
def test_a_template_is_split_at_its_variables(
    text: str, fragments: tuple[str, ...], slots: tuple[Slot, ...]
) -> None:
    assert template.parse(text) == template.Template(fragments, slots)


@pytest.mark.parametrize(
    ("text", "offset", "indent"),
    [
        ("a = b", 4, 0),
        ("  a = b", 6, 2),
        ("x\n   a", 5, 3),
        ("x\n   a\n b", 9, 1),
        ("x\n\ta", 3, 0),
        ("x\n  é = b", 8, 2),
        ("  " + "a" * LOOK_BACK_BYTES, 2 + LOOK_BACK_BYTES, 0),
        ("  " + "a" * (LOOK_BACK_BYTES - 2), LOOK_BACK_BYTES, 2),
        ("\n  " + "é" * 300, 303, 0),
        ("\n  " + "é" * 200, 203, 2),
        ("\n  " + "é" * 255, 258, 0),
        ("\n " + "é" * 255, 257, 1),
    ],
)
def test_the_indentation_of_a_line_within_the_look_back(text: str, offset: int, indent: int) -> None:
    assert template.indent_at(text, offset) == indent


@pytest.mark.parametrize(
    ("text", "old", "new", "moved"),
    [
        ("a\nb", 0, 2, "a\n  b"),
        ("a\n    b\n  c", 2, 0, "a\n  b\nc"),
        ("a\n\nb", 0, 2, "a\n  \n  b"),
        ("a\n b", 4, 0, "a\n b"),
        ("a\nb", 2, 2, "a\nb"),
        ("one line", 0, 8, "one line"),
        ("  a\n    b", 4, 2, "a\n  b"),  # a text of JSX may begin with blanks
        (" a\n    b", 4, 2, " a\n  b"),
    ],
)
def test_every_line_but_the_first_is_moved(text: str, old: int, new: int, moved: str) -> None:
    assert template.reindent(text, old, new) == moved
