"""A request as WSGI gives it (PEP 3333); Django's ``request.META`` has the same names."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sojourn.messages import Incoming


def incoming_of_environ(environ: Mapping[str, Any]) -> Incoming:
    """Reduce a request.

    Args:
        environ: The environment of a WSGI application.
    """
    return Incoming(
        method=environ.get("REQUEST_METHOD", "GET"),
        cookies=environ.get("HTTP_COOKIE", ""),
        authorization=environ.get("HTTP_AUTHORIZATION", ""),
        origin=environ.get("HTTP_ORIGIN", ""),
        sec_fetch_site=environ.get("HTTP_SEC_FETCH_SITE", ""),
        user_agent=environ.get("HTTP_USER_AGENT", ""),
        forwarded_for=environ.get("HTTP_X_FORWARDED_FOR", ""),
        peer=environ.get("REMOTE_ADDR", ""),
    )
