"""The judgements on what rules did; each gives a reason, or an empty text where all is well."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, cast

from ast_grep_py import Config, SgNode

from rulewright.engine import patterns
from rulewright.engine.apply import Step
from rulewright.engine.parsing import parse
from rulewright.engine.rules import CompiledRule, pattern_parts

_WORD: Final = re.compile(r"[A-Za-z_]\w*")
_KEYWORD: Final = re.compile(r"[a-z_]{2,}")
ROOT_KINDS: Final = frozenset({"module", "program", "source_file", "translation_unit"})
LITERAL_SHARE: Final = 0.5
LITERAL_CHARS: Final = 60


def wrong(post: str, expected: str | None) -> str:
    """Where the result first differs from the wanted one."""
    if expected is None or post == expected:
        return ""
    got, want = post.split("\n"), expected.split("\n")
    for number, (one, other) in enumerate(zip(got, want), 1):
        if one != other:
            return f"line {number} is {_short(one)}, wanted {_short(other)}"
    return f"{len(got)} lines, wanted {len(want)}"


def _short(text: str) -> str:
    text = text.strip()
    return repr(text if len(text) <= 60 else text[:57] + "...")


def syntax(steps: Sequence[Step]) -> str:
    """Whether the result parses worse than the text before."""
    before, last = steps[0].before, steps[-1]
    after = parse(last.after, last.rule.language)
    if after.errors <= before.errors and after.missing <= before.missing:
        return ""
    now, then = after.errors + after.missing, before.errors + before.missing
    return f"the result has {now} syntax errors, the code before {then}; the first at line {after.first_line}"


def degenerate(steps: Sequence[Step]) -> str:
    """Whether rules replace the whole text, or most of it, by a literal."""
    for step in steps:
        literal = _literal_weight(step.rule)
        whole = max(1, _weight(step.before.source))
        if literal < LITERAL_SHARE * max(1, _weight(step.after)):
            continue
        for edit, node in zip(step.edits, step.nodes):
            replaced = _weight(step.before.source[edit.start : edit.end])
            if replaced < LITERAL_SHARE * whole:
                continue
            uncovered = replaced - _captured_weight(step, node)
            root = node is not None and node.parent() is None
            if uncovered >= LITERAL_SHARE * whole and (root or literal >= LITERAL_CHARS):
                share = round(100 * uncovered / whole)
                return f"one fix writes {literal} characters of its own over {share} % of the code"
    return ""


def _weight(text: str) -> int:
    """Characters that are not whitespace."""
    return len("".join(text.split()))


def _literal_weight(rule: CompiledRule) -> int:
    fix = rule.core.fix
    return sum(_weight(fragment) for fragment in fix.template.fragments) if fix is not None else 0


def _captured_weight(step: Step, node: SgNode | None) -> int:
    if node is None:
        return 0
    spans = _captures(step.rule, node, used_only=True)
    return sum(_weight(step.before.source[start:end]) for start, end in spans)


def _captures(rule: CompiledRule, node: SgNode, used_only: bool = False) -> list[tuple[int, int]]:
    names = set(rule.core.variables)
    if used_only and rule.core.fix is not None:
        used = {slot.name for slot in rule.core.fix.template.slots}
        sources = {rule.core.transforms[name].variable for name in used if name in rule.core.transforms}
        names &= used | sources
    spans: list[tuple[int, int]] = []
    for name in names:
        one = node.get_match(name)
        many = [one] if one is not None else node.get_multiple_matches(name)
        if many:
            spans.append((many[0].range().start.index, many[-1].range().end.index))
    return spans


def lossy(steps: Sequence[Step]) -> str:
    """Named code inside a match that neither the pattern nor a capture covers, and that is gone."""
    for step in steps:
        if _deletes(step.rule):
            continue
        said = _said(step.rule)
        own = list(_own_patterns(step.rule.core.config["rule"], step.rule.core.config.get("utils", {})))
        for edit, node in zip(step.edits, step.nodes):
            if node is None or node.is_leaf():
                continue
            covered = _captures(step.rule, node) + _wildcards(own, node)
            kept = " ".join(edit.text.split())
            for lost in _uncovered(node, covered, said, keywords=bool(own)):
                if " ".join(lost.text().split()) not in kept:
                    return (
                        f"line {lost.range().start.line + 1}: the match holds {_short(lost.text())} "
                        f"({lost.kind()}), which neither the pattern nor a variable covers: the fix drops it"
                    )
    return ""


def _deletes(rule: CompiledRule) -> bool:
    """Whether the rule has no fix, or says with an empty one that all of the match shall go."""
    fix = rule.core.fix
    return fix is None or (not fix.template.slots and not any(f.strip() for f in fix.template.fragments))


def _said(rule: CompiledRule) -> frozenset[str]:
    """Every word that the rule's patterns and regexes mention."""
    words: set[str] = set()
    stack: list[Any] = [rule.core.config]
    while stack:
        item = stack.pop()
        if isinstance(item, Mapping):
            for key, value in item.items():
                if key == "pattern":
                    words |= patterns.facts(*pattern_parts(value), rule.language).words
                elif key == "regex" and isinstance(value, str):
                    words |= set(_WORD.findall(value))
                else:
                    stack.append(value)
        elif isinstance(item, list):
            stack += item
    return frozenset(words)


