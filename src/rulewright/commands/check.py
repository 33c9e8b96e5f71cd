"""Find mistakes in ast-grep rules, without a model. The exit code is 1 if a rule has an error.

RULES are rule files, folders of them, or projects with sgconfig.yml, whose rule, test and utility folders
are read as ast-grep reads them. Each rule is compiled, run on its own tests and on --examples, and with
--against on the files of a repository. Only --sarif writes a file.
"""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Literal

import tyro

from rulewright import console, jsonl
from rulewright.config import AsJson, CommandConfig
from rulewright.errors import UsageError


class Config(CommandConfig):
    """Options of `rulewright check`."""

    rules: tyro.conf.Positional[tuple[Path, ...]]
    """Rule files, folders of rules, projects with sgconfig.yml, catalogs (.jsonl)."""
    against: tuple[Path, ...] = ()
    """Files and folders of code to try the rules on."""
    examples: Path | None = None
    """Cases by rule: ast-grep test files (id, valid, invalid) in YAML or JSONL, or rows of id, pre, post."""
    fail_on: Literal["error", "warning", "note", "never"] = "error"
    """Lowest level of a finding that gives exit code 1."""
    sarif: Path | None = None
    """Also write the findings as SARIF 2.1.0 to this file; `-`: to stdout, instead of the list."""
    json_output: AsJson = False
    """Print one JSON line per finding, then one with the counts."""


def run(config: Config) -> int:
    """Audit; exit code 1 where a finding is as grave as `--fail-on` says."""
    from rulewright import rule_audit
    from rulewright.engine.audit import LEVELS
    from rulewright.reports.sarif import sarif

    sarif_only = config.sarif == Path("-")
    if sarif_only and config.json_output:
        raise UsageError(
            "--sarif - and --json cannot both write to stdout", "name a file for one of them: --sarif FILE"
        )
    audited = rule_audit.audit_all(config.rules, config.against, config.examples)
    rows = rule_audit.finding_rows(audited)
    counts = Counter(row["level"] for row in rows)
    kinds = ("not-yaml", "test-of-none")
    rules = [one for one in audited if all(finding.kind not in kinds for finding in one.findings)]
    n_rules = len(rules)
    if sarif_only:
        console.emit(json.dumps(sarif(rows), indent=1, ensure_ascii=False))
    elif config.json_output:
        for row in rows:
            console.emit_json(row)
        by_kind = dict(sorted(Counter(row["kind"] for row in rows).items()))
        console.emit_json({"rules": n_rules, "findings": len(rows), "levels": dict(counts), "kinds": by_kind})
    else:
        for row in rows:
            where = f" ({row['where']})" if row["where"] else ""
            name = f"{row['rule']}: " if row["rule"] else ""
            text = f"{row['path']}:{row['line']}: {row['level']}: {name}{row['kind']}: {row['detail']}{where}"
            console.emit(console.clean(text))
    if config.sarif is not None and not sarif_only:
        jsonl.write_text(config.sarif, json.dumps(sarif(rows), indent=1, ensure_ascii=False) + "\n")
    told = ", ".join(console.plural(counts[level], level) for level in LEVELS)
    clean = sum(not one.findings for one in rules)
    console.say(f"{console.plural(n_rules, 'rule')}: {told}; nothing found in {clean}")
    grave = LEVELS[: LEVELS.index(config.fail_on) + 1] if config.fail_on != "never" else ()
    return 1 if any(counts[level] for level in grave) else 0
