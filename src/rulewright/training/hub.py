"""Upload a finished model to the hub, with TRL's option names, after everything is saved.

TRL would upload the folder of training checkpoints, without the card and the prompt style. Here the
published folder is uploaded, without the run's files.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from rulewright import console
from rulewright.errors import RulewrightError, first_line, needed

_STAY: Final = ["run/**", "*.log"]


def push(out: Path, options: Mapping[str, Any]) -> None:
    """Upload a finished folder where that is asked for; unchanged files are not sent twice.

    The token is the hub client's own (`hf auth login`, or HF_TOKEN).

    Args:
        out: the folder.
        options: the `trainer:` mapping, with `push_to_hub`, `hub_model_id` (default: the folder's
            name) and `hub_private_repo`.

    Raises:
        RulewrightError: the hub did not take it; the model is there, and so is the command to try again.
    """
    if not options.get("push_to_hub"):
        return
    repository = options.get("hub_model_id") or out.name
    with needed("huggingface-hub", "`push_to_hub`", "hub"):
        from huggingface_hub import HfApi

        from rulewright.generation.transport import HUB_FAILURES
    api = HfApi()
    try:
        made = api.create_repo(repository, private=options.get("hub_private_repo"), exist_ok=True)
        api.upload_folder(
            repo_id=made.repo_id,
            folder_path=out,
            ignore_patterns=_STAY,
            commit_message="Upload by rulewright",
        )
    except HUB_FAILURES as error:
        raise RulewrightError(
            f"{out}: trained and saved, but the upload to the hub failed ({first_line(error)})",
            "hf auth login, then run again with --resume, or: "
            f"hf upload {repository} {out} --exclude 'run/**'",
        ) from error
    console.say(f"pushed: {made}")
