"""Items of RuleBench: examples of one change, hidden siblings, code that must not change.

Edits of one fixer are not one change: they are split by the words that go and come, and
each part of two or more is an item (several, if it is large). Nothing is drawn by chance: hashes decide.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final, Literal

from rulewright import jsonl
from rulewright.actions.visit import WORD
from rulewright.difftext import signed_words
from rulewright.digests import text_sha256
from rulewright.grammars import GRAMMARS
from rulewright.languages import SCRIPTS, Language, normalize_language
from rulewright.mining.inputs import EditRow, Stream, order

NegativeKind = Literal["noop", "other_name", "shadowed"]
Pair = tuple[str, str]
"""Code before and after."""
Fixer = tuple[str, str, Language]
"""Source, group and language of edits that belong together."""

MAX_EXAMPLES: Final = 4
MAX_SIBLINGS: Final = 8
MAX_NEGATIVES: Final = 8
MAX_CHARS: Final = 4_000
"""Of one side of an edit: all examples have to fit into a prompt."""
ALIKE: Final = 0.5
"""Jaccard index of what goes and comes from which two edits are one change."""
_BRACKETS: Final = frozenset("()[]{},;.")
_IMPORT: Final = re.compile(r"^\s*(?:import|from|use|using|export)\b|\brequire\(", re.MULTILINE)


@dataclass(frozen=True)
class BenchItem:
    """One question and all that its answer is tried on."""

    id: str
    group: str
    """The rule written by hand: items of one rule are not independent."""
    source: str
    license: str
    language: Language
    instruction: str
    """A sentence; empty where the source has none."""
    examples: tuple[Pair, ...]
    siblings: tuple[Pair, ...]
    negatives: tuple[tuple[NegativeKind, str], ...] = ()
    background: tuple[str, ...] = field(default=(), repr=False)
    """Code of other rules' items, in which it is counted how often the answer fires."""


def rule_key(source: str, group: str) -> str:
    """Name the human-written rule: a fixer with several options (`group#option`) counts as one.

    >>> rule_key("pyupgrade", "fstrings#py38")
    'pyupgrade:fstrings'
    """
    return f"{source}:{group.partition('#')[0]}"


def items_of(edits: Iterable[EditRow], noops: Mapping[Fixer, Sequence[str]] | None = None) -> list[BenchItem]:
    """Make items of edits that share a fixer (`source` and `group`).

    Args:
        edits: `pre` and `post` differ; a row with an empty group gives no item.
        noops: code that a fixer does not change.
    """
    by_fixer: dict[Fixer, list[EditRow]] = defaultdict(list)
    for edit in edits:
        if edit.group and max(len(edit.pre), len(edit.post)) <= MAX_CHARS:
            by_fixer[edit.source, edit.group, edit.language].append(edit)
    found: list[BenchItem] = []
    for fixer, rows in sorted(by_fixer.items()):
        rule = rule_key(fixer[0], fixer[1])
        most = MAX_EXAMPLES + MAX_SIBLINGS
        for change in _changes(rows):
            # More edits than one item takes are several items without common edits.
            parts = (change[start : start + most] for start in range(0, len(change), most))
            found += [_item(part, rule, (noops or {}).get(fixer, ())) for part in parts if len(part) > 1]
    return found


def noops_of(paths: Sequence[Path]) -> dict[Fixer, list[str]]:
    """Code that fixers leave alone: the rows whose two sides are the same."""
    found: dict[Fixer, list[str]] = defaultdict(list)
    for file in Stream(paths).files:
        for line in jsonl.read_lines(file):
            row = line.value or {}
            if isinstance(row.get("pre"), str) and row["pre"] == row.get("post") and row.get("group"):
                language = normalize_language(str(row.get("language", "")))
                found[str(row.get("source")), row["group"], language].append(row["pre"])
    return found


def with_background(items: Sequence[BenchItem], n: int) -> Iterator[BenchItem]:
    """Give each item code of other rules in its language: at most `n` texts, by hash."""
    pools: dict[Language, list[tuple[int, str, str]]] = defaultdict(list)
    for item in items:
        for pre, _ in (*item.examples, *item.siblings):
            pools[item.language].append((order(0, pre), item.group, pre))
    for pool in pools.values():
        pool.sort()
    for item in items:
        others = dict.fromkeys(text for _, group, text in pools[item.language] if group != item.group)
        yield replace(item, background=tuple(others)[:n])


