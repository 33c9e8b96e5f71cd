"""CanItEdit's prompts, and two ways to extract code from an answer: the official one and ours.

The prompt strings and the official extraction follow `benchmark/generate_completions.py`
of nuprl/CanItEdit at 8796791 to the byte: published numbers depend on them.
"""

from __future__ import annotations

import re
from typing import Final, Literal, NamedTuple

from rulewright.actions.thought import split_thought
from rulewright.generation.base import Prompt
from rulewright.prompts import Message, Style, edit_prompt, extract_edit

PromptKind = Literal["chat", "base", "ours"]

_CHAT_SYSTEM: Final = (
    "You are PythonEditGPT. You will be provided the original code snippet and an instruction that "
    "specifies the changes you need to make. You will produce the changed code, based on the original "
    "code and the instruction given. Only produce the code, do not include any additional prose."
)

BASE_STOPS: Final = (
    "## Code After:", "## Instruction:", "## Code Before:", "## Test Case:", "## Explanation:",
    "\n# Code Before", "\n# Code After", "\n# Instruction",
)  # fmt: skip


class Extracted(NamedTuple):
    """Code found in an answer, and which case it was (for the counts in reports)."""

    code: str | None
    """`None`: there is no code in it."""
    case: str


def chat_prompt(before: str, instruction: str) -> list[Message]:
    """The official zero-shot chat prompt."""
    user = f"## Code Before\n```py\n{before}\n```\n\n## Instruction\n{instruction}\n\n## Code After"
    return [{"role": "system", "content": _CHAT_SYSTEM}, {"role": "user", "content": user.strip()}]


def base_prompt(before: str, instruction: str) -> str:
    """The official prompt for base models and EditCoder; end it with `BASE_STOPS`."""
    return f"## Code Before:\n{before}\n## Instruction:\n{instruction}\n## Code After:\n"


def prompt_for(kind: PromptKind, before: str, instruction: str, style: Style) -> Prompt:
    """The prompt of the text track."""
    match kind:
        case "chat":
            return chat_prompt(before, instruction)
        case "base":
            return base_prompt(before, instruction)
        case "ours":
            return edit_prompt(instruction, before, "python", style)


def official_chat(answer: str) -> str:
    """The lines between the first two lines that *start* with three backticks.

    Never opened gives nothing; never closed gives all that follows.
    """
    code: list[str] = []
    opened = False
    for line in answer.split("\n"):
        if line.startswith("```"):
            if opened:
                break
            opened = True
        elif opened:
            code.append(line + "\n")
    return "".join(code)


def official_base(answer: str) -> str:
    """The text between the first two fences anywhere, without its first line.

    That line is meant to be the language tag and goes even where it is code; without two
    fences the answer stays as it is. Kept, faults and all, to reproduce published numbers.
    """
    start = answer.find("```")
    end = answer.find("```", start + 3) if start >= 0 else -1
    if end < 0:
        return answer
    inner = answer[start + 3 : end].strip()
    inner = inner.partition("# Example usage:")[0]
    newline = inner.find("\n")
    if newline > 0:
        inner = inner[newline + 1 :]
    return inner.strip()


def official(kind: PromptKind, answer: str) -> str:
    """What the official harness would execute."""
    return official_base(answer) if kind == "base" else official_chat(answer)


def ours(kind: PromptKind, answer: str, before: str, style: Style) -> Extracted:
    """Find the code without losing a line: thinking is ignored, any fence will do."""
    _, spoken = split_thought(answer)
    if not spoken.strip():
        return Extracted(None, "empty" if not answer.strip() else "thoughts_only")
    if kind == "ours" and style == "compact":
        return Extracted(extract_edit(answer, before, "compact"), "whole_text")
    fences = re.findall(r"^[ \t]*(?:`{3,}|~{3,})[^\n]*$", spoken, re.MULTILINE)
    if fences:
        code = extract_edit(answer, before, "full")
        case = "fenced" if len(fences) > 1 else "unclosed_fence"
        return Extracted(code, case if code is not None else "empty_fence")
    if kind == "base":
        return Extracted(spoken.strip("\n"), "whole_text")
    return Extracted(None, "no_fence")
