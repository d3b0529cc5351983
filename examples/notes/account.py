"""What the account pages of every framework share: who one is, one's devices, and saying no."""

import logging
from collections.abc import Iterable
from dataclasses import asdict
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qsl, urlencode

from notes.bare import Answer
from notes.bodies import BadInput
from notes.pages import HEADERS, page, wants_page
from sojourn import (
    FreshLoginRequired,
    InvalidCredentials,
    Principal,
    SessionInfo,
    SojournError,
    Unauthenticated,
)
from sojourn.problems import problem_of

log = logging.getLogger("notes")
FORMS = {"/login": "login", "/confirm": "confirm", "/password": "password"}


def device_list(sessions: Iterable[SessionInfo], who: Principal[Any]) -> list[dict[str, Any]]:
    """Describe sessions, the newest first."""
    devices = [
        asdict(session) | {"name": _named(session.user_agent), "current": session.sid == who.sid}
        for session in sessions
    ]
    return sorted(devices, key=lambda device: -device["seen_at"])


def _named(user_agent: str) -> str:
    """Name a browser and its system; each claims to be the ones before it, so the order counts."""
    names = ("Edg", "Firefox", "Chrome", "Safari"), ("iPhone", "Android", "Windows", "Mac", "Linux")
    known = [next((name for name in each if name in user_agent), "") for each in names]
    return " on ".join(filter(None, known)) or user_agent[:60] or "unknown"


def about(who: Principal[Any]) -> dict[str, Any]:
    return {
        "name": who.subject,
        "subject": who.subject,
        "sid": who.sid,
        "mode": who.mode,
        "transport": who.transport,
        "roles": sorted(who.roles),
        "auth_time": who.auth_time,
    }


def answer_to(
    error: SojournError | BadInput, *, method: str, target: str, accept: str | None, who: Any
) -> Answer:
    """Say no: whoever has to sign in is led there and back; a wrong password is told in its form.

    `target` is the path with the query, `who` whoever is signed in, or None.
    """
    path, _, query = target.partition("?")
    if error.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        log.error("%s %s: %s", method, path, error, exc_info=error)
    if not wants_page(accept):
        return _document(error)
    if error.status == HTTPStatus.UNAUTHORIZED and not isinstance(error, InvalidCredentials):
        form = "/confirm" if isinstance(error, FreshLoginRequired) else "/login"
        on = {"next": target if method == "GET" else "/"}
        if not isinstance(error, Unauthenticated):
            on["why"] = error.code
        to = {"Location": f"{form}?{urlencode(on)}"}
        return Answer(b"", HTTPStatus.SEE_OTHER, to | HEADERS)
    is_mendable = error.status in {HTTPStatus.BAD_REQUEST, HTTPStatus.UNAUTHORIZED}
    template = FORMS.get(path, "refused") if is_mendable else "refused"
    html = page(template, who=who, query=dict(parse_qsl(query)), error=error, detail=_detail(error))
    return Answer(html.encode(), error.status, _typed("text/html; charset=utf-8"))


def _document(error: SojournError | BadInput) -> Answer:
    if isinstance(error, BadInput):
        return Answer(error.document, error.status, _typed("application/problem+json"))
    problem = problem_of(error)
    return Answer(problem.body, problem.status, dict(problem.headers))


def _detail(error: SojournError | BadInput) -> str:
    text = str(error) if isinstance(error, BadInput) else str(problem_of(error).document["detail"])
    return text[:1].upper() + text[1:] + "."


def _typed(kind: str) -> dict[str, str]:
    return {"Content-Type": kind} | HEADERS
