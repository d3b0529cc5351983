"""The five ways to carry a sign-in, under one face, so that each promise is shown for all of them."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import httpx
import httpx2
import requests

from sojourn.client import SignIn, httpx as of_httpx, httpx2 as of_httpx2, requests as of_requests


@dataclass
class Told:
    """A response, as far as the tests look."""

    status: int
    body: Any
    url: str

    @property
    def code(self) -> str:
        return self.body["code"]


def _told(response: Any) -> Told:
    is_json = "json" in response.headers.get("Content-Type", "")
    return Told(response.status_code, response.json() if is_json else None, str(response.url))


class Blocking:
    """`httpx.Client` and `httpx2.Client`."""

    def __init__(self, library: Any, carrying: Any, sign_in: SignIn) -> None:
        self.client = library.Client(
            auth=carrying.BearerAuth(sign_in), follow_redirects=True, timeout=20
        )

    def send(self, method: str, url: str, body: bytes | Iterator[bytes] | None = None) -> Told:
        return _told(self.client.request(method, url, content=body))

    def close(self) -> None:
        self.client.close()


class Awaited:
    """`httpx.AsyncClient` and `httpx2.AsyncClient`."""

    def __init__(self, library: Any, carrying: Any, sign_in: SignIn) -> None:
        self.library = library
        self.auth = carrying.BearerAuth(sign_in)

    def send(self, method: str, url: str, body: bytes | Iterator[bytes] | None = None) -> Told:
        async def sent() -> Told:
            client = self.library.AsyncClient(auth=self.auth, follow_redirects=True, timeout=20)
            async with client:
                content = body if body is None or isinstance(body, bytes) else _awaited(body)
                return _told(await client.request(method, url, content=content))

        return asyncio.run(sent())

    def close(self) -> None:
        pass


async def _awaited(parts: Iterator[bytes]) -> Any:
    for part in parts:
        yield part


class Requests:
    """`requests.Session`."""

    def __init__(self, sign_in: SignIn) -> None:
        self.session = requests.Session()
        self.session.auth = of_requests.BearerAuth(sign_in)

    def send(self, method: str, url: str, body: bytes | Iterator[bytes] | None = None) -> Told:
        return _told(self.session.request(method, url, data=body, timeout=20))

    def close(self) -> None:
        self.session.close()


CARRIERS = {
    "httpx2": lambda sign_in: Blocking(httpx2, of_httpx2, sign_in),
    "httpx": lambda sign_in: Blocking(httpx, of_httpx, sign_in),
    "httpx2-async": lambda sign_in: Awaited(httpx2, of_httpx2, sign_in),
    "httpx-async": lambda sign_in: Awaited(httpx, of_httpx, sign_in),
    "requests": Requests,
}
