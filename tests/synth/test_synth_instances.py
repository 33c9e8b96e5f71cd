"""Instance edits: what each family proposes, and that a proposal never surprises the engine."""

from __future__ import annotations

import random
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rulewright.actions.action import Action
from rulewright.difftext import splice
from rulewright.engine import judge
from rulewright.languages import Language
from rulewright.synth import instances, naming, speech
from rulewright.synth.instances import FAMILIES, Code
from rulewright.verdict import Verdict

NAMES = ("alpha", "betaValue", "count_items", "fetch", "limit", "MAX_SIZE", "Widget", "z9")
SNIPPETS: dict[Language, str] = {
    "python": (
        "from os import path\n"
        "@cached\n"
        "def load(name, size=4):\n"
        "    limit = 10\n"
        "    data = tuple(read(name, size))\n"
        "    data.close()\n"
        "    if data.empty:\n"
        "        raise KeyError(name)\n"
        "    return path.join(data.root, 'x.txt', mode='r')\n"
    ),
    "javascript": (
        "import { a } from 'mod/x';\n"
        "const limit = 10;\n"
        "const out = wrap(read(name, limit));\n"
        "out.close();\n"
        "if (out.empty) { throw new TypeError('none'); }\n"
        "fs.write(out.root, 'x.txt');\n"
    ),
    "typescript": "const size = 3;\nconst box = make(size, 'a');\nbox.open(size);\nlog(box.name);\n",
    "java": (
        "import java.util.List;\n"
        "class T {\n"
        "  int size = 3;\n"
        "  void f() {\n"
        '    out.print(wrap(read(name, "a")));\n'
        "    if (empty) { throw new IllegalStateException(name); }\n"
        "    this.total = other.size;\n"
        "  }\n"
        "}\n"
    ),
    "go": (
        'package p\n\nimport "os/exec"\n\n'
        "func f() {\n\tlimit := 10\n\tdata := wrap(read(name, limit))\n"
        '\tdata.Close()\n\tfmt.Println(data.Root, "x")\n}\n'
    ),
}


def propose(family: str, language: Language, text: str, seed: int) -> instances.Proposal | None:
    code = Code(text, language, NAMES)
    return FAMILIES[family](code, random.Random(seed))


def families_for(language: Language) -> list[str]:
    return [name for name in FAMILIES if language == "python" or name not in instances.PYTHON_ONLY]


@pytest.mark.parametrize("language", sorted(SNIPPETS))
def test_every_family_gives_a_verified_edit(language: Language) -> None:
    text = SNIPPETS[language]
    without = {
        "java": {"attribute-to-call", "call-to-attribute", "qualify-call", "rewrite-expression"},
        "go": {"change-exception", "set-value", "rename-call", "rewrite-expression"},
        "typescript": {"change-import", "change-exception", "wrap-call", "attribute-to-call", "qualify-call"},
    }
    silent = set()
    for family in families_for(language):
        verdicts = set()
        for seed in range(12):
            found = propose(family, language, text, seed)
            if found is not None:
                outcome = judge(Action(language, found.rules), found.pre, text)
                verdicts.add(outcome.verdict.value)
        if "ok" not in verdicts:
            silent.add(family)
    assert silent <= without.get(language, set())


def test_a_rename_is_said_and_done() -> None:
    found = propose("rename-identifier", "python", "count = count + step\n", 3)
    assert found is not None
    old, new = found.slots["old"], found.slots["new"]
    assert found.rules == ({"rule": {"pattern": old}, "fix": new},)
    assert found.pre == "count = count + step\n".replace(new, old)


def test_a_name_that_is_also_a_property_is_left_alone() -> None:
    for seed in range(20):
        assert propose("rename-identifier", "python", "name.name = name\n", seed) is None


_HOLE = re.compile(r"(\$\$\$ARGS|\$[A-C])")


def test_a_request_that_spells_out_both_sides_is_the_rule_in_other_letters() -> None:
    text = "table[key] = load(path, mode=None)\nsize = total(rows) + 1\n"
    shapes, right = set(), 0
    for seed in range(80):
        found = propose("rewrite-expression", "python", text, seed)
        if found is None:
            continue
        rule = found.rules[0]
        old, new = str(rule["rule"]["pattern"]), str(rule["fix"])
        shapes.add(old)
        # Each letter of the request stands for one variable, on both sides.
        letters = dict(zip(_HOLE.findall(old), _letters(old, found.slots["old"]), strict=True))
        assert found.slots["new"] == "".join(str(letters.get(part, part)) for part in _HOLE.split(new))
        right += judge(Action("python", found.rules), found.pre, text).verdict is Verdict.OK
    assert len(shapes) > 40 and right > 40
    rests = [shape for shape in shapes if "$$$ARGS" in shape]
    assert len(rests) > 10
    assert all(re.search(r"\$\$\$ARGS[])]", shape) for shape in rests), "last in a list"


