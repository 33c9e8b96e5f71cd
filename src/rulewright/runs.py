"""The run directory: configuration, log and result of a run.

`config.json` (resolved), `run.json` (code, machine, versions, seed, digests, start, end),
`metrics.jsonl`, `rows.jsonl`, and `result.json`, which is written last: if it exists, the run is
complete.
"""

from __future__ import annotations

import platform
import shlex
import subprocess
import sys
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any, Final, Protocol, Self

from rulewright import __version__, jsonl
from rulewright.digests import file_sha256
from rulewright.errors import UsageError
from rulewright.locks import Lock

_PACKAGES: Final = (
    "ast-grep-py", "ast-grep-cli", "torch", "transformers", "trl", "peft", "accelerate", "datasets",
)  # fmt: skip

_DAMAGED: Final = "the run is damaged: replace it with --overwrite, or choose another folder"


class RunConfig(Protocol):
    """What a configuration says of its run; every `CommandConfig` with these fields does."""

    @property
    def resume(self) -> bool:
        """Take a finished run of the same configuration as done, instead of refusing its folder."""

    @property
    def overwrite(self) -> bool:
        """Remove the files of an earlier run first."""

    def is_free(self, key: str) -> bool:
        """Whether a run may be continued with another value of a key."""

    def model_dump(self, *, mode: str) -> dict[str, Any]: ...


class RunDir:
    """A folder that one run owns.

    Use `RunDir.open`; `done` tells whether there is anything left to do.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._metrics: jsonl.Appender | None = None
        self._lock: Lock | None = None

    def __getstate__(self) -> dict[str, Any]:
        """Another process of the run gets the path only; the lock and open files stay with the first."""
        return {"path": self.path, "_metrics": None, "_lock": None}

    @classmethod
    def open(
        cls,
        path: Path,
        config: RunConfig,
        inputs: Iterable[Path] | Mapping[str, str] = (),
        clear: Callable[[], None] = lambda: None,
    ) -> Self:
        """Claim a folder for a run, or continue the run in it.

        This is what `--resume` and `--overwrite` mean in every command: an interrupted run of the
        same configuration continues by itself; a finished one is confirmed with `resume` (see
        `done`) and refused without; any run is replaced with `overwrite`. A run of another
        configuration is refused. Nobody else writes the run until `finish`.

        Args:
            path: the folder; created if absent.
            config: the resolved configuration.
            inputs: files whose SHA-256 is noted, and must not have changed on resume; or the names
                of inputs, each with what tells whether it has changed.
            clear: with `overwrite`, removes what an earlier run left beside its own files.

        Raises:
            UsageError: the folder holds another run, with the keys that differ and the ways out;
                or another process writes it.
        """
        lock = Lock.take(path)
        digests = _digests(inputs)
        run = cls.look(path, config, digests)
        run._lock = lock
        if config.overwrite:
            (path / "result.json").unlink(missing_ok=True)  # first: what is half removed is not done
            clear()
            run.clear()
        values = config.model_dump(mode="json")
        if not (run.path / "config.json").exists():  # it is written last: without it the run never began
            facts = {
                "command": shlex.join(["rulewright", *sys.argv[1:]]),
                "git": git_state(),
                "versions": versions(),
                "machine": {"system": platform.platform(), "processor": platform.machine()},
                "seed": values.get("seed"),
                "inputs": dict(digests),
                "started_at": _now(),
                "ended_at": None,
            }
            jsonl.write_json(run.path / "run.json", facts)
        jsonl.write_json(run.path / "config.json", values)
        return run

    @classmethod
    def look(cls, path: Path, config: RunConfig, inputs: Iterable[Path] | Mapping[str, str] = ()) -> Self:
        """Check, as `open` will, that a run may take the folder; change nothing.

        Raises:
            UsageError: the folder holds another run.
        """
        run, digests = cls(path), _digests(inputs)
        if config.overwrite or not (path / "config.json").exists():
            return run
        if run.done and not config.resume:
            raise UsageError(
                f"{path}: already contains a finished run",
                "show it with --resume, replace it with --overwrite, or choose another folder",
            )
        run._require_same(config, digests)
        return run

    @property
    def done(self) -> bool:
        return (self.path / "result.json").exists()

    def clear(self) -> None:
        """Remove this run's own files (and nothing else in the folder)."""
        for name in ("result.json", "config.json", "run.json", "metrics.jsonl", "rows.jsonl"):
            (self.path / name).unlink(missing_ok=True)

    def _require_same(self, config: RunConfig, digests: Mapping[str, str]) -> None:
        earlier = jsonl.read_object(self.path / "config.json", _DAMAGED)
        was, now = map(_by_key, (earlier, config.model_dump(mode="json")))
        keys = sorted(key for key in set(was) | set(now) if not config.is_free(key))
        differ = [key for key in keys if was.get(key) != now.get(key)]
        if differ:
            listing = "; ".join(f"{key}: was {was.get(key)!r}, now {now.get(key)!r}" for key in differ)
            raise UsageError(
                f"{self.path}: contains another run with a different configuration ({listing})",
                "use the earlier values, replace the run with --overwrite, or choose another folder",
            )
        before = self.facts().get("inputs", {})
        names = sorted(before.keys() | digests.keys())
        changed = [name for name in names if before.get(name) != digests.get(name)]
        if changed:
            raise UsageError(
                f"{self.path}: contains another run, and these inputs have changed: {', '.join(changed)}",
                "restore the inputs, replace the run with --overwrite, or choose another folder",
            )

    def facts(self) -> dict[str, Any]:
        return jsonl.read_object(self.path / "run.json", _DAMAGED)

    def log(self, **values: object) -> None:
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

    def appender(self, sync: bool = True) -> jsonl.Appender:
        """Open `rows.jsonl` for appending, with or without a wait for the disk at each row."""
        return jsonl.Appender(self.path / "rows.jsonl", sync)

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
        return jsonl.read_object(self.path / "result.json", _DAMAGED)


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


def _digests(inputs: Iterable[Path] | Mapping[str, str]) -> dict[str, str]:
    return dict(inputs) if isinstance(inputs, Mapping) else {str(p): file_sha256(p) for p in inputs}


def versions() -> dict[str, str]:
    """Installed versions of what behavior depends on; absent packages are left out."""
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
        return subprocess.run(
            ["git", "-C", str(root), *arguments], capture_output=True, text=True, timeout=30, check=True
        ).stdout.strip()

    try:
        return {"commit": git("rev-parse", "HEAD"), "dirty": bool(git("status", "--porcelain", "-uno"))}
    except (OSError, subprocess.SubprocessError):  # no git here, or a checkout that is another user's
        return {"commit": None, "dirty": None}


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
