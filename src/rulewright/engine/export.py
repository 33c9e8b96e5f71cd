"""Verified actions as an ordinary ast-grep rule pack, for use without rulewright.

`sgconfig.yml`, `rules/`, `tests/` with valid and invalid cases, `tests/__snapshots__/`: the unmodified
`ast-grep test` and `ast-grep scan` pass on it. Each rule of an action is one file; the earlier rules of
the action have been applied to its case.
"""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any, Final

from rulewright import jsonl
from rulewright.actions import yaml_text
from rulewright.actions.action import EFFECTIVE_FIELDS, Action
from rulewright.engine import applier, cli
from rulewright.engine.apply import apply
from rulewright.engine.parsing import parse
from rulewright.engine.rules import compile_rule
from rulewright.errors import RulewrightError
from rulewright.languages import DISPLAY_NAMES
from rulewright.verdict import Verdict

_UNSAFE: Final = re.compile(r"[^A-Za-z0-9_-]+")


@dataclass(frozen=True)
class PackRule:
    """An action and texts on which it was verified.

    Args:
        name: becomes the id of the rules; made safe for file names.
        action: what is exported.
        before: texts that it changes.
        message: what the rule is for, in a line.
    """

    name: str
    action: Action
    before: Sequence[str]
    message: str = ""


def export(examples: Iterable[PackRule], folder: Path) -> int:
    """Write a rule pack; give the number of rules.

    Raises:
        RulewrightError: an action does not do anything on its text, or ast-grep's own
            `test` or `scan` does not pass on the pack.
    """
    taken: set[str] = set()
    for example in examples:
        texts = list(example.before)
        many = len(example.action.rules) > 1
        for number, rule in enumerate(example.action.rules):
            wanted = f"{example.name}-{number + 1}" if many else example.name
            base = name = _UNSAFE.sub("-", wanted).strip("-")[:56] or "rule"
            again = count(2)
            while name.lower() in taken:  # files whose names differ by case alone are one on some disks
                name = f"{base}-{next(again)}"
            taken.add(name.lower())
            invalid, after = _cases(example, number, texts, name)
            document: dict[str, Any] = {"id": name, "language": DISPLAY_NAMES[example.action.language]}
            if example.message:
                document["message"] = example.message
            document |= {"severity": "hint", **{key: rule[key] for key in EFFECTIVE_FIELDS if key in rule}}
            jsonl.write_text(folder / "rules" / f"{name}.yml", yaml_text.dump(document))
            compiled = compile_rule(rule, example.action.language)
            # Results that the rule does not match again: it may match what it wrote.
            valid = [
                text
                for text in dict.fromkeys(filter(None, after))
                if not applier.find_all(parse(text, compiled.language).root, compiled.core.config)
            ]
            cases: dict[str, Any] = {"id": name, "valid": valid, "invalid": invalid}
            jsonl.write_text(folder / "tests" / f"{name}-test.yml", yaml_text.dump(cases))
            texts = after
    config = {"ruleDirs": ["rules"], "testConfigs": [{"testDir": "tests"}]}
    jsonl.write_text(folder / "sgconfig.yml", yaml_text.dump(config))
    if taken:
        _run(folder, "test", "--update-all")
        _run(folder, "test")
        _run(folder, "scan", "--json=compact", "sgconfig.yml")
    return len(taken)


def _cases(example: PackRule, number: int, texts: Sequence[str], name: str) -> tuple[list[str], list[str]]:
    """Texts that the rule matches, and every text after it."""
    one = Action(example.action.language, (example.action.rules[number],), ids=(name,))
    invalid, after = [], []
    for text in texts:
        outcome = apply(one, text)
        if outcome.post is None:
            what = f"{example.name}: {outcome.verdict}: {outcome.detail}"
            raise RulewrightError(what, "export verified actions only")
        if outcome.verdict is Verdict.OK and text not in invalid:
            invalid.append(text)
        after.append(outcome.post)
    if not invalid:
        raise RulewrightError(
            f"{example.name}: rule {number + 1} changes none of its {len(texts)} texts",
            "export verified actions only",
        )
    return invalid, after


def _run(folder: Path, *words: str) -> None:
    how = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "env": cli.ENVIRONMENT}
    with cli.start(*words, cwd=folder, **how) as running:
        told = running.communicate()[0]
    if running.returncode:
        lines = told.decode("utf-8", "replace").strip().splitlines()
        what = f"{folder}: `ast-grep {words[0]}` fails on the exported pack ({running.returncode})"
        what += f": {lines[-1] if lines else ''}"
        raise RulewrightError(what, "the pack was not removed, so you can inspect it")
