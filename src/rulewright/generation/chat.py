"""Turn messages into text with a model's chat template, adapted so that training and inference agree.

Invariant: the text before an answer is the same in training, rollouts, evaluation and serving. If a
template must be changed for that, the change is a preamble of the template (`adapt`) that is saved with
the checkpoint, so TRL, vLLM and other readers of the saved template write the same prompts. Nothing here
imports torch.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import date
from typing import Any, Final

from rulewright import console
from rulewright.difftext import common_ends
from rulewright.errors import UsageError, first_line
from rulewright.prompts import Message

_BEGIN: Final = "{#- rulewright -#}"
_END: Final = "{#- /rulewright #}"
# A template without a system role gets that text in the first user turn.
_FOLD: Final = (
    "{%- if messages and messages[0]['role'] == 'system' and messages[1:] -%}"
    "{%- set messages = [{'role': 'user', 'content': messages[0]['content'] + '\\n\\n' + "
    "messages[1]['content']}] + messages[2:] -%}"
    "{%- endif -%}"
)
# A template that puts in a system turn of its own gets an empty one, which is shorter.
_EMPTY: Final = (
    "{%- if messages and messages[0]['role'] != 'system' -%}"
    "{%- set messages = [{'role': 'system', 'content': ''}] + messages -%}"
    "{%- endif -%}"
)
_DATE: Final = date(2024, 7, 26)
"""Today, for templates that write it: Llama 3's own where it has no clock."""
_CLOCK: Final = re.compile(r"strftime_now\(\s*(['\"])(.*?)\1\s*\)")
_SWITCHES: Final = ("enable_thinking", "thinking")
"""Names by which templates know the switch (Qwen3, GLM, Nemotron; DeepSeek, Granite)."""

_SYSTEM: Final[Message] = {"role": "system", "content": "Rewrite only what you are told."}
_USER: Final[Message] = {"role": "user", "content": "Rename `alpha` to `beta`."}
_ANSWER: Final = '<action>{"action": {"mode": "cli"}}</action>'
_THOUGHT: Final = "One name becomes another."


def adapt(tokenizer: Any, name: str, thinking: bool | None = None, training: bool = False) -> None:
    """Change a tokenizer's chat template so that prompts can be written, and try it.

    Adapting twice is adapting once, by the later settings.

    Args:
        tokenizer: of transformers; its `chat_template` is replaced where needed.
        name: of the model, for messages.
        thinking: what the template's switch for thinking is where a caller does not set it;
            `None` leaves it as the template has it.
        training: write an empty system turn where the template would put in a longer one of its own,
            and a date that stays where it would write today's (Llama 3.2): what is learned today is
            asked for on other days.

    Raises:
        UsageError: no template, or one that cannot write our prompts or answers, with the reason.
    """
    if not tokenizer.chat_template:
        raise UsageError(
            f"{name}: its tokenizer has no chat template, so prompts cannot be written as for inference",
            "use a chat model, or set tokenizer.chat_template and save the tokenizer",
        )
    if isinstance(tokenizer.chat_template, dict):
        _take_default(tokenizer, name, training)
    saved, plain = "", str(tokenizer.chat_template)
    if plain.startswith(_BEGIN) and _END in plain:
        saved, _, plain = plain.removeprefix(_BEGIN).partition(_END)  # our preamble, then as it came
    _set(tokenizer, "", plain)
    clock = _stopped_clock(plain)
    if not training and clock not in saved:
        clock = ""
    switch = (
        saved.removeprefix(clock).split(_FOLD)[0].split(_EMPTY)[0]
        if thinking is None
        else _switch(tokenizer, name, thinking)
    )
    system = ""
    if not _keeps(tokenizer, [_SYSTEM, _USER]):
        system = _FOLD
    elif training or _EMPTY in saved:
        default = _length(tokenizer, [_USER])
        _set(tokenizer, _EMPTY, plain)
        system = _EMPTY if _keeps(tokenizer, [_USER]) and _length(tokenizer, [_USER]) < default else ""
    _set(tokenizer, clock + switch + system, plain)
    _probe(tokenizer, name)


def ask(tokenizer: Any, messages: Sequence[Message]) -> str:
    """The text that the model continues: a prompt up to where its answer begins."""
    return str(tokenizer.apply_chat_template(list(messages), tokenize=False, add_generation_prompt=True))


