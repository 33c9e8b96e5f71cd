"""AgentPack: patches only; the files come from a local clone of each repository (DATA.md 2.6)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from rulewright.data import messages
from rulewright.data.clean import canonical_repo
from rulewright.data.drafts import Draft, Drop
from rulewright.data.sources import Options, Row
from rulewright.data.sources.commitpack import filter_of
from rulewright.data.sources.cutting import cut_to_window


def normalize(row: Row, options: Options) -> Sequence[Draft | Drop]:
    """One row, one draft: the file that the patch changes, at the commit and at its parent."""
    from rulewright.data.sources.git import blob_at, license_at

    files = re.findall(r"^diff --git a/(\S+) b/(\S+)$", str(row.get("patch") or ""), re.MULTILINE)
    if len(files) != 1:
        return [Drop("multi_file", f"the patch changes {len(files)} files")]
    old, new = files[0]
    repo, sha = str(row.get("repo") or ""), str(row.get("sha") or "")
    repo = re.sub(r"^https?://github\.com/|\.git$", "", repo)
    clone = _clone(Path(options.clones), repo)
    if clone is None:
        return [Drop("no_clone", f"no clone of {repo} under {options.clones}")]
    if not re.fullmatch(r"[0-9a-f]{7,40}", sha):
        return [Drop("bad_commit", sha[:60])]
    pre, post = blob_at(clone, f"{sha}^", old), blob_at(clone, sha, new)
    if pre is None or post is None:
        return [Drop("missing_blob", f"{repo}@{sha}: {new}")]
    instruction = str(row.get("description") or "").strip()
    if filter_of(options) != "off":
        checked = messages.check(instruction, filter_of(options))
        if isinstance(checked, Drop):
            return [checked]
        instruction = checked
    name = canonical_repo([repo])
    draft = Draft(
        instruction=instruction,
        pre=pre,
        post=post,
        group=f"{name}:{new}" if options.group_by == "path" else name,
        license=license_at(clone) or options.license,
        path=new,
        repo=name,
        commits=(sha,),
        tags=(f"agent:{row['agent']}",) if row.get("agent") else (),
    )
    return [cut_to_window(draft, options)]


def _clone(root: Path, repo: str) -> Path | None:
    if not re.fullmatch(r"[\w.-]+/[\w.-]+", repo) or ".." in repo:
        return None
    owner, name = repo.split("/")
    for folder in (root / owner / name, root / f"{owner}__{name}", root / f"{repo}.git", root / name):
        if (folder / ".git").exists() or (folder / "HEAD").is_file():
            return folder
    return None