def _letters(pattern: str, shown: str) -> list[str]:
    spelled = re.sub(r"\\\$\\\$\\\$ARGS|\\\$[A-C]", r"(\\.\\.\\.|\\*args|\\$*\\w+)", re.escape(pattern))
    match = re.fullmatch(spelled, shown)
    assert match is not None, (pattern, shown)
    return list(match.groups())


@pytest.mark.parametrize("text", ["x = y.name\n", "x = 17\n", "x = f()\n", 'x = "word"\n'])
def test_what_other_families_ask_is_left_to_them(text: str) -> None:
    # One word for another is a rename, whatever the word is; those may be held out.
    for seed in range(60):
        found = propose("rewrite-expression", "python", text, seed)
        if found is not None:
            old, new = str(found.rules[0]["rule"]["pattern"]), str(found.rules[0]["fix"])
            words = [re.findall(r"[\w$]+|\S", side) for side in (old, new)]
            differ = [pair for pair in zip(*words, strict=False) if pair[0] != pair[1]]
            assert len(words[0]) != len(words[1]) or len(differ) > 1, (old, new)
            assert not old.endswith(new) and not new.endswith(old)


@pytest.mark.parametrize(
    ("language", "code", "before"),
    [
        ("python", "items = []\n", "items = None\n"),
        ("javascript", "let items = [];\n", "let items = null;\n"),
        ("java", "class A { int[] items = {}; }\n", "class A { int[] items = null; }\n"),
    ],
)
def test_an_empty_list_was_nothing_before(language: Language, code: str, before: str) -> None:
    made = propose("set-value", language, code, 1)
    assert made is not None and made.pre == before


def test_arguments_are_swapped_only_where_every_call_has_two() -> None:
    found = propose("swap-arguments", "python", "f(a, b)\nf(c, d)\n", 0)
    assert found is not None and found.pre == "f(b, a)\nf(d, c)\n" and found.sites == 2
    assert propose("swap-arguments", "python", "f(a, b)\nf(c)\n", 0) is None
    assert propose("swap-arguments", "python", "f(a, k=b)\n", 0) is None


@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from(sorted(SNIPPETS)),
    st.sampled_from(sorted(FAMILIES)),
    st.integers(0, 2**32),
    st.data(),
)
def test_proposals_are_repeatable_and_never_crash(
    language: Language, family: str, seed: int, data: st.DataObject
) -> None:
    if family not in families_for(language):
        return
    lines = SNIPPETS[language].splitlines(keepends=True)
    first = data.draw(st.integers(0, len(lines) - 1))
    text = "".join(lines[first : data.draw(st.integers(first + 1, len(lines)))])
    found = propose(family, language, text, seed)
    assert found == propose(family, language, text, seed)
    if found is not None:
        assert found.pre != text
        judge(Action(language, found.rules), found.pre, text)


@given(st.text(max_size=30), st.data())
def test_splice_with_nothing_new_changes_nothing(text: str, data: st.DataObject) -> None:
    cuts = sorted(data.draw(st.sets(st.integers(0, len(text)), max_size=6)))
    edits = [(a, b, text[a:b]) for a, b in zip(cuts[::2], cuts[1::2], strict=False)]
    assert splice(text, edits) == text


@given(st.sampled_from(["count", "getValue", "MAX_SIZE", "Widget", "is_open", "x1"]), st.integers(0, 10**6))
def test_another_name_is_a_name_and_not_in_the_code(name: str, seed: int) -> None:
    other = naming.other_name(name, NAMES, f"{name} = 1", random.Random(seed))
    assert other is None or (other.isidentifier() and other not in f"{name} = 1")


def test_every_family_has_words_with_known_slots() -> None:
    words = speech.instance_words()
    assert set(words) == set(FAMILIES)
    for family in FAMILIES:
        assert len(set(words[family].phrasings)) >= 5
    for language, text in SNIPPETS.items():
        for family in families_for(language):
            for seed in range(6):
                found = propose(family, language, text, seed)
                if found is not None:
                    said = [speech.fill(p, found.slots) for p in words[family].phrasings]
                    assert not any(
                        "{" + slot + "}" in text for text in said for slot in ("old", "new", "call")
                    )
                    assert all(any(value in text for value in found.slots.values()) for text in said)
