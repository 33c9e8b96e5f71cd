"""The languages of records, and their names in other tools.

One table; no guessing from content happens here (see `data.clean` for parsing).
"""

from __future__ import annotations

from pathlib import PurePath
from typing import Final, Literal, get_args

Language = Literal[
    "python", "javascript", "typescript", "tsx", "java", "go", "c", "cpp", "rust",
    "ruby", "php", "csharp", "kotlin", "other",
]  # fmt: skip
LANGUAGES: Final[tuple[Language, ...]] = get_args(Language)
SCRIPTS: Final[tuple[Language, ...]] = ("javascript", "typescript", "tsx")
"""JavaScript and what is written like it."""

EXTENSIONS: Final[dict[str, Language]] = {
    ".py": "python", ".pyi": "python", ".py3": "python", ".bzl": "python",
    ".js": "javascript", ".jsx": "javascript", ".mjs": "javascript", ".cjs": "javascript",
    ".ts": "typescript", ".mts": "typescript", ".cts": "typescript",
    ".tsx": "tsx",
    ".java": "java",
    ".go": "go",
    ".c": "c", ".h": "c",
    ".cpp": "cpp", ".cc": "cpp", ".cxx": "cpp", ".hpp": "cpp", ".hh": "cpp", ".hxx": "cpp", ".c++": "cpp",
    ".cu": "cpp", ".ino": "cpp",
    ".rs": "rust",
    ".rb": "ruby", ".rbw": "ruby", ".gemspec": "ruby",
    ".php": "php",
    ".cs": "csharp",
    ".kt": "kotlin", ".ktm": "kotlin", ".kts": "kotlin",
}  # fmt: skip

# Display names (GitHub, CommitPack), ast-grep aliases and ours, all lower case.
ALIASES: Final[dict[str, Language]] = {
    "py": "python", "python3": "python",
    "js": "javascript", "jsx": "javascript", "ecmascript": "javascript",
    "ts": "typescript",
    "golang": "go",
    "c++": "cpp", "cc": "cpp", "cxx": "cpp",
    "rs": "rust",
    "rb": "ruby",
    "c#": "csharp", "cs": "csharp",
    "kt": "kotlin",
}  # fmt: skip


def normalize_language(name: str) -> Language:
    """Map any usual name of a language to ours; `other` if unknown.

    >>> normalize_language("C++"), normalize_language("TypeScript"), normalize_language("COBOL")
    ('cpp', 'typescript', 'other')
    """
    key = name.strip().lower()
    known = ALIASES.get(key, key)
    return known if known in LANGUAGES else "other"


def language_of_path(path: str | PurePath) -> Language:
    """Map a file name to its language by extension; `other` where unknown."""
    return EXTENSIONS.get(PurePath(path).suffix.lower(), "other")


def suffix_of(language: Language) -> str:
    """Give the file extension by which ast-grep recognizes the language."""
    return next((suffix for suffix, name in EXTENSIONS.items() if name == language), ".txt")
