"""Every packaged template: complete, taken by the CLI, and undone by its inverse."""

from __future__ import annotations

import json
import random
import subprocess
from collections import Counter
from pathlib import Path

import pytest

from rulewright.actions.action import Action
from rulewright.engine import judge
from rulewright.engine.cli import binary
from rulewright.errors import UsageError
from rulewright.languages import Language, suffix_of
from rulewright.synth import instances, make, templates
from rulewright.synth.instances import Code
from rulewright.synth.templates import Codemod

PACKAGED = templates.packaged()
LANGUAGES: tuple[Language, ...] = ("python", "javascript", "typescript", "tsx", "java", "go")


def degraded(template: Codemod) -> instances.Proposal | str:
    source = make.from_template(template)
    return source.degrade(Code(template.example, template.language, []), random.Random(0))


def test_there_are_enough_in_every_language() -> None:
    counts = Counter(template.language for template in PACKAGED)
    assert len({template.name.partition("/")[2] for template in PACKAGED}) >= 150
    assert min(counts[language] for language in LANGUAGES) >= 35


def test_every_template_says_why_and_has_several_phrasings() -> None:
    poor = [t.name for t in PACKAGED if len(set(t.phrasings)) < 4 or not t.reason or not t.example]
    assert poor == []
    by_language = Counter((t.language, say) for t in PACKAGED for say in t.phrasings)
    repeated = {say for (_, say), n in by_language.items() if n > 2}
    assert repeated == set()


def test_forward_restores_what_the_inverse_degraded() -> None:
    failures = {}
    for template in PACKAGED:
        found = degraded(template)
        if isinstance(found, str):
            failures[template.name] = found
            continue
        outcome = judge(Action(template.language, (template.forward,)), found.pre, template.example)
        if not outcome.ok:
            failures[template.name] = f"{outcome.verdict}: {outcome.detail}"
        if not template.could_match(template.example):
            failures[template.name] = f"pre-filter {template.needs} misses the example"
    assert failures == {}


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_cli_takes_both_rules_and_makes_the_example(language: Language, tmp_path: Path) -> None:
    mine = [template for template in PACKAGED if template.language == language]
    rules = []
    for number, template in enumerate(mine):
        name = f"{number}{suffix_of(language)}"
        found = degraded(template)
        assert not isinstance(found, str), template.name
        (tmp_path / name).write_text(found.pre)
        rules.append({"id": f"f{number}", "language": language, "files": [name], **template.forward})
        rules.append({"id": f"i{number}", "language": language, "files": ["none"], **template.inverse})
    (tmp_path / "rules.yml").write_text("\n---\n".join(map(json.dumps, rules)))
    done = subprocess.run(
        [binary(), "scan", "--rule", "rules.yml", "-U", "--no-ignore", "hidden", "."],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    wrong = {
        template.name: text
        for number, template in enumerate(mine)
        if (text := (tmp_path / f"{number}{suffix_of(language)}").read_text()) != template.example
    }
    assert wrong == {}


def test_needs_of_a_plain_pattern_are_its_words_and_marks() -> None:
    template = next(t for t in PACKAGED if t.name == "python/is-none")
    assert template.needs == ("None", "is")
    assert template.could_match("x is None") and not template.could_match("x == 1")


def write(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("language: go\ntemplates:\n  - {name: a, old: x}\n", "missing family"),
        ("language: go\ntemplates: [text]\n", "expected a mapping"),
        ("language: cobol\ntemplates:\n  - {name: a}\n", "no language"),
        ("language: python\ntemplates:\n  - {name: a, nme: b}\n", "unknown key 'nme'"),
        ("just text\n", "expected a mapping"),
        ("templates: [\n", "not valid YAML"),
    ],
)
def test_a_faulty_yaml_file_says_where(text: str, said: str, tmp_path: Path) -> None:
    path = write(tmp_path / "mine.yaml", text)
    with pytest.raises(UsageError, match=said) as caught:
        templates.load(path)
    assert str(path) in str(caught.value)


def test_a_faulty_jsonl_line_says_which(tmp_path: Path) -> None:
    good = {
        "name": "x/y",
        "language": "Python",
        "forward": {"rule": {"pattern": "a($X)"}, "constraints": None, "fix": "b($X)"},
        "inverse": {"rule": {"pattern": "b($X)"}, "constraints": None, "fix": "a($X)"},
        "reason": "",
        "paraphrases": ["Use b."],
    }
    path = write(tmp_path / "t.jsonl", json.dumps(good) + "\n")
    (template,) = templates.load(path)
    assert template.forward == {"rule": {"pattern": "a($X)"}, "fix": "b($X)"}
    assert template.language == "python" and template.needs == ("b",)
    path = write(tmp_path / "u.jsonl", json.dumps(good) + "\n" + json.dumps({**good, "inverse": {}}) + "\n")
    with pytest.raises(UsageError, match=r"u\.jsonl:2: missing inverse"):
        templates.load(path)
    path = write(tmp_path / "v.jsonl", json.dumps({**good, "language": "Pyhton"}) + "\n")
    with pytest.raises(UsageError, match=r"v\.jsonl:1: x/y: no language Pyhton"):
        templates.load(path)


def test_the_given_template_file_is_read_and_not_copied(shared: Path) -> None:
    given = templates.load(shared / "data" / "codemod_templates.jsonl")
    assert len(given) == 135 and all(template.phrasings for template in given)
    ours = {say for template in PACKAGED for say in template.phrasings}
    assert ours.isdisjoint(say for template in given for say in template.phrasings)
