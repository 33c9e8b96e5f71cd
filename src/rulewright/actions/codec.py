"""A model's text to an `Action` and back (docs/reference/formats.md).

Three modes (`yaml`, `cli`, `rule`) reach the same `Action`; each renders back. Strict by design: exactly
one action block, no duplicate keys, nothing else inside.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Final

from rulewright.actions import cli_line, yaml_text
from rulewright.actions.action import EFFECTIVE_FIELDS, MODES, Action, Mode, Rejection
from rulewright.actions.rule_text import (
    MAX_CHARS,
    PERSON_BOUNDS,
    Refused,
    check_bounds,
    describe,
    is_meant_as_rule,
    read_documents,
    rules_of,
)
from rulewright.actions.suggest import did_you_mean, quoted
from rulewright.actions.thought import split_thought
from rulewright.errors import json_problem
from rulewright.jsonl import without_duplicates
from rulewright.languages import AST_GREP_NAMES, DISPLAY_NAMES, Language, normalize_language
from rulewright.state.state import StateUpdate
from rulewright.verdict import Verdict

MAX_RESPONSE_CHARS: Final = 1_000_000
_PAYLOAD: Final[dict[Mode, str]] = {"yaml": "rule_yaml", "cli": "cli", "rule": "rule"}
_ACTION_FIELDS: Final = ("type", "language", "mode", "rule_yaml", "cli", "rule", "notes")
_OPEN: Final = "<action>"
_CLOSE: Final = "</action>"


@dataclass(frozen=True)
class Response:
    """A model's answer, by part."""

    action: Action
    think: str = ""
    update: StateUpdate = field(default_factory=StateUpdate)
    block: str = field(default="", compare=False)
    """The JSON inside the action block, as it was written."""


def parse_response(text: str, language: Language | None = None) -> Response | Rejection:
    """Read a model's raw answer.

    Args:
        text: everything the model wrote.
        language: of the code; an action for another language is refused.

    Returns:
        The parts, or why there is no single valid action (`no_action`,
        `multiple_actions`, `bad_json`, `bad_action`, `bad_rule`).
    """
    try:
        if (refusal := refuse_length(text)) is not None:
            return refusal
        think, rest = split_thought(text, _OPEN)
        before, found, after = rest.partition(_OPEN)
        if not found:
            near = ""
            if _OPEN in text:
                near = "; the one in the answer stands inside <think>, which does not count"
            elif "ast_grep" in text or "rule_yaml" in text:
                near = "; the JSON must stand between <action> and </action>"
            raise Refused(Verdict.NO_ACTION, f"no <action> block{near}")
        value, block, after = _leading_json(after)
        more, after = split_thought(after, "<state_update>") if "<think>" in after else ("", after)
        if _OPEN in after:
            raise Refused(Verdict.MULTIPLE_ACTIONS, "more than one <action> block, expected exactly one")
        thought = "\n".join(filter(None, (think, more)))
        return Response(_action_of(value, language), thought, _update(before + after), block)
    except Refused as refused:
        return refused.rejection


def parse_action(text: str, language: Language | None = None) -> Action | Rejection:
    """Read the content of `<action>`, or the text of an ast-grep rule file.

    Args:
        text: JSON (`{"action": …}`) or a rule file's YAML.
        language: as in `parse_response`; a rule file's own language is taken where `None`.
    """
    try:
        value = _wire_object(text)
        return _action_of(value, language) if value is not None else _from_yaml(text, language)
    except Refused as refused:
        return refused.rejection


def _wire_object(text: str) -> dict[str, Any] | None:
    """The object of an action's JSON; `None` of a rule file, which may be JSON or YAML's flow style, too.

    Raises:
        Refused: it is broken JSON.
    """
    if not text.lstrip().startswith("{"):
        return None
    try:
        value: dict[str, Any] = _DECODER.decode(text.strip())
    except (ValueError, RecursionError) as error:
        if re.match(r"\s*\{\s*(id|language|rule)\s*:", text):
            return None
        raise Refused(Verdict.BAD_JSON, f"the action is not JSON: {json_problem(error)}") from error
    is_rule = is_meant_as_rule(value) and "mode" not in value and "type" not in value
    return None if is_rule else value


def is_rule_file(text: str) -> bool:
    """Whether a text is a rule file: neither a model's answer, nor an action's JSON (or meant as one)."""
    try:
        if _OPEN in text or "<think>" in text:
            # Code has such tags, too.
            documents = read_documents(text, PERSON_BOUNDS)
            return all(isinstance(one, Mapping) and is_meant_as_rule(one) for one in documents)
        return bool(text.strip()) and _wire_object(text) is None
    except Refused:
        return False


