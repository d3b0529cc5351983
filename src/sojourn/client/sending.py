"""The calls a client makes of its own: login, refresh and logout."""

from __future__ import annotations

import json
import ssl
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass, field
from http.client import HTTPException
from typing import Any, Protocol

from sojourn.errors import IssuerUnavailable

MAX_BYTES = 64 * 1024
TIMEOUT_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Answer:
    """A response; redirects come back as they are.

    Args:
        status: The HTTP status.
        content_type: The Content-Type header.
        body: What was answered.
    """

    status: int
    content_type: str
    body: bytes = field(repr=False)


class Send(Protocol):
    """What sends: `Urllib`, or an application's own."""

    def __call__(self, url: str, body: Mapping[str, Any], *, authorization: str = "") -> Answer:
        """POST a JSON object, with the Authorization header given; follow no redirect.

        To follow one would show the tokens in the body to whoever is there.

        Raises:
            IssuerUnavailable: There is no complete answer.
        """
        ...


class Urllib:
    """The standard library's client: proxies from the environment, certificates of the system.

    Args:
        ssl_context: For a certificate authority of one's own.
    """

    def __init__(self, *, ssl_context: ssl.SSLContext | None = None) -> None:
        """Prepare an opener."""
        self._opener = urllib.request.build_opener(
            urllib.request.HTTPSHandler(context=ssl_context), _NoRedirect
        )

    def __call__(self, url: str, body: Mapping[str, Any], *, authorization: str = "") -> Answer:
        """See `Send`."""
        headers = {"Content-Type": "application/json", "Accept": "application/json"}
        if authorization:
            headers["Authorization"] = authorization
        request = urllib.request.Request(  # noqa: S310 - the scheme was checked with the url
            url, data=json.dumps(body).encode(), headers=headers, method="POST"
        )
        try:
            with self._opener.open(request, timeout=TIMEOUT_SECONDS) as response:
                return _answer(response)
        except urllib.error.HTTPError as refusal:
            with refusal:
                return _answer(refusal)
        except (OSError, HTTPException) as error:
            why = getattr(error, "reason", error)
            raise IssuerUnavailable(f"{url} does not answer ({why}); try again later") from error


def _answer(response: Any) -> Answer:
    content_type = response.headers.get("Content-Type", "")
    return Answer(response.status, content_type, response.read(MAX_BYTES))


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(  # noqa: PLR0917 - the base class calls it so
        self, req: Any, fp: Any, code: Any, msg: Any, headers: Any, newurl: Any
    ) -> None:
        """Leave it: urllib then gives the redirect itself as the answer."""
