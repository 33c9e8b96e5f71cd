"""Before a run: records, tokens, steps, memory by phase and time; whether it fits, and why.

Reads the same configuration as `train sft`, `train srl` and `train grpo`, and the data itself; imports no
torch. Every estimate is marked as such, with its basis.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final, NamedTuple

from rulewright import console
from rulewright.config import read_file, read_raw
from rulewright.errors import ConfigError, UsageError
from rulewright.generation.fetching import sources
from rulewright.generation.notes import checkpoint_note
from rulewright.prompts import STYLES, Style
from rulewright.srl.train_srl import SrlConfig
from rulewright.training import memory, options, plan_policy, plan_sft
from rulewright.training.architecture import Architecture
from rulewright.training.config import SftConfig, TinyConfig, check
from rulewright.training.duration import Cpu, Machine, Range
from rulewright.training.lengths import beyond_positions
from rulewright.training.memory import DEVICES, GIB, Device, Sharding
from rulewright.training.plan_parts import HALVED, PlannedRun, Stage
from rulewright.training.train_grpo import GrpoConfig

RunConfig = SftConfig | SrlConfig | GrpoConfig
_CLASSES: Final[dict[Stage, type[RunConfig]]] = {"sft": SftConfig, "grpo": GrpoConfig, "srl": SrlConfig}
_CONTEXT: Final = "context and fragmentation"
# Python with torch, transformers, TRL and data sets on a CPU, before the first step: measured, 0.70 to 0.80.
_CPU_CONTEXT_GIB: Final = 0.8
# Larger models are not trained on a CPU unless someone says so.
_SMALL: Final = 200_000_000


@dataclass(frozen=True)
class TrainingPlan:
    """The estimate; every field is a number or its reason."""

    stage: Stage
    model: str
    n_parameters: int
    n_trained: int
    n_records: int
    n_rows: int
    """Records that fit."""
    tokens_per_row: float
    """Prompt and answer, as the data hold them."""
    counted: str
    """How tokens were counted."""
    n_tokens: int
    """Trained in all, without padding."""
    steps: int
    rows_per_step: int
    """Records, or rollouts."""
    device: str
    devices: int
    rates: str
    """What time is estimated from."""
    memory_gib: dict[str, float]
    """Of the phase that needs most, by part."""
    phases_gib: dict[str, dict[str, float]]
    """By phase and part."""
    total_gib: float
    available_gib: float
    fits: bool
    why: str
    tokens_per_s: tuple[float, float]
    """Trained, all devices together, from and to."""
    hours: tuple[float, float]
    hours_by_part: dict[str, tuple[float, float]]
    notes: tuple[str, ...]


class Start(NamedTuple):
    """The base of a run, as far as it is known before the checkpoint exists."""

    architecture: Architecture
    style: Style | None
    """As noted in a checkpoint; `None`: none is noted."""
    reason: str
    """Empty where the checkpoint itself was read."""


def read(path: Path, stage: Stage | None = None) -> tuple[Stage, RunConfig]:
    """Read a configuration, by default as that of the command whose fields it has.

    Raises:
        ConfigError: what the command itself would refuse, with file and line.
    """
    if stage is None:
        stage, reason = stage_of(read_raw(path))
        console.decided("read as", f"train {stage}", reason)
    cls = _CLASSES[stage]
    config = cls(**read_file(cls, path))
    if isinstance(config, SftConfig):
        check(config)
    return stage, config


def stage_of(values: Mapping[str, Any]) -> tuple[Stage, str]:
    """The command that knows most of the keys; SFT where nothing tells."""
    trainer = values.get("trainer")
    names = set(trainer) if isinstance(trainer, dict) else set()

    def known(stage: Stage) -> set[str]:
        taken = names & options.names("SFTConfig" if stage == "sft" else "GRPOConfig")
        return {key for key in values if key in _CLASSES[stage].model_fields} | {
            f"trainer.{key}" for key in taken
        }

    best = max(_CLASSES, key=lambda stage: len(known(stage)))
    telling = sorted(known(best) - (known("sft") & known("srl") & known("grpo")))
    return best, f"it has {', '.join(telling[:3])}" if telling else "no field tells; --stage names another"


def origin(config: RunConfig, path: Path | None = None, model: str = "") -> Start:
    """Find the architecture that a run trains.

    A checkpoint that is to be trained first has no shape yet: it is found through the
    configuration beside this one whose `out` it is.

    Args:
        config: of the run.
        path: where it was read; its folder is looked through.
        model: a folder or known name to take instead.

    Raises:
        UsageError: nothing is known of the model.
    """
    if isinstance(config, SftConfig) and config.tiny is not None:
        return Start(Architecture.of_tiny(config.tiny), None, "")
    wanted = model or config.model
    try:
        return _known(wanted)
    except UsageError as error:
        found = None if model or path is None else _made_by(wanted, path, ())
        if found is None:
            hint = f"{error.hint}; or say what it will be made from: --model Qwen/Qwen3-14B"
            raise UsageError(error.message, hint) from error
        return found


def _known(model: str) -> Start:
    """What is here, in the table, or what `rulewright fetch` would put here.

    Raises:
        UsageError: neither.
    """
    try:
        noted = checkpoint_note(model).get("prompt_style")
        style = next((style for style in STYLES if style == noted), None)
        return Start(Architecture.of(model), style, "")
    except UsageError:
        source = sources().get(Path(model).name)
        if source is None or Path(model).exists():
            raise
        reason = f"{model} does not exist yet; rulewright fetch {source.name} downloads it"
        return Start(Architecture.of(source.repo), None, reason)


def _made_by(model: str, asking: Path, seen: tuple[Path, ...]) -> Start | None:
    """Follow the configurations beside the asking one from a checkpoint to what it is made from.

    If several write the checkpoint, the one whose name ends like the asking one's (`_qlora`) is meant.
    """
    variant = asking.stem.rpartition("_")[2]
    files = sorted(asking.parent.glob("*.yaml"))
    for file in sorted(files, key=lambda file: file.stem.rpartition("_")[2] != variant):
        try:
            values = read_raw(file)
        except ConfigError:
            continue
        if str(values.get("out", "")) != model or file in seen:
            continue
        reason = f"{model} does not exist yet; {file} creates it"
        if isinstance(values.get("tiny"), dict):
            tiny = TinyConfig.model_validate(values["tiny"])
            return Start(Architecture.of_tiny(tiny), "compact", reason)
        base = str(values.get("model", ""))
        try:
            found: Start | None = _known(base)
        except UsageError:
            found = _made_by(base, file, (*seen, file))
        if found is not None:
            # What `train sft` writes notes `brief`, unless it is told otherwise.
            more = f"; {found.reason}" if found.reason else f" from {base}"
            asked = next((style for style in STYLES if style == values.get("prompt_style")), None)
            return Start(found.architecture, asked or found.style or "brief", f"{reason}{more}")
    return None


def is_small(architecture: Architecture) -> bool:
    """Whether a CPU is where this model is trained, unless someone says otherwise."""
    return architecture.total < _SMALL


def machine(
    device: str, devices: int, memory_gib: float, source: Start, threads: int, probe: bool
) -> Machine:
    """Where the run is to take place.

    Args:
        device: a key of `memory.DEVICES`, or `cpu`.
        devices: how many.
        memory_gib: what a device has, if it is not what the table says.
        source: the model.
        threads: of a CPU, for each process.
        probe: measure what this machine's CPU multiplies, rather than take stated figures.
    """
    if device != "cpu":
        known = DEVICES[device]
        return Machine(
            Device(
                known.name, memory_gib or known.memory_gib, known.tflops, known.gb_per_s, known.link_gb_per_s
            ),
            devices,
        )
    arch = source.architecture
    cpu = None
    if arch.total > _TINY:
        cpu = Cpu.probe(arch.hidden, arch.mlp, threads) if probe else Cpu.stated(threads)
    return Machine(Device("CPU", memory_gib or _free_memory_gib(), 0.0), devices, cpu)


# Up to this size a step's fixed cost decides, which was measured.
_TINY: Final = 5_000_000


def make(stage: Stage, config: RunConfig, source: Start, where: Machine, sharding: Sharding) -> TrainingPlan:
    """Estimate a run.

    Args:
        stage: whose configuration it is.
        config: as for `train`.
        source: what it starts from (`origin`).
        where: the devices (`machine`).
        sharding: how weights and optimizer are spread over them.

    Raises:
        UsageError: the data are not there, not valid, or none of them fits.
    """
    place = (where, source.architecture, sharding)
    run: PlannedRun
    if isinstance(config, SftConfig):
        run = plan_sft.SftRun(config, plan_sft.data(config, source.style), *place)
    else:
        run = plan_policy.PolicyRun(config, plan_policy.data(config, source.style), *place)
    available = round(where.device.memory_gib / (where.devices if where.is_cpu else 1), 1)
    usual = run.forecast()
    halved, halvings = _halve(run, available)
    worst = halved.forecast() if halvings else usual
    needed = _needed(halved)
    totals = {name: sum(parts.values()) for name, parts in needed.items()}
    peak = max(totals, key=lambda name: totals[name])
    seconds = {name: Range(span.low, worst.seconds[name].high) for name, span in usual.seconds.items()}
    trained = seconds["training"]
    hours = sum(seconds.values(), Range(0, 0)).times(1 / 3600)
    setup, train = run.setup(), run.data.train
    beyond = beyond_positions(run.longest, run.architecture.positions)
    return TrainingPlan(
        stage=stage,
        model=config.model or source.architecture.name,
        n_parameters=source.architecture.total,
        n_trained=setup.trained,
        n_records=train.n_records,
        n_rows=train.n,
        tokens_per_row=round(train.mean, 1),
        counted=train.counted,
        n_tokens=usual.n_tokens,
        steps=usual.steps,
        rows_per_step=usual.rows_per_step,
        device=where.device.name,
        devices=where.devices,
        rates=_rates(where, setup),
        memory_gib=_rounded(needed[peak]),
        phases_gib={name: _rounded(parts) for name, parts in needed.items()},
        total_gib=round(totals[peak], 1) if totals[peak] >= 1 else round(totals[peak], 3),
        available_gib=available,
        fits=totals[peak] <= available and not run.refused(),
        why=run.refused() or _why(halved, available),
        tokens_per_s=(round(usual.n_tokens / trained.high), round(usual.n_tokens / trained.low)),
        hours=(round(hours.low, 3), round(hours.high, 3)),
        hours_by_part={
            name: (round(span.low / 3600, 3), round(span.high / 3600, 3)) for name, span in seconds.items()
        },
        notes=(*usual.notes, *halvings, *filter(None, [beyond])),
    )


def _halve(run: PlannedRun, available: float) -> tuple[PlannedRun, list[str]]:
    """Generate fewer sequences together until they fit, as the run itself does; with what to say of it."""
    notes = []
    for phase in HALVED:
        first, n = 0.0, 0
        while not run.sharded and (total := sum(_needed(run).get(phase, {}).values())) > available:
            smaller = run.halved(phase)
            if smaller is None:
                break
            first = first or total
            run, n = smaller
        if first:
            field = "generate_at_once" if phase == "rollouts" else "so many at once"
            notes.append(
                f"{phase}: as many as configured need {first:.1f} GiB where all are of the longest; the run "
                f"halves their number where memory runs out, to {field}: {n}"
            )
    return run, notes


def _needed(run: PlannedRun) -> dict[str, dict[str, float]]:
    """GiB of each phase, by part, with what is there all the time."""
    there = memory.resident(run.setup())
    if run.machine.is_cpu:
        there[_CONTEXT] = _CPU_CONTEXT_GIB
    return {name: there | added for name, added in run.phases().items()}


def _rounded(parts: Mapping[str, float]) -> dict[str, float]:
    return {name: round(value, 3) for name, value in parts.items()}


def _rates(where: Machine, setup: memory.Setup) -> str:
    if where.cpu is not None:
        return where.cpu.how
    if where.is_cpu:
        return "measured on one core with models of this size"
    low, high = where.device.use
    slower = "; × 0.78 for 4-bit weights (torchtune's ratio)" if setup.quantized else ""
    return f"assumed: {low:.0%} to {high:.0%} of the bf16 peak{slower}"


def _free_memory_gib() -> float:
    """Memory that this machine could give: what Linux calls available, elsewhere all of it."""
    path = Path("/proc/meminfo")
    told = path.read_text(encoding="ascii") if path.exists() else ""
    found = re.search(r"MemAvailable:\s+(\d+) kB", told)
    whole = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return round((int(found.group(1)) * 1024 if found else whole) / GIB, 1)


def _why(run: PlannedRun, available: float) -> str:
    """The phase that decides, and the one change that would make it fit."""
    needed = _needed(run)
    peak = max(needed, key=lambda name: sum(needed[name].values()))
    parts, total = needed[peak], sum(needed[peak].values())
    if total <= available:
        return f"{total:.1f} of {available:.1f} GiB, most in: {peak}"
    largest = max(parts, key=lambda name: parts[name])
    said = (
        f"{total:.1f} GiB needed, {available:.1f} there; most in: {peak}, of that most is {largest} "
        f"({parts[largest]:.1f} GiB)"
    )
    for text, changed in run.knobs(peak):
        changed, _ = _halve(changed, available)
        total = max(sum(parts.values()) for parts in _needed(changed).values())
        if total <= available:
            return f"{said}. Change: {text}: {total:.1f} GiB"
    return f"{said}. No single change is enough: a larger device, or a smaller model"


def report(plan: TrainingPlan) -> Iterator[str]:
    """The plan as text for the terminal."""
    yield f"{plan.model}: {plan.n_parameters / 1e6:,.2f} M parameters, {plan.n_trained / 1e6:,.2f} M trained"
    fit = f"{plan.n_rows:,} of {plan.n_records:,} records fit"
    yield f"data: {fit}, {plan.tokens_per_row:,.0f} tokens each ({plan.counted})"
    rows = "rows" if plan.stage == "sft" else "rollouts"
    yield f"steps: {plan.steps:,} of {plan.rows_per_step:,} {rows}, {plan.n_tokens:,} tokens in all"
    yield from plan.notes
    yield _memory_table(plan)
    times = {**plan.hours_by_part, "total": plan.hours}
    rows_of_time = [
        [part, *(console.duration(hours * 3_600) for hours in span)] for part, span in times.items()
    ]
    yield console.table([f"time on {plan.devices} × {plan.device}", "from", "to"], rows_of_time)
    yield f"time is estimated from: {plan.rates}"
    yield f"{'fits' if plan.fits else 'DOES NOT FIT'}: {plan.why}"


def _memory_table(plan: TrainingPlan) -> str:
    """A row for each part, a column for each phase."""
    names = list(plan.phases_gib)
    parts = list(dict.fromkeys(part for phase in plan.phases_gib.values() for part in phase))
    rows = [
        [
            part,
            *(
                f"{plan.phases_gib[name][part]:.2f}" if part in plan.phases_gib[name] else ""
                for name in names
            ),
        ]
        for part in parts
    ]
    totals = ["total", *(f"{sum(plan.phases_gib[name].values()):.2f}" for name in names)]
    return console.table(["GiB a device", *names], [*rows, totals])


def to_json(plan: TrainingPlan) -> dict[str, Any]:
    value: dict[str, Any] = json.loads(json.dumps(asdict(plan)))
    return value
