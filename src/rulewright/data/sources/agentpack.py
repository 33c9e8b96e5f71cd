"""AgentPack: patches only; the files come from a local clone of each repository."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from rulewright.data import messages
from rulewright.data.clean import canonical_repo, group_of
from rulewright.data.drafts import Draft, Drop
from rulewright.data.settings import IngestConfig
from rulewright.data.sources import Row, kinds
from rulewright.data.sources.cutting import cut_to_window
from rulewright.data.sources.git import MAX_FILES, blob_at, license_at


def normalize(row: Row, config: IngestConfig) -> Sequence[Draft | Drop]:
    """One row, a draft for its file, or for each file that it changes in the same way (`kinds`)."""
    files = re.findall(r"^diff --git a/(\S+) b/(\S+)$", str(row.get("patch") or ""), re.MULTILINE)
    if not 0 < len(files) <= MAX_FILES:
        return [Drop("multi_file" if files else "no_file", f"the patch changes {len(files)} files")]
    repo, sha = str(row.get("repo") or ""), str(row.get("sha") or "")
    repo = re.sub(r"^https?://github\.com/|\.git$", "", repo)
    clone = _clone(Path(config.clones), repo)
    if clone is None:
        return [Drop("no_clone", f"no clone of {repo} under {config.clones}")]
    if not re.fullmatch(r"[0-9a-f]{7,40}", sha):
        return [Drop("bad_commit", sha[:60])]
    instruction = str(row.get("description") or "").strip()
    if config.message_filter not in (None, "off"):
        checked = messages.check(instruction, config.message_filter)
        if isinstance(checked, Drop):
            return [checked]
        instruction = checked
    read = [(new, blob_at(clone, f"{sha}^", old), blob_at(clone, sha, new)) for old, new in files]
    held = [(new, pre, post) for new, pre, post in read if pre is not None and post is not None]
    if len(files) == 1 and not held:
        return [Drop("missing_blob", f"{repo}@{sha}: {files[0][1]}")]
    same = [True] if len(files) == 1 else kinds.alike([(pre, post) for _, pre, post in held])
    if not any(same):
        return [Drop("multi_file", f"the patch changes {len(files)} files, no two in the same way")]
    tags = (f"agent:{row['agent']}",) if row.get("agent") else ()
    name = canonical_repo([repo])
    about = Draft(
        instruction=instruction,
        pre="",
        post="",
        group=name,
        license=license_at(clone) or config.license,
        repo=name,
        commits=(sha,),
        tags=tags if len(files) == 1 else (*tags, "several_files"),
    )
    changed = [edit for edit, is_same in zip(held, same, strict=True) if is_same]
    return [
        cut_to_window(
            replace(about, pre=pre, post=post, path=path, group=group_of(config, name, path)), config
        )
        for path, pre, post in changed
    ]


def _clone(root: Path, repo: str) -> Path | None:
    if not re.fullmatch(r"[\w.-]+/[\w.-]+", repo) or ".." in repo:
        return None
    owner, name = repo.split("/")
    for folder in (root / owner / name, root / f"{owner}__{name}", root / f"{repo}.git", root / name):
        if (folder / ".git").exists() or (folder / "HEAD").is_file():
            return folder
    return None
