r"""The record that every stage before training reads and writes (docs/reference/formats.md).

One invariant: a record that validates is complete. Required metadata is there,
line ends are `\n`, the language is one of ours. Nothing here reads files or
decides what to drop.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from datetime import datetime
from typing import Annotated, Any, Final, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from rulewright import jsonl
from rulewright.languages import Language
from rulewright.state.state import State

Split = Literal["train", "dev", "test"]
SPLITS: Final[tuple[Split, ...]] = ("train", "dev", "test")
MAX_ELSEWHERE: Final = 4
"""Siblings, and negatives, that judge one answer."""
MAX_ELSEWHERE_CHARS: Final = 4_000
"""Of one text: a window, not a file."""

Pairs = tuple[tuple[str, str], ...]
"""Code beside a task's own, each with what it should become: itself where nothing may change."""


def _unix_line_ends(text: str) -> str:
    if "\r" in text:
        raise ValueError("line ends must be \\n (found \\r)")
    return text


def _readable_state(value: dict[str, Any] | None) -> dict[str, Any] | None:
    if value is not None:
        try:
            State.from_dict(value)
        except (AttributeError, TypeError) as error:
            raise ValueError(f"not a state ({error})") from error
    return value


Source = Annotated[str, AfterValidator(_unix_line_ends)]


class Sibling(BaseModel):
    """The same change on other code; `pre` equal to `post` means that nothing may change."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    pre: Source
    post: Source


class CodeElsewhere(BaseModel):
    """Siblings and negatives of a record, a task or a step."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    siblings: tuple[Sibling, ...] | None = None
    negatives: tuple[Source, ...] | None = None

    @property
    def held_out(self) -> Pairs:
        """What an answer is tried on: the first few of each kind that are short."""
        return held_out(self.siblings, self.negatives)


class RecordMetadata(BaseModel):
    """Metadata of a record; other keys are preserved."""

    model_config = ConfigDict(extra="allow", frozen=True, use_attribute_docstrings=True)

    id: str = Field(min_length=8)
    """Stable hash of the content (`record_id`)."""
    source: str = Field(min_length=1)
    """The data set or generator it comes from, e.g. `commitpackft`, `synth`, `mined_git`."""
    license: str = Field(min_length=1)
    """SPDX id in lower case, or `unknown`."""
    group: str = Field(min_length=1)
    """What must not straddle splits: repository, codemod or template."""
    commit: str | None = None
    repo: str | None = None
    path: str | None = None
    tests: str | None = None
    action: str | None = None
    """The gold or mined action, in the wire form of the `<action>` block's JSON."""
    state_prev: Annotated[dict[str, Any] | None, AfterValidator(_readable_state)] = None
    """The state carried from earlier steps, as in a trajectory; it is part of the prompt."""
    feedback: str | None = None
    """Why an earlier answer failed (`verdict: reason`); it is part of the prompt."""
    provenance: dict[str, Any] | None = None
    """How the record came to be: template, sites, seed, miner version, figures measured."""
    siblings: tuple[Sibling, ...] | None = None
    """The same change on other code of the same split: a rule that is too narrow fails there."""
    negatives: tuple[Source, ...] | None = None
    """Code of the same split that the change must leave alone: a rule that is too wide fails there."""

    @property
    def commits(self) -> list[str]:
        """Every commit that it stems from."""
        return [commit for commit in (self.commit or "").split(",") if commit]


class NormalizedRecord(BaseModel):
    """One edit: an instruction and a file (or part) before and after it."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    instruction: str = Field(min_length=1)
    pre: Source
    post: Source
    language: Language
    tags: list[str] = Field(default_factory=list)
    metadata: RecordMetadata

    @property
    def state(self) -> State:
        """What was carried from earlier steps; empty for a first one."""
        return State.from_dict(self.metadata.state_prev or {})

    def to_json(self) -> str:
        """One line of JSONL, keys in schema order, absent values left out."""
        return jsonl.dumps(self.model_dump(exclude_none=True))


def held_out(siblings: Iterable[Sibling] | None, negatives: Iterable[str] | None) -> Pairs:
    """Select the siblings and negatives that an answer is tried on: the first few short ones of each
    kind.

    >>> held_out([Sibling(pre="a", post="b")], ["c"])
    (('a', 'b'), ('c', 'c'))
    """
    given = dict.fromkeys([(one.pre, one.post) for one in siblings or ()] + [(n, n) for n in negatives or ()])
    short = [pair for pair in given if max(map(len, pair)) <= MAX_ELSEWHERE_CHARS]
    changing, staying = ([pair for pair in short if (pair[0] == pair[1]) is same] for same in (False, True))
    return (*changing[:MAX_ELSEWHERE], *staying[:MAX_ELSEWHERE])


def record_id(instruction: str, pre: str, post: str, language: str) -> str:
    """Hash a record's content, not its origin: 20 hex digits of SHA-256."""
    digest = hashlib.sha256()
    for part in (language, instruction, pre, post):
        raw = part.encode("utf-8", "surrogatepass")
        digest.update(str(len(raw)).encode() + b":" + raw)
    return digest.hexdigest()[:20]


class DatasetMetadata(BaseModel):
    """Summary of one ingested source; written next to its records."""

    model_config = ConfigDict(extra="forbid", use_attribute_docstrings=True)

    source: str
    version: str
    """Revision, commit or content digest of the input."""
    license: str
    downloaded_at: datetime
    sha256: str
    """Over the output files, in split order; anyone can check it with `sha256sum`-like tools."""
    num_records: int
    rows_in: int = 0
    splits: dict[str, int] = Field(default_factory=dict)
    languages: dict[str, int] = Field(default_factory=dict)
    dropped: dict[str, int] = Field(default_factory=dict)
    """Reason to count; the rows themselves lie in the file of rejects."""
    inputs: dict[str, str] = Field(default_factory=dict)
    """Input path (as given) to its SHA-256."""
    flagged: dict[str, int] = Field(default_factory=dict)
    """Kept, but marked: what was noticed to how often (`overlap_13gram`, `parse_errors`, ...)."""
    compared_with: dict[str, str] = Field(default_factory=dict)
    """Other sources against which duplicates were sought, to the SHA-256 they had then."""
    against: dict[str, str] = Field(default_factory=dict)
    """Evaluation sets against which overlap was sought, to their SHA-256."""
    made_by: str = ""
    """The command that wrote it; deduplication across sources looks at what `ingest` wrote."""
    notes: list[str] = Field(default_factory=list)
    """What a user of the data must know, e.g. `evaluation only`."""
