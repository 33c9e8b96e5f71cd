"""Commit messages as instructions: filter and clean them.

The strict filter follows CommitPackFT's (octopack, `dataset/commitpack`); the relaxed one
strips what projects add to a subject first and accepts inflected verbs.
"""

from __future__ import annotations

import re
from typing import Final, Literal

from rulewright.data.drafts import Drop

Filter = Literal["off", "relaxed", "strict"]

# First words that give an order; inflected forms are derived.
_VERBS: Final = frozenset(
    """abort accept access activate adapt add adjust allow amend annotate append apply arrange assert assign
    attach avoid backport bail batch bind block bound break bring build bump bundle cache call cast catch
    change check clarify clean cleanup clear clone close collapse collect combine compact compare complete
    compress compute concatenate condense configure connect consolidate construct convert copy correct cover
    create cut deal debug declare decode decouple decrease default defer define delay delete demote deprecate
    derive describe destroy detect disable disallow discard dispatch display distinguish document double
    downgrade drop dump eliminate embed emit empty enable encode encapsulate end enforce enhance ensure
    enumerate escape evaluate exclude execute exit expand expect export expose extend extract factor fetch
    fill filter finalize fix flatten flip flush fold follow force format forward free generate get give group
    guard handle harden hide hook ignore implement import improve include increase indent infer inherit init
    initialize inject inline insert install instantiate integrate introduce invalidate invert isolate join
    keep kill let limit link lint list load localize lock log loosen lower maintain make mark match memoize
    merge migrate minimize mock modernize modify move name narrow normalize notify obtain omit open optimize
    order output override parse pass patch pause perform permit pick pin place polish port prefer prefix
    prepare preserve prevent print process promote propagate protect provide prune pull push put quote raise
    randomize read rearrange rebuild reclassify recognize record recover redirect reduce redo reenable
    refactor reference refine reflect reformat refresh register reject relax release relocate remove rename
    render reorder reorganize repair replace report request require reset resolve respect restore restrict
    restructure retrieve retry return reuse revert revise rework rewrite round route run sanitize save scale
    send separate serialize set shorten show shrink silence simplify skip slice sort specialize specify speed
    split standardize start stop store stream streamline strip stub style suppress support swap switch sync
    synchronize tag take test throw tidy tighten toggle track transform translate treat trigger trim truncate
    try tune turn tweak unescape unify uninstall unlock unwrap update upgrade use validate verify wait warn
    wrap write""".split()  # noqa: SIM905  (a list literal would be 60 lines)
)
_URL: Final = re.compile(r"https?://|www\.", re.IGNORECASE)
_SHA: Final = re.compile(r"\b[0-9a-f]{7,40}\b")
_NOISE: Final = re.compile(
    r"\b(wip\b|merge[ds]? (in|from|branch|remote|tag|pull|commit|conflicts?|master|main|upstream|origin)\b"
    r"|merge[ds]? ['\"#]|cherry[- ]pick(ed)?|revert(s|ed)? \"|version bump|bump version|release v?\d)",
    re.IGNORECASE,
)
_ISSUE: Final = re.compile(
    r"\s*[(\[]?(?:(?:fix(?:es)?|close[sd]?|refs?|see|gh|issue):? *)?#\d+[)\]]?[.:]?", re.I
)
_PREFIX: Final = re.compile(r"^(?:\[[\w ./-]{1,30}\]|[\w./-]{1,30}(?:\([\w ./,*-]{1,40}\))?!?:)\s+")
_TRAILER: Final = re.compile(r"^(change-id|git-svn-id|signed-off-by|co-authored-by|reviewed-by):", re.I)


def subject_of(message: str) -> str:
    """The first line of a message that says something, without trailers."""
    lines = (line.strip() for line in message.splitlines())
    return next((line for line in lines if line and not _TRAILER.match(line)), "")


def tidy(subject: str) -> str:
    """Strip issue numbers and scopes, and begin with a capital.

    >>> tidy("fix(parser): handle empty input (#123)")
    'Handle empty input'
    """
    subject = _ISSUE.sub("", subject).strip()
    stripped = _PREFIX.sub("", subject)
    subject = stripped if len(stripped.split()) >= 2 else subject
    return subject[:1].upper() + subject[1:]


def check(message: str, how: Filter | None) -> str | Drop:
    """Give the instruction that a commit message makes, or why it makes none.

    Args:
        message: subject, or the whole message.
        how: `off` takes any subject as it is; `strict` as CommitPackFT; `relaxed` tidies first.

    >>> check("Use `is None` instead of `== None` (#7)", "relaxed")
    'Use `is None` instead of `== None`'
    >>> check("typo", "relaxed").reason
    'message_short'
    """
    subject = subject_of(message)
    if not subject:
        return Drop("message_empty")
    if how in (None, "off"):
        return subject
    if how == "relaxed":
        subject = tidy(subject)
    words = subject.split()
    if len(words) < (5 if how == "strict" else 4) or len(subject) < 10:
        return Drop("message_short", subject)
    if len(subject) > (1000 if how == "strict" else 300):
        return Drop("message_long", f"{len(subject)} characters")
    if not subject[0].isupper() and how == "strict":
        return Drop("message_case", subject)
    if "#" in subject and how == "strict":
        return Drop("message_issue", subject)
    if _URL.search(subject) or any(any(c.isdigit() for c in m) for m in _SHA.findall(subject)):
        return Drop("message_reference", subject)
    if _NOISE.search(subject):
        return Drop("message_noise", subject)
    first = re.sub(r"\W", "", words[0].lower())
    if not (first in _VERBS or (how == "relaxed" and _stem(first) in _VERBS)):
        return Drop("message_verb", words[0])
    return subject


def _stem(word: str) -> str:
    """The verb an inflected form comes from, as far as endings tell; else the word.

    >>> _stem("removed"), _stem("uses"), _stem("dropping"), _stem("simplified")
    ('remove', 'use', 'drop', 'simplify')
    """
    for ending, makes in (
        ("ied", "y"),
        ("ies", "y"),
        ("ing", ""),
        ("ed", ""),
        ("es", ""),
        ("s", ""),
        ("d", ""),
    ):
        if not word.endswith(ending):
            continue
        stem = word[: -len(ending)] + makes
        for candidate in (stem, stem + "e", stem[:-1] if stem[-1:] == stem[-2:-1] else stem):
            if candidate in _VERBS:
                return candidate
    return word
