"""Raw teacher trajectories to verified steps: `data/processed/srl/{train,dev}.jsonl`.

Invariant: every returned step was executed again here and gave the same code, and its episode reached its
target. All other steps are counted by reason. Every verified step is a training instance, the first one
of an episode included.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import groupby, islice, pairwise
from pathlib import Path
from typing import Any, Final

from rulewright import jsonl
from rulewright.actions import Rejection, parse_action
from rulewright.data.schemas import (
    NormalizedRecord,
    Pairs,
    RecordMetadata,
    Sibling,
    Split,
    held_out,
    record_id,
)  # fmt: skip
from rulewright.data.splits import split_of, uniform
from rulewright.engine import Engine, Request
from rulewright.errors import RulewrightError, by_reason
from rulewright.srl.elsewhere import try_one
from rulewright.srl.literalness import is_general, step_is_memorized, tier_of
from rulewright.srl.rule_tree import views
from rulewright.srl.settings import TrajsConfig
from rulewright.state.trajectory import TrajectoryStep
from rulewright.verdict import Verdict

Episode = list[TrajectoryStep]
_TOGETHER: Final = 256
"""Episodes executed together."""


@dataclass
class Sifted:
    """The steps that remain, and why others do not."""

    steps: list[TrajectoryStep] = field(default_factory=list)
    dropped: Counter[str] = field(default_factory=Counter)
    """Reason to steps; `…` of an episode counts all its steps."""
    n_episodes: int = 0
    n_rows: int = 0


def read_episodes(paths: Sequence[Path], dropped: Counter[str]) -> Iterator[Episode]:
    """Yield whole episodes of raw files, in order; count rows that are not steps.

    Raises:
        UsageError: a file is absent.
    """
    for path in paths:
        for _, rows in groupby(_rows(path, dropped), key=lambda row: row.provenance.key):
            episode = list(rows)
            if episode[-1].provenance.final:
                yield episode
            else:
                dropped["unfinished_episode"] += len(episode)


def _rows(path: Path, dropped: Counter[str]) -> Iterator[TrajectoryStep]:
    for line in jsonl.read_lines(path):
        step = jsonl.validated(line, TrajectoryStep)
        if isinstance(step, TrajectoryStep):
            yield step
        else:
            dropped[line.reason or "not_a_step"] += 1


def sift(episodes: Iterable[Episode], engine: Engine, filters: TrajsConfig) -> Sifted:
    """Keep the steps that may teach."""
    found = Sifted()
    taken: Counter[str] = Counter()
    seen: set[str] = set()
    stream = iter(episodes)
    while some := list(islice(stream, _TOGETHER)):
        found.n_episodes += len(some)
        found.n_rows += sum(map(len, some))
        plausible = [_accepted(episode, filters, found.dropped) for episode in some]
        candidates = [episode for episode in plausible if episode]
        for episode in carried(_executed(candidates, engine, filters, found.dropped), engine):
            task, key = episode[0].task_id, _same(episode)
            if key in seen:
                found.dropped["duplicate"] += len(episode)
            elif taken[task] >= filters.max_per_task:
                found.dropped["over_cap"] += len(episode)
            else:
                seen.add(key)
                taken[task] += 1
                found.steps += episode
    return found


def _accepted(episode: Episode, filters: TrajsConfig, dropped: Counter[str]) -> Episode:
    """The steps of an episode that changed the code, if it got where it should; else none."""
    kept = []
    for step in episode:
        if step.env.verdict is Verdict.OK and step.teacher.action is not None:
            kept.append(step)
        else:
            dropped[step.env.verdict.value] += 1
    solved = episode[-1].provenance.solved
    if solved is not True:
        dropped["nothing_to_check_against" if solved is None else "episode_failed"] += len(kept)
        return []
    if len(kept) > filters.max_steps:
        dropped["too_many_steps"] += len(kept)
        return []
    if any(len(json.dumps(step.teacher.action)) > filters.max_rule_chars for step in kept):
        dropped["too_long"] += len(kept)
        return []
    refused = next((tier for step in kept if (tier := tier_of(step)) not in filters.tiers), "")
    if refused:
        dropped[f"tier {refused}"] += len(kept)
        return []
    return kept


def limit_shares(steps: Sequence[TrajectoryStep], filters: TrajsConfig, dropped: Counter[str]) -> Episode:
    """Leave out episodes, chosen by hash, until no kind of step has more than its share.

    Args:
        steps: of one split, those of an episode together.
        filters: with the shares.
        dropped: gets what is left out, as `literal_share` and `memorized_share`.
    """
    episodes = [list(rows) for _, rows in groupby(steps, key=lambda step: step.provenance.key)]
    # Memorized ones go first: most are of tier `literal`, whose share is then left to the others.
    # Fewer literal steps may leave too many memorized ones, so that share is looked at again.
    for reason in ("memorized_share", "literal_share", "memorized_share"):
        is_memorized = reason == "memorized_share"
        share = filters.memorized_share if is_memorized else filters.literal_share
        kinds = [
            any(step_is_memorized(s) if is_memorized else tier_of(s) == "literal" for s in episode)
            for episode in episodes
        ]
        others = sum(len(e) for e, is_one in zip(episodes, kinds, strict=True) if not is_one)
        room = int(share / (1 - share) * others) if share < 1 else sum(map(len, episodes))
        some = [e for e, is_one in zip(episodes, kinds, strict=True) if is_one]
        left_out: set[str] = set()
        for episode in sorted(some, key=lambda e: uniform(e[0].provenance.key)):
            if len(episode) <= room:
                room -= len(episode)
            else:
                left_out.add(episode[0].provenance.key)
                dropped[reason] += len(episode)
        episodes = [e for e in episodes if e[0].provenance.key not in left_out]
    return [step for episode in episodes for step in episode]


def groups_of(steps: Iterable[TrajectoryStep]) -> dict[str, dict[str, Any]]:
    """Where the steps of each group belong, and how many they are, by group."""
    found: dict[str, dict[str, Any]] = {}
    for step in steps:
        group = step.provenance.group or step.task_id
        entry = found.setdefault(group, {"split": _split(step), "steps": 0})
        entry["steps"] += 1
    return dict(sorted(found.items()))


def counts_of(steps: Sequence[TrajectoryStep]) -> dict[str, Any]:
    """What a split's steps are like: by tier, language, source, and how many are general."""
    return {
        "tiers": dict(Counter(map(tier_of, steps)).most_common()),
        "languages": dict(Counter(step.language for step in steps).most_common()),
        "sources": dict(Counter(step.provenance.source for step in steps).most_common()),
        "general": sum(map(is_general, steps)),
        "with_siblings": sum(step.siblings is not None for step in steps),
        "with_negatives": sum(step.negatives is not None for step in steps),
        "memorized": sum(map(step_is_memorized, steps)),
    }


