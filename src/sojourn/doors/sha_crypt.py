"""The ``$5$`` and ``$6$`` password hashes of Unix, which Python no longer has.

By U. Drepper's specification "Unix crypt using SHA-256 and SHA-512".
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import cycle, islice
from typing import Any

_ALPHABET = "./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

_PERIOD = 2 * 3 * 7
"""After so many rounds, what a round hashes comes again."""

Triple = tuple[int, int, int]


@dataclass(frozen=True, slots=True)
class Kind:
    """What differs between the two: the hash, and the order in which its bytes are written.

    Args:
        new: Makes the hash.
        first: The first three bytes that are written together.
        next: Gives the three after these.
        groups: How many times three.
        last: What is written at the end: bytes, and how many characters.
    """

    new: Callable[..., Any]
    first: Triple
    next: Callable[[int, int, int], Triple]
    groups: int
    last: tuple[tuple[int, ...], int]

    def order(self) -> Iterator[Triple]:
        """Go through the threes."""
        each = self.first
        for _ in range(self.groups):
            yield each
            each = self.next(*each)


KINDS = {
    "5": Kind(
        hashlib.sha256, (0, 10, 20), lambda a, b, c: (c + 1, a + 1, b + 1), 10, ((31, 30), 3)
    ),
    "6": Kind(hashlib.sha512, (0, 21, 42), lambda a, b, c: (b + 1, c + 1, a + 1), 21, ((63,), 2)),
}


def sha_crypt(password: bytes, *, kind: str, salt: bytes, rounds: int) -> str:
    """Hash a password.

    Args:
        password: Its cost grows with its length; the caller bounds it.
        kind: ``5`` for SHA-256, ``6`` for SHA-512.
        salt: At most 16 bytes.
        rounds: 1,000 to 999,999,999.

    Returns:
        What stands behind the last ``$``.
    """
    spec = KINDS[kind]
    new = spec.new
    inner = new(password + salt + password).digest()
    outer = new(password + salt + _filled(inner, len(password)))
    length = len(password)
    while length:
        outer.update(inner if length & 1 else password)
        length >>= 1
    digest = outer.digest()
    by_password = _filled(new(password * len(password)).digest(), len(password))
    by_salt = _filled(new(salt * (16 + digest[0])).digest(), len(salt))
    around = [_around(number, by_password, by_salt) for number in range(_PERIOD)]
    for before, after in islice(cycle(around), rounds):
        digest = new(before + digest + after).digest()
    places, characters = spec.last
    threes = [_written([digest[place] for place in three], 4) for three in spec.order()]
    return "".join([*threes, _written([digest[place] for place in places], characters)])


def _around(number: int, by_password: bytes, by_salt: bytes) -> tuple[bytes, bytes]:
    """Give what a round hashes before and after the digest of the round before."""
    between = (by_salt if number % 3 else b"") + (by_password if number % 7 else b"")
    if number % 2:
        return by_password + between, b""
    return b"", between + by_password


def _filled(block: bytes, size: int) -> bytes:
    """Repeat a block up to a size."""
    return (block * (size // len(block) + 1))[:size]


def _written(octets: list[int], characters: int) -> str:
    """Write bytes in the alphabet of crypt, lowest bits first."""
    number = int.from_bytes(bytes(octets))
    return "".join(_ALPHABET[number >> 6 * place & 63] for place in range(characters))
