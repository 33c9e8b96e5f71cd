"""Compile a rule; refuse what `scan` refuses, with a reason.

The binding checks patterns, kinds, regexes, fields, references and the variables of constraints and
transforms; what it does not check (missing kinds, rewriters, fixes and their variables) is checked here.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any, Final, cast

from ast_grep_py import Config, SgRoot

from rulewright.actions import visit
from rulewright.actions.action import EFFECTIVE_FIELDS, Action, Rule
from rulewright.actions.rule_text import describe
from rulewright.actions.suggest import did_you_mean
from rulewright.actions.visit import pattern_parts
from rulewright.engine import explain, literals, mentioned, patterns, selectors, template
from rulewright.engine.transforms import Rewrite, Transforms, read_transforms
from rulewright.errors import first_line
from rulewright.languages import Language
from rulewright.verdict import RuleFailed, Verdict

PLAIN: Final = frozenset(
    {"pattern", "context", "selector", "strictness", "kind", "regex", "all", "any", "not"}
)
"""Keys of a rule that say nothing of the code around a match."""
FIX_KEYS: Final = ("template", "expandStart", "expandEnd", "title")


@dataclass(frozen=True)
class Fix:
    """One fix: its template and how far its range reaches over siblings."""

    template: template.Template
    expand_start: Mapping[str, Any] | None = None
    expand_end: Mapping[str, Any] | None = None

    @property
    def expands(self) -> bool:
        return self.expand_start is not None or self.expand_end is not None


@dataclass(frozen=True)
class Core:
    """A matcher with its transforms and fix: a rule, or a rewriter."""

    config: dict[str, Any]
    """What the binding takes: rule, constraints, utils, transform."""
    variables: frozenset[str]
    transforms: Transforms
    fixes: tuple[Fix, ...]

    @property
    def fix(self) -> Fix | None:
        """The one that is applied."""
        return self.fixes[0] if self.fixes else None


@dataclass(frozen=True)
class CompiledRule:
    """A rule that ast-grep accepts."""

    language: Language
    source: Rule
    core: Core
    rewriters: Mapping[str, Core]
    needs_cli: str
    """Why the command line must apply it (a feature we do not port); empty: we can."""

    @cached_property
    def mentioned(self) -> mentioned.Mentioned:
        """What it says of the code that it matches."""
        return mentioned.read(self.core.config, self.language)

    @cached_property
    def needs(self) -> literals.Needs:
        """What a text must hold for it to match anything there."""
        if self.needs_cli:
            # Whether ast-grep takes the rule at all may be the command line's to say, whatever the text.
            return literals.NOTHING
        return literals.needs(self.core.config["rule"], self.language)

    @cached_property
    def is_local(self) -> bool:
        """Whether what it does to a node depends on nothing but that node's text and tree."""
        config = {key: value for key, value in self.core.config.items() if key != "transform"}
        keys = PLAIN | config.get("constraints", {}).keys() | {"rule", "constraints"}
        parts = list(visit.pairs(config))
        expands = self.core.fix is not None and self.core.fix.expands
        rewrites = any(isinstance(step, Rewrite) for step in self.core.transforms.values())
        selects = any(key == "kind" and not _KIND.fullmatch(str(value)) for key, value in parts)
        return not (expands or rewrites or selects or self.rewriters) and all(key in keys for key, _ in parts)

    @cached_property
    def roots(self) -> frozenset[tuple[str | None, str | None]]:
        """The kinds of node that it may match, and what the first token of each must be; `None`: any."""
        return _roots(self.core.config["rule"], self.language)

    @cached_property
    def literal_weight(self) -> int:
        """Characters, blanks left out, that its fix writes by itself."""
        fix = self.core.fix
        return sum(weight(fragment) for fragment in fix.template.fragments) if fix is not None else 0


def _roots(rule: Mapping[str, Any], language: Language) -> frozenset[tuple[str | None, str | None]]:
    found = _ANY
    for key, value in rule.items():
        if key == "pattern" and (kind := patterns.kind_of(value, language)) is not None:
            strict = value.get("strictness", "smart") if isinstance(value, Mapping) else "smart"
            first = patterns.facts(*pattern_parts(value), language).first
            return frozenset({(kind, first if strict in ("smart", "cst") else None)})
        if key == "kind" and found == _ANY:
            found = frozenset({(str(value), None)})
        elif key == "any" and found == _ANY:
            found = frozenset(root for one in value for root in _roots(one, language))
        elif key == "all":
            for one in value:
                found = _roots(one, language) if found == _ANY else found
    return found


_ANY: Final[frozenset[tuple[str | None, str | None]]] = frozenset({(None, None)})
_KIND: Final = re.compile(r"\w+")


def weight(text: str) -> int:
    """Characters that are not whitespace."""
    return len("".join(text.split()))


def compile_rule(rule: Rule, language: Language) -> CompiledRule:
    """Check a rule and make it ready; cached by its text.

    Raises:
        RuleFailed: `scan` would refuse it, or ast-grep itself broke down.
    """
    try:
        return _compile(json.dumps(rule, ensure_ascii=False), language)
    except RecursionError:
        raise RuleFailed("the rule is nested too deeply", Verdict.BAD_ACTION) from None


