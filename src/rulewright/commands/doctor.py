"""Check this machine: what works, what is missing, and how to fix it.

Sandbox tiers are tested by running them. Keys are reported as present or absent, never shown. The exit
code is 1 only if something that every command needs is broken.
"""

from __future__ import annotations

import sys

from rulewright import console, machine
from rulewright.config import AsJson, CommandConfig


class Config(CommandConfig):
    """How to report."""

    json_output: AsJson = False
    """Print one JSON object per line of the report on stdout."""


def run(config: Config) -> int:
    """Examine and report; 1 where something required is broken."""
    findings = machine.examine()
    if config.json_output:
        for finding in findings:
            console.emit_json(finding._asdict())
    else:
        for finding in findings:
            # The verdict, what was looked at and its value; below it what to do, where there is something.
            margin = " " * 9
            lines = console.wrap(f"{finding.what}: {finding.value}", margin, margin + "  ")
            verdict = finding.verdict.ljust(len(margin))
            if finding.verdict != "absent":
                verdict = console.paint(verdict, "good" if finding.verdict == "ok" else "bad", sys.stdout)
            console.emit(verdict + lines[len(margin) :])
            if finding.fix:
                console.emit(console.wrap(f"→ {finding.fix}", margin + "  ", margin + "    "))
    broken = [finding.what for finding in findings if finding.verdict == "broken"]
    console.say(f"broken: {', '.join(broken)}" if broken else "everything that is required works")
    return 1 if broken else 0
