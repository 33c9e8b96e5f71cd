"""The history of a local git repository as edits: commits with usable messages.

A commit that changes one file of code is one edit, whatever notes and settings it changes beside it.
One that makes the same change in several files is an edit for each of them (`kinds`); what else it
changes is left out, since the message does not tell which part it is about.

Nothing in the repository is run: no hooks, filters, drivers, pagers or lazy fetches. Blobs
that a partial clone lacks are counted, not fetched.
"""

from __future__ import annotations

import functools
import os
import re
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO, Any, Final

from rulewright import console
from rulewright.data import licenses, messages
from rulewright.data.clean import canonical_repo
from rulewright.data.drafts import Draft, Drop
from rulewright.data.settings import IngestConfig
from rulewright.data.sources import Row, kinds
from rulewright.errors import RulewrightError, UsageError, why
from rulewright.languages import language_of_path

_SAFE: Final = (
    "-c", "core.fsmonitor=false", "-c", "core.hooksPath=/dev/null", "-c", "protocol.allow=never",
    "-c", "log.showSignature=false", "-c", "safe.directory=*",
)  # fmt: skip
_MAX_BLOB_BYTES: Final = 2_000_000
MAX_FILES: Final = 200
"""Files of one commit that are looked at."""
Side = str | Drop | None
"""The text of a file; why it cannot be read; or that there is none."""


def _environment() -> dict[str, str]:
    kept = {key: value for key, value in os.environ.items() if not key.startswith("GIT_")}
    return {
        **kept, "GIT_CONFIG_NOSYSTEM": "1", "GIT_CONFIG_GLOBAL": os.devnull, "GIT_TERMINAL_PROMPT": "0",
        "GIT_NO_LAZY_FETCH": "1", "GIT_OPTIONAL_LOCKS": "0", "GIT_PAGER": "cat", "LC_ALL": "C",
    }  # fmt: skip


def _git(repo: Path, *arguments: str) -> subprocess.CompletedProcess[bytes]:
    try:
        return subprocess.run(
            ["git", *_SAFE, "-C", str(repo), *arguments],
            capture_output=True, env=_environment(), stdin=subprocess.DEVNULL, check=False,
        )  # fmt: skip
    except FileNotFoundError:
        raise UsageError("git is not installed, and the source `git` needs it", "install git") from None


def require_repository(path: Path) -> Path:
    """The git repository with at least one commit that a folder is, or lies in; say if it lacks earlier ones.

    Raises:
        UsageError: there is none.
    """
    if not path.is_dir():
        raise UsageError(f"{path}: no such folder", "name a local git repository")
    done = _git(path, "rev-parse", "--verify", "-q", "HEAD")
    if done.returncode:
        inside = _git(path, "rev-parse", "--git-dir").returncode == 0
        raise UsageError(
            f"{path}: {'a git repository without commits' if inside else 'not a git repository'}",
            "name the folder that holds `.git`, with its history (not a shallow export)",
        )
    if _git(path, "rev-parse", "--show-prefix").stdout.strip():
        path = top_of(path)
    if is_shallow(path):
        console.say(f"{path}: {DEEPEN}")
    return path


def is_repository(path: Path) -> bool:
    """Whether a folder is a git repository (or a bare one)."""
    return (path / ".git").exists() or ((path / "HEAD").is_file() and (path / "objects").is_dir())


def repositories_in(path: Path) -> list[Path]:
    """The repositories that lie directly in a folder which is in none itself; else the folder."""
    if not path.is_dir() or is_repository(path) or _git(path, "rev-parse", "--git-dir").returncode == 0:
        return [path]
    return sorted(inner for inner in path.iterdir() if inner.is_dir() and is_repository(inner)) or [path]


def head_of(repo: Path) -> str:
    """The commit that HEAD names."""
    return _git(repo, "rev-parse", "HEAD").stdout.decode().strip()


def date_of(repo: Path, revision: str) -> int:
    """When a commit was made, in seconds since 1970."""
    return int(_git(repo, "log", "-1", "--format=%ct", revision).stdout.decode().strip() or 0)


