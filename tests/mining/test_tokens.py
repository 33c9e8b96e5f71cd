"""What is replaced within a string, comment or name: the change, its word, and as much as tells it apart."""

from __future__ import annotations

import pytest

from rulewright.languages import Language
from rulewright.mining import costs
from rulewright.mining.judge.soundness import effect
from rulewright.mining.propose import comments, tokens
from rulewright.mining.propose.candidate import Candidate
from rulewright.mining.rules.reading import ANY_NAME, MARGIN
from rulewright.mining.text.align import Edit, variants
from rulewright.mining.text.tree import Tree


def proposed(pre: str, post: str, language: Language = "python") -> tuple[Edit, list[Candidate]]:
    edit = next(variants(Tree(pre, language), Tree(post, language)))
    return edit, list(tokens.inside_token(edit, 0))


def replaced(pre: str, post: str, language: Language = "python") -> list[str]:
    """What each proposal for the smallest token replaces, `old → new`, several with commas."""
    _, found = proposed(pre, post, language)
    return [
        ", ".join(
            f"{step['replace']['replace']} → {step['replace']['by']}"
            for step in one.rule["transform"].values()
        )
        for one in found
        if one.kind == found[0].kind
    ]


@pytest.mark.parametrize(
    ("pre", "post", "wanted"),
    [
        # A word, and the word with what it is tied to.
        ("'a.old.b'", "'a.new.b'", ["old → new", r"^a\.old → a.new"]),
        ("'self.width and x'", "'self.height and x'", ["width → height", r"^self\.width → self.height"]),
        ("'x/old and'", "'x/new and'", ["old → new", "^x/old → x/new"]),
        ("'a::old b'", "'a::new b'", ["old → new", "^a::old → a::new"]),
        ("'a->old b'", "'a->new b'", ["old → new", "^a->old → a->new"]),
        ("'a-old b'", "'a-new b'", ["old → new", "^a-old → a-new"]),
        ("'x.y.old b'", "'x.y.new b'", ["old → new", r"y\.old → y.new"]),
        ("# @type old x", "# @type new x", ["@type old → @type new"]),
        # It is tied to nothing: a blank is between, or another sign, or it is the first.
        ("'a+old b'", "'a+new b'", ["old → new"]),
        ("'a. old b'", "'a. new b'", ["old → new"]),
        ("'old.x b'", "'new.x b'", ["^old → new"]),
        ("# @old x", "# @new x", ["old → new"]),
        # At an end the change alone; what is more than a part of a word goes by the whole word.
        ("name_one = 1", "name_two = 1", ["one$ → two"]),
        ("# see the manuel", "# see the manual", ["manuel$ → manual"]),
        # A sign that comes belongs to the word before it; a blank that goes stands for itself.
        ("'a b'", "'a, b'", ["^a → a,"]),
        ("'one  two'", "'one two'", ["  → ", "   →  ", " two$ → two"]),
        ("'self.width x'", "'self.width, x'", ["width → width,", r"^self\.width → self.width,"]),
        ("'aa aa'", "'aa, aa'", ["^aa → aa,", "^aa  → aa, "]),
        ("'a b'", "'-a b'", ["^a → -a"]),
        ("'a b'", "'a b '", ["b$ → b "]),
        ("'ab cd'", "'abx cd'", ["^ab → abx"]),
        # Between two signs nothing says where.
        ("'ab (cd'", "'ab ,(cd'", []),
        ("'ab) (cd'", "'ab)x (cd'", []),
        ("'aXb'", "'ab'", ["aXb → ab"]),
        ("'a, old'", "'a'", [", old$ → "]),
        ("'old, a'", "'a'", ["^old,  → "]),
        # A sign that becomes another one says which token is meant.
        ("'a - b'", "'a + b'", ["- → +"]),
        # What stands there twice is widened, by the words before it or after it, until it stands once.
        ("'x an old an y'", "'x an old on y'", ["an → on", "old an → old on", "an y$ → on y"]),
        ("'a b a'", "'c b a'", ["^a → c", "^a  → c "]),
        ("'1 of 10'", "'2 of 10'", ["^1 → 2", "^1  → 2 "]),
        (
            "# @type old old",
            "# @type new old",
            ["@type old → @type new", "type old → type new", "old  → new "],
        ),
        # Several words one by one, or all of the stretch.
        ("'ab cd ef gh'", "'xb cd ef yh'", ["^ab cd ef g → xb cd ef y", "^ab → xb, gh$ → yh"]),
        # A sign that comes behind two alike is widened into a word that changes too: then all of it.
        ("'ab, cd,'", "'xb, yd,z'", ["ab, cd, → xb, yd,z"]),
        # A sign to which one is put stands in every such string: nothing is proposed.
        ("'+'", "'+-'", []),
        ("10", "100", []),
        # Both ends of a text, each a sign that stands twice in it.
        ("'x y'", '"x y"', ["^' → \", y'$ → y\""]),
    ],
)
def test_what_is_replaced(pre: str, post: str, wanted: list[str]) -> None:
    assert replaced(pre + "\n", post + "\n") == wanted


@pytest.mark.parametrize(("n", "told"), [(19, True), (20, False)])
def test_a_stretch_is_widened_by_at_most_40_words_and_blanks(n: int, told: bool) -> None:
    same = "a " * n
    left = replaced(f"'u {same}x, v {same}x.'\n", f"'u {same}x, v {same}y.'\n")
    right = replaced(f"'x {same}u, x {same}v.'\n", f"'y {same}u, x {same}v.'\n")
    assert (f"v {same}x → v {same}y" in left) is (f"^x {same}u → y {same}u" in right) is told


