"""SHA-256 of texts and files: the same on every machine.

A text counts as its UTF-8, with lone surrogates as they are. Digests over several parts are computed
where the parts are known.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

from rulewright import jsonl


def text_sha256(text: str) -> str:
    """64 hex digits.

    >>> text_sha256("a rule")[:8]
    'f8a06252'
    """
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def text_number(text: str) -> int:
    """The first 64 bits, as a number."""
    return int(text_sha256(text)[:16], 16)


def file_sha256(path: Path) -> str:
    """64 hex digits of a file's bytes."""
    with jsonl.require_file(path).open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
