"""Who a verified token speaks of: one `Principal`, whatever the issuer calls things."""

from __future__ import annotations

from typing import Any

from sojourn.errors import InvalidToken
from sojourn.jose.claims import AccessClaims
from sojourn.jose.strict_json import MAX_INTEGER
from sojourn.model import Principal
from sojourn.verifier.issuer import Issuer
from sojourn.verifier.providers import AUDIENCE, ClaimPath

_SCOPES_FROM = ("scope", "scp", "permissions")
"""RFC 8693 section 4.2; Microsoft's and Okta's; Auth0's."""
_CLIENT_FROM = ("client_id", "azp", "appid")
_SAID_ELSEWHERE = frozenset(
    {"iss", "sub", "aud", "exp", "nbf", "iat", "jti", "sid", "auth_time", "amr", "scope", "scp"}
    | set(_CLIENT_FROM)
)


def own_principal(claims: AccessClaims) -> Principal[Any]:
    """Describe who an access token of Sojourn speaks of."""
    return Principal(
        subject=claims.sub,
        issuer=claims.iss,
        sid=claims.sid,
        mode="jwt" if claims.ver is None else "hybrid",
        transport="bearer",
        auth_time=claims.auth_time,
        expires_at=claims.exp,
        roles=frozenset(claims.roles),
        scopes=frozenset(claims.scope.split()),
        amr=tuple(claims.amr),
        claims=claims.claims,
        position=claims.pos,
        version=claims.ver,
        client_id=claims.client_id,
    )


def foreign_principal(
    said: dict[str, Any],
    *,
    subject: str,
    expires_at: int,
    issuer: str,
    audience: str = "",
    roles_from: tuple[ClaimPath, ...] = (),
) -> Principal[Any]:
    """Describe who another issuer speaks of.

    A sign-in time that is not said counts as long ago, since ``iat`` would make every renewed token
    a fresh sign-in.

    Args:
        said: All claims, verified.
        subject: The ``sub``.
        expires_at: Seconds since the epoch; 0 where it is not said.
        issuer: What principals call the issuer.
        audience: The audience that was verified.
        roles_from: Where roles stand.
    """
    scopes = (_words(said.get(claim)) for claim in _SCOPES_FROM)
    roles = (_names(_found(said, path, audience)) for path in roles_from)
    clients = (said[claim] for claim in _CLIENT_FROM if isinstance(said.get(claim), str))
    return Principal(
        subject=subject,
        issuer=issuer,
        sid=_text(said.get("sid")),
        mode="jwt",
        transport="bearer",
        auth_time=_instant(said.get("auth_time")),
        expires_at=expires_at,
        roles=frozenset().union(*roles),
        scopes=frozenset().union(*scopes),
        amr=tuple(_names(said.get("amr"))),
        claims={claim: value for claim, value in said.items() if claim not in _SAID_ELSEWHERE},
        position=0,
        client_id=next(clients, ""),
    )


def check_pinned(issuer: Issuer, said: dict[str, Any], *, tenant: str) -> None:
    """Hold a verified token against the claims that are demanded of it.

    Raises:
        InvalidToken: One is missing, or has another value.
    """
    if tenant and said.get("tid") != tenant:
        raise InvalidToken(reason="wrong_tid")
    for name, accepted in issuer.claims:
        value = said.get(name)
        if not isinstance(value, str) or value not in accepted:
            raise InvalidToken(reason="claim_not_accepted")


def _found(said: dict[str, Any], path: ClaimPath, audience: str) -> Any:
    value: Any = said
    for name in path:
        value = (
            value.get(audience if name == AUDIENCE else name) if isinstance(value, dict) else None
        )
    return value


def _names(value: Any) -> list[str]:
    """Read a list of names, or a single one; anything else names nothing."""
    values = value if isinstance(value, list) else [value]
    return [name for name in values if isinstance(name, str)]


def _words(value: Any) -> list[str]:
    return [word for name in _names(value) for word in name.split()]


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _instant(value: Any) -> int:
    return value if type(value) is int and 0 <= value <= MAX_INTEGER else 0
