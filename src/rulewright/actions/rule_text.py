"""Rule documents: text to rules and back.

Accepts the same YAML 1.2 as ast-grep, within limits (16 kB, 32 levels, 2,000 nodes), and drops fields
without effect. The engine decides whether a rule compiles.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

from rulewright import yaml12
from rulewright.actions.action import DEFAULT_ID, EFFECTIVE_FIELDS, Rejection, Rule, safe_id
from rulewright.actions.suggest import did_you_mean, quoted
from rulewright.actions.visit import RULE_KEYS
from rulewright.languages import AST_GREP_NAMES, DISPLAY_NAMES, OTHER_LANGUAGES, Language
from rulewright.verdict import Verdict

MAX_CHARS: Final = 16_384
MAX_DEPTH: Final = 32
MAX_NODES: Final = 2_000
MAX_RULES: Final = 16
BOUNDS: Final = yaml12.Bounds(max_chars=MAX_CHARS, max_depth=MAX_DEPTH, max_nodes=MAX_NODES)
PERSON_BOUNDS: Final = yaml12.Bounds(max_chars=4_000_000, max_depth=64, max_nodes=400_000)
"""For the rule file of the user, who has reasons of their own to write a long one."""

# Top-level keys of a rule file: ast-grep refuses any other.
DOCUMENT_FIELDS: Final = (
    "id", "language", "rule", "constraints", "utils", "transform", "fix", "rewriters",
    "message", "note", "severity", "labels", "files", "ignores", "url", "metadata",
)  # fmt: skip
SEVERITIES: Final = ("hint", "info", "warning", "error", "off")


class Refused(Exception):
    """Carries a `Rejection` out of nested reading; never leaves this package."""

    def __init__(self, verdict: Verdict, detail: str) -> None:
        super().__init__(detail)
        self.rejection = Rejection(verdict, detail)


def is_meant_as_rule(document: Mapping[str, Any]) -> bool:
    """Whether a document is a rule, or was to be one: it says for which language, and what to write."""
    return "rule" in document or ("language" in document and "fix" in document)


def read_documents(text: str, bounds: yaml12.Bounds = BOUNDS) -> list[Any]:
    """Every document of a rule text as plain data, within the bounds.

    Raises:
        Refused: `bad_action` beyond a bound, `bad_rule` for what ast-grep's reader refuses.
    """
    check_text(text, "the rule text", bounds.max_chars)
    if text.lstrip().startswith("```"):
        raise Refused(Verdict.BAD_RULE, "the rule stands in a Markdown fence; give what is within it alone")
    try:
        documents = _load(text, bounds)
    except yaml12.BoundError as error:
        raise Refused(Verdict.BAD_ACTION, f"rule text beyond our bounds: {error}") from error
    except yaml12.YamlError as error:
        place = f"line {error.line}: " if error.line else ""
        raise Refused(Verdict.BAD_RULE, f"not valid YAML: {place}{error}") from error
    # ast-grep passes over empty documents, such as a trailing `---` leaves.
    documents = [document for document in documents if document is not None]
    if not documents:
        raise Refused(Verdict.BAD_RULE, "the rule text is empty; expected `language`, `rule`, `fix`")
    return documents


_PAIR: Final = re.compile(r"\\u([dD][89abAB][0-9a-fA-F]{2})\\u([dD][c-fC-F][0-9a-fA-F]{2})")


def _load(text: str, bounds: yaml12.Bounds) -> list[Any]:
    try:
        return yaml12.load_all(text, bounds, text_keys=True)
    except yaml12.YamlError as error:
        if "Unicode character escape" not in str(error):
            raise
        # Write JSON's escaped surrogate pairs as one YAML escape: libyaml takes only that.

        def join(found: re.Match[str]) -> str:
            high, low = (int(half, 16) for half in found.groups())
            return f"\\U{0x10000 + ((high - 0xD800) << 10) + (low - 0xDC00):08X}"

        return yaml12.load_all(_PAIR.sub(join, text), bounds, text_keys=True)


_UNREADABLE: Final = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff]")


def check_text(text: str, what: str, max_chars: int = MAX_CHARS) -> None:
    """Refuse what no rule needs and other readers choke on: size, NUL, controls, lone surrogates."""
    if len(text) > max_chars:
        raise Refused(Verdict.BAD_ACTION, f"{what} has {len(text)} characters, at most {max_chars} are taken")
    if found := _UNREADABLE.search(text):
        kind = "the control character" if found[0] < " " else "a lone surrogate"
        raise Refused(Verdict.BAD_ACTION, f"{what} holds {kind} U+{ord(found[0]):04X}")


def check_bounds(value: Any) -> None:
    """Hold JSON-like data to the bounds of a rule text; raises `Refused`."""
    nodes = 0
    stack: list[tuple[Any, int]] = [(value, 0)]
    while stack:
        item, depth = stack.pop()
        nodes += 1
        if nodes > MAX_NODES:
            raise Refused(Verdict.BAD_ACTION, f"the rule has more than {MAX_NODES} nodes")
        if depth > MAX_DEPTH:
            raise Refused(Verdict.BAD_ACTION, f"the rule is nested deeper than {MAX_DEPTH} levels")
        if isinstance(item, dict):
            for key, inner in item.items():
                check_text(key, "a key of the rule")
                stack.append((inner, depth + 1))
        elif isinstance(item, list):
            stack += [(inner, depth + 1) for inner in item]
        elif isinstance(item, str):
            check_text(item, "a text in the rule")


def language_named(name: Any, where: str) -> Language:
    """Map a rule file's `language` as ast-grep does; raises `Refused`."""
    if not isinstance(name, str):
        raise Refused(Verdict.BAD_RULE, f"{where}`language` must be a name, got {describe(name)}")
    known = AST_GREP_NAMES.get(name.lower())
    if known is None:
        ours = ", ".join(shown for name, shown in DISPLAY_NAMES.items() if name != "other")
        if name.lower() in OTHER_LANGUAGES:
            said = f"{where}{quoted(name)} is a language of ast-grep's that rulewright does not take"
            raise Refused(Verdict.BAD_RULE, f"{said}; it takes {ours}")
        near = did_you_mean(name.lower(), AST_GREP_NAMES) or f"; expected one of {ours}"
        raise Refused(Verdict.BAD_RULE, f"{where}unknown language {quoted(name)}{near}")
    return known


