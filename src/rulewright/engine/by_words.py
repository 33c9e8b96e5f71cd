"""List the files in which a rule may match, by its words, without parsing any file.

Invariant: `listing` names the files that a scan with the same rules would, and every file in which one of
them matches is in its `matched`. If this cannot be determined, or would cost more than a scan, it returns
no listing.
"""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from rulewright.engine import literals, project
from rulewright.engine.listing import Listing, entities, garbled, run, scan
from rulewright.errors import UsageError
from rulewright.languages import EXTENSIONS, SCRIPTS, Language

HOSTS: Final = frozenset({".html", ".htm", ".xhtml"})
"""Files that may hold code of the languages `EMBEDDED`."""
EMBEDDED: Final = frozenset(SCRIPTS)
MAX_BYTES: Final = 3_000_000
MAX_LINES: Final = 200_000
"""ast-grep passes over files of more bytes and of more lines."""
SAMPLE: Final = 32
"""Files by which it is told how many of those that hold a rule's words match."""
COMMON: Final = 0.25
"""Share of files from which words, or matches, are common."""
_PROJECT: Final = re.compile(rb"^sg: summary\|project: isProject=true,projectDir=(.*)$", re.M)
_OF_LANGUAGES: Final = frozenset({"customLanguages", "languageGlobs", "languageInjections"})


def listing(paths: Sequence[Path], rules: Sequence[tuple[Language, Mapping[str, Any]]]) -> Listing | None:
    """The walk, and the files that hold what a rule needs; `None` where only a scan can tell.

    To parse a file costs a hundred times what it costs to look for some words in it, and a file that is
    judged is parsed anyway. Where a rule matches in few of the files that hold its words, a scan costs less.
    """
    wanted: dict[Language, list[literals.Needs]] = {}
    for language, rule in rules:
        wanted.setdefault(language, []).append(literals.needs(rule["rule"], language))
    seen = _unread(paths, wanted.keys())
    if seen is None:
        return None
    for path in sorted([*seen.files, *seen.hosts], key=lambda path: path.parts):
        data, why = _content(path)
        if path in seen.hosts:
            needed = [one for language in EMBEDDED & wanted.keys() for one in wanted[language]]
            if any(literals.may_match(data, one) for one in needed):
                return None
        elif why:
            seen.skipped[path] = why
            del seen.files[path]
        elif any(literals.may_match(data, one) for one in wanted[seen.files[path]]):
            seen.matched.add(path)
    seen.hosts.clear()
    if len(seen.matched) > max(SAMPLE, COMMON * len(seen.files)):
        some = sorted(seen.matched)[:: len(seen.matched) // SAMPLE]
        if len(scan(some, rules).matched) < COMMON * len(some):
            return None
    return seen


def _content(path: Path) -> tuple[bytes, str]:
    """What a file holds, and why ast-grep passes over it, in its words; empty where it does not."""
    try:
        data = path.read_bytes()
        data.decode("utf-8")
    except OSError:
        return b"", "ioError"
    except UnicodeDecodeError:
        return b"", "invalidUtf8"
    too_large = len(data) > MAX_BYTES and data.count(b"\n") > MAX_LINES
    return data, "fileTooLarge" if too_large else "" if data else "emptyFile"


def _unread(paths: Sequence[Path], languages: Collection[Language]) -> Listing | None:
    """The files of some languages that a scan would read, none of them read; `None`: that cannot be told.

    `run` names every file before it finds that no language has such a kind, and goes on to the next.
    """
    words = ["run", "--kind", "no_such_kind", "--inspect", "entity", "--color", "never"]
    told, _ = run(words, paths)
    # The project here may give files another language than their suffix does.
    found = _PROJECT.search(told)
    try:
        home = project.read(Path(os.fsdecode(found[1]))) if found is not None else None
    except UsageError:
        return None
    if home is not None and not _OF_LANGUAGES.isdisjoint(home.settings):
        return None
    shown: dict[str, Path] = {}
    for name, facts in entities(told):
        if facts.get("skipped") != "error":
            return None
        shown[name] = Path(name)
    listed = {path for path in shown.values() if EXTENSIONS.get(path.suffix) in languages}
    # A hidden file in a folder that is walked: `scan` takes it by its suffix, `run` does not.
    told, _ = run([*words, "--no-ignore", "hidden"], paths)
    every = {shown.get(name) or Path(name) for name, _ in entities(told)}
    for path in every - listed:
        if not path.name.startswith(".") or EXTENSIONS.get(path.suffix) not in languages:
            continue
        above = _hidden_above(path, paths)
        if above is not None:
            if any(above in one.parents for one in listed) or not any(
                above in one.parents and _hidden_above(one, [above]) is None for one in every - {path}
            ):
                return None
            continue
        listed.add(path)
    hosts = {path for path in shown.values() if path.suffix in HOSTS} if EMBEDDED & set(languages) else set()
    named = sorted((path for path in listed if not garbled(path)), key=lambda path: path.parts)
    return Listing({path: EXTENSIONS[path.suffix] for path in named}, {}, set(), hosts)


def _hidden_above(path: Path, roots: Iterable[Path]) -> Path | None:
    """The first hidden folder between a path that is walked and a file below it."""
    for root in roots:
        if root in path.parents:
            for number, part in enumerate(path.relative_to(root).parts[:-1], 1):
                if part.startswith("."):
                    return Path(root, *path.relative_to(root).parts[:number])
    return None
