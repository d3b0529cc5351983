"""The authentication flow that `httpx` and `httpx2` share: carry, renew, repeat once."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Generator
from typing import Any, ClassVar

from sojourn.client.sending import Answer
from sojourn.client.sign_in import UNAUTHORIZED, SignIn
from sojourn.client.tokens import Tokens


class BearerFlow:
    """Both libraries' `Auth` interface, without a word of either; requests and responses are theirs.

    Args:
        sign_in: Whose tokens to carry.
    """

    whole: ClassVar[type]
    """The library's kind of body that is in memory, and so can be sent again."""

    def __init__(self, sign_in: SignIn) -> None:
        """Take the sign-in."""
        self._sign_in = sign_in

    def sync_auth_flow(self, request: Any) -> Generator[Any, Any, None]:
        """Send a request of `Client`, and once more if renewed tokens mend its refusal."""
        used = self._sign_in.ready() if self._is_own(request) else None
        response = yield _carrying(request, used)
        if used is not None and self._is_refused(response, used):
            response.read()
            tokens = self._sign_in.mended(used, _answer_of(response))
            if tokens is not None and self._is_repeatable(response.request):
                yield _carrying(response.request, tokens)

    async def async_auth_flow(self, request: Any) -> AsyncGenerator[Any, Any]:
        """See `sync_auth_flow`; for `AsyncClient`."""
        used = await self._sign_in.ready_async() if self._is_own(request) else None
        response = yield _carrying(request, used)
        if used is not None and self._is_refused(response, used):
            await response.aread()
            tokens = await self._sign_in.mended_async(used, _answer_of(response))
            if tokens is not None and self._is_repeatable(response.request):
                yield _carrying(response.request, tokens)

    def _is_own(self, request: Any) -> bool:
        return self._sign_in.is_own(str(request.url))

    def _is_refused(self, response: Any, used: Tokens) -> bool:
        # The last request of a chain of redirects: one that left the origin carries no tokens.
        request = response.request
        is_carrying = request.headers.get("Authorization") == used.authorization
        return response.status_code == UNAUTHORIZED and is_carrying and self._is_own(request)

    def _is_repeatable(self, request: Any) -> bool:
        return isinstance(request.stream, self.whole)


def _carrying(request: Any, tokens: Tokens | None) -> Any:
    if tokens is not None:
        request.headers["Authorization"] = tokens.authorization
    return request


def _answer_of(response: Any) -> Answer:
    return Answer(response.status_code, response.headers.get("Content-Type", ""), response.content)
