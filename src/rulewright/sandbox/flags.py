"""Suspicious constructs in a program's text: reasons to withhold reward, never a verdict.

Read as text: a hostile program is not parsed in the driver's process.
"""

from __future__ import annotations

import re
from typing import Final

_PATTERNS: Final[dict[str, re.Pattern[str]]] = {
    name: re.compile(pattern)
    for name, pattern in {
        "os._exit": r"\b_exit\b",
        "sys.exit": r"\bsys\.exit\b|\bSystemExit\b|\b(?:exit|quit)\(",
        "atexit": r"\batexit\b",
        "exec": r"\bos\.(?:exec\w+|posix_spawn\w*|system|popen)\b",
        "fork": r"\bos\.(?:fork|forkpty)\b",
        "trace": r"\bset(?:trace|profile)\b",
        "frames": r"\b_getframe\b|\bf_(?:locals|globals|back|lineno|trace)\b|\bgc\.get_\w+",
        "ctypes": r"\bctypes\b",
        "proc": r"/proc/",
        "builtins": r"\bbuiltins\b|\b__builtins__\b",
        "class impersonation": r"\b__class__\s*=",
        "module table": r"\bsys\.(?:modules|meta_path|path_hooks)\b",
        "test framework": r"\b(?:_pytest|unittest|pytest)\b",
        "descriptors": r"\bos\.(?:write|dup2?|pipe|fdopen)\b",
        "signals": r"\bsignal\.(?:signal|alarm|setitimer)\b",
    }.items()
}


def flags(program: str) -> tuple[str, ...]:
    r"""The names of suspicious constructs that occur.

    >>> flags("import os\nos._exit(0)")
    ('os._exit',)
    """
    return tuple(name for name, pattern in _PATTERNS.items() if pattern.search(program))
