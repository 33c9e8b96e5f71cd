"""Mine a stream of edits: rules for each edit, then rules that several edits share.

Edits are streamed; only the mined rules, a few background files per repository and the members of
clusters are held in memory.
"""

from __future__ import annotations

import heapq
import traceback
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from itertools import chain, groupby, islice
from pathlib import Path
from typing import Any, Final

from rulewright import engine
from rulewright.actions import visit
from rulewright.actions.action import Action
from rulewright.languages import Language
from rulewright.mining.inputs import EditRow, order
from rulewright.mining.judge import background
from rulewright.mining.learn.commit import mine_commit
from rulewright.mining.learn.generalize import Example, PreparedExample, generalize
from rulewright.mining.learn.mine import Mined, mine, no_rules
from rulewright.mining.rules.reading import new_text, old_text
from rulewright.workers import WhereToRun, ordered_map

TASK_LIMIT_S: Final = 60.0
"""Seconds by the clock for one edit; enforced only in worker processes."""

MAX_MEMBERS: Final = 8
"""Edits of a cluster that are generalized together; the others only count as support."""

Known = Mapping[tuple[str, Language], tuple[tuple[str, str, str], ...]]
"""Background files by source and language: path (or id), group, text."""

Result = dict[str, Any]
Stream = Callable[[], Iterable[EditRow]]


MAX_TOGETHER: Final = 12
"""Most files of a commit that are mined together; larger commits are split."""


@dataclass(frozen=True)
class MiningTask:
    """One edit to mine, or the files of one commit."""

    edits: tuple[EditRow, ...]
    known: tuple[tuple[str, ...], ...]
    """For each edit, other files of the repository."""
    budget_s: float


def changes(edits: Iterable[EditRow]) -> Iterator[tuple[EditRow, ...]]:
    """Group consecutive edits by commit, at most `MAX_TOGETHER` in a group; others are alone."""
    for _, found in groupby(edits, key=lambda edit: (edit.source, edit.extra.get("commit") or edit.id)):
        while part := tuple(islice(found, MAX_TOGETHER)):
            yield part


def known_files(edits: Iterable[EditRow], n: int, seed: int) -> Known:
    """Draw `n` files of every source and language, by hash."""
    heaps: dict[tuple[str, Language], list[tuple[int, str, str, str]]] = defaultdict(list)
    if n <= 0:
        return {}
    for edit in edits:
        heap = heaps[edit.source, edit.language]
        entry = (-order(seed, edit.id), edit.path or edit.id, edit.group, edit.pre)
        if len(heap) < n:
            heapq.heappush(heap, entry)
        elif entry > heap[0]:
            heapq.heapreplace(heap, entry)
    return {
        key: tuple((path, group, text) for _, path, group, text in sorted(heap))
        for key, heap in heaps.items()
    }


def mine_stream(
    edits: Iterable[tuple[EditRow, ...]],
    known: Known,
    budget_s: float,
    workers: int,
    engine: WhereToRun = "local",
) -> Iterator[Result]:
    """Mine each group of `changes`; results come in the order of the edits."""
    tasks = (
        MiningTask(change, tuple(_others(edit, change, known) for edit in change), budget_s)
        for change in edits
    )
    made = ordered_map(_mine, tasks, workers, engine=engine, limit_s=TASK_LIMIT_S, failed=_failed)
    return chain.from_iterable(made)


def _others(edit: EditRow, change: Sequence[EditRow], known: Known) -> tuple[str, ...]:
    """Files in which the rules of an edit should find little: not of its own commit, path or group."""
    others = known.get((edit.source, edit.language), ())
    several = len({group for _, group, _ in others}) > 1
    own = {name for one in change for name in (one.path, one.id)}
    texts = {one.pre for one in change}
    return tuple(
        text
        for path, group, text in others
        if path not in own and text not in texts and not (several and group == edit.group)
    )


def _mine(task: MiningTask) -> list[Result]:
    """Mine one commit; a bug of the miner becomes the reason in its rows and does not end the run."""
    try:
        # Shared rules come first; a file is mined by itself where these are not enough.
        shared: list[Mined | None] = [None] * len(task.edits)
        if len(task.edits) > 1:
            examples = [Example(e.pre, e.post, e.language, e.id) for e in task.edits]
            shared = mine_commit(examples, task.known, task.budget_s)
        results: list[Result] = []
        for edit, known, found in zip(task.edits, task.known, shared, strict=True):
            if (found is None or found.tier != "train") and edit.alone:
                own = mine(edit.pre, edit.post, edit.language, task.budget_s, edit.instruction, known)
                found = own if found is None or own.tier == "train" else found
            results.append(_result(edit, found or no_rules("shares no rule with another file of its commit")))
        return results
    except Exception as fault:
        where = traceback.extract_tb(fault.__traceback__)[-1]
        place = f"{Path(where.filename).name}:{where.lineno}"
        return _failed(task, f"fault of the miner, please report: {type(fault).__name__} at {place}")


def _failed(task: MiningTask, reason: str) -> list[Result]:
    return [_result(edit, no_rules(reason)) for edit in task.edits]


def _result(edit: EditRow, mined: Mined) -> Result:
    rules = [dict(rule) for rule in mined.action.rules] if mined.action is not None else []
    figures = asdict(mined.figures)
    return {
        "id": edit.id, "language": edit.language, "tier": mined.tier, "reason": mined.reason,
        "rules": rules, "shapes": list(mined.shapes), "figures": figures,
    }  # fmt: skip


