"""The command line: a static table of commands, each imported only when it runs.

Exit codes: 0 done, 1 the run failed, 2 usage or configuration, 130 interrupted.
"""

from __future__ import annotations

import errno
import importlib
import io
import os
import shlex
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

from rulewright import console
from rulewright.errors import RulewrightError, UsageError, why

STAGE_MARK: Final = "RULEWRIGHT_STAGE"
"""Set by `demo` for its stages, and by nobody else."""


class Command(NamedTuple):
    """A command's module (with `Config` and `run(config) -> int`), its line of help, and how it is used."""

    module: str
    help: str
    examples: tuple[str, ...] = ()


_TABLE: Final[dict[str, dict[str, tuple[str, str, str]]]] = {
    "begin": {
        "tour": (
            "an example: one edit → its rule → other places → near misses → rewards, in seconds",
            "tour", "tour --json",
        ),
        "doctor": (
            "check this machine: what works, what is missing, how to fix it",
            "doctor", "doctor --json",
        ),
        "demo": (
            "run the whole pipeline, small, on a CPU",
            "demo --config tiny/demo", "demo --config smollm2/demo",
        ),
        "matrix": (
            "compare training methods from one checkpoint, with several seeds",
            "matrix --config tiny/matrix", "matrix --config smollm2/matrix --only sft srl-gated",
        ),
        "configs": (
            "list or print the configurations that come with rulewright, or their JSON Schema",
            "configs", "configs tiny/stage1",
        ),
        "init": ("copy the configurations into a folder, for you to edit", "init", "init my-project"),
    },
    "data": {
        "ingest": (
            "raw edit data → normalized, deduplicated, split records",
            "ingest git --input ~/src/some-repository",
            "ingest jsonl --input edits.jsonl --columns pre=old post=new instruction=title",
        ),
        "stats": (
            "validate records; counts, sizes, drops; exit 1 if one is invalid",
            "stats", "stats data/processed --json",
        ),
        "synth": (
            "codemod templates × real code → records with a gold action",
            "synth --limit 1000", "synth --source-dir src --languages python",
        ),
        "mine": (
            "edits → verified ast-grep rules, without a model",
            "mine data/processed", "mine --from-diff change.diff src",
        ),
    },
    "actions": {
        "apply": (
            "apply an action or rule file to files; show the diff",
            "apply rule.yml src", "apply rule.yml src --write",
        ),
        "check": (
            "find mistakes in ast-grep rules: refused by ast-grep, lossy, failing their own tests, …",
            "check rules", "check rules --against src --sarif findings.sarif",
        ),
        "verify": (
            "apply every record's action and check the result",
            "verify data/processed/train/synth.jsonl",
            "verify data/processed/train/synth.jsonl --failures-only --json",
        ),
        "edit": (
            "an instruction, or your own change → a rule and its diff over your files",
            "edit --like change.diff src", 'edit "Compare with None by identity." src/app.py',
        ),
        "show": (
            "show one record or step: instruction, rule, diff, verdict, reward",
            "show data/processed/train/synth.jsonl", "show data/processed/train/synth.jsonl:7 --json",
        ),
        "view": (
            "one HTML page of runs, trajectories or records: filter and compare",
            "view runs/eval/actions_srl", "view runs/eval/before runs/eval/after --out after.html",
        ),
    },
    "training": {
        "train sft": (
            "supervised fine-tuning, Stage 0 and Stage 1",
            "train sft --config tiny/stage0", "train sft --config smollm2/stage1 --seed 1",
        ),
        "train srl": (
            "SRL on verified teacher steps",
            "train srl --config tiny/srl", "train srl --config tiny/srl --set trainer.max_steps=20",
        ),
        "train grpo": (
            "GRPO on the environment reward",
            "train grpo --config tiny/grpo", "train grpo --config tiny/grpo --resume",
        ),
        "teacher run": (
            "tasks → raw teacher trajectories",
            "teacher run --teacher miner --limit 100",
            "teacher run --teacher endpoint --base-url http://127.0.0.1:8000/v1 --model NAME --dry-run",
        ),
        "trajs make": (
            "raw trajectories → verified steps",
            "trajs make", "trajs make --tiers train --max-per-task 2",
        ),
        "plan": (
            "before a training run: estimate records, steps, memory and time; does it fit?",
            "plan tiny/stage0", "plan qwen3_14b/stage0_qlora --device rtx4090",
        ),
    },
    "evaluation": {
        "eval canitedit": (
            "run the CanItEdit benchmark",
            "eval canitedit --gold after",
            "eval canitedit --track actions --models models/sft_stage1_astgrep models/srl_stage2",
        ),
        "eval edits": (
            "measure held-out text edits (Stage 0)",
            "eval edits --model models/sft_stage0",
            "eval edits --model models/sft_stage0 --input data/processed/test/git.jsonl --limit 200",
        ),
        "eval actions": (
            "measure held-out actions (Stage 1 and later)",
            "eval actions --model models/srl_stage2 --limit 200",
            "eval actions --models models/sft_stage1_astgrep models/srl_stage2",
        ),
        "eval refactor": (
            "run Aider's refactor-benchmark",
            "eval refactor --model models/srl_stage2",
            "eval refactor --model models/sft_stage0 --track text --max-chars 8000",
        ),
        "eval mining": (
            "measure the miner: do its rules reproduce edits and generalize?",
            "eval mining edits.jsonl", "eval mining edits.jsonl --limit 100 --workers 2",
        ),
        "bench rules": (
            "RuleBench: do rules hold on hidden edits, without changing other code?",
            "bench rules --miner", "bench rules --track sentence --model models/srl_stage2",
        ),
        "bench build": (
            "build RuleBench items from clones of public repositories",
            "bench build ~/src/pyupgrade",
            "bench build ~/src/eslint ~/src/rust-clippy --out runs/bench/lints",
        ),
        "compare": (
            "compare two runs, paired by task, with intervals",
            "compare runs/eval/actions_stage1 runs/eval/actions_srl",
            "compare runs/eval/actions_stage1 runs/eval/actions_srl --margin 0.02",
        ),
        "report stage2": (
            "write the Stage 2 report from saved files",
            "report stage2", "report stage2 --compare actions_stage1:actions_srl",
        ),
    },
    "running": {
        "sandbox run": (
            "run a program or its tests in the sandbox",
            "sandbox run program.py", "sandbox run program.py --tests test_program.py",
        ),
        "sandbox attack": (
            "a folder of hostile cases",
            "sandbox attack attacks", "sandbox attack attacks --sandbox landlock --json",
        ),
        "fetch": ("download a small open base model", "fetch smollm2", "fetch smollm2 --from hub"),
        "mcp": ("serve the tools for coding agents over stdio (MCP)", "mcp", "mcp src --allow-write src"),
        "serve": (
            "serve a checkpoint or adapter on an OpenAI-compatible endpoint",
            "serve models/srl_stage2", "serve models/srl_stage2 --port 8001 --dry-run",
        ),
        "merge": (
            "a LoRA adapter and its base → one plain checkpoint",
            "merge models/srl_stage2 models/merged", "merge models/srl_stage2 models/merged --dtype bfloat16",
        ),
    },
}  # fmt: skip
"""By name: the line of help, and two command lines without `rulewright`."""
GROUPS: Final[dict[str, dict[str, Command]]] = {
    group: {
        name: Command(name.replace(" ", "_"), told, tuple(lines)) for name, (told, *lines) in rows.items()
    }
    for group, rows in _TABLE.items()
}
COMMANDS: Final[dict[str, Command]] = {
    name: command for group in GROUPS.values() for name, command in group.items()
}


