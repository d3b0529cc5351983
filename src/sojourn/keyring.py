"""The signing keys of an issuer and when each signs: one record in the store, changed by CAS.

A key is published before it signs, so that a verifier that keeps the key set for a while knows it
already, and stays until its last token is dead. A process with an old copy of the ring does not
sign past `signs_until_ms`. At rest the private part is sealed (AES-256-GCM) under a server secret,
with kid and algorithm bound into the seal; the public part is derived from it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from sojourn.errors import ConfigurationError
from sojourn.jose import SigningKey

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sojourn.server_secret import ServerSecret, ServerSecrets
    from sojourn.settings import Settings

DOCUMENT = "keyring"
_NONCE_BYTES = 12


class RingKey(msgspec.Struct, frozen=True, kw_only=True):
    """One signing key, its private part sealed."""

    kid: str
    alg: str
    secret_id: str
    sealed: bytes
    created_at_ms: int
    signs_from_ms: int
    signs_until_ms: int
    dies_at_ms: int


class Ring(msgspec.Struct, frozen=True):
    """All keys, oldest first."""

    keys: tuple[RingKey, ...] = ()

    def signer(self, *, alg: str, now_ms: int) -> RingKey | None:
        """Give the newest key that signs at this instant; None where one has to be made."""
        able = [
            k for k in self.keys if k.alg == alg and k.signs_from_ms <= now_ms < k.signs_until_ms
        ]
        return max(able, key=lambda key: key.signs_from_ms, default=None)

    def next_signs_from_ms(self, settings: Settings, *, now_ms: int) -> int | None:
        """Tell from when the next key has to sign; None while none is due.

        The first signs at once. The next has to be known to verifiers for `jwks_ttl_seconds` before
        it takes over; since a ring is looked after only now and then, it is due twice as early.
        """
        alg = settings.signing_algorithm
        current = self.signer(alg=alg, now_ms=now_ms)
        if current is None:
            return now_ms
        has_successor = any(k.alg == alg and k.signs_from_ms > now_ms for k in self.keys)
        is_due = now_ms >= current.signs_until_ms - 2 * settings.jwks_ttl_seconds * 1000
        return current.signs_until_ms if is_due and not has_successor else None

    def with_key(self, key: RingKey, *, now_ms: int) -> Ring:
        """Add a key, let those it takes over from sign no longer than that, and drop the dead."""
        kept = tuple(
            msgspec.structs.replace(k, signs_until_ms=min(k.signs_until_ms, key.signs_from_ms))
            if k.alg == key.alg
            else k
            for k in self.keys
            if k.dies_at_ms > now_ms
        )
        return Ring((*kept, key))

    def without(self, kids: Sequence[str]) -> Ring:
        """Remove keys at once, their tokens with them."""
        return Ring(tuple(key for key in self.keys if key.kid not in kids))


def make_key(
    settings: Settings,
    secret: ServerSecret,
    *,
    signs_from_ms: int,
    now_ms: int,
    longest_token_ms: int,
    nonce: bytes,
) -> RingKey:
    """Generate a key that signs from an instant for `key_ttl_seconds`.

    Args:
        settings: Which algorithm, and for how long.
        secret: The server secret to seal it under.
        signs_from_ms: When it takes over.
        now_ms: The present.
        longest_token_ms: How long the longest token lives that it may sign.
        nonce: 12 bytes from a CSPRNG.
    """
    key = SigningKey.generate(settings.signing_algorithm)
    signs_until_ms = signs_from_ms + settings.key_ttl_seconds * 1000
    plain = msgspec.json.encode(key.to_jwk())
    sealed = nonce + AESGCM(secret.sealing_key).encrypt(nonce, plain, _bound(key.kid, key.alg))
    return RingKey(
        kid=key.kid,
        alg=key.alg,
        secret_id=secret.id,
        sealed=sealed,
        created_at_ms=now_ms,
        signs_from_ms=signs_from_ms,
        signs_until_ms=signs_until_ms,
        dies_at_ms=signs_until_ms + longest_token_ms,
    )


def unseal(keys: Sequence[RingKey], secrets: ServerSecrets) -> list[SigningKey]:
    """Open the private parts.

    Raises:
        ConfigurationError: A key was sealed under a secret that is not configured, or altered.
    """
    opened = []
    for key in keys:
        secret = secrets.named(key.secret_id)
        if secret is None:
            raise ConfigurationError(
                f"signing key {key.kid} was sealed under server secret {key.secret_id}, which is "
                "not the configured one; set SOJOURN_SECRET to the secret this store was made "
                "with (several are accepted, the current one first)"
            )
        nonce, sealed = key.sealed[:_NONCE_BYTES], key.sealed[_NONCE_BYTES:]
        try:
            plain = AESGCM(secret.sealing_key).decrypt(nonce, sealed, _bound(key.kid, key.alg))
        except (InvalidTag, ValueError):  # ValueError: cut short within the nonce
            raise ConfigurationError(
                f"signing key {key.kid} was altered in the store; restore the key ring from a "
                "backup, or remove the document 'keyring' to start with a new key"
            ) from None
        opened.append(SigningKey.from_jwk(plain))
    return opened


def _bound(kid: str, alg: str) -> bytes:
    return f"sojourn key at rest\x00{kid}\x00{alg}".encode()
