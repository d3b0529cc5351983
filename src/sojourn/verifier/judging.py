"""Judging a token by what this process holds. No I/O: what is not known is named, to be asked for."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf
from typing import TYPE_CHECKING, Any

from sojourn.errors import (
    ConfigurationError,
    Expired,
    ExpiredToken,
    InvalidToken,
    RefreshRequired,
    Refused,
    Revoked,
)
from sojourn.jose import AccessClaims, jws
from sojourn.model import Principal
from sojourn.revocations import Verdict
from sojourn.verifier.core import IssuerState, Remembered
from sojourn.verifier.foreign import check_pinned, foreign_principal, own_principal
from sojourn.verifier.introspection import Introspector

if TYPE_CHECKING:
    from sojourn.jose import RegisteredClaims
    from sojourn.verifier.core import VerifierCore


_DOTS = 2
MAX_OPAQUE_BYTES = 4 * 1024


@dataclass(frozen=True, slots=True)
class AskKeys:
    """No key of the issuer is known, or not the one that signed."""

    state: IssuerState
    is_first: bool


@dataclass(frozen=True, slots=True)
class AskFeed:
    """The picture of the issuer's revocations is not recent enough."""

    state: IssuerState


@dataclass(frozen=True, slots=True)
class AskIntrospector:
    """Whoever issued this opaque token has to be asked."""

    introspector: Introspector


Judgement = Principal[Any] | Refused | AskKeys | AskFeed | AskIntrospector


def judge(
    core: VerifierCore,
    token: str,
    *,
    now_ms: int,
    max_lag_ms: float | None,
    has_asked: bool = False,
) -> Judgement:
    """Judge a token.

    Args:
        core: The verifier.
        token: As presented.
        now_ms: The present.
        max_lag_ms: How old what is known of revocations may be, 0 to always ask; None for the
            configured bound.
        has_asked: Whether that was asked for during this check.

    Raises:
        ConfigurationError: A bound is demanded of an issuer of whose revocations nothing is known.
    """
    remembered = core.remembered.entries.get(token)
    if (
        remembered is None
        or remembered.loaded is not remembered.state.keys.loaded
        or now_ms >= remembered.not_after_ms
    ):
        if token.startswith("sj_"):
            return InvalidToken(
                "this is an opaque handle, which only its own server reads; exchange it there for "
                "an access token: POST /auth/access-token",
                reason="opaque_handle",
            )
        if token.count(".") != _DOTS:
            return _judge_opaque(core, token, max_lag_ms=max_lag_ms, has_asked=has_asked)
        try:
            fresh = _verified(core, token, now_ms=now_ms)
        except Refused as error:
            return error
        if isinstance(fresh, AskKeys):
            return fresh
        core.remembered.put(token, fresh)
        remembered = fresh
    return _judge_revocation(core, remembered, max_lag_ms=max_lag_ms, has_asked=has_asked)


def _verified(core: VerifierCore, token: str, *, now_ms: int) -> Remembered | AskKeys:
    """Verify a token that is not remembered.

    Its unverified ``iss`` and ``aud`` only choose which of the pinned values to verify against, by
    exact comparison.
    """
    header_text, claims_text, _ = jws.split(token, max_bytes=jws.MAX_TOKEN_BYTES)
    unverified = jws.parsed(claims_text)
    spelling = unverified.get("iss")
    found = core.by_spelling.get(spelling) if isinstance(spelling, str) else None
    if found is None or not isinstance(spelling, str):
        raise InvalidToken(reason="unknown_issuer")
    state, name, tenant = found
    loaded = state.keys.loaded  # once: another thread may take others in
    if loaded is None:
        return AskKeys(state, is_first=True)
    audience = _chosen_audience(core.audiences_of(state.issuer), unverified.get("aud"))
    try:
        claims = state.keys.verify(
            loaded, token, spelling=spelling, audience=audience, now_ms=now_ms
        )
    except InvalidToken as error:
        if error.reason != "unknown_kid":
            raise
        if state.keys.is_revoked(jws.parsed(header_text)["kid"]):
            raise InvalidToken(reason="revoked_key") from None
        return AskKeys(state, is_first=False)
    except ExpiredToken as error:
        raise _after_expiry(error.claims) from None
    check_pinned(state.issuer, unverified, tenant=tenant)  # the very bytes that were verified
    leeway_ms = core.rules.leeway_seconds * 1000
    return Remembered(
        state,
        loaded,
        claims,
        _principal(state, claims, unverified, name=name, audience=audience),
        claims.exp * 1000 + leeway_ms,
    )


