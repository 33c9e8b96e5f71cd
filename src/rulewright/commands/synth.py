"""Make verified training records from real code by running codemods backwards.

Real code is the result of the edit; a template's inverse makes the code before it; the forward rule is
the gold action. Every record is verified: applying its rule gives exactly the real code. Without
--source-dir, the standard library of the running Python is used.
"""

from __future__ import annotations

from rulewright import console
from rulewright.synth.settings import SynthConfig as Config


def run(config: Config) -> int:
    """Make the data set; give the exit code."""
    from rulewright.data import store
    from rulewright.synth import job, shards

    plan = job.plan(config)
    folder = plan.claim()
    done = store.read_metadata(config.out, shards.SOURCE)
    if folder.done and done is not None:
        console.say(f"{config.out}: already contains this data set ({done.num_records:,} records)")
    else:
        job.run(plan, folder)
    if config.json_output:
        console.emit_json(folder.result())
    return 0