def words_of(pre: str, post: str) -> frozenset[str]:
    """What goes (`-word`) and what comes (`+word`); brackets and commas only where there is nothing else.

    >>> sorted(words_of("x == None", "x is None"))
    ['+is', '-=']
    """
    signed = signed_words(WORD.findall(pre), WORD.findall(post))
    return frozenset(word for word in signed if word[1:] not in _BRACKETS) or signed


def _changes(rows: Sequence[EditRow]) -> list[list[EditRow]]:
    """Edits of one fixer, split into single changes; each text once."""
    found: list[tuple[frozenset[str], list[EditRow]]] = []
    seen: set[tuple[str, ...]] = set()
    for edit in sorted(rows, key=lambda row: order(0, row.pre, row.post)):
        text = tuple(WORD.findall(edit.pre))
        if text in seen:
            continue
        seen.add(text)
        words = words_of(edit.pre, edit.post)
        alike = (rows for first, rows in found if len(first & words) >= ALIKE * max(1, len(first | words)))
        home = next(alike, None)
        if home is None:
            found.append((words, [edit]))
        else:
            home.append(edit)
    return [change for _, change in found if len(change) > 1]


def _item(change: Sequence[EditRow], key: str, noops: Sequence[str]) -> BenchItem:
    first = change[0]
    n_examples = 1 + order(1, first.pre, first.post) % min(MAX_EXAMPLES, max(1, len(change) // 2))
    pairs = [(edit.pre, edit.post) for edit in change]
    siblings = tuple(pairs[n_examples : n_examples + MAX_SIBLINGS])
    named = tuple(_named_negatives(pairs, siblings[0][0], first.language))
    before = {pre for pre, _ in pairs}
    idle = sorted({text for text in noops if text not in before}, key=lambda text: order(0, text))
    plain: list[tuple[NegativeKind, str]] = [("noop", text) for text in idle]
    name = "\0".join([key, *(text for pair in pairs for text in pair)])
    instruction = next((edit.instruction for edit in change if edit.instruction), "")
    return BenchItem(
        text_sha256(name)[:20],
        key, first.source, first.license, first.language, instruction,
        tuple(pairs[:n_examples]), siblings, (*named, *plain)[:MAX_NEGATIVES],
    )  # fmt: skip


def _named_negatives(
    pairs: Sequence[Pair], code: str, language: Language
) -> Iterator[tuple[NegativeKind, str]]:
    """The same use of another name, and of the name where it is a parameter.

    Only for a name that all edits of the change take away, that they use from elsewhere
    (called, imported or after a dot), and that none of them declares.
    """
    gone = frozenset.intersection(*(words_of(pre, post) for pre, post in pairs))
    keywords = GRAMMARS[language].keywords if language in GRAMMARS else frozenset()
    names = [w[1:] for w in gone if w[0] == "-" and re.fullmatch(r"[^\W\d]\w{3,}", w[1:])]
    names = sorted(
        (n for n in names if n not in keywords and _is_foreign(n, pairs)), key=lambda n: (-len(n), n)
    )
    if not names:
        return
    name = names[0]
    yield "other_name", re.sub(rf"\b{name}\b", f"{name}_other", code)
    if re.search(rf"(?<![\w.]){name}\(", code) and not _IMPORT.search(code):
        body = "".join(f"    {line}" if line.strip() else line for line in code.splitlines(keepends=True))
        if language == "python":
            yield "shadowed", f"def shadowed({name}):\n{body}"
        elif language in SCRIPTS:
            yield "shadowed", f"function shadowed({name}) {{\n{body.rstrip()}\n}}\n"


def _is_foreign(name: str, pairs: Sequence[Pair]) -> bool:
    used = re.compile(rf"\.\s*{name}\b|\b{name}\s*\(|^\s*(?:import|from)\b.*\b{name}\b", re.MULTILINE)
    bound = re.compile(rf"\b(?:def|function|class|var|let|const|func|fn)\s+{name}\b|\b{name}\s*:?=[^=]")
    return all(used.search(pre) and not bound.search(pre) for pre, _ in pairs)