def read_action(text: str, language: Language | None = None) -> Action | Rejection:
    """Read an action in whatever form it is given: a raw answer, an action's JSON, a rule file.

    For what people hand in; a model has to write an action block (`parse_response`).
    """
    if (refusal := refuse_length(text)) is not None:
        return refusal
    if (_OPEN in text or "<think>" in text) and not is_rule_file(text):
        response = parse_response(text, language)
        return response if isinstance(response, Rejection) else response.action
    if not text.strip():
        return Rejection(Verdict.NO_ACTION, "the answer is empty")
    return parse_action(text, language)


def refuse_length(text: str) -> Rejection | None:
    """Refuse an answer of any form that is longer than `MAX_RESPONSE_CHARS`."""
    if len(text) <= MAX_RESPONSE_CHARS:
        return None
    said = f"the answer has {len(text):,} characters, at most {MAX_RESPONSE_CHARS:,} are read"
    return Rejection(Verdict.BAD_ACTION, said)


def _leading_json(text: str) -> tuple[Any, str, str]:
    """Read the JSON at the start of a block: its value, its text, what follows the closing tag.

    The JSON decides where the block ends: `</action>` inside a text is text.
    """
    body = text.lstrip()
    try:
        value, end = _DECODER.raw_decode(body)
    except (ValueError, RecursionError) as error:
        if _CLOSE not in text:
            raise Refused(Verdict.BAD_JSON, "the action block is cut off before its end") from error
        block = body.split(_CLOSE)[0]
        if not block.strip():
            raise Refused(Verdict.BAD_JSON, "the action block is empty") from error
        raise Refused(Verdict.BAD_JSON, f"the action is not JSON: {json_problem(error)}") from error
    tail = body[end:].lstrip()
    if not tail.startswith(_CLOSE):
        if not tail:
            raise Refused(Verdict.BAD_JSON, "the action block lacks its closing </action>")
        raise Refused(Verdict.BAD_JSON, f"text after the JSON in the action block: {quoted(tail)}")
    return value, body[:end], tail[len(_CLOSE) :]


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


_DECODER: Final = json.JSONDecoder(object_pairs_hook=without_duplicates, parse_constant=_no_constant)


def _update(text: str) -> StateUpdate:
    """Read the `<state_update>` block; it is optional, so a broken one counts as none."""
    found = re.search(r"<state_update>(.*?)</state_update>", text, re.DOTALL)
    if found is None:
        return StateUpdate()
    try:
        return StateUpdate.parse(json.loads(found.group(1)))
    except (ValueError, RecursionError):
        return StateUpdate()


def _action_of(value: Any, language: Language | None) -> Action:
    if isinstance(value, dict) and set(value) == {"action"}:
        value = value["action"]
    if isinstance(value, list):
        raise Refused(Verdict.MULTIPLE_ACTIONS, "a list of actions, expected exactly one")
    if not isinstance(value, dict):
        raise Refused(Verdict.BAD_ACTION, f"an action is an object, got {describe(value)}")
    for key in value:
        if key not in _ACTION_FIELDS:
            raise Refused(
                Verdict.BAD_ACTION,
                f"unknown field {quoted(key)} in the action{did_you_mean(key, _ACTION_FIELDS)}",
            )
    if value.get("type") != "ast_grep":
        raise Refused(Verdict.BAD_ACTION, f'`type` must be "ast_grep", got {describe(value.get("type"))}')
    mode = _mode(value)
    notes = value.get("notes", "")
    if not isinstance(notes, str) or len(notes) > MAX_CHARS:
        raise Refused(Verdict.BAD_ACTION, f"`notes` must be text of at most {MAX_CHARS} characters")
    own = _language(value.get("language"), language)
    payload = value[_PAYLOAD[mode]]
    if mode != "rule" and not isinstance(payload, str):
        raise Refused(Verdict.BAD_ACTION, f"`{_PAYLOAD[mode]}` must be text, got {describe(payload)}")
    match mode:
        case "yaml":
            made = _from_yaml(payload, own)
        case "cli":
            made = _from_cli(payload, own)
        case "rule":
            made = _from_object(payload, own)
    return Action(made.language, made.rules, mode, notes, made.ids)


