"""The normal form of an action: yaml, cli and rule forms of one rewrite are equal here.

Plain JSON-like documents, in the order in which they apply, with unchanged metavariable names. `srl`
scores similarity; this module does not check whether ast-grep accepts the rule.

Invariant: two actions with equal normal forms do the same to every text.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from rulewright.actions import visit
from rulewright.actions.action import EFFECTIVE_FIELDS, Action
from rulewright.actions.visit import RELATIONS, RULE_KEYS

Document = dict[str, Any]

_DEFAULTS: Final = {"strictness": "smart", "stopBy": "neighbor"}
_ANY_VARIABLE: Final = re.compile(r"\$\$\$|\$\$?[A-Z_]")


def normal_form(action: Action) -> list[Document]:
    """Bring an action to its normal form.

    Args:
        action: as parsed; its mode, ids and notes do not show in the result.

    Returns:
        One document a rule: `language`, then the effective fields that are there. A rule
        object becomes `{"all": [atom, …]}` with one key an atom, nested `all` flattened,
        one-item `any` unwrapped, defaults dropped, `fix` as an object with `template`.
    """
    return [{"language": action.language, **_document(rule)} for rule in action.rules]


def is_literal(action: Action) -> bool:
    """Whether no rule has a metavariable and all spell out what they match.

    Such an action makes this change only, however right it is. Rules that match by kind or
    regex alone are not literal.

    >>> is_literal(Action("python", ({"rule": {"pattern": "x == None"}, "fix": "x is None"},)))
    True
    >>> is_literal(Action("python", ({"rule": {"pattern": "$X == None"}, "fix": "$X is None"},)))
    False
    """
    texts = [list(visit.texts(rule)) for rule in action.rules]
    return all(
        any(key in ("pattern", "context") for key, _ in found)
        and not any(_ANY_VARIABLE.search(text) for key, text in found if key != "regex")
        for found in texts
    )


def _document(rule: Mapping[str, Any]) -> Document:
    made: Document = {}
    for field in EFFECTIVE_FIELDS:
        value = rule.get(field)
        if value is None or (field != "fix" and not value):
            continue
        match field:
            case "rule":
                made[field] = _rule(value)
            case "constraints" | "utils":
                made[field] = _sorted({name: _rule(inner) for name, inner in _items(value)})
            case "transform":
                made[field] = _sorted({name: _transform(inner) for name, inner in _items(value)})
            case "rewriters":
                rewriters = value if isinstance(value, list) else []
                made[field] = [
                    {"id": str(one.get("id")), **_document(one)} if isinstance(one, Mapping) else one
                    for one in rewriters
                ] or value
            case "fix":
                made[field] = _fix(value)
    return made


def _items(value: Any) -> list[tuple[str, Any]]:
    return list(value.items()) if isinstance(value, Mapping) else []


def _sorted(value: dict[str, Any]) -> dict[str, Any]:
    return dict(sorted(value.items()))


def _rule(value: Any) -> Any:
    """A rule object as a conjunction of atoms, in the order in which they are tried."""
    if not isinstance(value, Mapping):
        return value
    atoms = _atoms(value)
    return atoms[0] if len(atoms) == 1 else {"all": atoms}


def _atoms(rule: Mapping[str, Any]) -> list[Any]:
    atoms: list[Any] = []
    known = sorted(rule, key=lambda key: RULE_KEYS.index(key) if key in RULE_KEYS else len(RULE_KEYS))
    for key in known:
        value = rule[key]
        if key == "all" and isinstance(value, list):
            for item in value:
                atoms += _atoms(item) if isinstance(item, Mapping) else [item]
        elif key == "any" and isinstance(value, list) and len(value) == 1 and isinstance(value[0], Mapping):
            atoms += _atoms(value[0])
        else:
            atoms.append({key: _atom(key, value)})
    return atoms


def _atom(key: str, value: Any) -> Any:
    if key == "pattern":
        if isinstance(value, str):
            return {"context": value}
        if isinstance(value, Mapping):
            return {
                key: value[key]
                for key in ("context", "selector", "strictness")
                if value.get(key) is not None and value[key] != _DEFAULTS.get(key)
            }
        return value
    if key in RELATIONS and isinstance(value, Mapping):
        inner = {name: part for name, part in value.items() if name not in ("stopBy", "field")}
        made: dict[str, Any] = {"rule": _rule(inner)}
        stop = value.get("stopBy")
        if stop is not None and stop != _DEFAULTS["stopBy"]:
            made["stopBy"] = _rule(stop)
        if value.get("field") is not None:
            made["field"] = value["field"]
        return made
    if key in ("any", "all") and isinstance(value, list):
        return [_rule(item) for item in value]
    if key == "not":
        return _rule(value)
    if key == "nthChild":
        child = dict(value) if isinstance(value, Mapping) else {"position": value}
        if "ofRule" in child:
            child["ofRule"] = _rule(child["ofRule"])
        if child.get("reverse") is False:
            del child["reverse"]
        child["position"] = str(child.get("position"))
        return _sorted(child)
    return value


def _transform(value: Any) -> Any:
    # The string form is kept as it is: `replace($A, …)` against its object is a matter of style
    # that similarity bridges.
    if isinstance(value, str):
        return {"call": re.sub(r"\s+", " ", value.strip())}
    if isinstance(value, Mapping):
        return {
            kind: _sorted(dict(options)) if isinstance(options, Mapping) else options
            for kind, options in value.items()
        }
    return value


def _fix(value: Any) -> Any:
    if isinstance(value, list):
        # ast-grep applies the first.
        return _fix(value[0]) if value else None
    if isinstance(value, str):
        return {"template": value}
    if not isinstance(value, Mapping):
        return value
    made: dict[str, Any] = {"template": value.get("template")}
    for key in ("expandStart", "expandEnd"):
        if value.get(key) is not None:
            made[key] = _atom("has", {name: part for name, part in value[key].items() if name != "field"})
    return made