def _executed(
    episodes: Sequence[Episode], engine: Engine, filters: TrajsConfig, dropped: Counter[str]
) -> Iterator[Episode]:
    """Execute every step again; yield the episodes whose every step gives what was noted."""
    steps = [step for episode in episodes for step in episode]
    requests = [
        Request(json.dumps(step.teacher.action), step.pre_code, step.language, step.env.post_code)
        for step in steps
    ]
    outcomes = dict(zip(map(id, steps), engine.judge_many(requests), strict=True))
    for episode in episodes:
        reason = ""
        for step in episode:
            outcome = outcomes[id(step)]
            if outcome.post != step.env.post_code:
                reason = "not_reproduced"
            elif outcome.flags and not filters.allow_flags:
                reason = sorted(outcome.flags)[0].value
        linked = all(a.env.post_code == b.pre_code for a, b in pairwise(episode))
        if reason or not linked:
            dropped[reason or "not_linked"] += len(episode)
        else:
            yield episode


def carried(episodes: Iterable[Episode], engine: Engine) -> Iterator[Episode]:
    """Give each step the code elsewhere as the steps before it leave that.

    In a raw file siblings go from the task's start to its target. In an episode of several
    steps, only those are kept that its own actions bring there.
    """
    for episode in episodes:
        pairs = held_out(episode[0].siblings, episode[0].negatives)
        one_step = len(episode) == 1 or not pairs
        known = [pairs] * len(episode) if one_step else _stages(episode, pairs, engine)
        made = []
        for step, of_step in zip(episode, known, strict=True):
            siblings = tuple(Sibling(pre=pre, post=post) for pre, post in of_step if pre != post)
            negatives = tuple(pre for pre, post in of_step if pre == post)
            elsewhere = {"siblings": siblings or None, "negatives": negatives or None}
            made.append(step.model_copy(update=elsewhere))
        yield made


