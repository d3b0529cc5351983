"""Carrying a sign-in with `httpx2`: `Client(auth=BearerAuth(sign_in))`, `AsyncClient` alike."""

from __future__ import annotations

from typing import ClassVar

import httpx2

from sojourn.client.flow import BearerFlow


class BearerAuth(BearerFlow, httpx2.Auth):
    """Carries the tokens of a sign-in, renews them, and repeats a refused request once.

    A body that is sent as it is made (a generator, a file, a multipart upload) cannot be sent again:
    the refusal is then the answer, and the next request carries the renewed tokens.

    Args:
        sign_in: Whose tokens to carry.
    """

    whole: ClassVar[type] = httpx2.ByteStream