def answer(tokenizer: Any, messages: Sequence[Message], asked: str, text: str) -> str:
    """What the model should write after `asked`, up to and with its end token.

    The template's own form of the answer is taken where it continues `asked` (Qwen3 puts an
    empty thought before it). Where it writes an answered turn differently, or leaves a thought
    out, the answer follows `asked` as it is, and closes a thought that `asked` has opened.

    Raises:
        UsageError: the template does not write the answer as it is.
    """
    said: Message = {"role": "assistant", "content": text}
    whole = str(tokenizer.apply_chat_template([*messages, said], tokenize=False))
    begun = re.match(r"<think>(.*?)</think>", text, re.DOTALL)
    thought, rest = (begun.group(1).strip(), text[begun.end() :]) if begun else ("", text)
    # Templates strip blanks around an answer; what is between its ends is never touched.
    core = rest.strip()
    at = _find(core, whole, common_ends(whole, asked)[0])
    if at is None:
        raise UsageError(
            f"{tokenizer.name_or_path}: its chat template changes the text of answers",
            "use a model whose template keeps answers unchanged",
        )
    tail, before = whole[len(asked) :], whole[len(asked) : at]
    again = _opens_thought(asked) and "<think>" in before
    if not whole.startswith(asked) or thought not in before or again:
        body = f"{thought}\n</think>\n\n{core}" if _opens_thought(asked) else text.rstrip()
        tail = body + whole[at + len(core) :]
    end = str(tokenizer.eos_token)
    return tail[: tail.rindex(end) + len(end)] if end in tail else tail + end


def _find(core: str, whole: str, shared: int) -> int | None:
    """Where an answer begins in an answered chat that has its first `shared` characters from the prompt.

    An answer may begin as the prompt goes on (`<action>` and `<think>` share a mark).
    """
    for at in range(max(0, shared - 8), shared):
        if at + len(core) > shared and whole.startswith(core, at):
            return at
    at = whole.find(core, shared)
    return None if at < 0 else at


def _opens_thought(asked: str) -> bool:
    return asked.rstrip().endswith("<think>")


# The template


def _set(tokenizer: Any, preamble: str, plain: str) -> None:
    tokenizer.chat_template = _BEGIN + preamble + _END + plain if preamble else plain


def _take_default(tokenizer: Any, name: str, training: bool) -> None:
    """Leave a tokenizer that has several templates the one for plain chats: no other is trained with."""
    named = tokenizer.chat_template
    if "default" not in named:
        raise UsageError(
            f"{name}: its tokenizer has chat templates named {', '.join(sorted(named))}, but no default one",
            "name one of them `default` in tokenizer_config.json",
        )
    tokenizer.chat_template = named["default"]
    if training and len(named) > 1:
        others = ", ".join(sorted(set(named) - {"default"}))
        console.decided("chat template", "default", f"the one that is trained with, and saved; not: {others}")


def _stopped_clock(template: str) -> str:
    """A macro in place of the clock that templates are given; empty where the template has none.

    >>> _stopped_clock("{{ strftime_now('%d %b %Y') }}")
    "{%- macro strftime_now(form) -%}{{- {'%d %b %Y': '26 Jul 2024'}[form] -}}{%- endmacro -%}"
    """
    forms = {found[2]: _DATE.strftime(found[2]) for found in _CLOCK.finditer(template)}
    if not forms:
        return ""
    return f"{{%- macro strftime_now(form) -%}}{{{{- {forms!r}[form] -}}}}{{%- endmacro -%}}"


def _switch(tokenizer: Any, name: str, thinking: bool) -> str:
    """Set the switch where the template has one, under each name that makes a difference."""

    def written(**options: bool) -> str:
        messages = [_USER]
        return str(
            tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True, **options)
        )

    known = [switch for switch in _SWITCHES if written(**{switch: True}) != written(**{switch: False})]
    if not known:
        console.decided("thinking", "as it is", f"the chat template of {name} has no switch for it")
    value = "true" if thinking else "false"
    return "".join(
        f"{{%- if {switch} is not defined -%}}{{%- set {switch} = {value} -%}}{{%- endif -%}}"
        for switch in known
    )


# Trying it


def _keeps(tokenizer: Any, messages: Sequence[Message]) -> bool:
    """Whether the template takes these messages and leaves none of their texts out."""
    from jinja2 import TemplateError

    try:
        text = ask(tokenizer, messages)
    except (TemplateError, TypeError, KeyError, ValueError):
        return False
    return all(message["content"] in text for message in messages)


def _length(tokenizer: Any, messages: Sequence[Message]) -> int:
    return len(tokenizer(ask(tokenizer, messages), add_special_tokens=False)["input_ids"])


def _probe(tokenizer: Any, name: str) -> None:
    """Write one prompt and one answer, as training will."""
    from jinja2 import TemplateError

    reason = ""
    try:
        for messages in ([_USER], [_SYSTEM, _USER]):
            asked = ask(tokenizer, messages)
            lost = [message["content"] for message in messages if message["content"] not in asked]
            if lost:
                reason = f"it leaves out {lost[0]!r} of a prompt"
            answer(tokenizer, messages, asked, _ANSWER)
            answer(tokenizer, messages, asked, f"<think>{_THOUGHT}</think>\n{_ANSWER}")
    except (TemplateError, TypeError, KeyError, ValueError) as error:
        reason = first_line(error)
    except UsageError as error:
        reason = error.message.partition(": ")[2]
    if reason:
        raise UsageError(
            f"{name}: its chat template cannot write our prompts and answers ({reason})",
            "use a model whose template takes plain texts of user and assistant, "
            "or change chat_template.jinja in its folder",
        )