@lru_cache(maxsize=64)
def compiled(action: Action) -> tuple[CompiledRule, ...]:
    """Every rule of an action, compiled; raises as `compile_rule`."""
    return tuple(compile_rule(rule, action.language) for rule in action.rules)


@lru_cache(maxsize=2048)
def _compile(text: str, language: Language) -> CompiledRule:
    rule: dict[str, Any] = json.loads(text)
    for key in rule:
        if key not in EFFECTIVE_FIELDS:
            raise RuleFailed(f"unknown field `{key}`{did_you_mean(key, EFFECTIVE_FIELDS)}")
    core = _core(rule, language, {}, "")
    if not _has_kinds(rule["rule"], rule.get("utils") or {}, language, frozenset()):
        raise RuleFailed(explain.missing_kinds(rule["rule"]))
    rewriters = _rewriters(rule, language, core)
    return CompiledRule(language, rule, core, rewriters, _needs_cli(rule, language, core, rewriters))


def _core(rule: Mapping[str, Any], language: Language, outer: Mapping[str, Any], where: str) -> Core:
    """Compile a rule or a rewriter (`outer` holds the utils that it inherits)."""
    if not isinstance(rule.get("rule"), dict):
        raise RuleFailed(f"{where}`rule` must be a mapping, got {describe(rule.get('rule'))}")
    given = {key: rule[key] for key in ("constraints", "transform", "utils") if rule.get(key) is not None}
    for key, value in given.items():
        if not isinstance(value, dict):
            raise RuleFailed(f"{where}`{key}` must be a mapping, got {describe(value)}")
    # The rule's own utils and those it inherits (a rewriter sees the rule's).
    own = given.pop("utils", {})
    for name in own:
        if name in outer:
            raise RuleFailed(f"{where}the util `{name}` is defined in the rule already; choose another name")
    utils = {"utils": {**outer, **own}} if outer or own else {}
    config: dict[str, Any] = {"rule": rule["rule"], **given, **utils}
    transforms = read_transforms(config.get("transform", {}), where)
    _try_binding(config, language, where)
    variables = _defined(config, language)
    fixes = tuple(_fixes(rule.get("fix"), language, where))
    return Core(config, frozenset(variables | transforms.keys()), transforms, fixes)


def _try_binding(config: Mapping[str, Any], language: Language, where: str) -> None:
    """Let ast-grep compile it; put its complaint in words that help."""
    error = _complaint(config, language)
    if error is None:
        return
    if not isinstance(error, Exception):
        raise RuleFailed(f"{where}ast-grep panics: {first_line(error)}", Verdict.CRASHED) from error
    # Of several faults ast-grep names any one.
    alone = (_complaint(one, language) for one in _one_by_one(config))
    told = (one for one in alone if isinstance(one, Exception) and "Undefined meta var" not in str(one))
    error = next(told, error)
    reason = explain.binding_error(error, config, language)
    if reason.startswith("Undefined meta var"):
        # Everything else in it compiled, so its patterns can be read.
        steps = read_transforms(config.get("transform", {}), where)
        captured = _defined(config, language)
        names = captured | steps.keys()
        wrong = [(name, "constraints") for name in config.get("constraints", {}) if name not in captured]
        wrong += [(one.variable, "transform") for one in steps.values() if one.variable not in names]
        reason = explain.undefined(*wrong[0], names) if wrong else reason
    raise RuleFailed(where + reason) from error


def _complaint(config: Mapping[str, Any], language: Language) -> BaseException | None:
    try:
        SgRoot("", language).root().find(cast(Config, config))
    except BaseException as error:
        if not isinstance(error, Exception) and type(error).__name__ != "PanicException":
            raise
        return error
    return None