def _mode(value: Mapping[str, Any]) -> Mode:
    mode = value.get("mode")
    if mode not in MODES:
        raise Refused(Verdict.BAD_ACTION, f"`mode` must be one of {', '.join(MODES)}, got {describe(mode)}")
    wanted = _PAYLOAD[mode]
    if wanted not in value:
        raise Refused(Verdict.BAD_ACTION, f"mode `{mode}` needs the field `{wanted}`")
    for key in _PAYLOAD.values():
        if key != wanted and value.get(key) is not None:
            raise Refused(Verdict.BAD_ACTION, f"mode `{mode}` takes `{wanted}`, but `{key}` is there too")
    return mode  # type: ignore[no-any-return]


def _language(name: Any, wanted: Language | None) -> Language | None:
    if name is None:
        return wanted
    own = normalize_language(name) if isinstance(name, str) else "other"
    if own == "other":
        near = did_you_mean(name.lower(), AST_GREP_NAMES) if isinstance(name, str) else ""
        raise Refused(Verdict.BAD_ACTION, f"`language` must be one of ours, got {describe(name)}{near}")
    if wanted is not None and own != wanted:
        raise Refused(
            Verdict.BAD_ACTION,
            f"the action is for {DISPLAY_NAMES[own]}, the code is {DISPLAY_NAMES[wanted]}",
        )
    return own


@lru_cache(maxsize=1024)
def _from_yaml(text: str, language: Language | None) -> Action:
    """Read a rule file; kept, since one rule often meets many texts (an `Action` is never changed)."""
    own, rules, ids = rules_of(read_documents(text), language, complete=True)
    return Action(own, rules, "yaml", "", ids)


def _from_cli(line: str, language: Language | None) -> Action:
    own, rule = cli_line.parse(line)
    if own is not None and language is not None and own != language:
        raise Refused(
            Verdict.BAD_ACTION,
            f"the command line is for {DISPLAY_NAMES[own]}, the action for {DISPLAY_NAMES[language]}",
        )
    chosen = own or language
    if chosen is None:
        raise Refused(Verdict.BAD_ACTION, "the command line lacks -l")
    return Action(chosen, (rule,), "cli")


def _from_object(value: Any, language: Language | None) -> Action:
    documents = value if isinstance(value, list) else [value]
    if not documents:
        raise Refused(Verdict.BAD_ACTION, "`rule` is an empty list")
    check_bounds(documents)
    size = len(json.dumps(documents, ensure_ascii=False))
    if size > MAX_CHARS:
        raise Refused(Verdict.BAD_ACTION, f"`rule` has {size} characters, at most {MAX_CHARS} are taken")
    own, rules, ids = rules_of(documents, language, complete=False)
    return Action(own, rules, "rule", "", ids)


def render_action(action: Action, mode: Mode | None = None) -> str:
    """Write the JSON inside `<action>`.

    Args:
        action: what to write.
        mode: the form; that of the action where `None`. `cli` needs a single rule with
            nothing but a pattern and a text `fix`; what it cannot say raises `ValueError`.
    """
    mode = mode or action.mode
    body: dict[str, Any] = {"type": "ast_grep", "language": action.language, "mode": mode}
    match mode:
        case "yaml":
            body["rule_yaml"] = render_rules(action)
        case "cli":
            if not cli_line.can_render(action.rules):
                raise ValueError("a command line holds one pattern and one fix text; use mode `yaml`")
            body["cli"] = cli_line.render(action.language, action.rules[0])
        case "rule":
            objects = [dict(document) for document in _documents(action)]
            body["rule"] = objects[0] if len(objects) == 1 else objects
    body["notes"] = action.notes
    return json.dumps({"action": body}, ensure_ascii=False)


def render_rules(action: Action) -> str:
    """Write the rules as an ast-grep rule file (YAML, documents separated by `---`)."""
    return "---\n".join(yaml_text.dump(document) for document in _documents(action))


def _documents(action: Action) -> list[dict[str, Any]]:
    name = DISPLAY_NAMES[action.language]
    return [
        {"id": action.id_of(i), "language": name, **{k: rule[k] for k in EFFECTIVE_FIELDS if k in rule}}
        for i, rule in enumerate(action.rules)
    ]


def render_response(action: Action, think: str = "", update: StateUpdate | None = None) -> str:
    """Write a whole answer: thought (if any), action, state update (if given)."""
    parts = [f"<think>{think}</think>"] if think else []
    parts.append(f"{_OPEN}{render_action(action)}{_CLOSE}")
    if update is not None:
        parts.append(f"<state_update>{json.dumps(update.to_dict(), ensure_ascii=False)}</state_update>")
    return "\n".join(parts)