def rules_of(
    documents: Sequence[Any], language: Language | None, *, complete: bool
) -> tuple[Language, tuple[Rule, ...], tuple[str, ...]]:
    """Take the effective fields out of rule documents.

    Args:
        documents: plain data, one rule each.
        language: what the rules must be for; `None` takes it from them.
        complete: whether `language` must be there, as in a rule file.

    Raises:
        Refused: with the number of the document where there are several.
    """
    if len(documents) > MAX_RULES:
        raise Refused(Verdict.BAD_ACTION, f"{len(documents)} rules, at most {MAX_RULES} are taken")
    rules: list[Rule] = []
    ids: list[str] = []
    from_rules = False
    for number, document in enumerate(documents, 1):
        where = f"document {number}: " if len(documents) > 1 else ""
        checked = check_document(document, where, complete)
        if "language" in checked:
            own = language_named(checked["language"], where)
            if language is not None and own != language:
                earlier = f"document 1 is for {DISPLAY_NAMES[language]}; one action has rules of one language"
                given = f"the code is {DISPLAY_NAMES[language]}; write `language: {DISPLAY_NAMES[language]}`"
                raise Refused(
                    Verdict.BAD_RULE,
                    f"{where}the rule is for {DISPLAY_NAMES[own]}, {earlier if from_rules else given}",
                )
            from_rules = from_rules or language is None
            language = own
        rules.append({key: checked[key] for key in EFFECTIVE_FIELDS if key in checked})
        ids.append(safe_id(str(checked.get("id", DEFAULT_ID))))
    if language is None:
        raise Refused(Verdict.BAD_ACTION, "no language is given")
    return language, tuple(rules), tuple(ids)