def _one_by_one(config: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """A rule with each of its utils and constraints in turn, and nothing wrong with the others."""
    given = {key: config[key] for key in ("utils", "constraints") if key in config}
    fine = {key: {name: {"kind": "ERROR"} for name in names} for key, names in given.items()}
    for key, names in fine.items():
        for name in names:
            yield {**config, **fine, key: {**names, name: given[key][name]}}


def _defined(config: Mapping[str, Any], language: Language) -> set[str]:
    given = [config["rule"], *config.get("constraints", {}).values(), *config.get("utils", {}).values()]
    found = (rule["pattern"] for one in given for rule in visit.objects(one) if "pattern" in rule)
    return {name for pattern in found for name in patterns.facts(*pattern_parts(pattern), language).variables}


def _fixes(value: Any, language: Language, where: str) -> list[Fix]:
    """Every fix that a rule offers; ast-grep applies the first."""
    if value is None:
        return []
    if isinstance(value, str):
        return [Fix(template.parse(value))]
    if isinstance(value, dict):
        return [_fix_object(value, language, where)]
    if not isinstance(value, list):
        raise RuleFailed(f"{where}`fix` must be text, a mapping or a list, got {describe(value)}")
    made = []
    for number, item in enumerate(value, 1):
        if not isinstance(item, dict) or item.get("title") is None:
            raise RuleFailed(
                f"{where}`fix` {number}: in a list each fix is a mapping with `title` and `template`"
            )
        made.append(_fix_object(item, language, f"{where}`fix` {number}: "))
    return made


def _fix_object(value: Mapping[str, Any], language: Language, where: str) -> Fix:
    if not isinstance(value.get("template"), str):
        strange = [
            f"; unknown field `{key}`{did_you_mean(key, FIX_KEYS)}" for key in value if key not in FIX_KEYS
        ]
        raise RuleFailed(f"{where}`fix` needs a text `template`{''.join(strange)}")
    if value.get("title") is not None and not isinstance(value["title"], str):
        raise RuleFailed(f"{where}`title` must be text, got {describe(value['title'])}")
    start, end = (
        _expansion(value[key], key, language, where) if key in value else None
        for key in ("expandStart", "expandEnd")
    )
    return Fix(template.parse(value["template"]), start, end)


def _expansion(value: Any, key: str, language: Language, where: str) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise RuleFailed(f"{where}`{key}` must be a rule, got {describe(value)}")
    # ast-grep reads `field` here and ignores it.
    relation = {name: inner for name, inner in value.items() if name != "field"}
    if '"matches"' not in json.dumps(relation):
        _try_binding({"rule": {"kind": "ERROR", "precedes": relation}}, language, f"{where}`{key}`: ")
    return relation


def _rewriters(rule: Mapping[str, Any], language: Language, core: Core) -> dict[str, Core]:
    given = rule.get("rewriters")
    if not isinstance(given, list | None):
        raise RuleFailed(f"`rewriters` must be a list, got {describe(given)}")
    _check_fix(core, core.variables, "")
    if given is None:  # then ast-grep takes names of rewriters, whatever they are
        return {}
    made: dict[str, Core] = {}
    for number, item in enumerate(given, 1):
        where = f"rewriter {number}: "
        if not isinstance(item, dict) or not isinstance(item.get("id"), str | int | float):
            raise RuleFailed(f"{where}a rewriter is a mapping with `id`, `rule` and `fix`")
        name = str(item["id"])
        where = f"rewriter `{name}`: "
        if item.get("fix") is None:
            raise RuleFailed(f"{where}it needs a `fix`")
        inner = _core(item, language, rule.get("utils") or {}, where)
        _check_fix(inner, inner.variables | core.variables, where)
        made[name] = inner
    for owner, one in {"": core, **made}.items():
        steps = (step for step in one.transforms.values() if isinstance(step, Rewrite))
        for name in (name for step in steps for name in step.rewriters):
            if name not in made:
                where = f"rewriter `{owner}`: " if owner else ""
                raise RuleFailed(f"{where}undefined rewriter `{name}`{did_you_mean(name, made)}")
    return made


def _check_fix(core: Core, variables: frozenset[str], where: str) -> None:
    for fix in core.fixes:
        for slot in fix.template.slots:
            if slot.name not in variables:
                raise RuleFailed(where + explain.undefined(slot.name, "fix", variables))


def _has_kinds(rule: Any, utils: Mapping[str, Any], language: Language, seen: frozenset[str]) -> bool:
    """Whether ast-grep can tell which node kinds the rule can match (`scan` insists)."""

    def known(one: Any) -> bool:
        return _has_kinds(one, utils, language, seen)

    for key, value in rule.items():
        found = False
        match key:
            case "kind":
                found = selectors.has_kinds(str(value))
            case "pattern":
                found = patterns.kind_of(value, language) is not None
            case "all":
                found = any(map(known, value))
            case "any":
                found = all(map(known, value))
            case "matches" if isinstance(value, str) and value in utils.keys() - seen:
                found = _has_kinds(utils[value], utils, language, seen | {value})
            case "nthChild" if isinstance(value, dict) and isinstance(value.get("ofRule"), dict):
                found = known(value["ofRule"])
        if found:
            return True
    return False


_UPPER: Final = re.compile(r"\$+([A-Z_][A-Z0-9_]*)")


def _needs_cli(rule: Mapping[str, Any], language: Language, core: Core, rewriters: Mapping[str, Core]) -> str:
    """Name the feature that only the command line does exactly; empty where there is none."""
    for key, value in visit.pairs(rule):
        if key == "pattern" and patterns.facts(*pattern_parts(value), language).guessed:
            return "a pattern that is no complete code"
    for one in (core, *rewriters.values()):
        rewritten = {name for name, step in one.transforms.items() if isinstance(step, Rewrite)}
        for step in one.transforms.values():
            if step.variable in rewritten:
                return "a transform that reads a rewrite result"
        if one.fix is not None and one.fix.expands:
            text = json.dumps([one.fix.expand_start, one.fix.expand_end])
            if '"matches"' in text:
                return "a util inside an expansion"
            if _UPPER.search(text):
                return "a variable inside an expansion"
    for one in rewriters.values():
        shared = (one.variables - frozenset(one.transforms)) & core.variables
        if shared:
            return f"a rewriter that shares ${sorted(shared)[0]} with the rule"
        if any(isinstance(step, Rewrite) for step in one.transforms.values()):
            return "a rewriter that rewrites"
    return ""
