"""A finished model to the hub: TRL's option names, our folder, after everything was saved.

TRL would upload the folder of training checkpoints, without the card and the note on how
the model is asked; here the published folder goes up, and the run's files stay.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple

from rulewright import console
from rulewright.errors import MissingDependency, RulewrightError

# `hub_strategy`, `hub_always_push` and `hub_revision` speak of uploads during training.
OPTIONS: Final = ("push_to_hub", "hub_model_id", "hub_private_repo")
_STAY: Final = ["run/**", "*.log", ".merging/**"]


class Target(NamedTuple):
    """Where a model goes; the token is the hub client's own (`hf auth login`, or HF_TOKEN).

    Args:
        repository: `owner/name`, or a name of the token's owner.
        private: whether a new repository is.
    """

    repository: str
    private: bool | None = None


def split(options: Mapping[str, Any], out: Path) -> tuple[dict[str, Any], Target | None]:
    """Take the options of the hub out of the trainer's: what is left, and where to push.

    >>> split({"push_to_hub": True, "hub_model_id": "me/m", "max_steps": 1}, Path("models/x"))
    ({'max_steps': 1}, Target(repository='me/m', private=None))
    """
    left = {key: value for key, value in options.items() if key not in OPTIONS}
    if not options.get("push_to_hub"):
        return left, None
    repository = options.get("hub_model_id") or out.name
    return left, Target(repository, options.get("hub_private_repo"))


def push(out: Path, target: Target) -> None:
    """Upload a published folder; again is no harm, unchanged files are not sent twice.

    Raises:
        RulewrightError: the hub did not take it; the model is there, and so is the command to try again.
    """
    try:
        from huggingface_hub import HfApi
        from huggingface_hub.errors import HfHubHTTPError, HFValidationError, OfflineModeIsEnabled
    except ImportError as error:
        raise MissingDependency("huggingface-hub", "`push_to_hub`", "hub") from error
    import httpx

    api = HfApi()
    try:
        made = api.create_repo(target.repository, private=target.private, exist_ok=True)
        api.upload_folder(
            repo_id=made.repo_id,
            folder_path=out,
            ignore_patterns=_STAY,
            commit_message="Upload by rulewright",
        )
    except (HfHubHTTPError, HFValidationError, OfflineModeIsEnabled, httpx.HTTPError, OSError) as error:
        reason = str(error).strip().splitlines()
        raise RulewrightError(
            f"{out}: trained and saved, but the hub did not take it ({reason[0] if reason else error!r})",
            "hf auth login, then run again with --resume, or: "
            f"hf upload {target.repository} {out} --exclude 'run/**'",
        ) from error
    console.say(f"pushed: {made}")
