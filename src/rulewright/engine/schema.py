"""JSON Schemas of mode `rule`, per language, for constrained decoding.

Built from what ast-grep 0.51 takes (checked against it, like all of `rules`) and the
kinds and fields of `kinds.json`; nothing is copied from ast-grep's own schema files,
which serve editors: they recurse without end, write `oneOf` and put `fix` first.
Here nesting ends at `depth` (the hang class needs three nested `has: {stopBy: end}`),
alternatives are `anyOf`, every object is closed, and properties stand in the order in
which a model should write them: generation follows it.

Not expressible, and left to the engine: whether a pattern is one node, whether a
variable is defined, whether `scan` can derive the kinds. `kind` lists plain kinds only.
"""

from __future__ import annotations

from typing import Any, Final

from rulewright.actions.cli_line import STRICTNESS
from rulewright.engine import kinds
from rulewright.engine.transforms import CASES
from rulewright.languages import DISPLAY_NAMES, Language

Schema = dict[str, Any]
MAX_DEPTH: Final = 3

_TEXT: Final[Schema] = {"type": "string"}
_SEPARATORS: Final = ("caseChange", "dash", "dot", "slash", "space", "underscore")


def rule_schema(language: Language, depth: int = MAX_DEPTH) -> Schema:
    """The schema of one rule, the value of `rule` in an action.

    Args:
        language: its node kinds and fields, and the only `language` the rule may name.
        depth: how many levels of sub-rules may stand below the first.
    """
    parts = {"context": _TEXT, "selector": _ref("kind"), "strictness": {"enum": list(STRICTNESS)}}
    definitions: Schema = {
        "kind": {"enum": list(kinds.names(language).kinds)},
        "field": {"enum": list(kinds.names(language).fields)},
        "pattern": {"anyOf": [_TEXT, _object(parts, ("context",))]},
        "position": {"anyOf": [{"type": "integer"}, _TEXT]},
    }
    for level in range(depth + 1):
        definitions[f"rule{level}"] = _rule(level)
        if level > 0:
            definitions[f"relation{level}"] = _relation(level, field=False)
            definitions[f"within{level}"] = _relation(level, field=True)
    top = _ref(f"rule{depth}")
    shallow = _ref(f"rule{max(0, depth - 1)}")
    core: Schema = {
        "rule": top,
        "utils": _map(shallow),
        "constraints": _map(shallow),
        "transform": _map(_transform()),
    }
    rewriter = _object({"id": _TEXT, **core, "fix": _fix(depth)}, ("id", "rule", "fix"))
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **_object(
            {
                "id": _TEXT,
                "language": {"enum": [DISPLAY_NAMES[language]]},
                **core,
                "rewriters": {"type": "array", "items": rewriter},
                "fix": _fix(depth),
            },
            ("language", "rule", "fix"),
        ),
        "$defs": definitions,
    }


def _object(properties: Schema, required: tuple[str, ...] = ()) -> Schema:
    made: Schema = {"type": "object", "properties": properties}
    if required:
        made["required"] = list(required)
    made["additionalProperties"] = False
    return made


def _map(values: Schema) -> Schema:
    return {"type": "object", "additionalProperties": values}


def _ref(name: str) -> Schema:
    return {"$ref": f"#/$defs/{name}"}


def _rule(level: int) -> Schema:
    properties: Schema = {"pattern": _ref("pattern"), "kind": _ref("kind"), "regex": _TEXT}
    if level > 0:
        below = _ref(f"rule{level - 1}")
        nth = _object(
            {"position": _ref("position"), "ofRule": below, "reverse": {"type": "boolean"}}, ("position",)
        )
        properties |= {
            "nthChild": {"anyOf": [_ref("position"), nth]},
            "inside": _ref(f"within{level}"),
            "has": _ref(f"within{level}"),
            "precedes": _ref(f"relation{level}"),
            "follows": _ref(f"relation{level}"),
            "all": {"type": "array", "items": below, "minItems": 1},
            "any": {"type": "array", "items": below, "minItems": 1},
            "not": below,
        }
    properties["matches"] = _TEXT
    return {**_object(properties), "minProperties": 1}


def _relation(level: int, field: bool) -> Schema:
    below = level - 1
    properties = dict(_rule(below)["properties"])
    properties["stopBy"] = {"anyOf": [{"enum": ["neighbor", "end"]}, _ref(f"rule{below}")]}
    if field:
        properties["field"] = _ref("field")
    return {**_object(properties), "minProperties": 1}


def _transform() -> Schema:
    source = {"source": _TEXT}
    integer: Schema = {"type": "integer"}
    kinds_of: Schema = {
        "substring": _object({**source, "startChar": integer, "endChar": integer}, ("source",)),
        "replace": _object({**source, "replace": _TEXT, "by": _TEXT}, ("source", "replace", "by")),
        "convert": _object(
            {
                **source,
                "toCase": {"enum": list(CASES)},
                "separatedBy": {"type": "array", "items": {"enum": list(_SEPARATORS)}},
            },
            ("source", "toCase"),
        ),
        "rewrite": _object(
            {**source, "rewriters": {"type": "array", "items": _TEXT}, "joinBy": _TEXT},
            ("source", "rewriters"),
        ),
    }
    return {"anyOf": [_object({name: options}, (name,)) for name, options in kinds_of.items()]}


def _fix(depth: int) -> Schema:
    relation = _ref("relation1") if depth > 0 else _ref("rule0")
    config = _object({"template": _TEXT, "expandStart": relation, "expandEnd": relation}, ("template",))
    return {"anyOf": [_TEXT, config]}
