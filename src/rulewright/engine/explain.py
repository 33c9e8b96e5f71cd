"""Explain failures so that a model or a user can repair the rule."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from rulewright.actions.suggest import did_you_mean, quoted
from rulewright.actions.visit import RELATIONS, RULE_KEYS, pairs
from rulewright.engine import kinds, patterns
from rulewright.engine.transforms import CASES
from rulewright.languages import Language


def undefined(name: str, part: str, known: Iterable[str]) -> str:
    """A variable that nothing defines."""
    names = sorted(known)
    defined = f" (defined: {', '.join('$' + n for n in names[:8])})" if names else " (no variable is defined)"
    return f"undefined variable `${name}` in `{part}`{defined}{did_you_mean(name, names)}"


def missing_kinds(rule: Mapping[str, Any]) -> str:
    """A rule that could match nodes of any kind, which `scan` refuses."""
    pattern = rule.get("pattern")
    if isinstance(pattern, str):
        return (
            f"the pattern {quoted(pattern)} is not complete code of one kind: write the whole construct, "
            "or add the `kind` that it must have"
        )
    return "the rule must say which node kinds it matches: add a `kind`, or a pattern that is complete code"


def binding_error(error: Exception, config: Mapping[str, Any], language: Language) -> str:
    """Put ast-grep's chain of causes into one line, its last cause, with what was meant."""
    text = str(error).partition("Stack backtrace:")[0]
    head, _, chain = text.partition("Caused by:")
    causes = re.findall(r"^ +\d+: (.*(?:\n {7,}.*)*)", chain, re.MULTILINE)
    last = causes[-1] if causes else (chain.strip() or head.strip())
    # ast-grep shows patterns with the letter that stands for `$` in this language.
    reason = patterns.from_source(re.sub(r"\s+", " ", last).strip(), language)
    part = re.search(r"`(constraints|utils|transform)` is not configured|invalid (nthChild|range)", chain)
    where = f"`{part.group(1) or part.group(2)}`: " if part else ""
    return where + _improved(reason, config, language)


def _improved(reason: str, config: Mapping[str, Any], language: Language) -> str:
    if found := re.fullmatch(r"Kind `(.*)` is invalid\.", reason):
        return f"kind `{found.group(1)}` does not exist in {language}{_near_kind(found.group(1), language)}"
    if found := re.fullmatch(r"Relational rule contains invalid field (.*)\.", reason):
        near = did_you_mean(found.group(1), kinds.names(language).fields)
        return f"field `{found.group(1)}` does not exist in {language}{near}"
    if found := re.match(r"unknown field `(.*?)`", reason):
        return f"unknown field `{found.group(1)}` in a rule{did_you_mean(found.group(1), RULE_KEYS)}"
    if found := re.match(r"Multiple AST nodes are detected. Please check the pattern source `(.*)`", reason):
        return (
            f"the pattern {quoted(found.group(1))} is several nodes, it must be one node: "
            "use one statement or expression, or `context` with `selector`"
        )
    if found := re.fullmatch(r"Rule `(.*)` is not defined\.", reason):
        return (
            f"util `{found.group(1)}` is not defined{did_you_mean(found.group(1), config.get('utils', {}))}"
            "; neither the rule's `utils` nor the `utilDirs` of its project have it"
        )
    if "untagged enum Transformation" in reason:
        names = ", ".join(f"`{name}`" for name in config.get("transform", {}))
        return (
            f"transform {names}: `replace` takes `replace` (a valid regex) and `by`; `substring` takes "
            f"`startChar` and `endChar`; `convert` takes `toCase` ({', '.join(CASES)}) and `separatedBy`"
        )
    if "has a cyclic dependency" in reason:
        names = ", ".join(f"`{name}`" for name in config["utils" if "sub-rule" in reason else "transform"])
        return f"a cyclic dependency among {names}"
    if "must have one positive matcher" in reason:
        return "a rule has no matcher" + _misspelled(config)
    if reason.startswith("regex parse error"):
        return f"regex is not valid (Rust syntax, no look-around, no back-references): {reason}"
    return reason


def _near_kind(kind: str, language: Language) -> str:
    known = kinds.names(language).kinds
    # Grammars differ by the last word: `call_expression` here is `call` there.
    words = kind.split("_")
    for n in range(len(words) - 1, 0, -1):
        if (shorter := "_".join(words[:n])) in known:
            return f"; did you mean `{shorter}`?"
    near = did_you_mean(kind, known, n=3)
    if near:
        return near
    inside = [name for name in known if len(kind) > 3 and (kind in name or name in kind)]
    inside = inside or [name for name in sorted(known) if name.startswith(f"{words[0]}_")]
    return f"; did you mean {' or '.join(f'`{name}`' for name in inside[:3])}?" if inside else ""


def _misspelled(config: Mapping[str, Any]) -> str:
    """Relations pass over keys that they do not know; such a key is what was meant."""
    known = {*RULE_KEYS, "stopBy", "field"}
    for key, value in pairs(config):
        if key in RELATIONS and isinstance(value, Mapping):
            for name in value:
                if name not in known:
                    return f": unknown field `{name}` in `{key}`{did_you_mean(name, known)}"
    return "; write at least one of pattern, kind, regex, inside, has, all, any, not, matches"