_OTHER_FILES: Final = {
    "rules": "rules of Semgrep", "ruleDirs": "the settings of a project", "valid": "the tests of a rule",
    "invalid": "the tests of a rule", "snapshots": "a snapshot of tests",
}  # fmt: skip
"""What else people have in YAML beside rules, by a key."""


def check_document(document: Any, where: str, complete: bool) -> dict[str, Any]:
    """One rule document with the fields that ast-grep takes, absent ones left out; raises `Refused`."""
    if not isinstance(document, dict):
        raise Refused(
            Verdict.BAD_RULE, f"{where}a rule is a mapping with `rule` and `fix`, got {describe(document)}"
        )
    for key in document:
        if key in _OTHER_FILES and "rule" not in document:
            raise Refused(Verdict.BAD_RULE, f"{where}{_OTHER_FILES[key]}, and no rule of ast-grep")
        if key not in DOCUMENT_FIELDS:
            belongs = f"; `{key}` belongs under `rule:`"
            near = belongs if key in RULE_KEYS else did_you_mean(key, DOCUMENT_FIELDS)
            raise Refused(Verdict.BAD_RULE, f"{where}unknown field {quoted(key)}{near}")
    for key in ("language", "rule") if complete else ("rule",):
        if key not in document:
            raise Refused(Verdict.BAD_RULE, f"{where}missing field `{key}`")
    _check_inert(document, where)
    # In a rule file an absent option may be written as null.
    return {k: v for k, v in document.items() if v is not None or k in ("id", "language", "rule")}


def _check_inert(document: Mapping[str, Any], where: str) -> None:
    """Refuse ill-typed fields that have no effect, as ast-grep does."""
    for key, kinds, name, optional in (
        ("id", (str, int, float), "text", False), ("message", (str, int, float), "text", False),
        ("note", (str, int, float), "text", True), ("url", (str, int, float), "text", True),
        ("metadata", (dict,), "a mapping", True), ("labels", (dict,), "a mapping", True),
        ("files", (list,), "a list", True), ("ignores", (list,), "a list", True),
    ):  # fmt: skip
        value = document.get(key)
        if key in document and not isinstance(value, kinds) and not (optional and value is None):
            raise Refused(Verdict.BAD_RULE, f"{where}`{key}` must be {name}, got {describe(value)}")
    severity = document.get("severity", "hint")
    if severity not in SEVERITIES:
        known = ", ".join(SEVERITIES)
        raise Refused(Verdict.BAD_RULE, f"{where}`severity` must be one of {known}, got {describe(severity)}")
    for key in ("files", "ignores"):
        for item in document.get(key) or ():
            if not isinstance(item, str) and not (
                isinstance(item, dict) and isinstance(item.get("glob"), str)
            ):
                raise Refused(Verdict.BAD_RULE, f"{where}`{key}` is a list of globs, got {describe(item)}")
    text = json.dumps([document.get(key) for key in ("rule", "constraints", "utils")])
    for name, label in (document.get("labels") or {}).items():
        if not isinstance(label, dict) or label.get("style") not in ("primary", "secondary"):
            raise Refused(
                Verdict.BAD_RULE, f"{where}label `{name}` needs a `style`, `primary` or `secondary`"
            )
        if not re.search(rf"\${re.escape(name)}(?![A-Z0-9_])", text):
            raise Refused(Verdict.BAD_RULE, f"{where}label `{name}`: no variable `${name}` is defined")


def describe(value: Any) -> str:
    """Name a value for a message: its type and, where short, the value."""
    if value is None:
        return "nothing (null)"
    names = {dict: "a mapping", list: "a list", bool: "a boolean", int: "a number", float: "a number"}
    name = names.get(type(value), "text")
    if isinstance(value, dict | list):
        return name
    shown = json.dumps(value, ensure_ascii=False)
    return f"{name} ({shown if len(shown) <= 40 else shown[:37] + '...'})"
