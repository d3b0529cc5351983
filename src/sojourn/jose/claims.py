"""The claims of a token as types (RFC 7519 section 4.1, RFC 9068 section 2.2).

A type decides which claims a token must have. An application's own type derives from one of these
and may add claims, or narrow the type of `AccessClaims.claims`.
"""

from __future__ import annotations

from typing import Annotated, Any

import msgspec

from sojourn.jose.strict_json import MAX_INTEGER

Instant = Annotated[int, msgspec.Meta(ge=0, le=MAX_INTEGER)]
"""Seconds since the epoch: a JSON integer, never a float, bool or text."""

Name = Annotated[str, msgspec.Meta(min_length=1)]
"""Text that is not empty."""


class RegisteredClaims(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """What the verifier judges of any token; for issuers other than Sojourn."""

    iss: Name
    sub: Name
    aud: Name | list[Name]
    exp: Instant
    iat: Instant | None = None
    nbf: Instant | None = None
    jti: Name | None = None


class AccessClaims(RegisteredClaims, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """The access token that Sojourn issues (RFC 9068), with three private claims.

    `pos` is the feed position its sign-in carries, `ver` the version of the stored session (None
    for a token with nothing stored behind it), `claims` the application's own facts.
    """

    # Required here; being keyword-only, they may follow fields that have a default.
    iat: Instant  # pyright: ignore[reportGeneralTypeIssues]
    jti: Name  # pyright: ignore[reportGeneralTypeIssues]
    client_id: str = ""
    sid: str = ""
    auth_time: Instant = 0
    amr: list[str] = []
    roles: list[str] = []
    scope: str = ""
    pos: Instant = 0
    ver: Instant | None = None
    claims: dict[str, Any] = {}
