"""Signing keys in use: the ring as read from the store, and the verifier made from it."""

from __future__ import annotations

import secrets as csprng
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec

from sojourn import keyring
from sojourn.engine.picture import Bounded
from sojourn.errors import Conflict, InvalidToken
from sojourn.jose import AccessClaims, Expectation, KeySet, SigningKey, TokenVerifier, issue
from sojourn.keyring import DOCUMENT, Ring
from sojourn.model import AuditRecord, Event, Kind, Principal, Session, Transport

if TYPE_CHECKING:
    from sojourn.engine.core import Core
    from sojourn.ports import Tentative
    from sojourn.server_secret import ServerSecrets
    from sojourn.settings import Settings

MAX_ATTEMPTS = 5
REMEMBERED_TOKENS = 20_000
RELOAD_INTERVAL_MS = 1000
"""Unknown kids lead to at most one reload in this time, however many are presented."""


@dataclass(frozen=True, slots=True)
class Remembered:
    """A token whose signature was verified; time and revocation are judged at every hit."""

    claims: AccessClaims
    principal: Principal[Any]
    not_after_ms: int


class Keys:
    """The key ring of one process.

    Args:
        settings: Which algorithm and lives.
        secrets: What the ring is sealed under.
    """

    def __init__(self, settings: Settings, secrets: ServerSecrets) -> None:
        """Know no key yet."""
        self._settings = settings
        self._secrets = secrets
        self._stored = (Ring(), 0)
        self._signing: dict[str, SigningKey] = {}
        self._verifier: TokenVerifier[AccessClaims] | None = None
        self._loaded_at_ms = 0
        self._is_outdated = True
        self._tentative: Tentative | None = None
        self.remembered: Bounded[Remembered] = Bounded(REMEMBERED_TOKENS)

    def mark_outdated(self) -> None:
        """Have the ring read again before anything else is verified or remembered."""
        self._is_outdated = True

    @property
    def is_outdated(self) -> bool:
        """Whether the ring has to be read before anything is verified.

        So it has once the transaction is over in which it was read: it may have been rolled back.
        """
        tentative = self._tentative
        return self._is_outdated or (tentative is not None and not tentative.is_tentative())

    @property
    def ring(self) -> Ring:
        """The ring as last read."""
        return self._stored[0]

    async def load(self, core: Core) -> None:
        """Read the ring, adding the key that is due: the first one, or the next.

        Raises:
            Conflict: Others changed the ring at each attempt.
        """
        for _ in range(MAX_ATTEMPTS):
            self._is_outdated = False  # before reading, so that a mark set meanwhile is kept
            tentative = core.picture.tentative
            is_tentative = tentative is not None and tentative.is_tentative()
            self._tentative = tentative if is_tentative else None
            try:
                await self._read(core)
            except BaseException:
                self._is_outdated = True
                raise
            signs_from_ms = self.ring.next_signs_from_ms(self._settings, now_ms=core.clock())
            if signs_from_ms is None:
                return
            await self._add(core, signs_from_ms=signs_from_ms, by="schedule")
        raise Conflict("the key ring kept changing; try again")

    async def _read(self, core: Core) -> None:
        stored = await core.store.get_document(DOCUMENT)
        self._loaded_at_ms = core.clock()
        ring = msgspec.msgpack.decode(stored.payload, type=Ring) if stored else Ring()
        # A key is revoked in the feed first; a crash before the ring followed must not leave it
        # in the way of its successor.
        ring = ring.without(tuple(core.picture.view.revoked_keys))
        # One value, since threads share it: a ring with another's version would undo a change.
        self._stored = (ring, stored.version if stored else 0)
        keys = keyring.unseal(ring.keys, self._secrets)
        is_changed = self._signing.keys() != {key.kid for key in keys}
        self._signing = {key.kid: key for key in keys}
        self._verifier = TokenVerifier(
            KeySet([key.verifying for key in keys]),
            Expectation(
                issuer=self._settings.issuer,
                audience=self._settings.audience or self._settings.issuer,
                algorithms=frozenset(key.alg for key in keys),
                leeway_seconds=self._settings.leeway_seconds,
            ),
        )
        if is_changed:
            # Another map, after the verifier: what a thread is just verifying under the keys of
            # before lands in the map of before.
            self.remembered = Bounded(REMEMBERED_TOKENS)

    async def reload_for_unknown_kid(self, core: Core) -> bool:
        """Read the ring again for a kid it did not have, within a budget of its own."""
        if core.clock() - self._loaded_at_ms < RELOAD_INTERVAL_MS and not self.is_outdated:
            return False
        await self.load(core)
        return True

    # --- signing -----------------------------------------------------------------------------------

    async def keep_schedule(self, core: Core) -> None:
        """Read the ring where it is out of date, and add the next key where one is due."""
        due_ms = self.ring.next_signs_from_ms(self._settings, now_ms=core.clock())
        if self.is_outdated or due_ms is not None:
            await self.load(core)

    async def signing_key(self, core: Core) -> SigningKey:
        """Give the key that signs now, rotating the ring where that is due."""
        for _ in range(MAX_ATTEMPTS):
            await self.keep_schedule(core)
            signer = self.ring.signer(alg=self._settings.signing_algorithm, now_ms=core.clock())
            key = self._signing.get(signer.kid) if signer else None
            if key is not None:
                return key
            self._is_outdated = True
        raise Conflict("the key ring kept changing; try again")

    async def _add(
        self, core: Core, *, signs_from_ms: int, by: str, revoke: tuple[str, ...] = ()
    ) -> bool:
        """Publish a new key; with `revoke`, take those and all their tokens back at once.

        A revocation is in the feed before the ring changes: a crash in between leaves it in force.

        Returns:
            False where another process changed the ring first, and no key was added.
        """
        now_ms = core.clock()
        revoked = [Event(kind=Kind.KEY, kid=kid) for kid in revoke]
        records = [core.audit("key_revoked", by=by, reason=kid) for kid in revoke]
        await self._announce(core, revoked, records)
        key = keyring.make_key(
            self._settings,
            self._secrets.current,
            signs_from_ms=signs_from_ms,
            now_ms=now_ms,
            longest_token_ms=core.opened.longest_token_ms,
            nonce=csprng.token_bytes(12),
        )
        ring, version = self._stored
        payload = msgspec.msgpack.encode(ring.without(revoke).with_key(key, now_ms=now_ms))
        is_added = await core.store.put_document(DOCUMENT, payload, expected_version=version)
        if is_added:
            added = [Event(kind=Kind.RING, kid=key.kid)]
            await self._announce(core, added, [core.audit("key_added", by=by, reason=key.kid)])
        return is_added

    async def _announce(self, core: Core, events: list[Event], records: list[AuditRecord]) -> None:
        """Append what concerns everyone to every shard; done when all have it."""
        if not events:
            return
        for shard in range(core.opened.shards):
            audit = records if shard == 0 else []
            written = await core.store.append(shard, events, audit=audit)
            core.picture.note(written.entries)

    async def rotate(self, core: Core, *, by: str, is_emergency: bool = False) -> None:
        """Put a new key into service.

        Args:
            core: The core.
            by: Who asked for it.
            is_emergency: Sign with it now and revoke the old ones, with every token they signed;
                else it takes over once verifiers have had `jwks_ttl_seconds` to fetch it.

        Raises:
            Conflict: Others changed the ring at each attempt.
        """
        delay_ms = 0 if is_emergency else self._settings.jwks_ttl_seconds * 1000
        for _ in range(MAX_ATTEMPTS):
            await self.load(core)
            old = tuple(key.kid for key in self.ring.keys) if is_emergency else ()
            if await self._add(core, signs_from_ms=core.clock() + delay_ms, by=by, revoke=old):
                await self.load(core)
                return
        raise Conflict("the key ring kept changing; try again")

    def jwks(self) -> dict[str, Any]:
        """Give the public keys (RFC 7517): those that sign, will sign, or did for a live token."""
        keys = [key.verifying for key in self._signing.values()]
        return KeySet(keys).to_jwks()

    # --- tokens ------------------------------------------------------------------------------------

    def verify(self, token: str, *, now_ms: int) -> AccessClaims:
        """Verify an access token of this issuer, offline.

        Raises:
            InvalidToken: It is not one, or not for this audience.
            Expired: It was one.
        """
        if self._verifier is None:
            raise InvalidToken("no key is known", reason="unknown_kid")
        return self._verifier.verify(token, now=now_ms / 1000)

    async def access_token(
        self,
        core: Core,
        session: Session,
        *,
        expires_at_ms: int,
        is_stored: bool,
        audience: str = "",
    ) -> str:
        """Issue an access token (RFC 9068) for a session.

        Args:
            core: The core.
            session: Whose facts it carries.
            expires_at_ms: When it ends.
            is_stored: Whether a stored session stands behind it, so that a refresh can mend it.
            audience: Another audience than the configured one.
        """
        key = await self.signing_key(core)
        claims = AccessClaims(
            iss=self._settings.issuer,
            sub=session.subject,
            aud=audience or self._settings.audience or self._settings.issuer,
            exp=expires_at_ms // 1000,
            iat=core.clock() // 1000,
            jti=csprng.token_urlsafe(16),
            client_id=session.client_id or self._settings.issuer,
            sid=session.sid,
            auth_time=session.auth_time_ms // 1000,
            amr=list(session.amr),
            roles=list(session.roles),
            scope=" ".join(session.scopes),
            pos=session.position,
            ver=session.version if is_stored else None,
            claims=session.claims,
        )
        return issue(claims, key)

    def principal_of(
        self, core: Core, claims: AccessClaims, *, transport: Transport
    ) -> Principal[Any]:
        """Describe who a verified token speaks of."""
        return Principal(
            subject=claims.sub,
            issuer=claims.iss,
            sid=claims.sid,
            mode="jwt" if claims.ver is None else "hybrid",
            transport=transport,
            auth_time=claims.auth_time,
            expires_at=claims.exp,
            roles=frozenset(claims.roles),
            scopes=frozenset(claims.scope.split()),
            amr=tuple(claims.amr),
            claims=core.kept_claims(claims.claims),
            position=claims.pos,
            version=claims.ver,
            client_id=claims.client_id,
        )
