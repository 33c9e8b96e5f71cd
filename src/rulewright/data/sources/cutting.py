"""Cut a draft of a large file to the edited function."""

from __future__ import annotations

import dataclasses

from rulewright.data import windows
from rulewright.data.clean import text_of
from rulewright.data.drafts import Draft, Drop
from rulewright.data.settings import IngestConfig
from rulewright.languages import language_of_path


def cut_to_window(draft: Draft, config: IngestConfig) -> Draft | Drop:
    """Cut a draft to the window around its change, if the options ask for it. A small file stays whole."""
    if not config.window or max(len(draft.pre), len(draft.post)) <= config.max_window_chars:
        return draft
    pre, post = text_of(draft.pre), text_of(draft.post)
    if pre == post or not pre.strip() or not post.strip():
        return draft  # cleaning says what is wrong with it
    by_path = language_of_path(draft.path)
    window = windows.cut(
        pre, post, by_path if by_path != "other" else draft.language, config.max_window_chars
    )
    if window is None:
        return Drop("no_window", f"the change spans more than {config.max_window_chars:,} characters")
    place = {"start_line": window.start_line, "end_line": window.end_line, "kind": window.kind}
    return dataclasses.replace(
        draft,
        pre=window.pre,
        post=window.post,
        tags=(*draft.tags, "window"),
        extra={**draft.extra, "provenance": {"window": place}},
    )
