"""License names: map spellings to SPDX ids in lower case; the default allow-list.

Not legal advice: the default allow-list has the permissive licenses that are common in code corpora;
users can allow more.
"""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Collection, Iterable
from pathlib import Path
from typing import Final

UNKNOWN: Final = "unknown"
PERMISSIVE: Final[tuple[str, ...]] = (
    "mit", "mit-0", "apache-2.0", "bsd-2-clause", "bsd-3-clause", "0bsd", "isc", "unlicense", "cc0-1.0",
    "artistic-2.0", "psf-2.0", "python-2.0", "zlib", "bsl-1.0", "ncsa", "upl-1.0", "blueoak-1.0.0",
)  # fmt: skip

_ALIASES: Final[dict[str, str]] = {
    "mit license": "mit", "the mit license": "mit", "expat": "mit",
    "apache": "apache-2.0", "apache 2": "apache-2.0", "apache 2.0": "apache-2.0", "apache2": "apache-2.0",
    "apache license 2.0": "apache-2.0", "apache software license": "apache-2.0",
    "apache license, version 2.0": "apache-2.0",
    "bsd": "bsd-3-clause", "bsd-3": "bsd-3-clause", "bsd 3-clause": "bsd-3-clause", "new bsd": "bsd-3-clause",
    "bsd-2": "bsd-2-clause", "bsd 2-clause": "bsd-2-clause",
    "psf": "psf-2.0", "cc0": "cc0-1.0", "public domain": "cc0-1.0", "boost": "bsl-1.0",
}  # fmt: skip
_ID: Final = re.compile(r"[a-z0-9][a-z0-9.+-]*")

# Names in the titles of license files: the first one counts, for some of these texts name others, too.
_TITLES: Final[tuple[tuple[str, str], ...]] = (
    ("apache license", "apache-2.0"),
    ("gnu affero general public", "agpl-3.0"),
    ("gnu lesser general public", "lgpl"),
    ("gnu general public", "gpl"),
    ("mozilla public license", "mpl-2.0"),
    ("eclipse public license", "epl"),
    ("python software foundation license", "psf-2.0"),
    ("boost software license", "bsl-1.0"),
    ("this is free and unencumbered software", "unlicense"),
    ("creative commons legal code cc0", "cc0-1.0"),
)
# Sentences by which the others are recognized, most specific first.
_SENTENCES: Final[tuple[tuple[str, str], ...]] = (
    ("permission to use, copy, modify, and/or distribute this software for any purpose", "isc"),
    ("permission to use, copy, modify, and distribute this software for any purpose", "isc"),
    ("neither the name of", "bsd-3-clause"),
    ("redistributions in binary form must reproduce", "bsd-2-clause"),
    ("permission is hereby granted, free of charge, to any person obtaining a copy", "mit"),
)


@functools.lru_cache(maxsize=1024)
def normalize(name: str) -> str:
    """Give the SPDX id in lower case; `a and b` where several apply, `a or b` where one may choose;
    `unknown` for free text.

    >>> normalize("Apache License 2.0"), normalize("PSF-2.0/MIT"), normalize("(MIT OR GPL-2.0)")
    ('apache-2.0', 'psf-2.0 and mit', 'mit or gpl-2.0')
    """
    text = " ".join(name.lower().split())
    if whole := re.fullmatch(r"\(([^()]*)\)", text):
        text = whole[1].strip()
    if text in _ALIASES:
        return _ALIASES[text]
    for word, between in ((" or ", " or "), (" and ", r"/| and |,|;")):
        parts = [part.strip() for part in re.split(between, text) if part.strip()]
        if len(parts) > 1:
            ids = [normalize(part) for part in parts]
            return UNKNOWN if UNKNOWN in ids else word.join(dict.fromkeys(ids))
    return text if _ID.fullmatch(text) else UNKNOWN


def allowed(license: str, allow: Collection[str]) -> bool:
    """Whether every license of a normalized name, or of one of its choices, is on the list."""
    return any(all(part in allow for part in choice.split(" and ")) for choice in license.split(" or "))


def of_folder(folder: Path, above: int) -> str:
    """What the license file of a folder says, or else that of the nearest of so many folders above it."""
    for place in (folder, *folder.resolve().parents[:above]):
        files = [f for f in sorted(place.glob("[Ll][Ii][Cc][Ee][Nn][CcSs][Ee]*")) if f.is_file()]
        found = first_known(file.read_text(encoding="utf-8", errors="replace") for file in files)
        if found:
            return found
    return ""


def first_known(texts: Iterable[str]) -> str:
    """The license of the first of some license files that is recognized; empty where none is."""
    return next((found for found in map(of_text, texts) if found != UNKNOWN), "")


@functools.lru_cache(maxsize=100_000)
def of_package(folder: Path, root: Path) -> str:
    """What the `package.json` of a folder, or of the nearest one above it in `root`, states; else nothing."""
    try:
        stated = json.loads((folder / "package.json").read_bytes()).get("license")
    except (OSError, ValueError, AttributeError):
        stated = None
    if isinstance(stated, str) and stated:
        return normalize(stated)
    return "" if folder in (root, folder.parent) else of_package(folder.parent, root)


@functools.lru_cache(maxsize=1024)
def of_text(text: str) -> str:
    """Recognize a license file by its sentences; `unknown` where none is known."""
    flat = " ".join(text.lower().split())[:20_000]
    titles = [(flat.index(title), name) for title, name in _TITLES if title in flat]
    if titles:
        return min(titles)[1]
    return next((name for sentence, name in _SENTENCES if sentence in flat), UNKNOWN)
