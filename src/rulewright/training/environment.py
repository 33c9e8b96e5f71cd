"""What must hold before torch and the Hugging Face libraries are imported."""

from __future__ import annotations

import os
from pathlib import Path


def prepare(threads: int, model: str = "") -> None:
    """Set thread counts and keep the libraries quiet and at home.

    TRL and the hub client report usage at every start unless told not to. A model that
    is a folder or file here needs no hub at all.
    """
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    os.environ.setdefault("OMP_NUM_THREADS", str(threads))
    # TRL announces its experimental parts; we know which we use.
    os.environ.setdefault("TRL_EXPERIMENTAL_SILENCE", "1")
    if not model or Path(model).exists():
        os.environ.setdefault("HF_HUB_OFFLINE", "1")


def is_launched() -> bool:
    """Whether torchrun, accelerate or DeepSpeed started this process as one of several."""
    return "RANK" in os.environ and "WORLD_SIZE" in os.environ


def is_main() -> bool:
    """Whether this process is the one that writes files and talks."""
    return os.environ.get("RANK", "0") == "0"
