"""Check this machine: what works, what is missing, and how to fix it.

Sandbox tiers are proved by running them. Keys are reported as present or absent, never shown.
"""

from __future__ import annotations

import os
import platform
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from importlib import metadata
from pathlib import Path
from typing import Final, Literal, NamedTuple

from rulewright import __version__
from rulewright.errors import RulewrightError
from rulewright.workers import cores

Verdict = Literal["ok", "absent", "limited", "broken"]

_KEYS: Final = (
    ("HF_TOKEN", "gated models and data sets"),
    ("OPENAI_API_KEY", "an OpenAI-compatible teacher"),
    ("ANTHROPIC_API_KEY", "a teacher behind Anthropic's endpoint"),
    ("OPENROUTER_API_KEY", "a teacher behind OpenRouter"),
    ("WANDB_API_KEY", "logging to Weights & Biases"),
)  # fmt: skip
_PROGRAMS: Final = (
    ("git", "reading repositories as a source", "apt-get install git"),
    ("node", "running JavaScript tests", "apt-get install nodejs"),
)
_NEEDED_DISK_GB: Final = 5
_NEEDED_MEMORY_GB: Final = 4
_TRAINED_TOKENS: Final = 2048
"""Of a micro-batch, that training is judged by."""


class ReportLine(NamedTuple):
    """One line of the report."""

    what: str
    value: str
    verdict: Verdict
    fix: str = ""


def _line(what: str, value: str, good: bool, otherwise: Verdict, fix: str) -> ReportLine:
    return ReportLine(what, value, "ok") if good else ReportLine(what, value, otherwise, fix)


def examine() -> list[ReportLine]:
    """Everything that is looked at, in the order of the report."""
    parts: tuple[Callable[[], Iterator[ReportLine]], ...] = (
        _machine, _ast_grep, _packages, accelerator, _programs,
    )  # fmt: skip
    with ThreadPoolExecutor(3) as threads:
        tiers = [threads.submit(_tier, tier) for tier in ("bubblewrap", "landlock")]
        findings = [finding for part in parts for finding in part()]
        findings += [tier.result() for tier in tiers]
    working = [line.what.split()[-1] for line in findings[-len(tiers) :] if line.verdict == "ok"]
    value = working[0] if working else "none: untrusted code is refused"
    fix = "fix a tier above, or accept --sandbox unsafe"
    return [*findings, _line("sandbox used by auto", value, bool(working), "limited", fix)]


def _machine() -> Iterator[ReportLine]:
    yield ReportLine("rulewright", __version__, "ok")
    new_enough = sys.version_info >= (3, 11)
    yield _line("python", platform.python_version(), new_enough, "broken", "install Python 3.11 or newer")
    linux = sys.platform == "linux"
    system = f"{platform.system()} {platform.release()} {platform.machine()}"
    fix = "the sandbox needs Linux; data, rules and training do not"
    yield _line("system", system, linux, "limited", fix)
    yield ReportLine("processors", str(cores()), "ok")
    memory_gb = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9
    fix = f"the demo wants {_NEEDED_MEMORY_GB} GB"
    yield _line("memory", f"{memory_gb:.0f} GB", memory_gb >= _NEEDED_MEMORY_GB, "limited", fix)
    free_gb = shutil.disk_usage(Path.cwd()).free / 1e9
    fix = f"free {_NEEDED_DISK_GB} GB, or work elsewhere"
    yield _line("disk here", f"{free_gb:.0f} GB free", free_gb >= _NEEDED_DISK_GB, "limited", fix)


def _ast_grep() -> Iterator[ReportLine]:
    from rulewright.engine import cli

    fix = " ".join(["pip install", *(f"'{required}'" for required in cli.REQUIRED.values())])
    try:
        program = cli.said_version(cli.binary())
    except RulewrightError as error:
        program = error.message
    try:
        binding = metadata.version("ast-grep-py")
    except metadata.PackageNotFoundError:
        binding = "absent"
    for what, version in (("ast-grep program", program), ("ast-grep binding", binding)):
        yield _line(what, version, cli.is_supported(version), "broken", fix)