def _stages(episode: Episode, pairs: Pairs, engine: Engine) -> list[Pairs]:
    """What each step makes of the code elsewhere that the whole episode gets right."""
    texts = [tuple(pre for pre, _ in pairs)]
    for step in episode:
        action = parse_action(json.dumps(step.teacher.action), step.language)
        assert not isinstance(action, Rejection)  # it has just been executed
        still = tuple((text, text) for text in texts[-1])
        texts.append(try_one(engine, action, still).posts or texts[-1])
    good = [place for place, (_, post) in enumerate(pairs) if texts[-1][place] == post]
    return [tuple((before[i], after[i]) for i in good) for before, after in pairwise(texts)]


def _same(episode: Episode) -> str:
    """What makes two episodes one: the same start, and the same rules in normal form."""
    forms = []
    for step in episode:
        action = parse_action(json.dumps(step.teacher.action), step.language)
        forms.append("" if isinstance(action, Rejection) else views(action).alpha_text)
    return json.dumps([episode[0].instruction, episode[0].pre_code, forms], ensure_ascii=False)


def by_split(steps: Iterable[TrajectoryStep], dropped: Counter[str]) -> dict[Split, list[TrajectoryStep]]:
    """Put steps into train and dev, as the file of their task or else its group says.

    Tasks of the test split never teach.
    """
    parts: dict[Split, list[TrajectoryStep]] = {"train": [], "dev": []}
    for step in steps:
        split = _split(step)
        match split:
            case "train" | "dev":
                parts[split].append(step)
            case _:
                dropped["test_split"] += 1
    return parts


def _split(step: TrajectoryStep) -> str:
    return step.provenance.split or split_of(step.provenance.group or step.task_id)


def as_records(steps: Iterable[TrajectoryStep], repairs: bool = False) -> Iterator[NormalizedRecord]:
    """The same steps as records with an action: material for SFT (the control that SRL needs).

    Args:
        steps: verified ones.
        repairs: give each step that a retry made twice: without and with what the retry was told, so
            that its action is learned as a first answer and as a repair.
    """
    for step in steps:
        post = step.env.post_code
        if post is None or post == step.pre_code:
            continue
        record = NormalizedRecord(
            instruction=step.instruction,
            pre=step.pre_code,
            post=post,
            language=step.language,
            tags=["teacher", step.provenance.teacher],
            metadata=RecordMetadata(
                id=record_id(step.instruction, step.pre_code, post, step.language),
                source="teacher",
                license="unknown",
                group=step.provenance.group or step.task_id,
                action=json.dumps(step.teacher.action, ensure_ascii=False),
                siblings=step.siblings,
                negatives=step.negatives,
                provenance={"task_id": step.task_id, "step": step.step, "model": step.provenance.model},
            ),
        )
        yield record
        if repairs and (said := step.provenance.feedback):
            digest = record_id(f"{step.instruction}\n{said}", step.pre_code, post, step.language)
            metadata = record.metadata.model_copy(update={"id": digest, "feedback": said})
            yield record.model_copy(update={"metadata": metadata, "tags": [*record.tags, "repair"]})


def require_steps(
    parts: dict[Split, list[TrajectoryStep]], dropped: Counter[str], paths: Sequence[Path]
) -> None:
    """Refuse an empty result: training on nothing is never what was meant.

    Raises:
        RulewrightError: there is no training step, with the reasons.
    """
    if parts["train"]:
        return
    names = ", ".join(map(str, paths))
    elsewhere = {"dev": len(parts["dev"]), "test": dropped["test_split"]}
    if any(elsewhere.values()):
        listing = " and ".join(f"{n:,} to {split}" for split, n in elsewhere.items() if n)
        raise RulewrightError(
            f"{names}: no verified step for training: the verified steps belong {listing}, according "
            "to the files or groups of their tasks",
            "run the teacher on tasks of data/processed/train, or on more groups (repositories, codemods)",
        )
    reasons = by_reason(dropped, 5) or "the input is empty"
    if dropped["literal_share"] or dropped["memorized_share"]:
        hint = "raise --literal-share or --memorized-share, or get more general steps: docs/guide/teachers.md"
    else:
        hint = "run `rulewright teacher run` on tasks with a target or tests, or with a better teacher"
    raise RulewrightError(f"{names}: no verified step for training ({reasons})", hint)
