"""Train and use language models that refactor code by writing ast-grep rules."""

from __future__ import annotations

__version__ = "0.1.0"
