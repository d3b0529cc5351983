"""A set of verifying keys, and JWK Sets (RFC 7517 section 5)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from sojourn.errors import InvalidKey
from sojourn.jose import strict_json
from sojourn.jose.algorithms import ALGORITHMS, Algorithm
from sojourn.jose.keys import VerifyingKey
from sojourn.jose.malformed import MalformedError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

MAX_JWKS_BYTES = 256 * 1024
MAX_KEYS = 256


class KeySet:
    """Keys by their ids; it never changes.

    Args:
        keys: At most 256, each with an id of its own.

    Raises:
        InvalidKey: Two have the same id, or there are too many.
    """

    __slots__ = ("_by_kid",)

    def __init__(self, keys: Iterable[VerifyingKey]) -> None:
        each = tuple(keys)
        self._by_kid = {key.kid: key for key in each}
        if len(self._by_kid) != len(each) or len(each) > MAX_KEYS:
            raise InvalidKey(f"a key set has at most {MAX_KEYS} keys, each with a kid of its own")

    @classmethod
    def from_jwks(
        cls, jwks: Mapping[str, Any] | bytes, *, algorithms: frozenset[Algorithm]
    ) -> KeySet:
        """Read the public key set of an issuer.

        A key that is not understood, too weak, private, not for signatures, or not for one of
        `algorithms` is left out, as RFC 7517 section 5 asks. One that does not name its algorithm
        gets the only one of `algorithms` that fits; where several do, it is left out.

        Args:
            jwks: The set, or UTF-8 JSON of at most 256 KiB.
            algorithms: Which algorithms the issuer is known to sign with.

        Returns:
            The keys that can be used, perhaps none.

        Raises:
            InvalidKey: It is no key set; it holds a secret (``oct``), which is no secret any more;
                or two of its keys have the same id.
        """
        keys = []
        kids: set[str] = set()
        for jwk in _entries(jwks):
            if not isinstance(jwk, dict):
                raise InvalidKey("the key set has an entry that is no object")
            if jwk.get("kty") == "oct":
                raise InvalidKey("the public key set holds a secret (kty oct); revoke it")
            kid = jwk.get("kid")
            if isinstance(kid, str):
                if kid in kids:
                    raise InvalidKey("two keys of the set have the same kid")
                kids.add(kid)
            if (alg := _only_fitting(jwk, algorithms)) is not None:
                try:
                    keys.append(VerifyingKey.from_jwk(jwk, alg=alg))
                except InvalidKey:
                    continue
        return cls(keys)

    def to_jwks(self) -> dict[str, Any]:
        """Write the public keys as a JWK Set; secrets of HMAC are left out."""
        return {"keys": [key.to_jwk() for key in self if key.is_public]}

    def get(self, kid: str) -> VerifyingKey | None:
        """Find a key by its exact id; None where it is not in the set."""
        return self._by_kid.get(kid)

    def only(self, alg: Algorithm) -> VerifyingKey | None:
        """Find the key of a token without ``kid``; None unless exactly one has this algorithm."""
        fitting = [key for key in self if key.alg == alg]
        return fitting[0] if len(fitting) == 1 else None

    def __iter__(self) -> Iterator[VerifyingKey]:
        """Go through the keys in their order."""
        return iter(self._by_kid.values())

    def __len__(self) -> int:
        """Count the keys."""
        return len(self._by_kid)

    def __repr__(self) -> str:
        """Show the ids."""
        return f"KeySet({list(self)!r})"


def _entries(jwks: Mapping[str, Any] | bytes) -> list[Any]:
    if isinstance(jwks, bytes):
        if len(jwks) > MAX_JWKS_BYTES:
            raise InvalidKey(f"a key set has at most {MAX_JWKS_BYTES} bytes; this is not one")
        try:
            jwks = strict_json.parse_object(jwks)
        except MalformedError as error:
            raise InvalidKey(f"the key set is not acceptable JSON ({error.reason})") from None
    entries = jwks.get("keys") if isinstance(jwks, Mapping) else None
    if not isinstance(entries, list) or len(entries) > MAX_KEYS:
        raise InvalidKey(f"a key set has a list 'keys' of at most {MAX_KEYS} entries")
    return entries


def _only_fitting(jwk: dict[str, Any], algorithms: frozenset[Algorithm]) -> Algorithm | None:
    fitting: list[Algorithm] = [
        name for name in algorithms if jwk.get("alg", name) == name and _fits(jwk, name)
    ]
    return fitting[0] if len(fitting) == 1 else None


def _fits(jwk: dict[str, Any], name: Algorithm) -> bool:
    spec = ALGORITHMS[name]
    is_of_curve = spec.curve is None or spec.curve.crv == jwk.get("crv")
    return spec.kty == jwk.get("kty") and is_of_curve
