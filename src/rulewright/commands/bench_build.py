"""Build RuleBench items from clones of public repositories: the tests of codemods and of lint rules with
fixes.

Knows the layouts of pyupgrade and django-upgrade, Fixit's rules, ESLint's RuleTester, Error Prone's test
helpers, OpenRewrite's `rewriteRun`, RuboCop's specs, clippy's `.fixed` files, Go's `.golden` files,
Rector's `.php.inc`, tests in JavaScript with both sides as texts, and plain folders of inputs and outputs
(jscodeshift's `__testfixtures__`, `in` and `out`). Writes `edits.jsonl` for `bench rules --input`, and
`pins.json` with commits and SHA-256. At a published commit, a repository must give the published rows.
"""

from __future__ import annotations

from pathlib import Path

import tyro

from rulewright import console, jsonl
from rulewright.config import AsJson, CommandConfig
from rulewright.data.licenses import PERMISSIVE
from rulewright.errors import RulewrightError, UsageError, by_reason


class Config(CommandConfig):
    """Which repositories, and where the rows go."""

    repositories: tyro.conf.Positional[tuple[Path, ...]]
    """Clones, or folders of fixtures."""
    layouts: tuple[str, ...] = ()
    """Only these layouts; default: all."""
    allow_licenses: tuple[str, ...] = PERMISSIVE
    """Allowed licenses of repositories (SPDX ids in lower case)."""
    pins: Path | None = None
    """Compare with this `pins.json`; default: the published one."""
    out: Path = Path("runs/bench/build")
    """Folder of edits.jsonl and pins.json."""
    overwrite: bool = False
    """Replace existing output."""
    json_output: AsJson = False
    """Print the pins as JSON on stdout."""


def run(config: Config) -> int:
    """Read every repository, compare with pins, write."""
    from rulewright.data.sources.fixtures import LAYOUTS
    from rulewright.evaluation.rulebench import build

    if not config.repositories:
        raise UsageError("no repository is named", "name clones, or folders of fixtures")
    unknown = [name for name in config.layouts if name not in LAYOUTS]
    if unknown:
        raise UsageError(f"--layouts {unknown[0]}: no such layout", f"one of {', '.join(LAYOUTS)}")
    edits, pins = config.out / "edits.jsonl", config.out / "pins.json"
    if edits.exists() and not config.overwrite:
        raise UsageError(f"{edits}: already exists", "use --overwrite, or another --out")
    known = list(build.published())
    if config.pins is not None:
        known = build.pins_of(config.pins)
    rows, made = [], []
    for repository in config.repositories:
        found, left = build.rows_of(repository, config.layouts, config.allow_licenses)
        one = build.pin(found, left)
        said = build.compared(one, known)
        console.say(
            f"{one['repository']}: {one['edits']} edits of {one['fixers']} fixers, "
            f"{one['noops']} unchanged texts, {one['license']}"
            + (f"; left out: {by_reason(left)}" if left else "")
            + (f"; {said}" if said else "")
        )
        rows += found
        made.append(one)
    jsonl.write(edits, rows)
    n_items, n_groups = build.count_items(edits)
    facts = {"repositories": made, "items": n_items, "groups": n_groups}
    jsonl.write_json(pins, facts)
    if config.json_output:
        console.emit_json(facts)
    console.say(f"{edits}: {n_items} items of {n_groups} rules; pins in {pins}")
    if not n_items:
        raise RulewrightError(
            f"{edits}: no item: an item needs two edits of one rule",
            "name other clones, with --overwrite",
        )
    return 0