def _chosen_audience(accepted: frozenset[str], said: Any) -> str:
    """Choose against which audience to verify; where none fits, any will refuse."""
    named = said if isinstance(said, list) else [said]
    fitting = [text for text in named if isinstance(text, str) and text in accepted]
    return fitting[0] if fitting else min(accepted)


def _principal(
    state: IssuerState,
    claims: RegisteredClaims,
    said: dict[str, Any],
    *,
    name: str,
    audience: str,
) -> Principal[Any]:
    if isinstance(claims, AccessClaims):
        return own_principal(claims)
    return foreign_principal(
        said,
        subject=claims.sub,
        expires_at=claims.exp,
        issuer=name,
        audience=audience,
        roles_from=state.issuer.roles_from,
    )


def _after_expiry(claims: RegisteredClaims) -> Refused:
    if isinstance(claims, AccessClaims) and claims.ver is not None:
        return RefreshRequired("the access token is over; refresh")
    return Expired("the token is over; sign in again")


# --- revocation -----------------------------------------------------------------------------------


def _judge_revocation(
    core: VerifierCore, remembered: Remembered, *, max_lag_ms: float | None, has_asked: bool
) -> Judgement:
    state, claims = remembered.state, remembered.claims
    picture = state.picture
    if picture is None:
        if max_lag_ms is not None:
            raise _no_feed(state)
        return remembered.principal
    # The age is read before the maps; whoever writes them writes the maps first.
    bound_ms = core.rules.max_lag_seconds * 1000 if max_lag_ms is None else max_lag_ms
    is_current = has_asked or (bound_ms > 0 and picture.lag_ms() <= bound_ms)
    assert isinstance(claims, AccessClaims)  # noqa: S101 - only Sojourn's issuers have a feed
    verdict = picture.view.judge(
        subject=claims.sub, sid=claims.sid, position=claims.pos, version=claims.ver
    )
    if verdict is Verdict.REVOKED:
        return Revoked("this sign-in was ended; sign in again")
    if verdict is Verdict.REFRESH:
        return RefreshRequired("roles or claims have changed; refresh")
    return remembered.principal if is_current else AskFeed(state)


def _no_feed(state: IssuerState) -> ConfigurationError:
    if state.issuer.is_sojourn:
        return ConfigurationError(
            f"max_lag asks for revocations of {state.issuer.url}, which are not followed; add "
            "feed_token= (sojourn verifiers add NAME)"
        )
    return ConfigurationError(
        f"max_lag asks for revocations of {state.issuer.url}, which tells of none; leave it out "
        "for routes that take its tokens"
    )


# --- opaque tokens --------------------------------------------------------------------------------


def _judge_opaque(
    core: VerifierCore, token: str, *, max_lag_ms: float | None, has_asked: bool
) -> Judgement:
    is_sane = len(token) <= MAX_OPAQUE_BYTES and token.isascii()
    introspector = core.asking.introspector_for(token) if is_sane else None
    if introspector is None:
        return InvalidToken(reason="not_three_segments")
    max_age_ms = core.asking.kept_ms if max_lag_ms is None else min(max_lag_ms, core.asking.kept_ms)
    known = core.asking.known(token, max_age_ms=inf if has_asked else max_age_ms)
    # What was read in this very millisecond was still read before this check asked.
    if known is None or (max_age_ms == 0 and not has_asked):
        return AskIntrospector(introspector)
    return known.principal or InvalidToken(reason="not_active")
