"""Turn a source of raw edits into clean, deduplicated, decontaminated, split records.

SOURCE is a data set by its name (canitedit: for evaluation only), git (any local repository), rules
(ast-grep rule packs, rule files with tests, catalogs), fixtures (the tests of codemods and linters) or
jsonl (any JSONL or parquet file with the code before and after; an `action` column is executed and kept).
Rejected rows are counted by reason and saved in OUT/rejects/NAME.jsonl.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from rulewright import console
from rulewright.data.settings import IngestConfig as Config

if TYPE_CHECKING:
    from rulewright.data.ingest import IngestPlan


def run(config: Config) -> int:
    """Ingest one source."""
    from rulewright.data import ingest

    started = time.monotonic()
    plan = ingest.plan(config)
    folder = plan.claim()
    if plan.is_done(folder):
        console.say(f"{plan.name}: already finished, nothing to do")
        _show(plan, None)
    else:
        ingest.run(plan, folder)
        _show(plan, time.monotonic() - started)
    return 0


def _show(plan: IngestPlan, seconds: float | None) -> None:
    """Say what the source holds now, and what is remarkable about it."""
    from rulewright.data import store

    config, name = plan.config, plan.name
    metadata = store.read_metadata(config.out, name)
    assert metadata is not None
    if config.json_output:
        console.emit_json(metadata.model_dump(mode="json"))
    took = f" in {seconds:.1f} s" if seconds is not None else ""
    console.say(f"{name}: {metadata.rows_in:,} rows in, {metadata.num_records:,} records out{took}")
    console.say(console.counted("splits", metadata.splits))
    if metadata.dropped:
        console.say(
            console.counted(f"dropped (see {store.rejects_path(config.out, name)})", metadata.dropped)
        )
    if metadata.flagged:
        console.say(console.counted("kept, but flagged", metadata.flagged))
    for note in metadata.notes:
        console.say(f"note: {note}")
    if metadata.num_records and not plan.source.evaluation_only:
        lacking = [split for split in ("dev", "test") if not metadata.splits.get(split)]
        if lacking:
            console.say(
                f"note: no record in {' or '.join(lacking)}: there are few groups; --group-by path "
                "makes more groups, --fractions sets larger shares"
            )
    if plan.source.evaluation_only:
        path = str(store.split_path(config.out, "test", name))
        others = [other for other in store.sources_in(config.out) if other not in store.EVALUATION_ONLY]
        known = {other: store.read_metadata(config.out, other) for other in others}
        unchecked = [other for other, m in known.items() if m is not None and path not in m.against]
        if unchecked:
            console.say(f"note: not yet checked against {name}: {', '.join(unchecked)}; ingest them again")