def name_of(repo: Path) -> str:
    """`owner/name` from the remote's address, else the folder's name."""
    url = _git(repo, "config", "--get", "remote.origin.url").stdout.decode("utf-8", "replace").strip()
    found = (
        re.search(r"([\w.-]+/[\w.-]+?)(?:\.git)?/?$", url)
        if re.match(r"https?:|git@|ssh:|git:", url)
        else None
    )
    return canonical_repo([found.group(1) if found else repo.resolve().name.removesuffix(".git")])


@functools.lru_cache(maxsize=256)
def license_at(repo: Path, revision: str = "HEAD") -> str:
    """The license in a repository's license file; empty if there is none."""
    listed = _git(repo, "ls-tree", "--name-only", "--full-tree", revision).stdout
    names = listed.decode("utf-8", "replace").split("\n")
    files = sorted(n for n in names if re.match(r"(licen[sc]e|copying|unlicense)", n, re.IGNORECASE))
    blobs = (_git(repo, "cat-file", "blob", f"{revision}:{file}").stdout for file in files)
    return licenses.first_known(blob.decode("utf-8", "replace") for blob in blobs)


def top_of(path: Path) -> Path:
    """The root of the repository that holds a folder.

    Raises:
        UsageError: none does, or it is a bare one.
    """
    done = _git(path, "rev-parse", "--show-toplevel")
    if done.returncode and is_bare(path):
        raise UsageError(
            f"{path.resolve()}: a bare git repository, which has no files",
            "go to a clone of it, or make a work tree: `git worktree add FOLDER`",
        )
    if done.returncode:
        raise UsageError(f"{path.resolve()}: not in a git repository", "name the files")
    return Path(os.fsdecode(done.stdout.rstrip(b"\n")))


def is_bare(path: Path) -> bool:
    """Whether a folder is, or lies in, a repository without a work tree."""
    return _git(path, "rev-parse", "--is-bare-repository").stdout.strip() == b"true"


def is_revision(repo: Path, name: str) -> bool:
    """Whether a text names a commit."""
    done = _git(repo, "rev-parse", "--verify", "-q", "--end-of-options", f"{name}^{{commit}}")
    return not done.returncode


def is_shallow(repo: Path) -> bool:
    """Whether a clone holds only the last commits."""
    return _git(repo, "rev-parse", "--is-shallow-repository").stdout.strip() == b"true"


def is_cut_off(repo: Path, name: str) -> bool:
    """Whether a commit has parents that a shallow clone does not hold."""
    if is_revision(repo, f"{name}^"):
        return False
    raw = _git(repo, "cat-file", "commit", f"{name}^{{commit}}").stdout
    return raw.partition(b"\n\n")[0].count(b"\nparent ") > 0


def parent_of(repo: Path, name: str) -> str:
    """The first parent of a commit; of a first commit the empty tree."""
    return f"{name}^" if is_revision(repo, f"{name}^") else _EMPTY_TREE


DEEPEN: Final = "this clone is shallow: `git fetch --unshallow` brings the commits before it"
_EMPTY_TREE: Final = "4b825dc642cb6eb9a060e54bf8d69288fbee4904"


def changed(
    repo: Path, revisions: Sequence[str], staged: bool = False
) -> Iterator[tuple[str, str, Side, Side]]:
    """Every file that `git diff` with these revisions shows: path, status, text before, text after.

    One with a new name has the status `R`, and the new path; a submodule the status `S`.
    A text that is not there is `None`, one that cannot be read a `Drop`. With one
    revision the text after is that of the work tree.

    Raises:
        UsageError: git does not know the revisions.
    """
    options = [
        *(["--cached"] if staged else []),
        "--raw",
        "-z",
        "--abbrev=40",
        "--find-renames",
        "--no-ext-diff",
        "--no-textconv",
    ]
    done = _git(repo, "diff", *options, "--end-of-options", *revisions, "--")
    if done.returncode:
        said = done.stderr.decode("utf-8", "replace").strip().splitlines()
        raise UsageError(
            f"git diff {' '.join(revisions)}: {said[0].removeprefix('fatal: ') if said else 'fails'}",
            DEEPEN if is_shallow(repo) else "name revisions of this repository",
        )
    in_tree = not staged and len(revisions) == 1 and ".." not in revisions[0]
    fields = iter(done.stdout.split(b"\0"))
    for modes, path in zip(fields, fields, strict=False):
        moved = modes.rpartition(b" ")[2].startswith(b"R")
        file = _file(modes, next(fields) if moved else path)
        # To find renames git names blobs of the work tree that it does not hold.
        new = _in_tree(repo, file["path"]) if in_tree else _of_blob(repo, file["new_blob"])
        yield file["path"], file["status"], _of_blob(repo, file["old_blob"]), new


