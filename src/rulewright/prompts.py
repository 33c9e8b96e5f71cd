"""Every prompt, in one place: training, teachers, rollouts, evaluation and serving share these bytes.

`full` describes the whole wire form: thought, action, state update. `brief` asks for the action alone,
for models that are trained to write only that. `compact` does not describe the format, for models trained
on these prompts. The style is saved with the checkpoint, so that generation uses the prompts of training.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Final, Literal, TypedDict

from rulewright.actions.thought import split_thought
from rulewright.data.schemas import NormalizedRecord
from rulewright.digests import text_sha256
from rulewright.state.state import State

Style = Literal["full", "brief", "compact"]
STYLES: Final[tuple[Style, ...]] = ("full", "brief", "compact")


class Message(TypedDict):
    """One chat message."""

    role: Literal["system", "user", "assistant"]
    content: str


_EDIT_SYSTEM: Final = (
    "You edit code as instructed. Answer with the whole edited code in one fenced code block and "
    "nothing else. Change only what the instruction asks for."
)
_FULL_FORM: Final = """\
Answer with
<think>one or two sentences</think>
<action>{"action": {"type": "ast_grep", "language": "LANGUAGE", "mode": "yaml", \
"rule_yaml": "RULES", "notes": ""}}</action>
<state_update>{"decisions": [], "constraints": [], "open_issues": [], "next_focus": []}</state_update>
"""
_BRIEF_FORM: Final = """\
Answer with
<action>{"action": {"type": "ast_grep", "language": "LANGUAGE", "mode": "yaml", \
"rule_yaml": "RULES", "notes": ""}}</action>
and nothing else.
"""
_ACTION_SYSTEM: Final = """\
You refactor code by writing ast-grep rules; you never rewrite the code itself. FORM\
RULES is one ast-grep rule document or several separated by ---; they are applied one after another,
each to the result of the one before. Each has id, language, rule and fix. $A matches one node, $$$A a
list of nodes. A pattern must be complete code; cover everything inside the match that must survive.
Write the fewest rules that make exactly the change asked for, everywhere it applies."""


def edit_prompt(instruction: str, pre: str, language: str, style: Style = "full") -> list[Message]:
    """Stage 0: instruction and code in, whole edited code out."""
    if style == "compact":
        return [{"role": "user", "content": f"{instruction}\n{pre}"}]
    return [
        {"role": "system", "content": _EDIT_SYSTEM},
        {"role": "user", "content": f"{instruction}\n\n{fence(pre, language)}"},
    ]


def edit_answer(post: str, language: str, style: Style = "full") -> str:
    """What a Stage 0 model should write."""
    return post if style == "compact" else fence(post, language)


def extract_edit(answer: str, pre: str, style: Style = "full") -> str | None:
    """Find the code in a Stage 0 answer; `None` where there is none.

    Thinking is ignored, no code line is lost, an unclosed fence gives the code so far.
    Whether the text ends in a newline follows `pre`: a fence cannot say it.
    """
    _, answer = split_thought(answer)
    if style != "compact":
        opened = re.search(r"^[ \t]*(`{3,}|~{3,})[^\n`]*\n", answer, re.MULTILINE)
        if opened is None:
            return None
        rest = answer[opened.end() :]
        closed = re.search(rf"^[ \t]*{re.escape(opened.group(1))}[ \t]*$", rest, re.MULTILINE)
        answer = rest[: closed.start()] if closed else rest
    if not answer.strip():
        return None
    body = answer.rstrip("\n")
    return body + "\n" if pre.endswith("\n") else body


def action_prompt(
    instruction: str,
    pre: str,
    language: str,
    state: State | None = None,
    feedback: str = "",
    style: Style = "full",
) -> list[Message]:
    """Stage 1, teachers, SRL, GRPO and serving: instruction, code and state in, action out.

    Args:
        instruction: what to change.
        pre: the code as it is now.
        language: one of ours.
        state: carried from earlier steps; an empty one is left out.
        feedback: why an earlier attempt failed, for a retry.
        style: how much of the wire form is told.
    """
    parts = [instruction]
    if state is not None and state != State():
        parts.append(f"<state>{state.render()}</state>")
    if feedback:
        parts.append(f"<feedback>{feedback}</feedback>")
    if style == "compact":
        return [{"role": "user", "content": "\n".join([*parts, pre])}]
    form = _BRIEF_FORM if style == "brief" else _FULL_FORM
    system = _ACTION_SYSTEM.replace("FORM", form).replace("LANGUAGE", language)
    return [
        {"role": "system", "content": system},
        {"role": "user", "content": "\n\n".join([*parts, fence(pre, language)])},
    ]


def record_prompt(record: NormalizedRecord, style: Style) -> list[Message]:
    """The action prompt of a record, with its state and feedback: the same in training and evaluation."""
    feedback = record.metadata.feedback or ""
    return action_prompt(record.instruction, record.pre, record.language, record.state, feedback, style)


def fence(code: str, language: str) -> str:
    """Put code in a fence longer than any inside it."""
    longest = max((len(run) for run in re.findall(r"`{3,}", code)), default=2)
    mark = "`" * (longest + 1)
    end = "" if code.endswith("\n") else "\n"
    return f"{mark}{language}\n{code}{end}{mark}"


def digest(messages: Sequence[Message]) -> str:
    """16 hex digits that name a prompt, for provenance and for keys of saved answers."""
    text = json.dumps(messages, ensure_ascii=False, sort_keys=True)
    return text_sha256(text)[:16]
