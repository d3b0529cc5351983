"""The pages: templates, and the headers that all of them have."""

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader
from markupsafe import Markup

HERE = Path(__file__).parent
STATIC = HERE / "static"
HEADERS = {
    "Cache-Control": "no-store",  # nothing to go back to after signing out
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; "
    "img-src 'self'; connect-src 'self'; form-action 'self'; base-uri 'none'; "
    "frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
}
_TEMPLATES = Environment(
    loader=FileSystemLoader(HERE / "templates"),
    autoescape=True,
    trim_blocks=True,
    lstrip_blocks=True,
)


def page(template: str, *, query: Mapping[str, str] | None = None, **values: Any) -> str:
    """Make a page.

    `query` is the address's, `who` whoever is signed in (with `.subject` and `.roles`), or None.
    """
    return _TEMPLATES.get_template(f"{template}.html").render(values, query=query or {})


def wants_page(accept: str | None) -> bool:
    """Tell a browser, which is shown pages, from other clients, which are given JSON."""
    return "text/html" in (accept or "")


def _when(seconds: int) -> Markup:
    at = datetime.fromtimestamp(seconds, UTC)
    return Markup('<time datetime="{}">{}</time>').format(
        at.isoformat(), f"{at.day} {at:%b %Y, %H:%M}"
    )


_TEMPLATES.filters["when"] = _when
