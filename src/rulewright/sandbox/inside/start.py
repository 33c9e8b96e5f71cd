"""Starts the fork server by path: `start.py SETTINGS`, without the rest of the package."""

# ruff: noqa: PTH100, PTH120

import os
import sys

if __name__ == "__main__":
    sys.path[0] = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    from inside.server import main  # type: ignore[import-not-found]

    del sys.path[0]
    main()
