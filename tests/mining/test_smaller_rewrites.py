"""Rules from several edits leave blanks, comments and line ends as they are written."""

from __future__ import annotations

import pytest

from rulewright import engine
from rulewright.languages import Language
from rulewright.mining import Example, claim
from rulewright.mining.learn.generalize import PreparedExample, generalize


def learned(edits: list[tuple[str, str]], code: str, language: Language = "python") -> str | None:
    """What the rules that all the edits share make of other code; `None`: they claim nothing."""
    group = [PreparedExample(Example(pre, post, language)) for pre, post in edits]
    action = claim(generalize(group), group)
    return None if action is None else engine.apply(action, code).post or code


RENAMED = [("meth = store.fetch_all\n", "meth = store.fetch\n"), ("store.fetch_all\n", "store.fetch\n")]
WRAPPED = [("x = ask_user()\n", "x = checked(ask_user())\n"),
           ("x = ask_user(a + 9)\n", "x = checked(ask_user(a + 9))\n")]  # fmt: skip
BRACKETS = [("s = bag([1, 2, 3])\n", "s = {1, 2, 3}\n"), ("s = bag([a, b])\n", "s = {a, b}\n")]
FIRST = [("# checked: no\ndef f():\n    pass\n", "def f():\n    pass\n"),
         ("# checked: no\n# by hand\ndef f():\n    pass\n", "# by hand\ndef f():\n    pass\n")]  # fmt: skip


@pytest.mark.parametrize(
    ("edits", "code", "wanted"),
    [
        (RENAMED, "y = store .fetch_all(  )\n", "y = store .fetch(  )\n"),
        (RENAMED, "y = (store\n     .fetch_all)\n", "y = (store\n     .fetch)\n"),
        (WRAPPED, "y = ask_user(   )\n", "y = checked(ask_user(   ))\n"),
        (WRAPPED, "y = ask_user(\n    a,  # first\n)\n", "y = checked(ask_user(\n    a,  # first\n))\n"),
        (BRACKETS, "t = bag([ 1 ])\n", "t = { 1 }\n"),
        (BRACKETS, "t = bag([\n    a,  # one\n    b,\n])\n", "t = {\n    a,  # one\n    b,\n}\n"),
    ],
)
def test_what_the_change_is_not_about_stays(edits: list[tuple[str, str]], code: str, wanted: str) -> None:
    assert learned(edits, code) == wanted


def test_a_renamed_member_keeps_its_line_in_a_chain() -> None:
    edits = [(f"use(expect({i}).to.be.ok)\n", f"use(expect({i}).to.be.truthy)\n") for i in range(3)]
    code = "use(expect(x)\n  .to.be\n  .ok)\n"
    assert learned(edits, code, "javascript") == code.replace("ok", "truthy")


def test_arguments_are_no_list_that_a_variable_could_hold() -> None:
    edits = [("a = old.of([1, 2])\n", "a = one(1, 2)\n"), ("a = old.of([b, c])\n", "a = one(b, c)\n")]
    assert learned(edits, "x = old.of([ d ])\n") == "x = one( d )\n"


def test_what_goes_with_the_gap_after_it_goes_as_the_first_only() -> None:
    below = "# by hand\n# checked: no\n\n\ndef f():\n    pass\n"
    assert learned(FIRST, below) == below
    assert learned(FIRST, "# checked: no\nx = 1\n") == "x = 1\n"


def test_what_goes_below_something_takes_the_gap_before_it() -> None:
    edits = [(f"# by {name}\n# checked: no\nx = 1\n", f"# by {name}\nx = 1\n") for name in ("hand", "me")]
    below = "# by hand\n# checked: no\n\n\ndef f():\n    pass\n"
    assert learned(edits, below) == below.replace("# checked: no\n", "")
