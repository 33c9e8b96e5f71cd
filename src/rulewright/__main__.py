"""`python -m rulewright`: the same as the `rulewright` command."""

from __future__ import annotations

from rulewright.cli import main

if __name__ == "__main__":
    raise SystemExit(main())
