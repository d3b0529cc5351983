"""The blocking face in a WSGI application; run as a program it serves http://127.0.0.1:8000."""

import json
from collections.abc import Callable, Iterable
from http import HTTPStatus
from typing import Any
from wsgiref.simple_server import make_server

from sojourn import Incoming, Outgoing, Sojourn, SojournError
from sojourn.problems import problem_of

auth = Sojourn("sqlite:///app.db", url="http://127.0.0.1:8000")

Environ = dict[str, Any]
Answer = tuple[int, list[tuple[str, str]], bytes]


def incoming_of(environ: Environ) -> Incoming:
    return Incoming(
        method=environ["REQUEST_METHOD"],
        cookies=environ.get("HTTP_COOKIE", ""),
        authorization=environ.get("HTTP_AUTHORIZATION", ""),
        origin=environ.get("HTTP_ORIGIN", ""),
        sec_fetch_site=environ.get("HTTP_SEC_FETCH_SITE", ""),
        user_agent=environ.get("HTTP_USER_AGENT", ""),
        forwarded_for=environ.get("HTTP_X_FORWARDED_FOR", ""),
        peer=environ.get("REMOTE_ADDR", ""),
    )


def shown(value: object, outgoing: Outgoing) -> Answer:
    body = json.dumps(value).encode()
    return 200, [("Content-Type", "application/json"), *outgoing.headers], body


def login(incoming: Incoming) -> Answer:
    attempt = auth.begin("ann")  # then check the password
    signed_in = auth.login(incoming, "ann", attempt=attempt)
    return shown({"subject": signed_in.principal.subject}, signed_in.outgoing)


def me(incoming: Incoming) -> Answer:
    checked = auth.check(incoming)
    return shown({"subject": checked.require().subject}, checked.outgoing)


def logout(incoming: Incoming) -> Answer:
    return shown({}, auth.logout(incoming))


ROUTES = {("POST", "/login"): login, ("GET", "/me"): me, ("POST", "/logout"): logout}


def application(environ: Environ, start_response: Callable[..., Any]) -> Iterable[bytes]:
    incoming = incoming_of(environ)
    route = ROUTES.get((incoming.method, environ["PATH_INFO"]))
    try:
        status, headers, body = route(incoming) if route else (404, [], b"")
    except SojournError as error:
        problem = problem_of(error)
        status, headers, body = problem.status, list(problem.headers), problem.body
    start_response(f"{status} {HTTPStatus(status).phrase}", headers)
    return [body]


if __name__ == "__main__":
    make_server("127.0.0.1", 8000, application).serve_forever()
