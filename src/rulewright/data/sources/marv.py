"""MaRV: one JSON object keyed by refactoring; Java; kept where both reviewers agree."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rulewright.data.clean import canonical_repo
from rulewright.data.drafts import Draft, Drop
from rulewright.data.settings import IngestConfig
from rulewright.data.sources import Row


def normalize(row: Row, config: IngestConfig) -> Sequence[Draft | Drop]:
    """One item, one draft; two votes must sum to 2, as its published consumers require."""
    given = row.get("evaluations")
    votes = [e.get("vote") for e in given if isinstance(e, Mapping)] if isinstance(given, list) else []
    if sum(v for v in votes if isinstance(v, int)) < 2:
        return [Drop("votes", f"reviewers' votes are {votes}, expected a sum of 2")]
    link = str(row.get("commit_link") or "")
    repo = (
        canonical_repo(["/".join(link.split("github.com/")[-1].split("/")[:2])])
        if "github.com/" in link
        else ""
    )
    commit = str(row.get("commit_sha") or "")
    kind = str(row.get("refactoring") or "")
    return [
        Draft(
            instruction=str(row.get("description") or kind),
            pre=str(row.get("code_before") or ""),
            post=str(row.get("code_after") or ""),
            group=repo or commit or f"marv:{row.get('refactoring_id')}",
            language="java",
            license=str(row.get("license") or config.license),
            path=str(row.get("file_path") or ""),
            repo=repo,
            commits=(commit,) if commit else (),
            tags=(f"refactoring:{kind.lower().replace(' ', '_')}",) if kind else (),
        )
    ]
