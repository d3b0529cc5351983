"""Somebody with an HTTP client: it knows the application's addresses, and no framework."""

from __future__ import annotations

from typing import Any, Self

import httpx2
from examples.applications import PASSWORD, Application

BROWSER = {"Accept": "text/html,application/xhtml+xml", "Sec-Fetch-Site": "same-origin"}


class Client:
    """A client that keeps what a sign-in hands out, in cookies or as bearer tokens.

    Args:
        application: Whom to speak to.
        transport: ``cookie`` or ``bearer``.
        name: Who they are.
    """

    def __init__(self, application: Application, transport: str, name: str) -> None:
        self.application, self.transport, self.name = application, transport, name
        self.http = httpx2.Client(base_url=application.url, timeout=20)
        self.refresh_token = ""
        self.copies: list[Client] = []

    def __enter__(self) -> Self:
        """Use it."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close it, with its copies."""
        for client in (self, *self.copies):
            client.http.close()

    def get(self, path: str, **options: Any) -> httpx2.Response:
        return self.http.get(path, **options)

    def post(self, path: str, values: Any = None, **options: Any) -> httpx2.Response:
        """Send JSON."""
        return self.http.post(path, json={} if values is None else values, **options)

    def submit(self, path: str, values: dict[str, str] | None = None) -> httpx2.Response:
        """Send a form, as a browser does."""
        headers = BROWSER | {"Origin": self.application.url}
        return self.http.post(path, data=values or {}, headers=headers)

    def look(self, path: str) -> httpx2.Response:
        """Open a page, as a browser does."""
        return self.http.get(path, headers=BROWSER)

    def sign_in(self, password: str = PASSWORD) -> httpx2.Response:
        values = {"name": self.name, "password": password, "transport": self.transport}
        return self.take(self.post("/login", values))

    def refresh(self) -> httpx2.Response:
        values = {"refresh_token": self.refresh_token} if self.refresh_token else {}
        return self.take(self.post("/refresh", values))

    def take(self, answer: httpx2.Response) -> httpx2.Response:
        """Keep the tokens of an answer."""
        body = answer.json()
        if "access_token" in body:
            self.http.headers["Authorization"] = f"Bearer {body['access_token']}"
            self.refresh_token = body.get("refresh_token", "")
        return answer

    def copy(self) -> Client:
        """Give a client with the same credentials: a thief's."""
        other = Client(self.application, self.transport, self.name)
        other.http.headers.update(self.http.headers)
        other.http.cookies.update(self.http.cookies)
        other.refresh_token = self.refresh_token
        self.copies.append(other)
        return other

    def drop_access_cookie(self) -> None:
        """Lose the short-lived cookie, as at its end."""
        (name,) = [name for name in self.http.cookies if name.endswith("-access")]
        self.http.cookies.delete(name)

    def live_headers(self) -> dict[str, str]:
        """Give the credentials, for another client library."""
        headers = {"Cookie": "; ".join(f"{k}={v}" for k, v in self.http.cookies.items())}
        bearer = self.http.headers.get("Authorization")
        return {"Authorization": bearer} if bearer else headers


def code_of(answer: httpx2.Response) -> tuple[int, str]:
    """Give status and code of a problem document."""
    assert answer.headers["content-type"].startswith("application/problem+json"), answer.text
    return answer.status_code, answer.json()["code"]
