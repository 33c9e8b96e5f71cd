"""A process that runs one tool call at a time: a line of JSON in, a line of JSON out.

The first line holds the settings. Standard output is the wire alone: whatever else is printed goes to
standard error. SIGTERM ends a call with its temporary files removed.
"""

from __future__ import annotations

import json
import os
import signal
import traceback
from pathlib import Path
from typing import Any, NoReturn

from pydantic import ValidationError

from rulewright.agents.roots import Roots
from rulewright.agents.tools import TOOLS, Workshop
from rulewright.errors import RulewrightError, problems_of
from rulewright.generation.open import GeneratorConfig


def main() -> None:
    """Answer until standard input ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, _end)
    wire = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    calls = os.fdopen(os.dup(0), "rb")
    # What a tool starts must not read the wire either.
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    settings = json.loads(calls.readline())
    read, write = (tuple(map(Path, settings[key])) for key in ("read", "write"))
    given = settings["generator"]
    shop = Workshop(Roots(read, write), GeneratorConfig.model_validate(given) if given else None)
    os.chdir(shop.roots.home)
    for line in calls:
        call = json.loads(line)
        answer = answered(shop, call["tool"], call["arguments"])
        wire.write(json.dumps(answer, ensure_ascii=True).encode() + b"\n")
        wire.flush()


def _end(number: int, frame: object) -> NoReturn:
    raise SystemExit(128 + number)


def answered(shop: Workshop, name: str, arguments: dict[str, Any]) -> dict[str, Any]:
    """Run a tool: `{"answer": …}`, or `{"error", "hint"}`."""
    tool = TOOLS[name]
    try:
        return {"answer": tool.run(shop, tool.arguments.model_validate(arguments)).model_dump(mode="json")}
    except ValidationError as error:
        return {"error": problems_of(error), "hint": f"see the input schema of {name}"}
    except RulewrightError as error:
        return {"error": error.message, "hint": error.hint}
    except Exception as error:
        traceback.print_exc()
        return {"error": f"a bug in {name}: {type(error).__name__}", "hint": "report it with the call"}


if __name__ == "__main__":
    main()
