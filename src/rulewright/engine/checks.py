"""The judgements on what rules did; each gives a reason, or an empty text where all is well."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from ast_grep_py import SgNode

from rulewright.engine import applier, patterns
from rulewright.engine.apply import Step
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
    before = faults(steps[0].root)
    last = steps[-1]
    after = faults(applier.parse(last.after, last.rule.language))
    if after[0] <= before[0] and after[1] <= before[1]:
        return ""
    return f"the result has {after[0] + after[1]} syntax errors, the code before {before[0] + before[1]}{after[2]}"


def faults(root: SgNode) -> tuple[int, int, str]:
    """Count error nodes and missing tokens; say where the first error is."""
    errors = root.find_all({"rule": {"kind": "ERROR"}})
    empty = root.find_all({"rule": {"regex": "^$"}})
    missing = sum(1 for node in empty if node.is_leaf() and node.kind() not in ("", "\n") and node.parent())
    place = f"; the first at line {errors[0].range().start.line + 1}" if errors else ""
    return len(errors), missing, place


def degenerate(steps: Sequence[Step]) -> str:
    """Whether rules replace the whole text, or most of it, by a literal."""
    for step in steps:
        whole = _weight(step.before)
        for edit, node in zip(step.edits, step.nodes or [None] * len(step.edits)):
            literal = _literal_weight(step.rule)
            replaced = _weight(step.before[edit.start : edit.end])
            kept = _captured_weight(step, node)
            uncovered = max(0, replaced - kept)
            if literal < LITERAL_SHARE * max(1, _weight(step.after)) or uncovered < LITERAL_SHARE * max(
                1, whole
            ):
                continue
            root = node is not None and node.parent() is None
            if root or literal >= LITERAL_CHARS:
                share = round(100 * uncovered / max(1, whole))
                return f"one fix writes {literal} characters of its own over {share} % of the code"
    return ""


def _weight(text: str) -> int:
    return sum(1 for char in text if not char.isspace())


def _literal_weight(rule: CompiledRule) -> int:
    assert rule.core.fix is not None
    return sum(_weight(fragment) for fragment in rule.core.fix.template.fragments)


def _captured_weight(step: Step, node: SgNode | None) -> int:
    if node is None:
        return 0
    return sum(_weight(step.before[start:end]) for start, end in _captures(step.rule, node, used_only=True))


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
        fix = step.rule.core.fix
        if fix is None or (
            not any(fragment.strip() for fragment in fix.template.fragments) and not fix.template.slots
        ):
            continue
        said = _said(step.rule)
        for edit, node in zip(step.edits, step.nodes):
            if node.is_leaf():
                continue
            covered = _captures(step.rule, node) + _wildcards(step, node)
            for lost in _uncovered(node, covered, said):
                text = " ".join(lost.text().split())
                if text not in " ".join(edit.text.split()):
                    line = lost.range().start.line + 1
                    return (
                        f"line {line}: the match holds {_short(text)} ({lost.kind()}), which neither the pattern "
                        "nor a variable covers: the fix drops it"
                    )
    return ""


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


def _wildcards(step: Step, node: SgNode) -> list[tuple[int, int]]:
    """What `$_` and `$$$` of the rule's own patterns match: stated, though not captured."""
    spans: list[tuple[int, int]] = []
    for pattern in _own_patterns(step.rule.core.config["rule"], step.rule.core.config.get("utils", {})):
        named = _named(pattern)
        if named is None:
            continue
        for found in node.find_all({"rule": {"pattern": named}}):
            if found.range().start.index != node.range().start.index or found.kind() != node.kind():
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


def _uncovered(node: SgNode, covered: Sequence[tuple[int, int]], said: frozenset[str]) -> Iterator[SgNode]:
    """The largest named parts (and bare keywords) of a node that nothing covers."""
    for child in node.children():
        span = child.range()
        start, end = span.start.index, span.end.index
        if start == end or any(low <= start and end <= high for low, high in covered):
            continue
        text = child.text()
        if text in said:
            continue
        if not child.is_named():
            if _KEYWORD.fullmatch(text):
                yield child
            continue
        touched = any(low < end and start < high for low, high in covered)
        if child.is_leaf() or (not touched and not _mentions(child, said)):
            if _has_words(text):
                yield child
        else:
            yield from _uncovered(child, covered, said)


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
