"""Run tool calls in a worker process (`rulewright.workers`), one at a time.

SIGTERM ends a call and removes its temporary files.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import traceback
from functools import lru_cache
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from rulewright.agents.roots import Roots
from rulewright.agents.tools import TOOLS, ServerContext
from rulewright.errors import RulewrightError, problems_of
from rulewright.generation.open import GeneratorConfig


def run_tool(settings: str, call: tuple[str, dict[str, Any]]) -> dict[str, Any]:
    """Run a tool by its name and arguments: `{"answer": …}`, or `{"error", "hint"}`; settings are JSON."""
    name, arguments = call
    tool = TOOLS[name]
    try:
        given = tool.arguments.model_validate(arguments)
        return {"answer": tool.run(_context(settings), given).model_dump(mode="json")}
    except ValidationError as error:
        return {"error": problems_of(error), "hint": f"{name} takes {', '.join(tool.arguments.model_fields)}"}
    except RulewrightError as error:
        return {"error": error.message, "hint": error.hint}
    except Exception as error:
        traceback.print_exc()
        return {"error": f"a bug in {name}: {type(error).__name__}", "hint": "report it with the call"}


@lru_cache(maxsize=1)
def _context(settings: str) -> ServerContext:
    """The context that the calls of this process share; also makes the first root the current folder."""
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
    told = json.loads(settings)
    read, write = (tuple(map(Path, told[key])) for key in ("read", "write"))
    context = ServerContext(
        Roots(read, write), GeneratorConfig.model_validate(told["generator"]) if told["generator"] else None
    )
    os.chdir(context.roots.home)
    return context
