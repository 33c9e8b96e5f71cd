"""Pages from the templates in this folder, filled by one set of rules."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


def render(template: str, filters: dict[str, Callable[..., str]], **values: Any) -> str:
    """Fill a template; a value that is missing is an error.

    Args:
        template: name of the file; what is inserted into an `.html` page is escaped.
        filters: that the template uses.
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
    environment.filters.update(filters)
    return environment.get_template(template).render(**values)
