"""A WSGI application on the blocking face, made when the module is imported: before the workers fork.

`SOJOURN_TEST_STORE` says where its sessions are. With `SOJOURN_TEST_USED=1` it is in use already when the
workers are forked. It answers with the worker's pid, and 200 or the refusal's status.
"""

import os
from collections.abc import Callable, Iterable
from typing import Any

from faults.verifying import SETTINGS

from sojourn import Incoming, Sojourn, SojournError

auth = Sojourn(os.environ["SOJOURN_TEST_STORE"], **SETTINGS)
if os.environ.get("SOJOURN_TEST_USED") == "1":
    auth.jwks()  # opened, and followed, in the master


def app(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    """Answer one request."""
    incoming = Incoming(authorization=environ.get("HTTP_AUTHORIZATION", ""))
    try:
        auth.check(incoming).require()
        status = "200 OK"
    except SojournError as error:
        status = f"{error.status} {error.code}"
    start_response(status, [("Content-Type", "text/plain")])
    return [str(os.getpid()).encode()]
