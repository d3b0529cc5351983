"""Acting as somebody in a test, in whatever framework."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Protocol
from unittest.mock import patch

from sojourn.aio import AsyncSojourn
from sojourn.engine.answers import Checked
from sojourn.messages import Incoming
from sojourn.model import Mode, Principal, Subject, Transport, canonical_subject
from sojourn.need import ANYONE_SIGNED_IN, Need
from sojourn.sync import Sojourn

_DAY_SECONDS = 86_400


class HasSojourn(Protocol):
    """A framework's adapter."""

    @property
    def sojourn(self) -> AsyncSojourn[Any] | Sojourn[Any]:
        """Its engine."""
        ...


@contextmanager
def acting_as(
    auth: HasSojourn | AsyncSojourn[Any] | Sojourn[Any],
    subject: Subject,
    *,
    mode: Mode = "session",
    transport: Transport = "cookie",
    roles: Iterable[str] = (),
    scopes: Iterable[str] = (),
    claims: Mapping[str, Any] | None = None,
    amr: Iterable[str] = (),
    auth_time: int | None = None,
) -> Iterator[Principal[Any]]:
    """Have every request within the block come from a subject, with no session at all.

    What a route needs (roles, scopes, freshness, transport) is still judged.

    Args:
        auth: The adapter of any framework, or the engine.
        subject: Who every request is.
        mode: By which kind of proof.
        transport: Over which transport.
        roles: Their roles.
        scopes: Their scopes.
        claims: Their claims.
        amr: How they signed in.
        auth_time: When they did, in seconds since the epoch; now by default.
    """
    sojourn = auth if isinstance(auth, AsyncSojourn | Sojourn) else auth.sojourn
    now_ms = sojourn.core.clock()
    principal: Principal[Any] = Principal(
        subject=canonical_subject(subject),
        issuer=sojourn.settings.issuer,
        sid="acting_as",
        mode=mode,
        transport=transport,
        auth_time=now_ms // 1000 if auth_time is None else auth_time,
        expires_at=now_ms // 1000 + _DAY_SECONDS,
        roles=frozenset(roles),
        scopes=frozenset(scopes),
        amr=tuple(amr),
        claims=sojourn.core.typed_claims(dict(claims or {})),
        position=0,
    )

    def answer(need: Need) -> Checked[Any]:
        now_ms = sojourn.core.clock()
        refusal = need.refusal(principal, now_ms=now_ms)
        known = principal if refusal is None else None
        return Checked(principal=known, refusal=refusal, now_ms=now_ms)

    def check(_: Incoming, *, need: Need = ANYONE_SIGNED_IN, renew: bool = True) -> Checked[Any]:
        del renew
        return answer(need)

    async def awaited(
        _: Incoming, *, need: Need = ANYONE_SIGNED_IN, renew: bool = True
    ) -> Checked[Any]:
        del renew
        return answer(need)

    is_blocking = isinstance(sojourn, Sojourn)
    with patch.object(sojourn, "check", check if is_blocking else awaited):
        yield principal
