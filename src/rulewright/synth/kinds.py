"""The names of families, shapes and windows for `synth`. No heavy imports."""

from __future__ import annotations

from typing import Final, Literal, get_args

WindowKind = Literal["statement", "function", "file"]
Shape = Literal["single", "scoped", "multi", "negative"]
SHAPES: Final[tuple[Shape, ...]] = get_args(Shape)
Wording = Literal["plain", "rich"]
GroupBy = Literal["package", "file"]
HOLD_OUT_RATE: Final = 0.2
"""Share of the templates that `synth` keeps from training, and that RuleBench asks about."""
