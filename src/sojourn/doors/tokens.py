"""The signed tokens of other libraries: verified until they expire, a refresh token taken once.

What these libraries leave open is pinned: the algorithm with its keys, the kind of token, and that
it expires. Where their tokens may be laxer than ours the laxness stands here: an issuer and an
audience only where given, a subject that is a number, instants with a fraction, short secrets.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypedDict, Unpack

from sojourn.arrivals import Arrival
from sojourn.doors.old_session import ends_in_time, usable_subject
from sojourn.doors.token_dialect import Dialect, Kind, seconds, words
from sojourn.doors.token_keys import old_key
from sojourn.errors import InvalidToken, StoreError
from sojourn.jose import Algorithm, KeySet, VerifyingKey
from sojourn.jose.jws import Opener
from sojourn.jose.malformed import MalformedError
from sojourn.jose.strict_json import parse_object

DAY_SECONDS = 86_400


class Options(TypedDict, total=False):
    """What `Tokens` takes beside dialect and keys; see there."""

    issuer: str | None
    audience: str | None
    leeway_seconds: int
    is_revoked: Callable[[str], bool] | None
    roles_claim: str | None
    scopes_claim: str | None


class Tokens:
    """Accepts the tokens of another library; made by the class method of its name.

    Args:
        dialect: How the library writes them.
        keys: What they were signed with; each of these is tried.
        longest_seconds: The longest life of a token; what says it lives longer is refused.
        issuer: The exact ``iss``; None where they may have any or none.
        audience: One of ``aud``; None where they have none.
        leeway_seconds: How far clocks may differ.
        is_revoked: Tells whether a ``jti`` is on the old blocklist; then each token must have one.
        roles_claim: The claim with the roles, a list or words in one text.
        scopes_claim: The claim with the scopes, likewise.
    """

    def __init__(
        self,
        dialect: Dialect,
        keys: Iterable[VerifyingKey],
        *,
        longest_seconds: int,
        issuer: str | None = None,
        audience: str | None = None,
        leeway_seconds: int = 0,
        is_revoked: Callable[[str], bool] | None = None,
        roles_claim: str | None = None,
        scopes_claim: str | None = None,
    ) -> None:
        """Prepare everything that does not depend on a token."""
        self.name = dialect.name
        self.longest_seconds = longest_seconds
        self._dialect = dialect
        # One set for each key: old tokens rarely name theirs.
        self._open = tuple(
            Opener(KeySet([key]), algorithms=frozenset({key.alg}), typ="JWT").open for key in keys
        )
        self._issuer = issuer
        self._audience = audience
        self._leeway_seconds = leeway_seconds
        self._is_revoked = is_revoked
        self._roles_claim = roles_claim
        self._scopes_claim = scopes_claim

    @classmethod
    def simplejwt(
        cls,
        key: str | VerifyingKey,
        *,
        algorithm: Algorithm = "HS256",
        older_keys: Sequence[str | VerifyingKey] = (),
        user_id_claim: str = "user_id",
        token_type_claim: str = "token_type",  # noqa: S107 - the name of a claim
        longest_seconds: int = DAY_SECONDS,
        **options: Unpack[Options],
    ) -> Tokens:
        """Accept tokens of djangorestframework-simplejwt.

        Args:
            key: SIGNING_KEY where ALGORITHM begins with HS, else VERIFYING_KEY.
            algorithm: ALGORITHM.
            older_keys: Keys that tokens still alive were signed with before.
            user_id_claim: USER_ID_CLAIM.
            token_type_claim: TOKEN_TYPE_CLAIM.
            longest_seconds: REFRESH_TOKEN_LIFETIME, a day where it was not set.
            **options: As the class has them: `issuer` is ISSUER, `audience` AUDIENCE.
        """
        dialect = Dialect(name="simplejwt", subject=user_id_claim, kind=token_type_claim)
        return cls(
            dialect, _keys(key, older_keys, algorithm), longest_seconds=longest_seconds, **options
        )

    @classmethod
    def flask_jwt_extended(
        cls,
        key: str | VerifyingKey,
        *,
        algorithm: Algorithm = "HS256",
        older_keys: Sequence[str | VerifyingKey] = (),
        identity_claim: str = "sub",
        longest_seconds: int = 30 * DAY_SECONDS,
        **options: Unpack[Options],
    ) -> Tokens:
        """Accept tokens of Flask-JWT-Extended.

        Args:
            key: JWT_SECRET_KEY where JWT_ALGORITHM begins with HS, else JWT_PUBLIC_KEY.
            algorithm: JWT_ALGORITHM.
            older_keys: Keys that tokens still alive were signed with before.
            identity_claim: JWT_IDENTITY_CLAIM.
            longest_seconds: JWT_REFRESH_TOKEN_EXPIRES, 30 days where it was not set.
            **options: As the class has them: `issuer` is JWT_DECODE_ISSUER, `audience`
                JWT_DECODE_AUDIENCE.
        """
        dialect = Dialect(
            name="flask_jwt_extended",
            subject=identity_claim,
            kind="type",
            own=frozenset({"csrf"}),
            fresh="fresh",
        )
        return cls(
            dialect, _keys(key, older_keys, algorithm), longest_seconds=longest_seconds, **options
        )

    @classmethod
    def fastapi_users(
        cls,
        key: str | VerifyingKey,
        *,
        algorithm: Algorithm = "HS256",
        older_keys: Sequence[str | VerifyingKey] = (),
        longest_seconds: int,
        **options: Unpack[Options],
    ) -> Tokens:
        """Accept tokens of the JWTStrategy of fastapi-users, which has no refresh tokens.

        Args:
            key: Its ``public_key``, where it has one, else its ``secret``.
            algorithm: Its ``algorithm``.
            older_keys: Keys that tokens still alive were signed with before.
            longest_seconds: Its ``lifetime_seconds``.
            **options: As the class has them; `audience` is one of its ``token_audience``.
        """
        options.setdefault("audience", "fastapi-users:auth")
        return cls(
            Dialect(name="fastapi_users"),
            _keys(key, older_keys, algorithm),
            longest_seconds=longest_seconds,
            **options,
        )

    @classmethod
    def plain(
        cls,
        key: str | VerifyingKey,
        *,
        algorithm: Algorithm,
        older_keys: Sequence[str | VerifyingKey] = (),
        subject_claim: str = "sub",
        kind_claim: str | None = None,
        only: Kind = "access",
        longest_seconds: int,
        **options: Unpack[Options],
    ) -> Tokens:
        """Accept tokens of your own, made with PyJWT, python-jose or the like.

        Args:
            key: The secret or the public key.
            algorithm: The one they are signed with.
            older_keys: Keys that tokens still alive were signed with before.
            subject_claim: The claim that names the user.
            kind_claim: The claim that is ``access`` or ``refresh``; None where there is none.
            only: What all of them are, where no claim says.
            longest_seconds: The longest life that any of them was given.
            **options: As the class has them.
        """
        dialect = Dialect(name="jwt", subject=subject_claim, kind=kind_claim, only=only)
        return cls(
            dialect, _keys(key, older_keys, algorithm), longest_seconds=longest_seconds, **options
        )

    def read_access(self, token_text: str, *, now_ms: int) -> Arrival | None:
        """See `TokenDoor.read_access`."""
        return self._read(token_text, "access", now_ms // 1000)

    def read_refresh(self, token_text: str, *, now_ms: int) -> Arrival | None:
        """See `TokenDoor.read_refresh`."""
        return self._read(token_text, "refresh", now_ms // 1000)

    def _read(self, token_text: str, kind: Kind, now: int) -> Arrival | None:
        claims = self._verified(token_text)
        if claims is None or self._dialect.kind_of(claims) != kind:
            return None
        subject = usable_subject(claims.get(self._dialect.subject))
        expires_at = seconds(claims.get("exp"))
        if (
            subject is None
            or expires_at is None
            or not self._is_for_us(claims)
            or not self._is_of_now(claims, expires_at, now)
            or self._is_over(claims)
        ):
            return None
        facts = {name: value for name, value in claims.items() if self._dialect.is_fact(name)}
        return Arrival(
            subject=subject,
            # What is signed, without the signature: some algorithms have several of the same.
            proof=token_text.rpartition(".")[0],
            expires_at=expires_at,
            auth_time=self._auth_time(claims),
            roles=words(facts.pop(self._roles_claim or "", None)),
            scopes=words(facts.pop(self._scopes_claim or "", None)),
            claims=facts,
        )

    def _verified(self, token_text: str) -> dict[str, Any] | None:
        for open_token in self._open:
            try:
                return parse_object(open_token(token_text))
            except (InvalidToken, MalformedError):
                continue
        return None

    def _is_for_us(self, claims: dict[str, Any]) -> bool:
        if self._issuer is not None and claims.get("iss") != self._issuer:
            return False
        audience = claims.get("aud")
        if self._audience is None:
            return audience is None
        return audience == self._audience or (
            isinstance(audience, list) and self._audience in audience
        )

    def _is_of_now(self, claims: dict[str, Any], expires_at: int, now: int) -> bool:
        for name in ("nbf", "iat"):
            begins_at = seconds(claims.get(name, 0))
            if begins_at is None or begins_at > now + self._leeway_seconds:
                return False
        if now >= expires_at + self._leeway_seconds:
            return False
        return ends_in_time(expires_at, latest=now + self.longest_seconds, door=self.name)

    def _is_over(self, claims: dict[str, Any]) -> bool:
        """Ask the old blocklist; a token without a name cannot be looked up and is refused."""
        if self._is_revoked is None:
            return False
        jti = claims.get("jti")
        if not isinstance(jti, str) or not jti:
            return True
        try:
            return self._is_revoked(jti)
        except Exception as error:  # whatever the blocklist is kept in
            raise StoreError("the blocklist of the old tokens cannot be read") from error

    def _auth_time(self, claims: dict[str, Any]) -> int | None:
        is_fresh = self._dialect.fresh is not None and claims.get(self._dialect.fresh) is True
        return seconds(claims.get("iat")) if is_fresh else None


def _keys(
    key: str | VerifyingKey, older: Sequence[str | VerifyingKey], algorithm: Algorithm
) -> list[VerifyingKey]:
    return [old_key(each, algorithm) for each in (key, *older)]