# What to do after a command that ended well; `{out}` and the like are values of its configuration.
NEXT: Final[dict[str, str]] = {
    "ingest": "stats {out}",
    "synth": "stats {out}",
    "train sft": "eval {kind} --model {out}",
    "train srl": "eval actions --models {model} {out}",
    "train grpo": "eval actions --models {model} {out}",
    "teacher run": "trajs make --raw {out}",
    "trajs make": "train srl --config smollm2/srl --set train={out}/train.jsonl --set dev={out}/dev.jsonl",
    "eval edits": "report stage2",
    "eval actions": "report stage2",
    "eval canitedit": "report stage2",
    "eval refactor": "report stage2",
    "bench build": "bench rules --miner --input {out}/edits.jsonl",
    "fetch": "train sft --config smollm2/stage0",
    "merge": "serve {out}",
}


_REFUSED_BY_SYSTEM: Final = frozenset({errno.EACCES, errno.EPERM, errno.EROFS, errno.ENAMETOOLONG})
"""The system refuses a path that was given: that is no fault of a command."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; give the exit code."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    _open_streams()
    if isinstance(sys.stdout, io.TextIOWrapper):
        # A name that is no UTF-8, or an arrow on an old terminal: escaped, as standard error does.
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        return _dispatch(arguments)
    except RulewrightError as failure:
        console.error(failure)
        return failure.exit_code
    except BrokenPipeError:
        return 1
    except OSError as failure:
        if failure.errno not in _REFUSED_BY_SYSTEM or failure.filename is None:
            raise
        hint = "check the path, its permissions, and those of the folders above it"
        console.error(UsageError(f"{os.fsdecode(failure.filename)[:200]}: {why(failure)}", hint))
        return UsageError.exit_code
    except KeyboardInterrupt:
        console.say(f"\ninterrupted; to continue: {shlex.join(['rulewright', *resume_arguments(arguments)])}")
        return 130


def _open_streams() -> None:
    """Standard streams that are closed (`>&-`, some schedulers) become ones that hold nothing.

    Else the next file that is opened would stand in their place, and get what is printed.
    """
    while (number := os.open(os.devnull, os.O_RDWR)) < 3:  # the standard ones are 0, 1 and 2
        os.set_inheritable(number, True)
    os.close(number)
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, Path(os.devnull).open(mode))  # noqa: SIM115 (as long as the process)


def resume_arguments(arguments: Sequence[str]) -> list[str]:
    """The command line that continues an interrupted one: with `--resume` where that is needed.

    `--overwrite` is left out: it would throw away what is to be continued.
    """
    words = [word for word in arguments if word != "--overwrite"]
    name = next((n for k in (2, 1) if (n := " ".join(arguments[:k])) in COMMANDS), "")
    if not name or "--resume" in words:
        return words
    module = importlib.import_module(f"rulewright.commands.{COMMANDS[name].module}")
    field = module.Config.model_fields.get("resume")
    return [*words, "--resume"] if field is not None and field.default is False else words


def _dispatch(arguments: list[str]) -> int:
    if not arguments or arguments[0] in {"-h", "--help", "help"}:
        if arguments[:1] == ["help"] and len(arguments) > 1:
            return _dispatch([*arguments[1:], "--help"])
        console.emit(overview())
        return 0
    if arguments[0].partition("=")[0] == "--print-completion":
        from rulewright.completion import script

        shell = arguments[0].partition("=")[2] or next(iter(arguments[1:]), "")
        console.emit(script(shell, {name: command.module for name, command in COMMANDS.items()}))
        return 0
    if arguments[0] in {"--version", "-V"}:
        from rulewright import __version__

        console.emit(f"rulewright {__version__}")
        return 0
    for words in (2, 1):
        name = " ".join(arguments[:words])
        if name in COMMANDS:
            return _run(name, arguments[words:])
    return _unknown(arguments)


def _run(name: str, rest: list[str]) -> int:
    command = COMMANDS[name]
    try:
        Path.cwd()
    except OSError as error:
        raise UsageError("the current folder no longer exists", "cd to a folder that exists") from error
    module = importlib.import_module(f"rulewright.commands.{command.module}")
    from rulewright import config

    loaded = config.load(module.Config, rest, f"rulewright {name}", module.__doc__ or "", command.examples)
    code: int = module.run(loaded)
    if code == 0 and not getattr(loaded, "json_output", False):
        say_next(name, dict(loaded))
    return code


def say_next(name: str, values: Mapping[str, Any]) -> None:
    """Name the next command; not within a job, whose next stage comes by itself."""
    if name not in NEXT or values.get("dry_run") or os.environ.get(STAGE_MARK):
        return
    kind = "edits" if values.get("task") == "edit" else "actions"
    console.say(f"next: rulewright {NEXT[name].format_map({**values, 'kind': kind})}")


def _unknown(arguments: list[str]) -> int:
    family = [name for name in COMMANDS if name.split()[0] == arguments[0] and " " in name]
    if family and (len(arguments) == 1 or arguments[1] in {"-h", "--help"}):
        console.emit("\n".join(_line(f"rulewright {name}", COMMANDS[name].help, 28) for name in family))
        return 0 if len(arguments) > 1 else 2
    from rulewright.errors import did_you_mean

    word = " ".join(arguments[:2]) if family else arguments[0]
    near = did_you_mean(word, family or COMMANDS)
    raise UsageError(f"no command '{word}'{near}", "see `rulewright --help`")


def overview() -> str:
    """The text of `rulewright --help`, for the width of the terminal."""
    lines = [
        "usage: rulewright COMMAND [options]",
        "",
        console.wrap("Train and use language models that refactor code by writing ast-grep rules."),
        "New here? `rulewright tour` takes seconds.",
    ]
    for group, commands in GROUPS.items():
        lines += ["", f"{group}:"]
        lines += [_line(name, command.help, 17) for name, command in commands.items()]
    last = (
        "`rulewright COMMAND --help` explains one, with examples. `rulewright --print-completion bash` (zsh, "
        "fish) prints shell completion. README.md shows the whole way."
    )
    return "\n".join([*lines, "", console.wrap(last)])


def _line(name: str, about: str, margin: int) -> str:
    return console.wrap(about, f"  {name:<{margin}}", " " * (margin + 2))
