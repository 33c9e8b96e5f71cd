"""The command line: a static table of commands, each imported only when it runs.

Exit codes: 0 done, 1 the run failed, 2 usage or configuration, 130 interrupted.
"""

from __future__ import annotations

import importlib
import os
import shlex
import sys
from collections.abc import Sequence
from typing import Final, NamedTuple

from rulewright import console
from rulewright.errors import RulewrightError, UsageError


class Command(NamedTuple):
    """A command's module (with `Config` and `run(config) -> int`) and its line of help."""

    module: str
    help: str


GROUPS: Final[dict[str, dict[str, Command]]] = {
    "data": {
        "ingest": Command("ingest", "raw edit data → normalized, deduplicated, split records"),
        "stats": Command("stats", "validate records; counts, sizes, drops; exit 1 if one is invalid"),
        "synth": Command("synth", "codemod templates × real code → records with a gold action"),
        "mine": Command("mine", "edits → verified ast-grep rules, without a model"),
    },
    "actions": {
        "apply": Command("apply", "apply an action or rule file to files; show the diff"),
        "check": Command("check", "audit ast-grep rules: refused, lossy, against their own tests, …"),
        "verify": Command("verify", "apply every record's action and check the result"),
        "edit": Command(
            "edit",
            "an instruction, or a change by hand → a rule and its diff over your files",
        ),
        "show": Command("show", "one record or step: instruction, rule, diff, verdict, reward"),
    },
    "training": {
        "train sft": Command("train_sft", "supervised fine-tuning, Stage 0 and Stage 1"),
        "train srl": Command("train_srl", "SRL on verified teacher steps"),
        "train grpo": Command("train_grpo", "GRPO on the environment reward"),
        "teacher run": Command("teacher_run", "tasks → raw teacher trajectories"),
        "trajs make": Command("trajs_make", "raw trajectories → verified steps"),
        "plan": Command(
            "plan",
            "before a training run: records, steps, memory by phase, time by part; fits or what to change",
        ),
    },
    "evaluation": {
        "eval canitedit": Command("eval_canitedit", "the CanItEdit benchmark"),
        "eval edits": Command("eval_edits", "held-out text edits (Stage 0)"),
        "eval actions": Command("eval_actions", "held-out actions (Stage 1 and later)"),
        "eval refactor": Command("eval_refactor", "Aider's refactor-benchmark folder"),
        "eval mining": Command("eval_mining", "how well mined rules reproduce and generalise"),
        "compare": Command("compare", "two runs, paired, with uncertainty"),
        "report stage2": Command("report_stage2", "the Stage 2 report from saved files"),
    },
    "running": {
        "sandbox run": Command("sandbox_run", "a program or its tests, contained"),
        "sandbox attack": Command("sandbox_attack", "a folder of hostile cases"),
        "fetch": Command("fetch", "a small open base model into models/base"),
        "serve": Command("serve", "a checkpoint or adapter behind an OpenAI-compatible endpoint"),
        "merge": Command("merge", "a LoRA adapter and its base → one plain checkpoint"),
        "doctor": Command("doctor", "what this machine has, what it lacks, how to mend it"),
        "demo": Command("demo", "the whole pipeline, small, on a CPU"),
    },
}
COMMANDS: Final[dict[str, Command]] = {
    name: command for group in GROUPS.values() for name, command in group.items()
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; give the exit code."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    try:
        return _dispatch(arguments)
    except RulewrightError as failure:
        console.error(failure)
        return failure.exit_code
    except KeyboardInterrupt:
        console.say(f"\ninterrupted; to continue: {shlex.join(['rulewright', *_again(arguments)])}")
        return 130
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1


def _again(arguments: Sequence[str]) -> list[str]:
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
        console.emit(overview())
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
    module = importlib.import_module(f"rulewright.commands.{command.module}")
    from rulewright import config

    loaded = config.load(module.Config, rest, prog=f"rulewright {name}", description=module.__doc__ or "")
    code: int = module.run(loaded)
    return code


def _unknown(arguments: list[str]) -> int:
    family = [name for name in COMMANDS if name.split()[0] == arguments[0] and " " in name]
    if family and (len(arguments) == 1 or arguments[1] in {"-h", "--help"}):
        console.emit("\n".join(f"rulewright {name:<16} {COMMANDS[name].help}" for name in family))
        return 0 if len(arguments) > 1 else 2
    from rulewright.config import did_you_mean

    word = " ".join(arguments[:2]) if family else arguments[0]
    near = did_you_mean(word, family or COMMANDS)
    raise UsageError(f"no command '{word}'{near}", "see `rulewright --help`")


def overview() -> str:
    """The text of `rulewright --help`."""
    lines = [
        "usage: rulewright COMMAND [--config FILE.yaml] [flags]",
        "",
        "Train and use language models that refactor code by writing ast-grep rules.",
    ]
    for group, commands in GROUPS.items():
        lines += ["", f"{group}:"]
        lines += [f"  {name:<16} {command.help}" for name, command in commands.items()]
    lines += ["", "rulewright COMMAND --help explains one; README.md shows the whole way."]
    return "\n".join(lines)
