"""Download data sets from the Hugging Face hub without loading scripts.

`datasets` refuses the scripts that some of these sets have, so their data files are fetched by name. The
requested revision is resolved to a commit, which is recorded. Every file is checked against the hub's
digest for that commit.
"""

from __future__ import annotations

import fnmatch
import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from rulewright import console
from rulewright.data.sources import Source
from rulewright.digests import file_sha256
from rulewright.errors import RulewrightError, few, first_line, needed


class Fetched(NamedTuple):
    """Files on this machine, and the commit they are of."""

    paths: list[Path]
    revision: str


def fetch(
    source: Source, revision: str, languages: Sequence[str] = (), folder: Path | None = None
) -> Fetched:
    """Fetch a source's data files; existing files are kept.

    Args:
        source: which data set.
        revision: a branch, tag or commit.
        languages: where its files are apart by language.
        folder: they go to `folder/SOURCE/COMMIT/`; without, to the hub client's own cache.

    Raises:
        MissingDependency: huggingface_hub is not installed.
        RulewrightError: the hub is out of reach, or the set asks for consent first.
    """
    with needed("huggingface_hub", f"fetching {source.hub} from the hub", "hub"):
        import huggingface_hub
        from huggingface_hub.errors import HfHubHTTPError
    api: Any = huggingface_hub.HfApi()
    try:
        info = api.dataset_info(source.hub, revision=revision, files_metadata=True)
        files = {sibling.rfilename: sibling for sibling in info.siblings}
        wanted = _wanted(source, sorted(files), languages)
        console.say(f"{source.hub}@{info.sha}: {len(wanted)} files")
        target = folder / source.name / info.sha if folder is not None else None
        paths = []
        for name in wanted:
            there = huggingface_hub.hf_hub_download(
                source.hub, name, repo_type="dataset", revision=info.sha, local_dir=target
            )
            paths.append(Path(there) if target is None else target / name)
    except (HfHubHTTPError, OSError) as error:
        raise RulewrightError(
            f"{source.hub}: cannot be fetched from the hub ({type(error).__name__}: {first_line(error)})",
            "check the network; for a gated set accept its terms on its page and log in; "
            "or download the files and name them with --input",
        ) from error
    for name, path in zip(wanted, paths, strict=True):
        _check(path, files[name])
    return Fetched(paths, info.sha)


def _check(path: Path, stated: Any) -> None:
    """Compare a file with what the hub states of it: LFS's SHA-256, or git's blob id."""
    if stated.lfs is not None:
        found, expected = file_sha256(path), stated.lfs.sha256
    elif stated.blob_id:
        digest = hashlib.sha1(f"blob {path.stat().st_size}\0".encode(), usedforsecurity=False)
        with path.open("rb") as stream:
            found, expected = hashlib.file_digest(stream, lambda: digest).hexdigest(), stated.blob_id
    else:
        return
    if found != expected:
        raise RulewrightError(
            f"{path}: is not the file that the hub has (digest {found}, expected {expected})",
            "the file was changed or damaged: remove it and run again",
        )


def _wanted(source: Source, names: list[str], languages: Sequence[str]) -> list[str]:
    if "{language}" in source.hub_files:
        patterns = [source.hub_files.format(language=language.lower()) for language in languages]
    else:
        patterns = [source.hub_files, source.hub_files.removeprefix("**/")]
    data = (".jsonl", ".jsonl.gz", ".parquet", ".json")
    found = [n for n in names if n.endswith(data) and any(fnmatch.fnmatch(n, p) for p in patterns)]
    if not found:
        raise RulewrightError(
            f"{source.hub}: no file matches {' or '.join(patterns)}; it has {few(names, 10)}",
            "the data set's layout has changed: download its files and name them with --input",
        )
    return found