def _wildcards(own: Sequence[Any], node: SgNode) -> list[tuple[int, int]]:
    """What `$_` and `$$$` of the rule's own patterns match: stated, though not captured."""
    spans: list[tuple[int, int]] = []
    for pattern in own:
        named = _named(pattern)
        if named is None:
            continue
        for found in node.find_all(cast(Config, {"rule": {"pattern": named}})):
            if found != node:
                continue
            for number in range(_MAX_WILDCARDS):
                one = found.get_match(f"{_WILD}{number}")
                many = [one] if one is not None else found.get_multiple_matches(f"{_WILD}{number}")
                if many:
                    spans.append((many[0].range().start.index, many[-1].range().end.index))
    return spans


_WILD: Final = "RWANY"
_MAX_WILDCARDS: Final = 24
_ANONYMOUS: Final = re.compile(r"\$\$\$(?:_[A-Z0-9_]*)?(?![A-Z0-9_])|\$\$?_[A-Z0-9_]*")


def _named(pattern: Any) -> Any:
    """The pattern with each anonymous variable named; `None` where it has none."""
    text, _ = pattern_parts(pattern)
    counter = iter(range(_MAX_WILDCARDS))

    def name(found: re.Match[str]) -> str:
        number = next(counter, _MAX_WILDCARDS)
        dollars = len(found.group()) - len(found.group().lstrip("$"))
        return "$" * dollars + f"{_WILD}{number}"

    made = _ANONYMOUS.sub(name, text)
    if made == text:
        return None
    return made if isinstance(pattern, str) else {**pattern, "context": made}


def _own_patterns(rule: Mapping[str, Any], utils: Mapping[str, Any], depth: int = 0) -> Iterator[Any]:
    """Patterns that the matched node itself must (or may) match."""
    if "pattern" in rule:
        yield rule["pattern"]
    for key in ("all", "any"):
        for item in rule.get(key, []):
            yield from _own_patterns(item, utils, depth)
    name = rule.get("matches")
    if isinstance(name, str) and name in utils and depth < 8:
        yield from _own_patterns(utils[name], utils, depth + 1)


def _uncovered(
    node: SgNode, covered: Sequence[tuple[int, int]], said: frozenset[str], keywords: bool
) -> Iterator[SgNode]:
    """The largest named parts of a node that nothing covers.

    Args:
        node: the match, or a part of it.
        covered: character ranges that variables hold.
        said: words of the rule's patterns.
        keywords: whether bare keywords count too (`async`): where a pattern spells them
            out, one more is a loss; where the rule names a kind, they belong to it.
    """
    for child in node.children():
        span = child.range()
        start, end = span.start.index, span.end.index
        if start == end or any(low <= start and end <= high for low, high in covered):
            continue
        text = child.text()
        if text in said:
            continue
        if not child.is_named():
            if keywords and _KEYWORD.fullmatch(text):
                yield child
            continue
        touched = any(low < end and start < high for low, high in covered)
        if child.is_leaf() or (not touched and not _mentions(child, said)):
            if _has_words(text):
                yield child
        else:
            yield from _uncovered(child, covered, said, keywords)


def _has_words(text: str) -> bool:
    return any(char.isalnum() for char in text)


def _mentions(node: SgNode, said: frozenset[str]) -> bool:
    stack = [node]
    while stack:
        item = stack.pop()
        children = item.children()
        if not children and item.text() in said and _has_words(item.text()):
            return True
        stack += children
    return False
