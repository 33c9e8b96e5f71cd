"""AgentPack: patches only; the files come from a local clone of each repository."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import islice
from pathlib import Path

from rulewright.data import messages
from rulewright.data.clean import canonical_repo
from rulewright.data.drafts import Draft, Drop
from rulewright.data.settings import IngestConfig
from rulewright.data.sources import Row, git
from rulewright.errors import UsageError


def normalize(row: Row, config: IngestConfig) -> Sequence[Draft | Drop]:
    """One row, a draft for its file, or for each file that it changes in the same way (`kinds`)."""
    repo, sha = str(row.get("repo") or ""), str(row.get("sha") or "")
    repo = re.sub(r"^https?://github\.com/|\.git$", "", repo)
    clone = _clone(Path(config.clones), repo)
    if clone is None:
        return [Drop("no_clone", f"no clone of {repo} under {config.clones}")]
    if not re.fullmatch(r"[0-9a-f]{7,40}", sha):
        return [Drop("bad_commit", sha[:60])]
    instruction = messages.check(str(row.get("description") or ""), config.message_filter)
    if isinstance(instruction, Drop):
        return [instruction]
    try:
        # What the commit changes is read in the clone: a patch quotes names, and need not be whole.
        changed = islice(git.changed(clone, [f"{sha}^", sha]), git.MAX_FILES + 1)
        sides = [(path, old, new) for path, _, old, new in changed]
    except UsageError as error:
        return [Drop("missing_blob", f"{repo}@{sha}: {error.message}")]
    if not 0 < len(sides) <= git.MAX_FILES:
        return [Drop("multi_file" if sides else "no_file", f"the commit changes {len(sides)} files")]
    about = Draft(
        instruction=instruction,
        pre="",
        post="",
        group="",
        license=git.license_at(clone) or config.license,
        repo=canonical_repo([repo]),
        commits=(sha,),
        tags=(f"agent:{row['agent']}",) if row.get("agent") else (),
    )
    return git.drafts(about, sides, config)


def _clone(root: Path, repo: str) -> Path | None:
    if not re.fullmatch(r"[\w.-]+/[\w.-]+", repo) or ".." in repo:
        return None
    owner, name = repo.split("/")
    for folder in (root / owner / name, root / f"{owner}__{name}", root / f"{repo}.git", root / name):
        if (folder / ".git").exists() or (folder / "HEAD").is_file():
            return folder
    return None