@pytest.mark.parametrize(("n", "told"), [(6, True), (7, False)])
def test_so_many_words_are_replaced_one_by_one(n: int, told: bool) -> None:
    pre = " = ".join(f"old{i}" for i in range(n))
    assert any(", " in one for one in replaced(f"'{pre}'\n", f"'{pre.replace('old', 'new')}'\n")) is told


@pytest.mark.parametrize(("n", "told"), [(1_998, True), (1_999, False)])
def test_the_words_of_a_very_long_text_are_not_told_apart(n: int, told: bool) -> None:
    # Each word with its blank, and one word without: 4,000 at most.
    pre = "old1 " + "w " * n + "old2"
    assert any(", " in one for one in replaced(f"'{pre}'\n", f"'{pre.replace('old', 'new')}'\n")) is told


def test_a_change_across_lines_costs_more() -> None:
    _, [here, *_] = proposed("# a\nf('one two')\n", "# a\nf('one three')\n")
    _, found = proposed('f("""one\ntwo""")\n', 'f("""three\nfour""")\n')
    assert here.extra_cost == 0.0
    assert {one.extra_cost for one in found if len(one.rule["transform"]) == 1} == {costs.LINES_IN_TOKEN}


def test_a_proposal_matches_what_it_replaces() -> None:
    for pre, post in (
        ("f('a.old.b', 'old')\n", "f('a.new.b', 'old')\n"),
        ("f('$x costs 1')\n", "f('$x costs 2')\n"),
        ("f(`x ${y} old`)\n", "f(`x ${y} new`)\n"),
        ("f('a|b|c')\n", "f('a|x|c')\n"),
    ):
        edit, found = proposed(pre, post, "javascript")
        assert found
        for one in found:
            done = effect(edit, one)
            assert done is not None and (done.hunks == {0} or done.negatives), one.rule


@pytest.mark.parametrize(("n", "told"), [(400, True), (401, False)])
def test_what_is_replaced_is_named_in_so_many_characters(n: int, told: bool) -> None:
    assert (f"{'w' * n} → b" in replaced(f"'a {'w' * n} z'\n", "'a b z'\n")) is told


def from_comment(pre: str, post: str, language: Language) -> list[tuple[str, str]]:
    """What a comment must say and what it becomes, for each proposal."""
    edit = next(variants(Tree(pre, language), Tree(post, language)))
    found = [
        one.rule
        for node in edit.pre.root.walk()
        for mapped in edit.map_range(node.start, node.end)
        for one in comments.whole_comment(edit, node, mapped)
    ]
    made = []
    for rule in found:
        step = rule.get("transform", {}).get("NEW", {}).get("replace", {"replace": rule["rule"]["regex"]})
        assert step["replace"] == rule["rule"]["regex"]
        asked = step["replace"].removeprefix("^" + MARGIN).removesuffix(MARGIN + "$")
        made.append((asked.replace(ANY_NAME, "NAME"), step.get("by", rule["fix"])))
    return made


@pytest.mark.parametrize(
    ("language", "pre", "post", "wanted"),
    [
        ("python", "# run it\nf()\n", "go()\nf()\n", [("run it", "go()")]),
        ("python", "if a:\n    # run it\n    f()\n", "if a:\n    if b:\n        go()\n    f()\n",
         [("run it", "if b:\n    go()")]),
        # A name that comes back may be any; a sign that would read as a variable is none.
        ("php", "/**\n * @covers Place\n */\nclass A {}\n", "#[Covers(Place)]\nclass A {}\n",
         [("@covers NAME", "#[Covers(${1})]")]),
        ("java", "class A {\n    // run Place\n    int x;\n}\n",
         "class A {\n    @Run(Place)\n    int x;\n}\n", [("run NAME", "@Run(${1})")]),
        ("javascript", "// do it, and that\nf();\n", "check(that, it);\nf();\n",
         [("do NAME, and NAME", "check(${2}, ${1});")]),
        ("python", "# cost $x\nf()\n", 'go("$x")\nf()\n', [(r"cost \$NAME", 'go("$$${1}")')]),
        ("javascript", "// run $A\nf();\n", 'go("$A");\nf();\n', []),
        # Which of two is meant nobody knows.
        ("python", "# it or it\nf()\n", "go(it)\nf()\n", []),
        # Code that was a comment, a comment that goes, one of several lines, and one that stays one.
        ("python", "# go()\nf()\n", "go()\nf()\n", []),
        ("python", "# run it\nf()\n", "\nf()\n", []),
        ("python", "# run it\n# now\nf()\n", "go()\nf()\n", []),
        ("javascript", "/* run it\n   now */\nf();\n", "go();\nf();\n", []),
        ("javascript", "// run it\nf();\n", "/* go */\nf();\n", []),
        ("python", "'run it'\nf()\n", "go()\nf()\n", []),
        # As long as the user would read.
        ("python", f"# {'a' * 60}\nf()\n", "go()\nf()\n", [("a" * 60, "go()")]),
        ("python", f"# {'a' * 61}\nf()\n", "go()\nf()\n", []),
    ],
)  # fmt: skip
def test_a_comment_that_becomes_code(
    language: Language, pre: str, post: str, wanted: list[tuple[str, str]]
) -> None:
    assert from_comment(pre, post, language) == wanted
