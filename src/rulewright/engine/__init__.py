"""Apply actions to code exactly as the pinned ast-grep does, and judge the result.

`apply` and `judge` run in this process, for trusted actions. `Engine` runs untrusted ones in worker
processes with a deadline. `judge_answers` judges a model's answers. Commands call `check_version` before
they claim a folder.
"""

from __future__ import annotations

from rulewright.engine.answers import Judged, judge_answers
from rulewright.engine.apply import apply
from rulewright.engine.cli import check_version
from rulewright.engine.judge import judge
from rulewright.engine.pool import Engine
from rulewright.engine.wire import Request

__all__ = ["Engine", "Judged", "Request", "apply", "check_version", "judge", "judge_answers"]
