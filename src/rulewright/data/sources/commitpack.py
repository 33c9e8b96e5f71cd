"""CommitPackFT and EditPackFT: the same ten columns; `instruction` is EditPackFT's own."""

from __future__ import annotations

from collections.abc import Sequence

from rulewright.data import messages
from rulewright.data.clean import canonical_repo, group_of, names_in
from rulewright.data.drafts import Draft, Drop
from rulewright.data.settings import IngestConfig
from rulewright.data.sources import Row
from rulewright.languages import normalize_language


def normalize(row: Row, config: IngestConfig) -> Sequence[Draft | Drop]:
    """One row, one draft. `subject` is cleaner than `message`; `repos` is comma-joined with repeats."""
    own = str(row.get("instruction") or "").strip()
    instruction = own or messages.check(
        str(row.get("subject") or row.get("message") or ""), config.message_filter
    )
    if isinstance(instruction, Drop):
        return [instruction]
    old_file, new_file = str(row.get("old_file") or ""), str(row.get("new_file") or "")
    commit = str(row.get("commit") or "")
    repo = canonical_repo(names_in(row.get("repos")))
    return [
        Draft(
            instruction=instruction,
            pre=str(row.get("old_contents") or ""),
            post=str(row.get("new_contents") or ""),
            group=group_of(config, repo, new_file, commit),
            language=normalize_language(str(row.get("lang") or "")),
            license=str(row.get("license") or config.license),
            path=new_file or old_file,
            repo=repo,
            commits=(commit,) if commit else (),
        )
    ]