def signature(rule: Mapping[str, Any]) -> str:
    """The words that a rule removes and adds; empty if there are none with a letter or digit.

    >>> signature({"rule": {"pattern": "$A.getcwdu()"}, "fix": "$A.getcwd()"})
    'getcwdu → getcwd'
    """
    old, new = set(visit.words(old_text(rule))), set(visit.words(new_text(rule)))
    gone, come = sorted(old - new), sorted(new - old)
    if not any(word[0].isalnum() for word in gone + come):
        return ""
    return f"{' '.join(gone)} → {' '.join(come)}"


@dataclass
class Cluster:
    """Rules of several edits with one signature."""

    language: Language
    signature: str
    members: list[tuple[str, int]] = field(default_factory=list)
    """Edit id, and number of the rule in its action."""


@dataclass(frozen=True)
class Shared:
    """A rule that several edits share."""

    rule: dict[str, Any]
    language: Language
    signature: str
    ids: tuple[str, ...]
    """Edits that it reproduces wholly or in part."""
    exact_ids: tuple[str, ...]
    """Edits that it reproduces exactly by itself."""

    @property
    def support(self) -> int:
        return len(self.ids)

    def action(self) -> Action:
        return Action(self.language, (self.rule,), mode="rule")


def clusters(results: Iterable[Result]) -> list[Cluster]:
    """Group the rules of all edits by language and signature; groups of one edit are left out."""
    found: dict[tuple[str, str], Cluster] = {}
    for result in results:
        for number, rule in enumerate(result["rules"]):
            words = signature(rule)
            if words:
                key = (result["language"], words)
                cluster = found.setdefault(key, Cluster(result["language"], words))
                if not any(member == result["id"] for member, _ in cluster.members):
                    cluster.members.append((result["id"], number))
    several = [cluster for cluster in found.values() if len(cluster.members) > 1]
    return sorted(several, key=lambda c: (-len(c.members), c.language, c.signature))


def share(
    stream: Stream, results: Mapping[str, Result], budget_s: float, workers: int, limit: int = 2_000
) -> list[Shared]:
    """Find the rules that edits share, by anti-unification within each cluster."""
    found = clusters(results.values())[:limit]
    wanted = {member for cluster in found for member, _ in cluster.members[:MAX_MEMBERS]}
    texts = {edit.id: (edit.pre, edit.post) for edit in stream() if edit.id in wanted}
    tasks = [_group(cluster, results, texts, budget_s) for cluster in found]
    made = ordered_map(_share, tasks, workers, limit_s=TASK_LIMIT_S, failed=lambda task, reason: [])
    shared = [one for many in made for one in many]
    shared = _tried_on_the_rest(stream, results, shared)
    return sorted(shared, key=lambda s: (-s.support, s.language, s.signature))


def _tried_on_the_rest(
    stream: Stream, results: Mapping[str, Result], shared: Sequence[Shared]
) -> list[Shared]:
    """The shared rules with all edits that they reproduce exactly, so that equal edits get one tier."""
    owed: dict[str, list[int]] = {}
    for number, one in enumerate(shared):
        for name in one.ids:
            if name not in one.exact_ids and len(results[name]["rules"]) == 1:
                owed.setdefault(name, []).append(number)
    exact: dict[int, list[str]] = {}
    for edit in stream() if owed else ():
        for number in owed.get(edit.id, ()):
            if engine.apply(shared[number].action(), edit.pre).post == edit.post:
                exact.setdefault(number, []).append(edit.id)
    return [replace(one, exact_ids=(*one.exact_ids, *exact.get(i, ()))) for i, one in enumerate(shared)]


@dataclass(frozen=True)
class _Group:
    cluster: Cluster
    examples: tuple[Example, ...]
    budget_s: float


def _group(
    cluster: Cluster, results: Mapping[str, Result], texts: Mapping[str, tuple[str, str]], budget_s: float
) -> _Group:
    examples = []
    for member, number in cluster.members[:MAX_MEMBERS]:
        pre, post = texts[member]
        states, rules = [pre, post], tuple(results[member]["rules"])
        if len(rules) > 1:
            # The intermediate texts are computed again: keeping all of them would fill the memory.
            states = [pre, *engine.apply(Action(cluster.language, rules), pre).states]
        examples.append(Example(states[number], states[number + 1], cluster.language, member))
    return _Group(cluster, tuple(examples), budget_s)


def _share(group: _Group) -> list[Shared]:
    prepared = [PreparedExample(example, group.budget_s) for example in group.examples]
    ids = [example.id for example in group.examples]
    rest = [member for member, _ in group.cluster.members[MAX_MEMBERS:]]
    found = []
    for rule in generalize(prepared):
        if rule.claims:
            helped = tuple(ids[i] for i in sorted({*rule.exact, *rule.partial}))
            exact = tuple(ids[i] for i in rule.exact)
            more = tuple(rest) if len(helped) == len(ids) else ()
            found.append(
                Shared(
                    rule.candidate.rule, group.cluster.language, group.cluster.signature, helped + more, exact
                )
            )
    return found


def n_elsewhere(shared: Shared, known: Known) -> int:
    """How many places in background files a shared rule would change."""
    return sum(
        background.count(shared.action(), [text for _, _, text in files])
        for (_, language), files in known.items()
        if language == shared.language
    )
