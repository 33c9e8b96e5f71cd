"""The sources of edit data: one table, one module per layout.

A source is data: the columns that a row must have, and a pure function from a row to drafts. Reading,
cleaning, deduplication and writing are the same for all.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from rulewright.data.drafts import Draft, Drop
from rulewright.data.messages import Filter
from rulewright.data.settings import IngestConfig

Row = Mapping[str, Any]


Normalize = Callable[[Row, IngestConfig], Sequence[Draft | Drop]]
"""What becomes of a row, by the configuration with what the source decides filled in."""


@dataclass(frozen=True)
class Source:
    """One data set: its layout and what is known of it."""

    name: str
    layouts: tuple[frozenset[str], ...]
    """Alternative sets of columns; a row needs all of one."""
    texts: frozenset[str]
    """Columns that must hold text, or nothing."""
    normalize: str
    """`module:function` under this package; imported when used."""
    rank: int
    """Of two copies of an edit, that of the lower rank is kept."""
    license: str = ""
    """Where every row has the same and states none."""
    note: str = ""
    message_filter: Filter = "off"
    hub: str = ""
    """Name on the Hugging Face hub."""
    hub_files: str = ""
    """Pattern of the data files there; `{language}` is filled in."""
    evaluation_only: bool = False
    tasks_only: bool = False
    """Has no edits: it gives tasks for a teacher, and a data set without records is no failure."""
    seeded: bool = False
    """Its commits are those it was synthesized from: two rows of one are not copies."""


_COMMITPACK: Final = frozenset({"commit", "old_contents", "new_contents", "subject"})
_COMMITPACK_TEXTS: Final = _COMMITPACK | {"instruction", "message", "old_file", "new_file", "lang", "license"}
_OCE_GENERAL: Final = frozenset({"code_before_purify", "code_after_purify", "instruct_purify"})
_CANITEDIT: Final = frozenset({"before", "after", "instruction_descriptive", "instruction_lazy"})
_AGENTPACK: Final = frozenset({"repo", "sha", "description", "patch"})
_MARV: Final = frozenset({"description", "code_before", "code_after"})
_NEXTCODER: Final = frozenset({"prompt", "completion"})
_GIT: Final = frozenset({"commit", "subject", "path"})
SOURCES: Final[dict[str, Source]] = {
    source.name: source
    for source in (
        Source(
            "editpackft", (_COMMITPACK | {"instruction"}, _COMMITPACK), _COMMITPACK_TEXTS,
            "columns:normalize", rank=0,
            note="a subset of CommitPackFT with cleaner instructions; its copy is the one kept",
            hub="nuprl/EditPackFT", hub_files="**/*.parquet",
        ),
        Source(
            "commitpackft", (_COMMITPACK,), _COMMITPACK_TEXTS, "columns:normalize", rank=1,
            hub="bigcode/commitpackft", hub_files="data/{language}/data.jsonl",
        ),
        Source(
            "oce",
            (_OCE_GENERAL, frozenset({"messages", "old_code", "new_code"})),
            _OCE_GENERAL | {"old_code", "new_code", "commit", "instr_type", "license"},
            "oce:normalize", rank=2,
            note="synthesized from CommitPackFT snippets; license not confirmed, so state one (--license)",
            seeded=True,
            hub="zkzhang88/OCEData", hub_files="**/*",
        ),
        Source(
            "canitedit", (_CANITEDIT,), _CANITEDIT | {"name", "full_name", "tests"},
            "canitedit:normalize", rank=0, license="mit", evaluation_only=True,
            note="evaluation only: its repository forbids use as training data",
            hub="nuprl/CanItEdit", hub_files="**/*.parquet",
        ),
        Source(
            "smellycode", (frozenset({"path_or_id", "pre"}), frozenset({"path", "code"})),
            frozenset({"path_or_id", "pre", "path", "code"}), "smellycode:normalize", rank=4,
            license="mit", tasks_only=True,
            note="has smells and no fixed version: it yields tasks for a teacher, no edit pairs",
        ),
        Source(
            "agentpack", (_AGENTPACK,), _AGENTPACK | {"agent"}, "agentpack:normalize", rank=3,
            note="patch only: file texts come from local clones (--clones)",
            hub="nuprl/AgentPack", hub_files="train/*.jsonl.gz",
        ),
        Source(
            "marv", (_MARV,), _MARV | {"commit_sha", "commit_link", "file_path", "license"},
            "marv:normalize", rank=2,
            note="its license is not confirmed, so state one (--license)",
        ),
        Source(
            "git", (_GIT,), _GIT, "git:normalize", rank=3,
            message_filter="relaxed",
        ),
        Source(
            "rules", (), frozenset(), "rules:normalize", rank=2,
            note="every result was made by running ast-grep; a rule's valid cases stay as they are",
        ),
        Source(
            "nextcoder", (_NEXTCODER,), _NEXTCODER, "nextcoder:normalize", rank=3, license="mit",
            note="written by models; three instructions for each piece of code, which is one group; write "
            "its Arrow files as parquet once (datasets.load_from_disk)",
        ),
        Source(
            "fixtures", (), frozenset(), "columns:normalize", rank=2,
            note="tests of codemods and of lint rules with fixes; what their fixers leave alone is no edit",
        ),
        Source("jsonl", (), frozenset(), "columns:normalize", rank=3),
    )
}  # fmt: skip
