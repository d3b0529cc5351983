"""JSON Web Tokens (RFC 7519) by the best current practices (RFC 8725), access tokens of RFC 9068.

`TokenVerifier` is made once for an issuer and reused; `verify` is the same for a single token.
`issue` hands out only what `verify` would take.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Generic, TypeVar, overload

import msgspec

from sojourn.errors import ConfigurationError, ExpiredToken, InvalidInput, InvalidToken
from sojourn.jose import jws, strict_json
from sojourn.jose.claims import AccessClaims, RegisteredClaims
from sojourn.jose.expectation import ACCESS_TOKEN_TYP, Expectation
from sojourn.jose.malformed import MalformedError
from sojourn.jose.strict_json import BACKSLASH, encode

if TYPE_CHECKING:
    from sojourn.jose.keys import SigningKey
    from sojourn.jose.keyset import KeySet

ClaimsT = TypeVar("ClaimsT", bound=RegisteredClaims)


_CLAIM_IN_MESSAGE = re.compile(r"field `(\w{1,64})`|\$\.(\w{1,64})")


class TokenVerifier(Generic[ClaimsT]):
    """Verifies the tokens of one issuer; make it once and keep it.

    Args:
        keys: The issuer's keys.
        expectation: What its tokens have to be.
        claims_type: The claims wanted, derived from `RegisteredClaims`; by default `AccessClaims`.

    Raises:
        ConfigurationError: The claims type lacks a claim that is required.
    """

    __slots__ = (
        "_algorithms",
        "_audience",
        "_decode",
        "_is_own_type",
        "_issuer",
        "_leeway",
        "_open",
        "_required",
    )

    @overload
    def __init__(
        self: TokenVerifier[AccessClaims], keys: KeySet, expectation: Expectation
    ) -> None: ...
    @overload
    def __init__(
        self, keys: KeySet, expectation: Expectation, claims_type: type[ClaimsT]
    ) -> None: ...
    def __init__(
        self, keys: KeySet, expectation: Expectation, claims_type: type[Any] = AccessClaims
    ) -> None:
        """Prepare everything that does not depend on a token."""
        if not isinstance(claims_type, type) or not issubclass(claims_type, RegisteredClaims):
            raise ConfigurationError("claims_type derives from RegisteredClaims or AccessClaims")
        unknown = expectation.required - set(claims_type.__struct_encode_fields__)
        if unknown:
            raise ConfigurationError(
                f"required claims {sorted(unknown)} are not in {claims_type.__name__}; add them"
            )
        self._open = jws.Opener(
            keys,
            algorithms=expectation.algorithms,
            typ=expectation.typ,
            max_bytes=expectation.max_bytes,
        ).open
        self._decode = msgspec.json.Decoder(claims_type).decode
        # Not of a type derived from it, which may have members of any type.
        self._is_own_type = claims_type is AccessClaims
        self._issuer = expectation.issuer
        self._audience = expectation.audience
        self._leeway = expectation.leeway_seconds
        attributes = dict(
            zip(claims_type.__struct_encode_fields__, claims_type.__struct_fields__, strict=True)
        )
        self._required = tuple((name, attributes[name]) for name in sorted(expectation.required))

    def verify(self, token: str, *, now: float) -> ClaimsT:
        """Verify a token.

        Args:
            token: The compact serialization, as presented.
            now: Seconds since the epoch.

        Returns:
            Its claims.

        Raises:
            InvalidInput: It is no `str`.
            ExpiredToken: ``exp`` has passed; everything else is right, and it carries the claims.
            InvalidToken: Anything else is wrong; `reason` says what, for logs.
        """
        payload = self._open(token)
        try:
            claims: Any = self._decode(payload)
            # For the type we know, `strict_json.is_plain` by the value that is needed anyway: its
            # members are text and bounded integers, but for the application's.
            if not self._is_own_type or encode(claims) != payload or BACKSLASH in payload:
                strict_json.check_object(payload)
            elif claims.claims:
                strict_json.judge(claims.claims, depth=1)
        except MalformedError as error:
            raise InvalidToken(reason=error.reason) from None
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise InvalidToken(reason=_reason(payload, error)) from None
        if claims.iss != self._issuer:
            raise InvalidToken(reason="wrong_issuer")
        audience = claims.aud
        if audience != self._audience and (
            isinstance(audience, str) or self._audience not in audience
        ):
            raise InvalidToken(reason="wrong_audience")
        for name, attribute in self._required:
            if getattr(claims, attribute) in (None, "", [], {}, ()):
                raise InvalidToken(reason=f"missing_{name}")
        # Each condition is what must hold, so that a `now` that is not a number holds none.
        leeway = self._leeway
        if claims.nbf is not None and not claims.nbf <= now + leeway:
            raise InvalidToken(reason="not_yet_valid")
        if claims.iat is not None and not claims.iat <= now + leeway:
            raise InvalidToken(reason="issued_in_future")
        if not now < claims.exp + leeway:
            raise ExpiredToken(claims=claims)
        verified: ClaimsT = claims
        return verified


def _reason(payload: bytes, error: Exception) -> str:
    """Say why claims did not decode: no strict JSON, or the claim missing or of the wrong type."""
    try:
        strict_json.check_object(payload)
    except MalformedError as malformed:
        return malformed.reason
    match = _CLAIM_IN_MESSAGE.search(str(error))
    if match is None:
        return "invalid_claims"
    return f"missing_{match[1]}" if match[1] else f"invalid_{match[2]}"


@overload
def verify(token: str, keys: KeySet, expectation: Expectation, *, now: float) -> AccessClaims: ...
@overload
def verify(
    token: str,
    keys: KeySet,
    expectation: Expectation,
    *,
    now: float,
    claims_type: type[ClaimsT],
) -> ClaimsT: ...
def verify(
    token: str,
    keys: KeySet,
    expectation: Expectation,
    *,
    now: float,
    claims_type: type[Any] = AccessClaims,
) -> Any:
    """Verify a single token; keep a `TokenVerifier` where there are more.

    Args:
        token: The compact serialization, as presented.
        keys: The issuer's keys.
        expectation: What its tokens have to be.
        now: Seconds since the epoch.
        claims_type: The claims wanted, derived from `RegisteredClaims`.

    Returns:
        Its claims.

    Raises:
        ConfigurationError: The claims type lacks a claim that is required.
        InvalidInput: It is no `str`.
        ExpiredToken: ``exp`` has passed; everything else is right, and it carries the claims.
        InvalidToken: Anything else is wrong; `reason` says what, for logs.
    """
    return TokenVerifier(keys, expectation, claims_type).verify(token, now=now)


def issue(claims: RegisteredClaims, key: SigningKey, *, typ: str = ACCESS_TOKEN_TYP) -> str:
    """Issue a token.

    Args:
        claims: What it says. Claims that are None or empty are left out.
        key: The key; its algorithm and id go into the header.
        typ: The header's ``typ``.

    Returns:
        The compact serialization, at most 8 KiB.

    Raises:
        InvalidInput: A claim is not one that a verifier would take, or the token is too large.
    """
    try:
        payload = encode(claims)
        strict_json.check_object(payload)
        if msgspec.json.decode(payload, type=type(claims)) != claims:
            # Harmless where a tuple became a list; but NaN is written as null.
            strict_json.judge(msgspec.to_builtins(claims))
    except (msgspec.MsgspecError, ValueError, TypeError, OverflowError, RecursionError) as error:
        word = error.reason if isinstance(error, MalformedError) else type(error).__name__
        raise InvalidInput(
            f"the claims cannot be a token ({word}); give JSON values, and instants as whole seconds"
        ) from None
    token = jws.sign(payload, key, typ=typ)
    if len(token) > jws.MAX_TOKEN_BYTES:
        raise InvalidInput(
            f"the token would have more than {jws.MAX_TOKEN_BYTES} bytes; carry fewer claims"
        )
    return token
