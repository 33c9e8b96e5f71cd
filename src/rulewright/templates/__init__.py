"""Render pages from the Jinja templates in this folder, with one set of filters."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import PurePath
from typing import Any, Final


def markdown_table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table in Markdown; bars inside cells are escaped."""
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    lines += ["| " + " | ".join(str(c).replace("|", "\\|") for c in row) + " |" for row in rows]
    return "\n".join(lines)


def published(text: object) -> str:
    """A word as it may be published: of an absolute path, its name.

    >>> published("/home/me/data/train.jsonl"), published("--out=/tmp/x"), published("a/b c")
    ('train.jsonl', '--out=x', 'a/b c')
    """
    flag, equals, value = str(text).rpartition("=")
    return f"{flag}{equals}{PurePath(value).name}" if PurePath(value).is_absolute() else str(text)


_FILTERS: Final[dict[str, Callable[..., str]]] = {
    "thousands": lambda n: "–" if n is None else f"{n:,}",
    "millions": lambda n: f"{n / 1e6:,.2f} M",
    "bytes": lambda n: f"{n / 1e9:,.2f} GB" if n >= 1e9 else f"{n / 1e6:,.2f} MB",
    "percent": lambda rate: "–" if rate is None else f"{rate:.1%}",
    "quantiles": lambda q: ", ".join(f"{name} {value:,}" for name, value in q.items()) or "–",
    "table": markdown_table,
    "published": published,
}


def render(template: str, **values: Any) -> str:
    """Fill a template; a value that is missing is an error.

    Args:
        template: name of the file; what is inserted into an `.html` page is escaped.
        values: what it shows.
    """
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.PackageLoader(__name__, "."),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=".html" in template,
    )
    environment.filters.update(_FILTERS)
    return environment.get_template(template).render(**values)
