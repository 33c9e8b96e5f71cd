"""`ast-grep run -p … -r … -l …`: parsed into a rule, never run.

Only `-p -r -l --selector --strictness` are accepted, once each. Everything else that a command line could
do (paths, configuration, writing, languages from a library) is refused.
"""

from __future__ import annotations

import shlex
from typing import Any, Final

from rulewright.actions.action import Rule
from rulewright.actions.rule_text import Refused, check_text, language_named
from rulewright.actions.suggest import did_you_mean, quoted
from rulewright.languages import DISPLAY_NAMES, Language
from rulewright.verdict import Verdict

_OPTIONS: Final = {
    "-p": "pattern", "--pattern": "pattern",
    "-r": "rewrite", "--rewrite": "rewrite",
    "-l": "lang", "--lang": "lang",
    "--selector": "selector",
    "--strictness": "strictness",
}  # fmt: skip
STRICTNESS: Final = ("cst", "smart", "ast", "relaxed", "signature", "template")


def parse(line: str) -> tuple[Language | None, Rule]:
    """Read a command line as a language and a rule.

    Raises:
        Refused: `bad_action`, saying which part is not taken.
    """
    check_text(line, "the command line")
    words = _split(line)
    if len(words) < 2 or words[0] != "ast-grep" or words[1] != "run":
        raise Refused(Verdict.BAD_ACTION, "a command line must begin with `ast-grep run`")
    given = _options(words[2:])
    for name, flag in (("pattern", "-p"), ("rewrite", "-r")):
        if name not in given:
            raise Refused(Verdict.BAD_ACTION, f"the command line lacks {flag}")
    strictness = given.get("strictness")
    if strictness is not None and strictness not in STRICTNESS:
        near = did_you_mean(strictness, STRICTNESS)
        raise Refused(Verdict.BAD_ACTION, f"unknown strictness {quoted(strictness)}{near}")
    language = language_named(given["lang"], "-l: ") if "lang" in given else None
    more: dict[str, str] = {key: given[key] for key in ("selector", "strictness") if key in given}
    pattern = {"context": given["pattern"], **more} if more else given["pattern"]
    return language, {"rule": {"pattern": pattern}, "fix": given["rewrite"]}


def _split(line: str) -> list[str]:
    if "\n" in line.strip() or "\r" in line.strip():
        # A newline inside quotes is text; outside it would begin a second command.
        bare = shlex.shlex(line.strip(), posix=True, punctuation_chars=False)
        bare.whitespace, bare.whitespace_split, bare.commenters = "\n\r", True, ""
        try:
            if len(list(bare)) > 1:
                raise Refused(Verdict.BAD_ACTION, "the command line has a line break outside quotes")
        except ValueError as error:
            raise Refused(Verdict.BAD_ACTION, f"the command line cannot be split: {error}") from error
    try:
        return shlex.split(line)
    except ValueError as error:
        raise Refused(Verdict.BAD_ACTION, f"the command line cannot be split: {error}") from error


def _options(words: list[str]) -> dict[str, str]:
    given: dict[str, str] = {}
    position = 0
    while position < len(words):
        word = words[position]
        flag, equals, value = word.partition("=") if word.startswith("--") else (word[:2], word[2:], word[2:])
        if flag not in _OPTIONS or not word.startswith("-"):
            raise Refused(
                Verdict.BAD_ACTION,
                f"{quoted(word)} is not taken: only -p, -r, -l, --selector and --strictness are",
            )
        name = _OPTIONS[flag]
        if name in given:
            raise Refused(Verdict.BAD_ACTION, f"{flag} is given twice")
        if equals:
            # clap takes `-pX` and `-p=X` for X.
            given[name] = value.removeprefix("=") if not word.startswith("--") else value
            position += 1
            continue
        if position + 1 >= len(words):
            raise Refused(Verdict.BAD_ACTION, f"{flag} lacks its value")
        given[name] = words[position + 1]
        position += 2
    return given


def can_render(rules: tuple[Rule, ...]) -> bool:
    """Whether the rules are what a command line can say: one pattern, one fix text."""
    if len(rules) != 1 or set(rules[0]) != {"rule", "fix"} or not isinstance(rules[0]["fix"], str):
        return False
    rule = rules[0]["rule"]
    if not isinstance(rule, dict) or set(rule) != {"pattern"}:
        return False
    pattern = rule["pattern"]
    if isinstance(pattern, str):
        return True
    return (
        isinstance(pattern, dict)
        and "context" in pattern
        and len(pattern) > 1
        and all(
            isinstance(value, str) and key in ("context", "selector", "strictness")
            for key, value in pattern.items()
        )
    )


def render(language: Language, rule: Rule) -> str:
    """Write a rule that `can_render` takes as a command line."""
    pattern: Any = rule["rule"]["pattern"]
    parts: dict[str, str] = {"context": pattern} if isinstance(pattern, str) else pattern
    line = f"ast-grep run {_flag('-p', parts['context'])} {_flag('-r', rule['fix'])}"
    line += f" -l {DISPLAY_NAMES[language].lower()}"
    for key in ("selector", "strictness"):
        if key in parts:
            line += f" --{key} {shlex.quote(parts[key])}"
    return line


def _flag(flag: str, value: str) -> str:
    return f"{flag} {shlex.quote(value)}"
