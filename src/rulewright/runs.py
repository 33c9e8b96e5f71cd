"""The run directory: what was asked, what happened, what came out (STYLE.md).

`config.json` (resolved), `run.json` (code, machine, versions, seed, digests, start,
end), `metrics.jsonl`, `rows.jsonl`, and `result.json`, which is written last: its
existence means that the run is done.
"""

from __future__ import annotations

import hashlib
import json
import platform
import shlex
import subprocess
import sys
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any, Final, Self

from pydantic import BaseModel

from rulewright import __version__, jsonl
from rulewright.errors import UsageError
from rulewright.locks import Lock

# Changing one of these does not make it another run.
NOT_IDENTITY: Final = frozenset({"resume", "overwrite", "json_output", "out", "workers", "jobs", "models"})

_PACKAGES: Final = (
    "ast-grep-py", "ast-grep-cli", "torch", "transformers", "trl", "peft", "accelerate", "datasets",
)  # fmt: skip


class RunDir:
    """A folder that one run owns.

    Use `RunDir.open`; `done` tells whether there is anything left to do.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._metrics: jsonl.Appender | None = None
        self._lock: Lock | None = None

    def __getstate__(self) -> dict[str, Any]:
        """What another process of the run is given: the place; lock and open files stay with the first."""
        return {"path": self.path, "_metrics": None, "_lock": None}

    @classmethod
    def open(
        cls,
        path: Path,
        config: BaseModel,
        *,
        resume: bool = False,
        overwrite: bool = False,
        seed: int | None = None,
        inputs: Iterable[Path] = (),
        lock: Lock | None = None,
        free: Callable[[str], bool] = lambda key: False,
    ) -> Self:
        """Claim a folder for a run, or continue the one that is there.

        Args:
            path: the folder; created if absent.
            config: the resolved configuration; fields in `NOT_IDENTITY` may differ on resume.
            resume: continue a run of the same configuration.
            overwrite: remove the files of an earlier run first.
            seed: noted in `run.json`.
            inputs: files whose SHA-256 is noted, and must not have changed on resume.
            lock: of this folder (`Lock.take(path)`), held until `finish`: nobody else writes the run.
            free: tells of a key (`trainer.save_steps` for one in a section) whether it may differ too.

        Raises:
            UsageError: the folder holds another run, with the keys that differ and the ways out.
        """
        digests = {str(p): file_sha256(p) for p in inputs}
        run = cls._look(path, config, resume, overwrite, digests, free)
        run._lock = lock
        if overwrite and (path / "config.json").exists():
            run.clear()
        if not (run.path / "run.json").exists():
            jsonl.write_json(run.path / "run.json", _facts(seed, digests))
        jsonl.write_json(run.path / "config.json", json.loads(config.model_dump_json()))
        return run

    @classmethod
    def look(
        cls,
        path: Path,
        config: BaseModel,
        *,
        resume: bool = False,
        overwrite: bool = False,
        inputs: Iterable[Path] = (),
        free: Callable[[str], bool] = lambda key: False,
    ) -> Self:
        """Check, as `open` will, that a run may take the folder; change nothing.

        Raises:
            UsageError: as `open`.
        """
        return cls._look(path, config, resume, overwrite, {str(p): file_sha256(p) for p in inputs}, free)

    @classmethod
    def _look(
        cls, path: Path, config: BaseModel, resume: bool, overwrite: bool, digests: Mapping[str, str],
        free: Callable[[str], bool],
    ) -> Self:  # fmt: skip
        run = cls(path)
        if overwrite or not (path / "config.json").exists():
            return run
        if not resume:
            state = "a finished" if run.done else "an unfinished"
            raise UsageError(
                f"{path}: holds {state} run already",
                "continue it with --resume, replace it with --overwrite, or choose another folder",
            )
        run._require_same(json.loads(config.model_dump_json()), digests, free)
        return run

    @property
    def done(self) -> bool:
        return (self.path / "result.json").exists()

    def clear(self) -> None:
        """Remove this run's own files (and nothing else in the folder)."""
        for name in ("result.json", "config.json", "run.json", "metrics.jsonl", "rows.jsonl"):
            (self.path / name).unlink(missing_ok=True)

    def _require_same(
        self, wanted: Mapping[str, Any], digests: Mapping[str, str], free: Callable[[str], bool]
    ) -> None:
        earlier = json.loads((self.path / "config.json").read_text(encoding="utf-8"))
        was, now = _by_key(earlier), _by_key(wanted)
        keys = sorted(key for key in set(was) | set(now) if key not in NOT_IDENTITY and not free(key))
        differ = [key for key in keys if was.get(key) != now.get(key)]
        if differ:
            listing = "; ".join(f"{key}: was {was.get(key)!r}, now {now.get(key)!r}" for key in differ)
            raise UsageError(
                f"{self.path}: cannot resume, the configuration differs ({listing})",
                "run with the earlier values, use --overwrite, or choose another folder",
            )
        before = self.facts().get("inputs", {})
        changed = [name for name, digest in digests.items() if before.get(name, digest) != digest]
        if changed:
            raise UsageError(
                f"{self.path}: cannot resume, these inputs have changed: {', '.join(changed)}",
                "restore them, use --overwrite, or choose another folder",
            )

    def facts(self) -> dict[str, Any]:
        """What `run.json` holds."""
        value: dict[str, Any] = json.loads((self.path / "run.json").read_text(encoding="utf-8"))
        return value

    def log(self, **values: object) -> None:
        """Append one line to `metrics.jsonl`."""
        if self._metrics is None:
            self._metrics = jsonl.Appender(self.path / "metrics.jsonl", sync=False)
        self._metrics.append(values)

    def rows(self) -> list[dict[str, Any]]:
        """The rows so far; a torn last line is cut off and owed again."""
        path = self.path / "rows.jsonl"
        if not path.exists():
            return []
        jsonl.cut_torn_line(path)
        return list(jsonl.read(path))

    def appender(self) -> jsonl.Appender:
        """Open `rows.jsonl` for appending."""
        return jsonl.Appender(self.path / "rows.jsonl")

    def finish(self, result: Mapping[str, Any]) -> None:
        """Note the end and write `result.json`, last."""
        if self._metrics is not None:
            self._metrics.close()
        facts = self.facts()
        facts["ended_at"] = _now()
        jsonl.write_json(self.path / "run.json", facts)
        jsonl.write_json(self.path / "result.json", result)
        if self._lock is not None:
            self._lock.release()

    def result(self) -> dict[str, Any]:
        """What the finished run found."""
        value: dict[str, Any] = json.loads((self.path / "result.json").read_text(encoding="utf-8"))
        return value


