"""Run a list of rulewright commands as one resumable job.

Invariant: `stages.jsonl` has a line for every successful stage, with a digest of its command, its
configuration and all earlier stages. A stage is skipped only if none of these has changed.
"""

from __future__ import annotations

import hashlib
import os
import re
import resource
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final, Literal, NamedTuple

from rulewright import console, jsonl
from rulewright.config import Section
from rulewright.errors import RulewrightError, UsageError

# No stage asks a hub.
ENVIRONMENT: Final = {
    "HF_HUB_OFFLINE": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "TOKENIZERS_PARALLELISM": "false",
    "RULEWRIGHT_STAGE": "1",  # no stage names the next command: it comes by itself
}


# A figure of the demo is one of a CPU, wherever it runs.
NO_GPU: Final = {"CUDA_VISIBLE_DEVICES": ""}
LOG: Final = "stages.jsonl"


class Stage(Section):
    """One command of the job."""

    name: str
    """A few words for the person who watches."""
    minutes: float = 0.0
    """About how long it takes on two cores, for the person who waits; 0: no time worth telling."""
    run: str
    """The command line after `rulewright`; `{configs}` and `{start}` stand for folders, `{threads}` for
    the number of threads."""
    needs: str = ""
    """A path without which the stage is left out, and said to be; relative to the job's root."""
    may_fail: bool = False
    """Its failure (a history with no usable commit, say) is told, and the job goes on."""


class Places(NamedTuple):
    """Where a job runs: stages run in `root`, and name other folders by these words."""

    root: Path
    configs: Path
    """`{configs}`: folder of configurations; a change in one of them makes its stage new."""
    start: Path
    """`{start}`: where the job was started."""
    threads: int = 1
    """`{threads}`: for the stages that take more than one."""

    def fill(self, text: str) -> list[str]:
        """The words of a command line, folders filled in."""
        values = {
            "configs": self.configs.resolve(), "start": self.start.resolve(), "threads": self.threads,
        }  # fmt: skip
        return [word.format(**values) for word in shlex.split(text)]


def digests(stages: Sequence[Stage], places: Places, stands_on: str = "") -> list[str]:
    """Name each stage by its command, its configuration, and all before it; 16 hex digits."""
    digest = hashlib.sha256(stands_on.encode())
    names = []
    for stage in stages:
        digest.update(shlex.join(shlex.split(stage.run)).encode() + b"\n")
        for name in re.findall(r"\{configs\}/(\S+)", stage.run):
            digest.update((places.configs / name).read_bytes())
        names.append(digest.hexdigest()[:16])
    return names


def run_stages(
    stages: Sequence[Stage],
    places: Places,
    device: Literal["auto", "cpu"] = "cpu",
    stands_on: str = "",
) -> list[dict[str, Any]]:
    """Run the stages that are not done yet, in order; return a line per stage.

    Args:
        stages: the job.
        places: its folders; `root` holds `stages.jsonl`.
        device: `cpu` hides GPUs from every stage.
        stands_on: names an earlier job that this one reads; when that is another, all is to be done anew.

    Raises:
        RulewrightError: a stage failed, with the command that repeats it.
        UsageError: `root` holds another job.
    """
    path = places.root / LOG
    names = digests(stages, places, stands_on)
    done = _done(stages, places, names)
    if not done.keys() <= set(names):
        raise UsageError(
            f"{places.root}: contains a job with other stages or configurations",
            "replace it with --overwrite, or choose another folder with --root",
        )
    if len(done) < len(finished(places.root)):
        jsonl.write(path, done.values())  # at once: a killed job must not take the others for done
    rows = []
    with jsonl.Appender(path) as log:
        for number, (stage, digest) in enumerate(zip(stages, names, strict=True), 1):
            title = f"[{number}/{len(stages)}] {stage.name}"
            if digest in done:
                console.say(f"{title}: already done")
                rows.append(done[digest])
                continue
            row = {
                "digest": digest,
                "name": stage.name,
                "command": stage.run,
                **_run(stage, title, places, device),
            }
            log.append(row)
            rows.append(row)
    return rows


def owed(stages: Sequence[Stage], places: Places) -> list[Stage]:
    """The stages that are still to be run."""
    names = digests(stages, places)
    done = _done(stages, places, names)
    return [stage for stage, name in zip(stages, names, strict=True) if name not in done]


def remove(root: Path) -> None:
    """Remove the folder of a job, to begin anew; nothing where there is none.

    Raises:
        UsageError: the folder has no job, or is one that the user is in: it would take other files along.
    """
    if not root.exists():
        return
    if Path.cwd().is_relative_to(root.resolve()):
        raise UsageError(f"{root}: is the current folder, or above it", "name a folder of the job's own")
    if not (root / LOG).exists() and any(root.iterdir()):
        raise UsageError(
            f"{root}: has files, but no job (no {LOG}), so --overwrite does not remove it",
            "name the job's folder, or empty this one yourself",
        )
    shutil.rmtree(root)


def finished(root: Path) -> list[dict[str, Any]]:
    """The lines of a job's stages that ended well, in order; none where no job is."""
    path = root / LOG
    return list(jsonl.read(path)) if path.exists() else []


def _done(stages: Sequence[Stage], places: Places, names: Sequence[str]) -> dict[str, dict[str, Any]]:
    """The lines of stages by their digests, up to one that was left out and whose path is here now."""
    jsonl.cut_torn_line(places.root / LOG)
    done = {row["digest"]: row for row in finished(places.root)}
    due = (
        i for i, name in enumerate(names) if "left_out" in done.get(name, ()) and _can_run(stages[i], places)
    )
    for name in names[next(due, len(names)) :]:
        done.pop(name, None)
    return done


def _can_run(stage: Stage, places: Places) -> bool:
    return not stage.needs or Path(places.root, *places.fill(stage.needs)).exists()


def _run(stage: Stage, title: str, places: Places, device: str) -> Mapping[str, Any]:
    if not _can_run(stage, places):
        console.say(f"{title}: skipped ({stage.needs} is missing)")
        return {"left_out": f"{stage.needs} is not here", "seconds": 0.0, "cpu_seconds": 0.0}
    console.say(f"\n{title}\n$ rulewright {stage.run}")
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    started = time.monotonic()
    command = [sys.executable, "-m", "rulewright", *places.fill(stage.run)]
    environment = {**os.environ, **ENVIRONMENT, "OMP_NUM_THREADS": str(places.threads)}
    environment |= NO_GPU if device == "cpu" else {}
    code = subprocess.run(command, cwd=places.root, env=environment, check=False).returncode
    if code != 0 and stage.may_fail and code != 130:
        console.say(f"{title}: no result (exit code {code}); continuing without it")
    elif code != 0:
        raise RulewrightError(
            f"the stage '{stage.name}' ended with exit code {code}",
            f"the messages above say why; to run only this stage again, in {places.root}: rulewright "
            f"{shlex.join(places.fill(stage.run))}",
        )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return {"seconds": round(time.monotonic() - started, 1), "cpu_seconds": round(cpu, 1)}
