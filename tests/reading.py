"""Which options of TRL's configurations a run reads."""

from __future__ import annotations

import dataclasses
import inspect
from typing import Any

from trl import GRPOConfig, SFTConfig

from rulewright.training.options import TrlClass, names, problems

READ: set[str] = set()
_COPIES = {"to_dict", "to_sanitized_dict", "to_json_string", "asdict", "_asdict_inner", "__repr__", "__str__"}
# Read by trackers, and where several processes meet.
_ELSEWHERE = {
    "run_name", "project", "trackio_space_id", "trackio_bucket_id", "trackio_static_space_id", "ddp_timeout"
}  # fmt: skip


class _Reading:
    def __getattribute__(self, name: str) -> Any:
        frame = inspect.currentframe()
        if frame and frame.f_back and frame.f_back.f_code.co_name not in _COPIES:
            READ.add(name)
        return super().__getattribute__(name)


class ReadingSft(_Reading, SFTConfig):
    """TRL's, which notes what is read."""


class ReadingGrpo(_Reading, GRPOConfig):
    """TRL's, which notes what is read."""


def never_read(trl_class: TrlClass, owned: Any) -> set[str]:
    """Options that a run has not read, and that it would take without a word."""
    cls = {"SFTConfig": SFTConfig, "GRPOConfig": GRPOConfig}[trl_class]
    defaults = {field.name: field.default for field in dataclasses.fields(cls)}
    unread = names(trl_class) - READ - _ELSEWHERE
    return {name for name in unread if not problems({name: defaults[name]}, trl_class, owned)}
