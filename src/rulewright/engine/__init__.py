"""Apply actions to code exactly as the pinned ast-grep does, and judge the result.

`apply` and `judge` run in this process, for actions we made ourselves; `Engine` runs
others in worker processes with a deadline; `judge_answers` is for what a model wrote.
"""

from __future__ import annotations

from rulewright.engine.answers import Judged, judge_answers
from rulewright.engine.apply import apply
from rulewright.engine.judge import judge
from rulewright.engine.pool import Engine
from rulewright.engine.wire import Request

__all__ = ["Engine", "Judged", "Request", "apply", "judge", "judge_answers"]