def _packages() -> Iterator[ReportLine]:
    """Every requirement of this package, by extra: is a fitting version installed."""
    from packaging.requirements import Requirement

    try:
        requirements = [Requirement(line) for line in metadata.requires("rulewright") or []]
    except metadata.PackageNotFoundError:
        yield ReportLine(
            "package", "rulewright is not installed, only on the path", "limited", "pip install -e ."
        )
        return
    for requirement in requirements:
        extra = "" if requirement.marker is None else str(requirement.marker).split('"')[1]
        if extra == "dev" or requirement.name.startswith("ast-grep"):
            continue
        what = f"{requirement.name} ({f'extra {extra}' if extra else 'required'})"
        pinned = f"pip install '{requirement.name}{requirement.specifier}'"
        try:
            version = metadata.version(requirement.name)
        except metadata.PackageNotFoundError:
            fix = f"pip install 'rulewright[{extra}]'" if extra else pinned
            yield ReportLine(what, "not installed", "absent" if extra else "broken", fix)
            continue
        fits = requirement.specifier.contains(version, prereleases=True)
        yield _line(what, version, fits, "limited" if extra else "broken", pinned)


def accelerator() -> Iterator[ReportLine]:
    """GPUs by the driver's own program: torch takes seconds to import."""
    smi = shutil.which("nvidia-smi")
    listing = ""
    if smi:
        query = [smi, "--query-gpu=name,memory.total", "--format=csv,noheader"]
        try:
            listing = subprocess.run(query, capture_output=True, text=True, timeout=5, check=False).stdout
        except subprocess.TimeoutExpired:
            yield ReportLine("GPU", "nvidia-smi does not answer", "limited", "restart the driver")
            return
    gpus = [line.strip() for line in listing.splitlines() if "," in line]
    if not gpus:
        yield ReportLine("GPU", "none", "absent", "not needed for data, rules, evaluation and the demo")
    for gpu in gpus:
        yield ReportLine("GPU", gpu, "ok")
    yield _trainable(gpus)


def _trainable(gpus: list[str]) -> ReportLine:
    """The largest model of the plan's family that this machine trains, by what `plan` counts."""
    from rulewright.training.architecture import Architecture
    from rulewright.training.memory import Setup, parts

    found = [int(n) for n in re.findall(r",\s*(\d+) MiB", "\n".join(gpus))]
    if found:
        # The driver's own share of a card is about half a GiB.
        free_gib, names = max(found) / 1024 - 0.6, ("32B", "14B", "8B", "4B", "1.7B", "0.6B")
        for name in (f"Qwen3-{size}" for size in names):
            step = Setup(Architecture.of(name), _TRAINED_TOKENS, 16, quantized=True, weight_bytes=2)
            if sum(parts(step).values()) <= free_gib:
                return ReportLine("training", f"up to {name}, QLoRA, {_TRAINED_TOKENS:,} tokens", "ok")
        return ReportLine(
            "training", "no model of the plan fits this GPU", "limited", "train on the CPU: device: cpu"
        )
    memory_gib = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / (1 << 30)
    for name in ("SmolLM2-360M", "SmolLM2-135M"):
        step = Setup(Architecture.of(name), _TRAINED_TOKENS, 16, False, 2, checkpointing=False)
        if sum(parts(step).values()) <= memory_gib / 2:
            return ReportLine("training", f"up to {name}, LoRA, {_TRAINED_TOKENS:,} tokens, on the CPU", "ok")
    return ReportLine(
        "training", "the tiny model only", "limited", f"{_NEEDED_MEMORY_GB} GB for a pretrained one"
    )


def _programs() -> Iterator[ReportLine]:
    for name, purpose, fix in _PROGRAMS:
        found = shutil.which(name)
        yield _line(f"{name} ({purpose})", found or "not installed", bool(found), "absent", fix)
    # Docker's program runs nothing without its daemon.
    sockets = (Path("/var/run/docker.sock"), Path("/run/podman/podman.sock"))
    program = shutil.which("docker") or shutil.which("podman")
    told: tuple[str, Verdict, str]
    if program is None:
        told = "not installed", "absent", "see docs.docker.com/engine/install"
    elif program.endswith("docker") and not any(map(Path.exists, sockets)):
        told = f"{program}, no daemon", "limited", "start the docker daemon"
    else:
        told = program, "ok", ""
    yield ReportLine("docker (the docker sandbox)", *told)
    for name, purpose in _KEYS:
        present = bool(os.environ.get(name))
        fix = f"export {name}=… (only for {purpose})"
        yield _line(name, "set" if present else "not set", present, "absent", fix)


def _tier(tier: Literal["bubblewrap", "landlock"]) -> ReportLine:
    from rulewright.sandbox import tiers

    probe = tiers.probe(tier)
    value = f"{'works' if probe.works else 'does not work'}: {probe.reason}"
    return ReportLine(f"sandbox {tier}", value, "ok" if probe.works else "absent", probe.fix)