def _of_blob(repo: Path, name: str) -> Side:
    return reader_of(str(repo)).read(name) if name.strip("0") else None


def _in_tree(repo: Path, name: str) -> Side:
    path = repo / name
    if path.is_symlink() or not path.is_file():
        return None
    try:
        return path.read_bytes().decode("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        return Drop("undecodable", why(error))


def commits(repo: Path, revision: str = "HEAD") -> Iterator[dict[str, Any]]:
    """Yield every non-merge commit that a revision has behind it; newest first, as git walks.

    Rows hold `commit, subject, path, n_files, files`; `files` has `path, status, old_blob, new_blob`
    of each file that was changed, and `path` is that of the only one.

    Raises:
        RulewrightError: git broke off.
    """
    command = [
        "git", *_SAFE, "-C", str(repo), "log", "--no-merges", "--no-renames", "--raw", "--abbrev=40",
        "-z", "--format=%H%x00%B", "--no-ext-diff", "--no-textconv", revision,
    ]  # fmt: skip
    with subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        stdin=subprocess.DEVNULL,
        env=_environment(),
    ) as process:
        assert process.stdout is not None
        fields = _fields(process.stdout)
        sha, message, changes = b"", b"", list[tuple[bytes, bytes]]()
        for field in fields:
            head = field.lstrip(b"\n")
            if head.startswith(b":"):
                changes.append((head, next(fields, b"")))
            elif head:
                if sha:
                    yield _commit(sha, message, changes)
                sha, message, changes = head, next(fields, b""), []
        if sha:
            yield _commit(sha, message, changes)
    if process.returncode:
        raise RulewrightError(
            f"{repo}: `git log` broke off with exit code {process.returncode}",
            "check the repository with `git fsck`",
        )


def _fields(stream: IO[bytes]) -> Iterator[bytes]:
    """What stands between NUL bytes, which no message and no path can hold."""
    rest = b""
    while block := stream.read(1 << 20):
        *whole, rest = (rest + block).split(b"\0")
        yield from whole
    yield rest


def _commit(sha: bytes, message: bytes, changes: Sequence[tuple[bytes, bytes]]) -> dict[str, Any]:
    return {
        "commit": sha.decode(),
        "subject": messages.subject_of(message.decode("utf-8", "replace")),
        "path": changes[0][1].decode("utf-8", "replace") if len(changes) == 1 else "",
        "n_files": len(changes),
        "files": [_file(modes, path) for modes, path in changes[:MAX_FILES]],
    }


_BY_MODE: Final = {"120000": "T", "160000": "S"}
"""Links and submodules, which are no text whatever became of them."""


def _file(modes: bytes, path: bytes) -> dict[str, str]:
    old_mode, new_mode, old, new, status = modes.decode().lstrip(":").split(" ")
    return {
        "path": path.decode("utf-8", "replace"),
        # Git says how alike the two are after the letter of a rename.
        "status": _BY_MODE.get(old_mode) or _BY_MODE.get(new_mode) or status[:1],
        "old_blob": old,
        "new_blob": new,
    }


