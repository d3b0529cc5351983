"""Carrying a sign-in with `requests`: `session.auth = BearerAuth(sign_in)`."""

from __future__ import annotations

from functools import partial
from typing import Any

from requests import PreparedRequest, Response
from requests.auth import AuthBase

from sojourn.client.sending import Answer
from sojourn.client.sign_in import UNAUTHORIZED, SignIn
from sojourn.client.tokens import Tokens


class BearerAuth(AuthBase):
    """Carries the tokens of a sign-in, renews them, and repeats a refused request once.

    A body that is sent as it is read (a generator, a file) cannot be sent again: the refusal is then
    the answer, and the next request carries the renewed tokens.

    Args:
        sign_in: Whose tokens to carry.
    """

    def __init__(self, sign_in: SignIn) -> None:
        """Take the sign-in."""
        self._sign_in = sign_in

    def __call__(self, request: PreparedRequest) -> PreparedRequest:
        """Carry the tokens, and look at each answer to the request and its redirects."""
        used = self._sign_in.ready() if self._sign_in.is_own(request.url or "") else None
        if used is not None:
            request.headers["Authorization"] = used.authorization
            request.hooks["response"].append(partial(self._repeat, used))
        return request

    def _repeat(self, used: Tokens, response: Response, **options: Any) -> Response:
        refused = response.request
        is_carrying = refused.headers.get("Authorization") == used.authorization
        is_own = self._sign_in.is_own(refused.url or "")
        if response.status_code != UNAUTHORIZED or not is_carrying or not is_own:
            return response
        content_type = response.headers.get("Content-Type", "")
        answer = Answer(response.status_code, content_type, response.content)
        tokens = self._sign_in.mended(used, answer)
        if tokens is None or not isinstance(refused.body, bytes | str | None):
            return response
        response.close()  # its connection serves the next attempt
        again = refused.copy()
        again.headers["Authorization"] = tokens.authorization
        repeated: Response = response.connection.send(again, **options)
        repeated.history.append(response)
        repeated.request = again
        return repeated
