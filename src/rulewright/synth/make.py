"""A window of real code → verified edits.

Invariant: what `Maker.edits` yields went through the engine. The rule on `pre` gives
exactly `post` with verdict `ok` (so: not lossy, not degenerate, parsing no worse), and
`pre` parses without error, as `post` does. Nothing is written here.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from ast_grep_py import SgNode

from rulewright.actions.action import Action, Rule
from rulewright.actions.visit import regex_escape
from rulewright.engine import apply, judge
from rulewright.engine.parsing import parse, span
from rulewright.languages import SCRIPTS, Language
from rulewright.synth import instances
from rulewright.synth.grammar import of_kind
from rulewright.synth.kinds import Shape
from rulewright.synth.speech import Speech, Words, instance_words
from rulewright.synth.templates import Codemod
from rulewright.verdict import Verdict

_SCOPES: Final[dict[Language, tuple[str, ...]]] = {
    "python": ("function_definition", "class_definition"),
    **dict.fromkeys(SCRIPTS, ("function_declaration", "class_declaration", "method_definition")),
    "java": ("method_declaration", "class_declaration"),
    "go": ("function_declaration", "method_declaration"),
}


@dataclass(frozen=True)
class EditSource:
    """Something that can degrade real code: a template, or a family of instance edits."""

    name: str
    family: str
    words: Words
    degrade: Callable[[instances.Code, random.Random], instances.Proposal | str]
    """Gives the reason where it cannot."""
    could_match: Callable[[str], bool]
    template: Codemod | None = None


@dataclass(frozen=True)
class MadeEdit:
    """A verified edit and all that its record needs."""

    sources: tuple[str, ...]
    """Names of the templates, in the order of the rules."""
    family: str
    shape: Shape
    instruction: str
    pre: str
    post: str
    action: Action
    sites: int
    """Places that the rule changes."""
    candidates: int
    """Places that could have been degraded; more than `sites` where some were left idiomatic."""
    phrasing: int
    instance: bool
    """Whether the rule depends on the code."""


class Maker:
    """Makes edits for one language; keeps count of what it made, to favor what is rare.

    Args:
        language: of all code given to it.
        templates: of that language.
        families: names of instance families to use.
        shapes: kinds of edits wanted.
        speech: how instructions are worded.
        per_window: at most so many edits of shape `single` from one window.
        most: stop using a template after so many edits; 0: never.
    """

    def __init__(
        self,
        language: Language,
        templates: Sequence[Codemod],
        families: Sequence[str],
        shapes: Sequence[Shape],
        speech: Speech,
        per_window: int = 2,
        most: int = 0,
    ) -> None:
        self.language = language
        self.dropped: Counter[str] = Counter()
        self._made: Counter[str] = Counter()
        self._shapes = frozenset(shapes)
        self._speech = speech
        self._per_window = per_window
        self._most = most
        self._static = [from_template(template) for template in templates]
        self._instance = [_from_family(name, language) for name in families]

    def edits(
        self, text: str, names: Sequence[str], rng: random.Random, usable: Callable[[str], bool]
    ) -> Iterator[MadeEdit]:
        """Yield verified edits whose `post` is the window (scoped ones: the window but for the scope).

        Args:
            text: the window.
            names: identifiers of its file, sorted.
            rng: decides everything that is left to chance.
            usable: whether the template of a name may be used on this code (hold-out).
        """
        code = instances.Code(text, self.language, names)
        static, families = (
            [one for one in sources if usable(one.name) and not 0 < self._most <= self._made[one.name]]
            for sources in (self._static, self._instance)
        )
        order = [source for source in static if source.could_match(text)]
        order += rng.sample(families, min(len(families), 6))
        rng.shuffle(order)
        order.sort(key=lambda source: self._made[source.name])
        made = 0
        for source in order:
            if made == self._per_window:
                break
            edit = self._single(source, code, rng)
            if edit is not None:
                made += 1
                yield edit
        for shape, make in (("multi", self._multi), ("scoped", self._scoped), ("negative", self._negative)):
            if shape in self._shapes and (edit := make(order, code, rng)) is not None:
                yield edit

    def _single(self, source: EditSource, code: instances.Code, rng: random.Random) -> MadeEdit | None:
        found = source.degrade(code, rng)
        if isinstance(found, str):
            self._drop(found)
            return None
        action = self._verified(found.pre, found.rules, code.text)
        if action is None:
            return None
        number, say = self._speech.choose(source.words, found.slots, rng)
        say = self._speech.dress(say, source.words.reason, found.pre, code.text, rng)
        places = found.sites, found.candidates or found.sites
        return self._made_of([source], "single", (number, say), found.pre, code.text, action, places)

    def _multi(
        self, order: Sequence[EditSource], code: instances.Code, rng: random.Random
    ) -> MadeEdit | None:
        """Degrade twice or three times; the rules undo it in the opposite order."""
        wanted = 3 if rng.random() < 0.25 else 2
        steps: list[tuple[EditSource, instances.Proposal]] = []
        text = code.text
        for source in order:
            if any(source.family == other.family for other, _ in steps):
                continue
            found = source.degrade(instances.Code(text, self.language, code.names), rng)
            if isinstance(found, str) or parse(found.pre, self.language).broken:
                continue
            steps.insert(0, (source, found))
            text = found.pre
            if len(steps) == wanted:
                break
        if len(steps) < 2:
            return None
        rules = [rule for _, found in steps for rule in found.rules]
        action = self._verified(text, rules, code.text)
        if action is None:
            return None
        says = [self._speech.choose(source.words, found.slots, rng) for source, found in steps]
        say = self._speech.join([say for _, say in says], rng)
        sources, made = zip(*steps, strict=True)
        places = sum(one.sites for one in made), sum(one.candidates or one.sites for one in made)
        return self._made_of(sources, "multi", (says[0][0], say), text, code.text, action, places)

    def _scoped(
        self, order: Sequence[EditSource], code: instances.Code, rng: random.Random
    ) -> MadeEdit | None:
        """The change in one function or class only, or everywhere but there."""
        scopes = _scopes(code.root, self.language)
        if len(scopes) < 2:
            return None
        for source in order:
            template = source.template
            if template is None:
                continue
            sites = _sites(code.root, template.inverse)
            by_scope = {
                name: [
                    site
                    for site in sites
                    if any(a <= span(site)[0] and span(site)[1] <= b for a, b in map(span, places))
                ]
                for name, places in scopes.items()
            }
            mixed = sorted(name for name, inner in by_scope.items() if 0 < len(inner) < len(sites))
            if not mixed:
                continue
            name = rng.choice(mixed)
            outside = name == "test" or rng.random() < 0.4
            within = {span(site) for site in by_scope[name]}
            stays = [site for site in sites if (span(site) in within) == outside]
            pre, post = (_degrade_at(template, code.text, some) for some in (sites, stays))
            if pre is None or post is None:
                self._drop("scoped: inverse does not apply")
                continue
            action = self._verified(pre, (_limited(template.forward, self.language, name, outside),), post)
            if action is None:
                continue
            number, say = self._speech.choose(source.words, {}, rng)
            say = self._speech.scope(say, name, outside, rng)
            places = len(sites) - len(stays), len(sites)
            return self._made_of([source], "scoped", (number, say), pre, post, action, places)
        return None

    def _negative(
        self, order: Sequence[EditSource], code: instances.Code, rng: random.Random
    ) -> MadeEdit | None:
        """A request for which there is nothing to do: the code is already as wanted."""
        for source in order:
            if source.template is None or not _sites(code.root, source.template.inverse):
                continue
            action = Action(self.language, (source.template.forward,))
            if judge(action, code.text).verdict is not Verdict.NO_MATCH:
                continue
            told = self._speech.choose(source.words, {}, rng)
            return self._made_of([source], "negative", told, code.text, code.text, action, (0, 0))
        return None

    def _made_of(
        self, sources: Sequence[EditSource], shape: Shape, told: tuple[int, str],
        pre: str, post: str, action: Action, places: tuple[int, int],
    ) -> MadeEdit:  # fmt: skip
        if shape != "negative":
            self._made.update(source.name for source in sources)
        family = sources[0].family if len(sources) == 1 else "multi"
        instance = any(source.template is None for source in sources)
        names = tuple(source.name for source in sources)
        return MadeEdit(names, family, shape, told[1], pre, post, action, *places, told[0], instance)

    def _verified(self, pre: str, rules: Sequence[Rule], post: str) -> Action | None:
        """The action, if it leads from `pre` to `post` in every respect."""
        reason = "no change" if pre == post else ""
        reason = reason or ("pre does not parse" if parse(pre, self.language).broken else "")
        action = Action(self.language, tuple(rules))
        if not reason:
            verdict = judge(action, pre, post).verdict
            reason = "" if verdict is Verdict.OK else f"forward: {verdict}"
        if reason:
            self._drop(reason)
            return None
        return action

    def _drop(self, reason: str) -> None:
        self.dropped[reason] += 1


def _limited(rule: Rule, language: Language, name: str, outside: bool) -> Rule:
    """A rule for what lies in the functions and classes of a name (`test`: that begin so), or outside."""
    own = rule["rule"]
    named = {"field": "name", "regex": "^test" if name == "test" else f"^{regex_escape(name)}$"}
    kinds = [{"kind": kind} for kind in _SCOPES[language]]
    inside = {"inside": {"any": kinds, "has": named, "stopBy": "end"}}
    extra: dict[str, Any] = {"not": inside} if outside else inside
    limited = {"all": [dict(own), extra]} if set(own) & set(extra) else {**own, **extra}
    return {**rule, "rule": limited}


def from_template(template: Codemod) -> EditSource:
    def degrade(code: instances.Code, rng: random.Random) -> instances.Proposal | str:
        sites = _sites(code.root, template.inverse)
        if not sites:
            return "inverse: no site"
        chosen = sites
        if len(sites) > 1 and rng.random() < 0.3:
            chosen = sorted(rng.sample(sites, rng.randint(1, len(sites) - 1)), key=span)
        pre = _degrade_at(template, code.text, chosen, everywhere=len(chosen) == len(sites))
        if pre is None:
            return "inverse: does not apply"
        return instances.Proposal(pre, (template.forward,), {}, len(chosen), len(sites))

    words = Words(template.reason, template.phrasings)
    return EditSource(template.name, template.family, words, degrade, template.could_match, template)


def _from_family(name: str, language: Language) -> EditSource:
    propose = instances.FAMILIES[name]

    def degrade(code: instances.Code, rng: random.Random) -> instances.Proposal | str:
        return propose(code, rng) or "instance: nothing to change"

    return EditSource(f"{language}/{name}", name, instance_words()[name], degrade, lambda code: True)


def _sites(root: SgNode, inverse: Rule) -> list[SgNode]:
    """Where the inverse applies: outermost matches, in file order."""
    config: Any = {
        key: inverse[key] for key in ("rule", "constraints", "utils", "transform") if key in inverse
    }
    found: list[SgNode] = []
    end = -1
    for node in sorted(root.find_all(config), key=lambda node: (span(node)[0], -span(node)[1])):
        start, stop = span(node)
        if start >= end:
            found.append(node)
            end = stop
    return found


def _degrade_at(
    template: Codemod, text: str, sites: Sequence[SgNode], everywhere: bool = False
) -> str | None:
    """Apply the inverse at these places only; `None` where the engine refuses."""
    if not sites:
        return text
    inverse = dict(template.inverse)
    if not everywhere:
        places = []
        for site in sites:
            place = site.range()
            places.append(
                {
                    "range": {
                        "start": {"line": place.start.line, "column": place.start.column},
                        "end": {"line": place.end.line, "column": place.end.column},
                    }
                }
            )
        inverse["rule"] = {"all": [inverse["rule"], {"any": places}]}
    return apply(Action(template.language, (inverse,)), text).post


def _scopes(root: SgNode, language: Language) -> dict[str, list[SgNode]]:
    """Named functions and classes by name, and `test` for those whose name begins so."""
    found: dict[str, list[SgNode]] = {}
    for node in of_kind(root, *_SCOPES[language]):
        name = node.field("name")
        if name is None:
            continue
        found.setdefault(name.text(), []).append(node)
        if name.text().startswith("test") and name.text() != "test":
            found.setdefault("test", []).append(node)
    return found
