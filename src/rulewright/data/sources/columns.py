"""Any JSONL or parquet of edits, CommitPackFT's too, through a mapping from our columns to theirs.

Without a mapping the usual names are tried. Before/after fixtures of codemods often have no
instruction; they get one from the fixer's name, and the tag `instruction_fallback`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

from rulewright.data import licenses, messages
from rulewright.data.clean import canonical_repo, group_of, names_in
from rulewright.data.drafts import Draft, Drop
from rulewright.data.settings import IngestConfig
from rulewright.data.sources import Row
from rulewright.languages import normalize_language

# Ours to the usual names, tried in order.
USUAL: Final[dict[str, tuple[str, ...]]] = {
    "instruction": ("instruction", "subject", "description", "message", "prompt"),
    "pre": ("pre", "old_contents", "before", "old_code", "code_before", "input"),
    "post": ("post", "new_contents", "after", "new_code", "code_after", "output"),
    "language": ("language", "lang"),
    "license": ("license", "licence"),
    "path": ("path", "new_file", "file_path", "old_file"),
    "group": ("group",),
    "commit": ("commit", "sha"),
    "repo": ("repo", "repos", "source"),
    "action": ("action",),
}
REQUIRED: Final = ("pre", "post")


def missing(columns: Sequence[str], mapping: Mapping[str, str]) -> list[str]:
    """What a row with these columns lacks, in words for an error; empty if nothing.

    >>> missing(["pre", "x"], {})
    ["'post' (one of: post, new_contents, after, new_code, code_after, output)"]
    """
    lacking = [f"'{theirs}' (mapped to {ours})" for ours, theirs in mapping.items() if theirs not in columns]
    for ours in REQUIRED:
        if ours not in mapping and not any(name in columns for name in USUAL[ours]):
            lacking.append(f"'{ours}' (one of: {', '.join(USUAL[ours])})")
    return lacking


def normalize(row: Row, config: IngestConfig) -> Sequence[Draft | Drop]:
    """One row, one draft; a row that its reader has dropped says why."""
    if "dropped" in row:
        return [Drop(_text(row["dropped"]))]
    mapping = config.mapping
    value = {
        ours: row.get(mapping[ours]) if ours in mapping else _first(row, usual)
        for ours, usual in USUAL.items()
    }
    if not isinstance(value["pre"], str) or not isinstance(value["post"], str):
        return [Drop("not_text", "pre and post must be strings")]
    metadata = row.get("metadata")
    known: Mapping[str, Any] = metadata if isinstance(metadata, Mapping) else {}
    told = {ours: _text(value[ours]) or _text(known.get(ours)) for ours in USUAL}
    repo, path, commit = _repo(told["repo"]), told["path"], told["commit"]
    group = _group(told["group"], repo, path, commit, config)
    license = told["license"]
    if licenses.normalize(license) == licenses.UNKNOWN:
        license = config.license or license
    given = row.get("tags")
    tags = [tag for tag in given if isinstance(tag, str)] if isinstance(given, list) else []
    instruction, marks = _instruction(value["instruction"], group, config)
    if isinstance(instruction, Drop):
        return [instruction]
    return [
        Draft(
            instruction=instruction,
            pre=value["pre"],
            post=value["post"],
            group=group,
            language=normalize_language(_text(value["language"]) or config.language),
            license=license,
            path=path,
            repo=repo,
            commits=tuple(filter(None, commit.split(","))),
            tags=(*tags, *marks),
            extra=_action(value["action"] or known.get("action")),
        )
    ]


def _first(row: Row, names: Sequence[str]) -> Any:
    """The first column of a row that is given and not empty; else one that is empty."""
    given = [row[name] for name in names if row.get(name) is not None]
    return next((value for value in given if value != ""), given[0] if given else None)


def _text(value: Any) -> str:
    """A text, a number as text, or names with commas between them; empty for anything else."""
    if isinstance(value, str | int) and not isinstance(value, bool):
        return str(value)
    return ",".join(names_in(value)) if isinstance(value, list) else ""


def _action(given: Any) -> dict[str, Any]:
    """The action that a row brings, as text; it is executed before the record is kept (`verified`)."""
    if isinstance(given, Mapping | list) and given:
        return {"action": json.dumps(given, ensure_ascii=False)}
    return {"action": given} if isinstance(given, str) and given.strip() else {}


def _instruction(given: Any, group: str, config: IngestConfig) -> tuple[str | Drop, list[str]]:
    if isinstance(given, str) and given.strip():
        how = config.message_filter
        return (given if how in (None, "off") else messages.check(given, how)), []
    name = group.rsplit(":", 1)[-1]
    words = re.sub(r"[_\-./]+|(?<=[a-z0-9])(?=[A-Z])", " ", name).strip()
    made = config.fallback_instruction.format(name=name, words=words)
    if not made or not (name or _says_all(config.fallback_instruction)):
        return Drop("no_instruction"), []
    return made, ["instruction_fallback"]


def _says_all(template: str) -> bool:
    """Whether a text needs no fixer's name.

    >>> _says_all("Improve this code."), _says_all("Apply {words}.")
    (True, False)
    """
    return template.format(name="", words="") == template.format(name="-", words="-")


def _repo(text: str) -> str:
    """`owner/name` where the text names one, as in `fixture:asottile/pyupgrade`.

    >>> _repo("fixture:Instagram/LibCST"), _repo("bigcode/x via y/z"), _repo("stdlib")
    ('instagram/libcst', '', '')
    """
    names = [part.rsplit(":", 1)[-1] for part in text.split(",")]
    return canonical_repo([name for name in names if re.fullmatch(r"\s*[\w.-]+/[\w.-]+\s*", name)])


def _group(stated: str, repo: str, path: str, commit: str, config: IngestConfig) -> str:
    """What must not straddle splits: the stated group within its repository, or the repository."""
    if stated:
        name = codemod_name(stated)
        return f"{repo}:{name}" if repo else name
    return group_of(config, repo, path, commit)  # else the record's own id


def codemod_name(group: str) -> str:
    """One name for a fixer, however its test file is called.

    >>> codemod_name("tests/features/six_test.py"), codemod_name("eslint+eslint:no-extra-parens.js")
    ('six', 'no-extra-parens')
    >>> codemod_name("src/FooBarTest.java"), codemod_name("chai-should")
    ('foobar', 'chai-should')
    """
    name = group.rsplit(":", 1)[-1].rsplit("/", 1)[-1]
    name = re.sub(r"\.(test|spec)?\.?(py|js|ts|tsx|jsx|java|go|rs)$", "", name)
    name = re.sub(r"^test_|_test$|Tests?$", "", name) or name
    return name.lower()
