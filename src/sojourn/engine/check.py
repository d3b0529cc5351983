"""Checking a request: who is it, without a look-up wherever the picture is fresh.

`judge` is a plain function: Known needs no await. Only where this process does not know (`Ask`),
the store is read: the record for a handle, the feed up to its head for an access token.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from math import inf
from typing import TYPE_CHECKING, Any

import msgspec

from sojourn import policy
from sojourn.browser import Credentials
from sojourn.engine.answers import Checked, SignedIn
from sojourn.engine.arrive import arrive
from sojourn.engine.keys import Remembered
from sojourn.engine.old_tokens import old_principal
from sojourn.engine.picture import NEAR_LIFE_MS, NearCopy
from sojourn.engine.proof import read_proof
from sojourn.engine.refresh import renew_in_passing
from sojourn.errors import (
    Expired,
    ExpiredToken,
    InvalidToken,
    RefreshRequired,
    Refused,
    Revoked,
    Stale,
    StoreError,
    Unauthenticated,
)
from sojourn.messages import NOTHING_TO_SEND, Incoming
from sojourn.model import Principal, Purpose, Transport
from sojourn.need import ANYONE_SIGNED_IN, Need
from sojourn.revocations import Verdict, View

if TYPE_CHECKING:
    from sojourn.engine.core import Core
    from sojourn.ports import Tentative


log = logging.getLogger("sojourn.check")


@dataclass(frozen=True, slots=True)
class Known:
    """Recognised from what this process holds."""

    principal: Principal[Any]
    touch: NearCopy | None = None
    """The near copy whose "last seen" is due to be written."""


@dataclass(frozen=True, slots=True)
class Ask:
    """This process does not know, or not recently enough: the store has to be read."""


@dataclass(frozen=True, slots=True)
class Nothing:
    """Nobody, and why."""

    refusal: Refused


Judgement = Known | Ask | Nothing
_ASK = Ask()
_NOBODY = Unauthenticated("sign in first")
_EVERYTHING = 1_000_000
"""More entries than any transaction makes."""
_ROUNDS = 5
"""Judging, catching up and reading the ring again each take one; more means keys keep changing."""


def judge(core: Core, presented: Credentials, *, now_ms: int, max_lag_ms: float) -> Judgement:
    """Judge what a request presents, by what this process knows. No I/O.

    Args:
        core: The core.
        presented: The credentials, as read by the browser rules.
        now_ms: The present.
        max_lag_ms: How old the picture may be; 0 always asks.
    """
    if presented.access:
        return _judge_token(core, presented.access, presented.transport, now_ms, max_lag_ms)
    if presented.handle:
        return _judge_handle(core, presented.handle, presented.transport, now_ms, max_lag_ms)
    if presented.is_ambiguous:
        return Nothing(Unauthenticated("a cookie of this application came twice; sign in again"))
    if presented.refresh:
        return Nothing(RefreshRequired("the access token is over; refresh"))
    return Nothing(_NOBODY)


def _is_current(core: Core, max_lag_ms: float) -> bool:
    # The stamp is read before the maps; the follower writes the maps before the stamp.
    return max_lag_ms > 0 and core.picture.lag_ms() <= max_lag_ms


def _judge_handle(
    core: Core, text: str, transport: Transport, now_ms: int, max_lag_ms: float
) -> Judgement:
    is_current = _is_current(core, max_lag_ms)
    copy = core.picture.near.entries.get(text)
    if copy is None or not is_current:
        return _ASK
    session = copy.session
    if (
        core.picture.judge_session(session) is not Verdict.GOOD
        or now_ms >= session.dies_at_ms  # perhaps touched elsewhere: ask, never refuse
        or copy.read_at.age_ms(core.picture.stamp()) >= NEAR_LIFE_MS
    ):
        core.picture.near.entries.pop(text, None)
        return _ASK
    is_due = policy.is_touch_due(session, now_ms=now_ms)
    return Known(_over(copy.principal, transport), copy if is_due else None)


def _over(principal: Principal[Any], transport: Transport) -> Principal[Any]:
    """Give the principal as it came now: what is remembered may have come another way."""
    if principal.transport == transport:
        return principal
    return msgspec.structs.replace(principal, transport=transport)


def _judge_token(
    core: Core, token: str, transport: Transport, now_ms: int, max_lag_ms: float
) -> Judgement:
    if core.keys.is_outdated:
        return _ASK
    is_current = _is_current(core, max_lag_ms)
    memory = core.keys.remembered  # before the verifier is used: see `Keys`
    remembered = memory.entries.get(token)
    if remembered is None or now_ms >= remembered.not_after_ms:
        try:
            claims = core.keys.verify(token, now_ms=now_ms)
        except InvalidToken as error:
            return _ASK if error.reason == "unknown_kid" else Nothing(error)
        except ExpiredToken as error:
            return Nothing(_after_expiry(error.claims.ver))
        try:
            principal = core.keys.principal_of(core, claims, transport=transport)
        except Expired as error:
            return Nothing(error)
        leeway_ms = core.settings.leeway_seconds * 1000
        remembered = Remembered(claims, principal, claims.exp * 1000 + leeway_ms)
        memory.put(token, remembered)
    claims = remembered.claims
    verdict = core.picture.view.judge(
        subject=claims.sub, sid=claims.sid, position=claims.pos, version=claims.ver
    )
    if verdict is not Verdict.GOOD:
        return _refused_by(verdict)
    if not is_current:
        return _ASK
    return Known(_over(remembered.principal, transport))


def _refused_by(verdict: Verdict) -> Nothing:
    if verdict is Verdict.REVOKED:
        return Nothing(Revoked("this sign-in was ended; sign in again"))
    return Nothing(RefreshRequired("roles or claims have changed; refresh"))


def _after_expiry(version: int | None) -> Refused:
    if version is None:
        return Expired("the access token is over; sign in again")
    return RefreshRequired("the access token is over; refresh")


# --- the coroutine --------------------------------------------------------------------------------


async def check(
    core: Core, incoming: Incoming, *, need: Need = ANYONE_SIGNED_IN, renew: bool = True
) -> Checked[Any]:
    """Find out who a request is; see `AsyncSojourn.check`."""
    presented = core.browser.credentials(incoming)
    now_ms = core.clock()
    if presented.is_empty and not presented.is_ambiguous:
        arrived = None
        if core.cookie_doors and renew and incoming.cookies:
            arrived = await _arrived(core, incoming, need)
        return arrived or Checked(refusal=_NOBODY, now_ms=now_ms)
    if presented.transport == "cookie" and core.browser.is_cross_site(incoming):
        return Checked(refusal=core.browser.cross_site_error(incoming), now_ms=now_ms)
    if not core.is_open:
        await core.ready()
    max_lag_ms = core.settings.max_lag_seconds * 1000
    if need.max_lag_seconds is not None:
        max_lag_ms = need.max_lag_seconds * 1000
    tentative = core.picture.tentative
    if tentative is not None and not tentative.is_tentative():
        tentative = None
    if tentative is not None and not presented.access:
        max_lag_ms = 0  # within the application's transaction the record is the truth
    answer = judge(core, presented, now_ms=now_ms, max_lag_ms=max_lag_ms)
    if isinstance(answer, Ask):
        answer = await _ask(core, presented, max_lag_ms)
    if (
        core.token_doors
        and isinstance(answer, Nothing)
        and isinstance(answer.refusal, InvalidToken)
    ):
        answer = await _by_token_doors(core, presented, max_lag_ms) or answer
    if tentative is not None and presented.access and isinstance(answer, Known):
        answer = _judge_tentatively(core, tentative, answer)
    if isinstance(answer, Known):
        if answer.touch is not None:
            await _touch(core, presented.handle, answer.touch)
        return _met(answer.principal, need, now_ms)
    assert isinstance(answer, Nothing)  # noqa: S101 - asking has an answer
    is_over = isinstance(answer.refusal, RefreshRequired | InvalidToken | Expired)
    if renew and presented.refresh and is_over:
        try:
            signed_in = await renew_in_passing(core, incoming, presented.refresh)
        except Refused as error:
            return Checked(refusal=error, now_ms=now_ms)
        return _renewed(signed_in, need, now_ms)
    return Checked(refusal=answer.refusal, now_ms=now_ms)


async def _arrived(core: Core, incoming: Incoming, need: Need) -> Checked[Any] | None:
    now_ms = core.clock()
    try:
        signed_in = await arrive(core, incoming)
    except Refused as error:
        return Checked(refusal=error, now_ms=now_ms)
    return _renewed(signed_in, need, now_ms) if signed_in else None


def _renewed(signed_in: SignedIn[Any], need: Need, now_ms: int) -> Checked[Any]:
    """Answer where something has to be handed out, whatever the route asks for."""
    checked = _met(signed_in.principal, need, now_ms)
    return replace(checked, renewed=signed_in, outgoing=signed_in.outgoing)


def _met(principal: Principal[Any], need: Need, now_ms: int) -> Checked[Any]:
    refusal = need.refusal(principal, now_ms=now_ms)
    if refusal is not None:
        return Checked(refusal=refusal, now_ms=now_ms)
    return Checked(principal=principal, now_ms=now_ms, outgoing=NOTHING_TO_SEND)


def _judge_tentatively(core: Core, tentative: Tentative, known: Known) -> Known | Nothing:
    """Judge a token by what the application has written in its transaction, and perhaps rolls back.

    The picture takes nothing of it in.
    """
    principal, view = known.principal, View()
    shard = core.shard_of(principal.subject)
    cursor = core.picture.cursor(shard)
    after = cursor.id if cursor else 0
    for entry in tentative.read_tentative(shard, after=after, limit=_EVERYTHING).entries:
        view.apply(entry)
    verdict = view.judge(
        subject=principal.subject,
        sid=principal.sid,
        position=principal.position,
        version=principal.version,
    )
    return known if verdict is Verdict.GOOD else _refused_by(verdict)


async def _ask(core: Core, presented: Credentials, max_lag_ms: float) -> Judgement:
    trusts = _trusts(core, max_lag_ms)
    if trusts:
        answer = judge(core, presented, now_ms=core.clock(), max_lag_ms=inf)
        if not isinstance(answer, Ask):
            return answer
    if presented.access:
        return await _ask_for_token(core, presented, trusts=trusts)
    return await _ask_for_handle(core, presented)


def _trusts(core: Core, max_lag_ms: float) -> bool:
    """Tell whether a picture that is too old is to be believed all the same.

    Raises:
        Stale: It is not to be, and the store is not to be asked.
    """
    is_stale = max_lag_ms > 0 and core.picture.lag_ms() > max_lag_ms
    if is_stale and core.settings.when_stale == "refuse":
        raise Stale(
            "the picture of revocations is older than max_lag_seconds and when_stale is 'refuse'; "
            "check that the store can be reached"
        )
    return is_stale and core.settings.when_stale == "trust"


async def _by_token_doors(
    core: Core, presented: Credentials, max_lag_ms: float
) -> Judgement | None:
    """Judge an access token that is not ours; None where no door knows it."""
    principal = await old_principal(core, presented.access, transport=presented.transport)
    if principal is None:
        return None
    if not _is_current(core, max_lag_ms) and not _trusts(core, max_lag_ms):
        await core.catch_up(core.shard_of(principal.subject))
    verdict = core.picture.view.judge(
        subject=principal.subject,
        sid=principal.sid,
        position=principal.position,
        version=None,
    )
    if verdict is not Verdict.GOOD:
        return Nothing(Revoked("this sign-in was ended; sign in again"))
    return Known(principal)


async def _ask_for_token(core: Core, presented: Credentials, *, trusts: bool) -> Judgement:
    """Catch the feed of the token's shard up to its head, and judge again.

    A kid that the ring lacks, and a key event on the way, have the ring read again first.
    """
    has_caught_up = trusts
    for _ in range(_ROUNDS):
        if core.keys.is_outdated:
            await core.keys.load(core)
        answer = judge(core, presented, now_ms=core.clock(), max_lag_ms=inf)
        if isinstance(answer, Known) and not has_caught_up:
            has_caught_up = True
            shard = core.shard_of_sid(answer.principal.sid)
            if shard is not None:
                await core.catch_up(shard)
            continue
        if not isinstance(answer, Ask):
            return answer
        if not core.keys.is_outdated and not await core.keys.reload_for_unknown_kid(core):
            break
    return Nothing(InvalidToken("the token is not valid", reason="unknown_kid"))


async def _ask_for_handle(core: Core, presented: Credentials) -> Judgement:
    epoch = core.picture.epoch
    try:
        proven = await read_proof(core, presented.handle, Purpose.SESSION)
    except Refused as error:
        return Nothing(error)
    if proven.generation != proven.chain.generation:
        return Nothing(InvalidToken("a newer handle was handed out", reason="old_handle"))
    session = proven.session
    try:
        principal = core.principal_of(session, transport=presented.transport)
    except Expired as error:
        return Nothing(error)
    copy = NearCopy(session, principal, core.picture.stamp())
    core.picture.keep_near(presented.handle, copy, epoch=epoch)
    is_due = policy.is_touch_due(session, now_ms=core.clock())
    return Known(principal, copy if is_due else None)


async def _touch(core: Core, text: str, copy: NearCopy) -> None:
    """Write "last seen".

    A touch that lost against another writer is dropped, and the copy with it, to be read again. One
    that failed is dropped too, until the next is due: who is known stays known while the store ails.
    """
    session = msgspec.structs.replace(
        copy.session, seen_at_ms=core.clock(), revision=copy.session.revision + 1
    )
    epoch = core.picture.epoch
    try:
        written = await core.store.replace(session, expected_revision=copy.session.revision)
    except StoreError as error:
        log.warning("writing when a session was last seen failed: %s", error)
        unwritten = msgspec.structs.replace(copy.session, seen_at_ms=session.seen_at_ms)
        kept = NearCopy(unwritten, copy.principal, copy.read_at)
        core.picture.keep_near(text, kept, epoch=epoch)
        return
    if written is None:
        core.picture.near.entries.pop(text, None)
        return
    written_copy = NearCopy(session, copy.principal, core.picture.stamp())
    core.picture.keep_near(text, written_copy, epoch=epoch)
