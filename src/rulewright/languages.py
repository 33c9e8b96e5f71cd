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

# ast-grep's own names and aliases for our languages (matched without case).
AST_GREP_NAMES: Final[dict[str, Language]] = {
    "python": "python", "py": "python",
    "javascript": "javascript", "js": "javascript", "jsx": "javascript",
    "typescript": "typescript", "ts": "typescript",
    "tsx": "tsx",
    "java": "java",
    "go": "go", "golang": "go",
    "c": "c",
    "cpp": "cpp", "c++": "cpp", "cc": "cpp", "cxx": "cpp",
    "rust": "rust", "rs": "rust",
    "ruby": "ruby", "rb": "ruby",
    "php": "php",
    "csharp": "csharp", "cs": "csharp",
    "kotlin": "kotlin", "kt": "kotlin",
}  # fmt: skip
# What ast-grep knows besides, so that a message can tell a misspelling from a limit of ours.
OTHER_LANGUAGES: Final = frozenset(
    ["bash", "css", "dart", "elixir", "ex", "haskell", "hs", "hcl", "tf", "terraform", "html", "htm", "json",
     "lua", "nix", "scala", "solidity", "sol", "sql", "swift", "yaml", "yml", "markdown", "md", "sh", "zsh"]
)  # fmt: skip
# How ast-grep's documentation spells them.
DISPLAY_NAMES: Final[dict[Language, str]] = {
    "python": "Python", "javascript": "JavaScript", "typescript": "TypeScript", "tsx": "Tsx",
    "java": "Java", "go": "Go", "c": "C", "cpp": "Cpp", "rust": "Rust",
    "ruby": "Ruby", "php": "Php", "csharp": "CSharp", "kotlin": "Kotlin", "other": "other",
}  # fmt: skip
# Names of GitHub and CommitPack that ast-grep does not know.
_FOREIGN_NAMES: Final[dict[str, Language]] = {"python3": "python", "ecmascript": "javascript", "c#": "csharp"}


def normalize_language(name: str) -> Language:
    """Map any usual name of a language to ours; `other` if unknown.

    >>> normalize_language("C++"), normalize_language("TypeScript"), normalize_language("COBOL")
    ('cpp', 'typescript', 'other')
    """
    key = name.strip().lower()
    return AST_GREP_NAMES.get(key) or _FOREIGN_NAMES.get(key, "other")


def language_of_path(path: str | PurePath) -> Language:
    """Map a file name to its language by extension; `other` where unknown."""
    return EXTENSIONS.get(PurePath(path).suffix.lower(), "other")


def suffix_of(language: Language) -> str:
    """Give the file extension by which ast-grep recognizes the language."""
    return next((suffix for suffix, name in EXTENSIONS.items() if name == language), ".txt")
