"""Run a folder of hostile cases in the sandbox, one line per case.

The folder has an index.jsonl with name, kind, file, what_it_tries and expected; kinds are resource,
network, filesystem, process, verdict, workspace, action-yaml and action-cli. The exit code is 1 if a case
was not contained.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, replace
from pathlib import Path
from typing import Annotated, Literal

import tyro
from pydantic import Field

from rulewright import console
from rulewright.config import AsJson, CommandConfig
from rulewright.errors import UsageError


class Config(CommandConfig):
    """What to run and where."""

    folder: tyro.conf.Positional[Path]
    """The folder that holds index.jsonl."""
    sandbox: Literal["auto", "bubblewrap", "landlock"] = "auto"
    """The tier; `auto` takes the first that works."""
    wall_s: float = Field(default=5.0, gt=0, le=86_400)
    """Wall-clock seconds for one run."""
    only: Annotated[tuple[str, ...], tyro.conf.arg(metavar="CASE")] = ()
    """Names of cases to run; all by default."""
    json_output: AsJson = False
    """Print one JSON object per case on stdout."""


def run(config: Config) -> int:
    """Run the folder; 1 where something was not contained."""
    from rulewright.sandbox import attacks
    from rulewright.sandbox.runner import open_sandbox

    cases = attacks.read_index(config.folder)
    unknown = set(config.only) - {case.name for case in cases}
    if unknown:
        raise UsageError(
            f"{config.folder}: no case {', '.join(sorted(unknown))}", "see index.jsonl for the names"
        )
    limits = replace(attacks.LIMITS, wall_s=config.wall_s)
    reports = []
    with open_sandbox(config.sandbox) as sandbox:
        console.decided("sandbox", sandbox.tier, sandbox.reason)
        for report in attacks.run_folder(config.folder, sandbox, limits, config.only):
            reports.append(report)
            if config.json_output:
                console.emit_json(asdict(report))
    if not config.json_output:
        rows = [
            [r.name, r.kind, r.tier, r.outcome, "yes" if r.contained else "NO", f"{r.seconds:.2f} s"]
            for r in reports
        ]
        console.emit(console.table(["case", "kind", "tier", "outcome", "contained", "time"], rows))
    escaped = [r for r in reports if not r.contained]
    for report in escaped:
        console.say(f"not contained: {report.name}: {report.detail}")
    kinds = Counter(r.kind for r in reports)
    listing = ", ".join(f"{kind} {n}" for kind, n in sorted(kinds.items()))
    console.say(f"{len(reports) - len(escaped)} of {len(reports)} cases contained ({listing})")
    return 1 if escaped else 0
