"""Show rows of runs, records or trajectories on one HTML page that works offline.

Each RUN is the folder of an evaluation or benchmark, or a file of rows, records or trajectory steps.
Several runs are shown side by side; filter by tasks gained and lost. An answer is executed again only if
its row does not say what it did.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import tyro
from pydantic import Field

from rulewright import console
from rulewright.config import CommandConfig
from rulewright.errors import UsageError


class Config(CommandConfig):
    """What to show, and where to write the page."""

    runs: tyro.conf.Positional[tuple[Path, ...]]
    """Run folders, or files of rows, records or trajectory steps; earliest run first."""
    out: Path = Path("reports/view.html")
    """The page."""
    data: list[Path] = Field(default_factory=list)
    """Records with the tasks of the rows; default: the files named in the run's configuration."""
    limit: int = Field(default=0, ge=0)
    """Maximum number of items, chosen by hash; 0: all."""
    seed: int = 0
    """Of --limit."""
    deadline_s: float = Field(default=5.0, gt=0)
    """CPU seconds for executing an answer."""
    workers: int = Field(default=1, ge=1)
    """Processes that execute answers."""


def run(config: Config) -> int:
    """Read, execute the missing answers, write the page."""
    from rulewright.data.splits import draw
    from rulewright.engine import Engine
    from rulewright.evaluation import heldout
    from rulewright.reports import lines, view

    if not config.runs:
        raise UsageError("no run is named", "name run folders, or files of rows, records or steps")
    data = heldout.expand(config.data)
    sheets = [lines.sheet_of(path, data) for path in config.runs]
    keys = list(dict.fromkeys(key for sheet in sheets for key in sheet.rows))
    chosen = draw(keys, config.limit, lambda key: f"{config.seed}:{key}")
    names = _names(config.runs)
    page = view.Page(" and ".join(names), names)
    with Engine(workers=config.workers, deadline_s=config.deadline_s) as engine:
        view.add_sheets(page, sheets, engine, chosen)
    page.write(config.out)
    size = config.out.stat().st_size / 1e6
    console.say(f"{config.out}: {console.plural(page.n, 'item')}, {size:.1f} MB; open it in a browser")
    return 0


def _names(paths: Sequence[Path]) -> list[str]:
    """The ends of paths that tell them apart; a path that stands there twice is no other."""
    whole = [path.resolve().parts for path in paths]
    for n in range(1, max(map(len, whole))):
        tails = ["/".join(parts[-n:]) for parts in whole]
        if len(set(tails)) == len(set(whole)):
            return tails
    return list(map(str, paths))
