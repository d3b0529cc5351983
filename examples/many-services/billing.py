"""Billing: a plain WSGI service with threads, which verifies blocking and follows the revocations."""

import json
import os
from collections.abc import Callable, Iterable
from typing import Any
from wsgiref.types import StartResponse

from sojourn import Incoming, Issuer, Need, SojournError, Verifier

verifier = Verifier(
    audience="shop",
    issuers=[Issuer.sojourn(os.environ["ISSUER"], feed_token=os.environ["FEED_TOKEN"])],
)
NOTHING_SPECIAL = Need()


def app(environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
    """Answer who is billed, or the problem that a refusal is."""
    incoming = Incoming(authorization=environ.get("HTTP_AUTHORIZATION", ""))
    try:
        principal = verifier.check(incoming).require(NOTHING_SPECIAL)
    except SojournError as error:
        return _answer(start_response, error.status, {"code": error.code})
    return _answer(start_response, 200, {"bill": [], "of": principal.subject})


def _answer(
    start_response: Callable[..., Any], status: int, body: dict[str, Any]
) -> Iterable[bytes]:
    start_response(f"{status} -", [("Content-Type", "application/json")])
    return [json.dumps(body).encode()]
