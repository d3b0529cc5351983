"""Access tokens of what the application used before: believed until they end, and revocable like JWTs."""

from __future__ import annotations

import hashlib
import logging
from functools import partial
from typing import TYPE_CHECKING, Any

from sojourn.handles import SID_RANDOM_BYTES, new_sid
from sojourn.model import Principal, Transport, canonical_subject

if TYPE_CHECKING:
    from sojourn.arrivals import Arrival
    from sojourn.engine.core import Core

log = logging.getLogger("sojourn.doors")
SKEW_SECONDS = 60
"""How far ahead the clock may be that an old token was made by; revocations are kept longer."""
BEFORE_EVERYTHING = 0
"""The position of whoever arrives: any "sign out everywhere" there ever was came after it."""


def digest_of(arrival: Arrival) -> bytes:
    """Give what is kept of a proof."""
    return hashlib.sha256(arrival.proof.encode("utf-8", "surrogatepass")).digest()


async def old_principal(core: Core, token: str, *, transport: Transport) -> Principal[Any] | None:
    """Say whom an old access token speaks of; None where no door knows it.

    Its sid is derived from the token's own identity, so that it can be revoked like any other.
    """
    now_ms = core.clock()
    for door in core.token_doors:
        # It may ask a block list of the old library's, which takes a connection.
        arrival = await core.application.call(partial(door.read_access, token, now_ms=now_ms))
        if arrival is None:
            continue
        ends_at = arrival.expires_at or 0
        latest_ms = now_ms + (door.longest_seconds + SKEW_SECONDS) * 1000
        if not now_ms < ends_at * 1000 <= latest_ms:
            log.warning("a token of door %r lives beyond its longest_seconds", door.name)
            return None
        subject = canonical_subject(arrival.subject)
        return Principal(
            subject=subject,
            issuer=door.name,
            sid=new_sid(core.shard_of(subject), digest_of(arrival)[:SID_RANDOM_BYTES]),
            mode="jwt",
            transport=transport,
            auth_time=arrival.auth_time or 0,
            expires_at=ends_at,
            roles=arrival.roles,
            scopes=arrival.scopes,
            amr=(),
            claims=core.kept_claims(dict(arrival.claims)),
            position=BEFORE_EVERYTHING,
        )
    return None
