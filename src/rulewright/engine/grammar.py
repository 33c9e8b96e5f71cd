"""A grammar (GBNF) of the answer that a model is trained to write: mode `yaml`, strictly.

The rule inside is the YAML that `actions.render_action` writes, escaped as JSON is: the schema of
`schema.rule_schema` gives its keys, kinds and nesting, `actions.yaml_text` its layout, so a served or
local model can be constrained to it token by token (xgrammar, vLLM's `structured_outputs`, llama.cpp's
`grammar`).

It guarantees exactly one action, JSON and YAML that parse, and keys and node kinds that the language has.
It cannot guarantee that a pattern is one node, that `fix` uses only captured variables, or that no key
occurs twice; the engine checks these. Keys of rules stand in any order, since training data have them in
any.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Final

from rulewright.engine.schema import Schema, rule_schema
from rulewright.languages import Language

DEPTH: Final = 6
"""Levels of sub-rules: the deepest rule of the synthesized records has six."""

# Characters of scalars as they stand inside a JSON string: `\"` and `\\` are escapes of JSON's.
_LEXICON: Final = r"""
nl ::= "\\n"
escaped ::= "\\\"" | "\\\\"
ident ::= [A-Za-z0-9_-] [A-Za-z0-9_-]*
integer ::= "-"? [0-9] [0-9]*
boolean ::= "true" | "false"
plain-first ::= [A-Za-z0-9_$(./^+<=;~µ] | "\\\\"
plain-char ::= [^\x00-\x1f\x7f-\x9f"\\:# ] | escaped
plain-unit ::= plain-char | "#" | ":" colon-rest | " " blank-rest
colon-rest ::= plain-char | "#" | ":" colon-rest
blank-rest ::= plain-char | " " blank-rest | ":" colon-rest
scalar ::= plain | single | double
plain ::= plain-first plain-unit* | "-" plain-char plain-unit*
single ::= "'" ([^\x00-\x1f\x7f-\x9f"\\'] | escaped | "''")* "'"
double ::= "\\\"" ([^\x00-\x1f\x7f-\x9f"\\] | "\\\\" ([0abtnvfre/ _NLP] | "\\\"" | "\\\\" | "u" hex hex hex hex))* "\\\""
hex ::= [0-9a-fA-F]
line-char ::= [^\x00-\x1f\x7f-\x9f"\\] | escaped | "\\t"
line-start ::= [^\x00-\x1f\x7f-\x9f"\\ ] | escaped
json-char ::= [^\x00-\x1f\x7f-\x9f"\\] | "\\" (["\\/bfnrt] | "u" hex hex hex hex)
strings ::= "[" ("\"" json-char* "\"" (", " "\"" json-char* "\"")*)? "]"
thought ::= "<think>" [^<]* "</think>" "\n"*
update ::= "\n<state_update>{\"decisions\": " strings ", \"constraints\": " strings ", \"open_issues\": " strings ", \"next_focus\": " (strings | "\"" json-char* "\"") "}</state_update>"
"""  # noqa: E501


@cache
def action_grammar(language: Language) -> str:
    """The grammar of a whole answer about code of a language; its start is `root`."""
    schema = rule_schema(language, DEPTH)
    writer = _Writer(schema["$defs"])
    document = writer.document(schema)
    opening = f'{{"action": {{"type": "ast_grep", "language": "{language}", "mode": "yaml", "rule_yaml": "'
    begin, end = _literal("<action>" + opening), _literal("}}</action>")
    quote, more, notes = _literal('"'), _literal("---"), _literal(', "notes": "')
    root = [
        f"root ::= thought? {begin} {document} ({more} nl {document})* {quote} notes? {end} update?",
        f"notes ::= {notes} json-char* {quote}",
    ]
    return "\n".join([*root, *writer.productions(), _LEXICON.strip()]) + "\n"


class _Writer:
    """Writes productions for the values of a schema at an indent; each name is written once."""

    def __init__(self, definitions: Schema) -> None:
        self._definitions = definitions
        self._written: dict[str, str] = {}
        self._names: dict[str, str] = {}
        """Of each body its name."""
        self._mappings: dict[tuple[int, int], str] = {}
        """Names by identity of the schema, which lives as long as this, and indent: each is walked once."""

    def productions(self) -> list[str]:
        return [f"{name} ::= {body}" for name, body in self._written.items()]

    def document(self, schema: Schema) -> str:
        """One rule document."""
        language = schema["properties"]["language"]["enum"][0]
        body = {k: v for k, v in schema["properties"].items() if k not in ("id", "language")}
        rest = self._in_order(body, ("rule", "fix"), 0)
        return self._name("document", f'"id: " ident nl "language: {language}" nl {rest}')

    def _in_order(self, properties: Schema, required: Sequence[str], indent: int) -> str:
        """Entries in the order of the schema; those that are not required may be left out."""
        first, *others = properties
        blanks = f"{_blanks(indent)} " if indent else ""
        parts = [self._entry(first, properties[first], indent)]
        for key in others:
            entry = blanks + self._entry(key, properties[key], indent)
            parts.append(entry if key in required else f"({entry})?")
        return " ".join(parts)

    def _entry(self, key: str, schema: Schema, indent: int) -> str:
        return f"{_literal(key + ':')} {self.after_key(schema, indent + 2)}"

    def after_key(self, schema: Schema, indent: int) -> str:
        """What follows `key:` up to the end of the line or block, where a block stands at an indent."""
        alternatives = [self._after_key(part, indent) for part in self._parts(schema)]
        return alternatives[0] if len(alternatives) == 1 else "(" + " | ".join(alternatives) + ")"

    def _after_key(self, schema: Schema, indent: int) -> str:
        match schema.get("type"):
            case "object":
                return f"nl {_blanks(indent)} {self._mapping(schema, indent)}"
            case "array":
                item = f"{_blanks(indent)} {_literal('- ')} {self._item(schema['items'], indent)}"
                return f"nl {item} ({item})*"
            case "string":
                # On the line, or a literal block: lines at an indent, the first one with something on it.
                blanks = _blanks(indent)
                line = self._name(f"line{indent}", f"{blanks} line-char line-char* nl | nl")
                body = f'("|" | "|-") nl {blanks} line-start line-char* nl {line}*'
                return f"{_literal(' ')} (scalar nl | {self._name(f'block{indent}', body)})"
        return f"{_literal(' ')} {self._word(schema)} nl"

    def _item(self, schema: Schema, indent: int) -> str:
        """What follows `- `: a mapping whose first key stands on that line, or a scalar."""
        alternatives = [
            self._mapping(part, indent + 2)
            if part.get("type") == "object"
            else "scalar nl"
            if part.get("type") == "string"
            else f"{self._word(part)} nl"
            for part in self._parts(schema)
        ]
        return "(" + " | ".join(alternatives) + ")"

    def _mapping(self, schema: Schema, indent: int) -> str:
        """One or more entries; the blanks before the first have been written already."""
        place = (id(schema), indent)
        if place in self._mappings:
            return self._mappings[place]
        named = schema.get("properties")
        if named and schema.get("required"):
            body = self._in_order(named, schema["required"], indent)
        else:
            if named:
                entries = [self._entry(key, inner, indent) for key, inner in named.items()]
            else:
                value = schema["additionalProperties"]
                entries = [f"ident {_literal(':')} {self.after_key(value, indent + 2)}"]
            entry = self._name(f"entry{indent}", " | ".join(entries))
            body = f"{entry} ({_blanks(indent)} {entry})*"
        self._mappings[place] = self._name(f"map{indent}", body)
        return self._mappings[place]

    def _word(self, schema: Schema) -> str:
        if (kind := schema.get("type")) in ("integer", "boolean"):
            return str(kind)
        return self._name("word", " | ".join(_literal(str(word)) for word in schema["enum"]))

    def _parts(self, schema: Schema) -> list[Schema]:
        """The alternatives of a schema, references followed."""
        if "$ref" in schema:
            return self._parts(self._definitions[schema["$ref"].rpartition("/")[2]])
        if "anyOf" in schema:
            return [part for inner in schema["anyOf"] for part in self._parts(inner)]
        return [schema]

    def _name(self, prefix: str, body: str) -> str:
        """The name of a production with this body, the same for the same body."""
        if body not in self._names:
            self._names[body] = f"{prefix}-{len(self._written)}"
            self._written[self._names[body]] = body
        return self._names[body]


def _blanks(n: int) -> str:
    return _literal(" " * n)


def _literal(text: str) -> str:
    """A literal of GBNF."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'