def candidate(row: Row, config: IngestConfig) -> Drop | str:
    """The instruction of a commit worth reading, or why it is not: needs no blob."""
    files, n_files = row["files"], row["n_files"]
    if not n_files:
        return Drop("no_file", "0 files")
    if n_files == 1 and files[0]["status"] != "M":
        return Drop("not_modified", f"status {files[0]['status']}")
    if n_files == 1 and not _readable(files[0]):
        return Drop("language", str(row["path"]))
    # Several files of code, or one and beside it only what is no code.
    n_changed, n_code = sum(map(_readable, files)), sum(map(_is_code, files))
    if n_files > 1 and (n_files > MAX_FILES or not (n_changed > 1 or n_changed == n_code == 1)):
        return Drop("multi_file", f"{n_files} files")
    return messages.check(str(row["subject"]), config.message_filter)


def _is_code(file: Row) -> bool:
    return language_of_path(str(file["path"])) != "other"


def _readable(file: Row) -> bool:
    return file["status"] == "M" and _is_code(file)


def normalize(row: Row, config: IngestConfig, every: bool = False) -> Sequence[Draft | Drop]:
    """One commit, a draft a file; blobs are read from the repository that `repository` names.

    Args:
        row: as `commits` gives it, with `repository`, `repo` and `license`.
        config: of the ingest, with what the source decides.
        every: give the files, too, that make another change than most; tagged `kinds.UNLIKE`.
    """
    instruction = candidate(row, config)
    if isinstance(instruction, Drop):
        return [instruction]
    files = [file for file in row["files"] if _readable(file)]
    reader = reader_of(str(row["repository"]))
    sides = [(file["path"], reader.read(file["old_blob"]), reader.read(file["new_blob"])) for file in files]
    repo = str(row["repo"])
    about = Draft(
        instruction=instruction,
        pre="",
        post="",
        group="",
        license=config.license or str(row["license"]),
        repo=repo,
        commits=(str(row["commit"]),),
    )
    return drafts(about, sides, config, every)


def drafts(
    about: Draft, sides: Sequence[tuple[str, Side, Side]], config: IngestConfig, every: bool = False
) -> Sequence[Draft | Drop]:
    """The files of one commit as drafts (`kinds`), or why there is none."""
    edits = [(path, old, new) for path, old, new in sides if isinstance(old, str) and isinstance(new, str)]
    if found := kinds.drafts(about, edits, len(sides), config, every):
        return found
    if len(sides) > 1:
        return [Drop("multi_file", f"{len(sides)} files, no change that two of them share")]
    unread = [side for _, *both in sides for side in both if isinstance(side, Drop)]
    return [*unread, Drop("not_modified", "the file is new, or removed")][:1]


class BlobReader:
    """One `git cat-file --batch` process of one repository.

    Git ends it at a blob that a partial clone lacks; then a new one is started.
    """

    def __init__(self, repo: str) -> None:
        self._repo = repo
        self._process = self._started()

    def _started(self) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            ["git", *_SAFE, "-C", self._repo, "cat-file", "--batch"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=_environment(),
        )  # fmt: skip

    def read(self, name: str) -> str | Drop:
        """A blob as text, or why there is none."""
        raw = self._raw(name)
        if raw is None:
            return Drop("missing_blob", f"{name}: not in this clone")
        if len(raw) > _MAX_BLOB_BYTES:
            return Drop("too_long", f"{len(raw):,} bytes")
        try:
            return raw.decode("utf-8")
        except UnicodeDecodeError as error:
            return Drop("undecodable", why(error))

    def _raw(self, name: str) -> bytes | None:
        stdin, stdout = self._process.stdin, self._process.stdout
        assert stdin is not None and stdout is not None
        try:
            stdin.write(name.encode() + b"\n")
            stdin.flush()
            header = stdout.readline().split()
        except BrokenPipeError:
            header = []
        if len(header) == 3:
            return stdout.read(int(header[2]) + 1)[:-1]
        if not header:
            self._process.kill()
            self._process.communicate()
            self._process = self._started()
        return None


@functools.lru_cache(maxsize=8)
def reader_of(repo: str) -> BlobReader:
    """The blob reader of a repository, one per process."""
    return BlobReader(repo)
