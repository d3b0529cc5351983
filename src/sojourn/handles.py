"""Handles: the opaque secret a client holds, derived from a session and never stored.

A handle reads ``sj_<purpose>1_<80 characters>``. Behind the prefix is base64url of

    sid (16 bytes: 1 of shard, 15 random) · generation (4) · secret id (4) · MAC (32) · CRC-32 (4)

The MAC of (purpose, sid, generation, seed) is taken under the server secret that the handle names.
A leaked database lacks the secret, a leaked secret lacks the seeds, and a repeated refresh derives
the same successor again without it having been stored. The checksum refuses garbage (and lets
secret scanners recognise a leaked handle) before any look-up; it proves nothing.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from dataclasses import dataclass
from zlib import crc32

from sojourn.model import Purpose
from sojourn.server_secret import ServerSecret, ServerSecrets, is_equal

SEED_BYTES = 32
SID_RANDOM_BYTES = 15
_SID_BYTES = 16
_TEXT = re.compile(r"sj_([srg])1_([A-Za-z0-9_-]{80})")
_SID_TEXT = re.compile(r"[A-Za-z0-9_-]{21}[AQgw]")
MAX_GENERATION = 2**32 - 1


@dataclass(frozen=True, slots=True)
class Handle:
    """A handle as presented: well formed, its MAC not yet judged."""

    purpose: Purpose
    sid: str
    generation: int
    secret_id: str
    mac: bytes

    def __repr__(self) -> str:
        """Show what is public; the MAC is the secret."""
        return f"Handle(purpose={self.purpose.name}, sid={self.sid!r}, gen={self.generation})"


def new_sid(shard: int, randomness: bytes) -> str:
    """Make the public name of a session.

    Args:
        shard: The shard of its subject, 0 to 255.
        randomness: `SID_RANDOM_BYTES` from a CSPRNG.
    """
    return urlsafe_b64encode(bytes([shard]) + randomness)[:22].decode()


def is_sid(text: str) -> bool:
    """Tell whether a text has the one spelling of a sid."""
    return _SID_TEXT.fullmatch(text) is not None


def shard_of_sid(sid: str) -> int:
    """Read the shard that a sid carries."""
    return urlsafe_b64decode(sid[:4])[0]


def shard_of_subject(subject: str, *, placement_key: bytes, shards: int) -> int:
    """Place a subject, by a keyed hash so that nobody can aim at a shard.

    Args:
        subject: The canonical subject.
        placement_key: The store's own key; it is never rotated.
        shards: How many shards the store was created with, 1 to 256.
    """
    digest = hashlib.blake2b(subject.encode(), key=placement_key, digest_size=8).digest()
    return int.from_bytes(digest) % shards


def _mac(secret: ServerSecret, purpose: Purpose, head: bytes, seed: bytes) -> bytes:
    return hmac.digest(secret.handle_key, purpose.encode() + head + seed, "sha256")


def mint(secret: ServerSecret, *, purpose: Purpose, sid: str, generation: int, seed: bytes) -> str:
    """Derive the handle of a generation; the same arguments give the same handle.

    Args:
        secret: The server secret of the record's chain.
        purpose: What the handle is for.
        sid: The session's public name.
        generation: 1 to 2^32 - 1.
        seed: The session's 256-bit seed.
    """
    head = urlsafe_b64decode(sid + "==") + generation.to_bytes(4) + bytes.fromhex(secret.id)
    body = head + _mac(secret, purpose, head, seed)
    prefix = f"sj_{purpose}1_"
    checksum = crc32(prefix.encode() + body).to_bytes(4)
    return prefix + urlsafe_b64encode(body + checksum).decode()


def parse(text: str) -> Handle | None:
    """Read a presented handle; None for anything that was never one. Costs no look-up."""
    match = _TEXT.fullmatch(text)
    if match is None:
        return None
    raw = urlsafe_b64decode(match[2])
    body, checksum = raw[:56], raw[56:]
    if crc32(text[:6].encode() + body).to_bytes(4) != checksum:
        return None
    return Handle(
        purpose=Purpose(match[1]),
        sid=urlsafe_b64encode(body[:_SID_BYTES])[:22].decode(),
        generation=int.from_bytes(body[16:20]),
        secret_id=body[20:24].hex(),
        mac=body[24:],
    )


def is_authentic(handle: Handle, *, seed: bytes, secrets: ServerSecrets) -> bool:
    """Verify the MAC of a presented handle, under the secret it names.

    Nothing about the session may change before this says yes: a sid is public.
    """
    secret = secrets.named(handle.secret_id)
    if secret is None:
        return False
    head = (
        urlsafe_b64decode(handle.sid + "==")
        + handle.generation.to_bytes(4)
        + bytes.fromhex(handle.secret_id)
    )
    return is_equal(_mac(secret, handle.purpose, head, seed), handle.mac)