def _by_key(config: Mapping[str, Any]) -> dict[str, Any]:
    """Values by their keys; those of a section by names like `trainer.save_steps`.

    >>> _by_key({"seed": 0, "trainer": {"optim": "adamw"}})
    {'seed': 0, 'trainer.optim': 'adamw'}
    """
    found: dict[str, Any] = {}
    for key, value in config.items():
        if isinstance(value, Mapping):
            found |= {f"{key}.{name}": inner for name, inner in value.items()}
        else:
            found[key] = value
    return found


def file_sha256(path: Path) -> str:
    """SHA-256 of a file's bytes, in hex."""
    digest = hashlib.sha256()
    with jsonl.require_file(path).open("rb") as stream:
        while block := stream.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def versions() -> dict[str, str]:
    """Installed versions of what behaviour depends on; absent packages are left out."""
    found = {"rulewright": __version__, "python": platform.python_version()}
    for name in _PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def git_state() -> dict[str, Any]:
    """Commit and dirty flag of the source tree that runs, if it is a checkout."""
    root = Path(__file__).resolve().parents[2]
    if not (root / ".git").exists():
        return {"commit": None, "dirty": None}

    def git(*arguments: str) -> str:
        done = subprocess.run(
            ["git", "-C", str(root), *arguments],
            capture_output=True, text=True, timeout=30, check=False,
        )  # fmt: skip
        return done.stdout.strip()

    return {"commit": git("rev-parse", "HEAD") or None, "dirty": bool(git("status", "--porcelain", "-uno"))}


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def _facts(seed: int | None, digests: Mapping[str, str]) -> dict[str, Any]:
    return {
        "command": shlex.join(["rulewright", *sys.argv[1:]]),
        "git": git_state(),
        "versions": versions(),
        "machine": {"system": platform.platform(), "processor": platform.machine()},
        "seed": seed,
        "inputs": dict(digests),
        "started_at": _now(),
        "ended_at": None,
    }
