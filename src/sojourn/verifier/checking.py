"""A check as a flow: it yields what has to be fetched first, and goes on when that is back.

A flow is a generator of boarded flights. Two thin drivers run one: `Verifier` fetches in the
calling thread, `AsyncVerifier` lets a thread fetch and awaits it.
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar, assert_never

from sojourn.engine.answers import Checked
from sojourn.errors import InvalidToken, IssuerUnavailable, Refused, Stale, Unauthenticated
from sojourn.model import Principal
from sojourn.verifier.fetching import FetchError
from sojourn.verifier.judging import AskFeed, AskIntrospector, AskKeys, judge

if TYPE_CHECKING:
    from sojourn.messages import Incoming
    from sojourn.need import Need
    from sojourn.verifier.core import IssuerState, VerifierCore
    from sojourn.verifier.flights import Flight, Flights

T = TypeVar("T")
ROUNDS = 6
"""First keys, unknown kid and feed each take one; more means that they keep changing."""
RETRY_MS = 1_000
"""How long after a failed poll checks are answered "stale" without another."""
STALE_SERVER_MS = 5_000
"""Where a check always asks, how far behind the server that answers may itself be."""


@dataclass(frozen=True, slots=True)
class Boarded:
    """A flight that has to be back, with whether it is on the driver to run it."""

    flight: Flight
    is_mine: bool
    is_awaited: bool = True


Flow = Generator[Boarded, None, T]


def token_of(incoming: Incoming) -> str:
    """Give the bearer token of a request (RFC 6750 section 2.1); empty where there is none."""
    scheme, _, text = incoming.authorization.partition(" ")
    return (text.strip(" ") or "-") if scheme.lower() == "bearer" else ""


def check(core: VerifierCore, incoming: Incoming, need: Need) -> Flow[Checked[Any]]:
    """Find out who a request is; see `AsyncVerifier.check`."""
    token, now_ms = token_of(incoming), core.clock()
    if not token:
        return Checked(refusal=Unauthenticated("sign in first"), now_ms=now_ms)
    try:
        principal = yield from verify(core, token, need)
    except Refused as error:
        return Checked(refusal=error, now_ms=now_ms)
    return Checked(principal=principal, now_ms=now_ms)


def verify(core: VerifierCore, token: str, need: Need) -> Flow[Principal[Any]]:
    """Find out whom a token speaks of, and hold that against a need."""
    if not core.is_started:
        core.start()
    max_lag_ms = None if need.max_lag_seconds is None else need.max_lag_seconds * 1000
    principal = yield from _known(core, token, max_lag_ms)
    refusal = need.refusal(principal, now_ms=core.clock())
    if refusal is not None:
        raise refusal
    remembered = core.remembered.entries.get(token)
    if remembered is not None and remembered.state.keys.is_refresh_due:
        yield from _refresh_keys(core, remembered.state)
    return principal


def _known(core: VerifierCore, token: str, max_lag_ms: float | None) -> Flow[Principal[Any]]:
    has_asked = False
    for _ in range(ROUNDS):
        answer = judge(core, token, now_ms=core.clock(), max_lag_ms=max_lag_ms, has_asked=has_asked)
        match answer:
            case Principal():
                return answer
            case Refused():
                raise answer
            case AskKeys():
                yield from _ask_for_keys(answer)
                continue
            case AskFeed(state):
                yield from _ask_feed(core, state, max_lag_ms)
            case AskIntrospector(introspector):
                flights = core.asking.flights(introspector, token)
                what = f"{introspector.name} cannot be asked"
                yield from _await(flights, joins_sent=max_lag_ms != 0, what=what)
            case _:  # pragma: no cover - every judgement is above
                assert_never(answer)
        has_asked = True
    raise IssuerUnavailable("what is known of this token's issuer keeps changing; try again")


def _await(flights: Flights, *, joins_sent: bool, what: str) -> Flow[None]:
    flight, is_mine = flights.board(joins_sent=joins_sent)
    try:
        yield Boarded(flight, is_mine)
    except FetchError as error:
        raise IssuerUnavailable(f"{what}; try again shortly") from error


def _ask_for_keys(ask: AskKeys) -> Flow[None]:
    """Fetch keys where there are none, or, within a budget, where one is not known.

    Raises:
        IssuerUnavailable: Whether the token is good cannot be known now.
        InvalidToken: The key was asked for recently enough; there is none.
    """
    keys, flights = ask.state.keys, ask.state.key_flights
    what = f"the keys of {ask.state.issuer.url} cannot be fetched"
    if ask.is_first:
        is_due = flights.is_under_way or keys.may_fetch_first()
    else:
        is_due = flights.is_under_way or keys.may_fetch_unknown()
    if is_due:
        yield from _await(flights, joins_sent=True, what=what)
    elif ask.is_first or keys.has_failed:
        raise IssuerUnavailable(f"{what}; try again shortly")
    else:
        raise InvalidToken(reason="unknown_kid")


def _ask_feed(core: VerifierCore, state: IssuerState, max_lag_ms: float | None) -> Flow[None]:
    """Poll an issuer's feed, as the policy has it.

    Raises:
        Stale: The policy does not let it be asked, or it did not answer, or is behind itself.
    """
    picture = state.picture
    assert picture is not None  # noqa: S101 - it is what is asked about
    bound_ms = core.rules.max_lag_seconds * 1000 if max_lag_ms is None else max_lag_ms
    trusts = core.rules.when_stale == "trust" and bound_ms > 0
    # The first snapshot, and polls where nobody follows, are how the picture comes to be at all.
    is_polled = not core.rules.is_following or not picture.cursor
    if bound_ms > 0 and not is_polled:
        if trusts:
            return
        if core.rules.when_stale == "refuse":
            raise Stale(
                f"what is known of {state.issuer.url} is older than max_lag_seconds and when_stale "
                "is 'refuse'; check that its server can be reached"
            )
    failed_at = picture.has_failed_at
    try:
        if failed_at is not None and failed_at.age_ms(picture.stamp()) < RETRY_MS:
            raise FetchError("it did not answer a moment ago")  # noqa: TRY301 - one answer below
        # Where an age is allowed, a poll under way will do: it is dated from when it was sent.
        flight, is_mine = state.feed_flights.board(joins_sent=bound_ms > 0)
        yield Boarded(flight, is_mine)
        if picture.lag_ms() > (bound_ms or STALE_SERVER_MS):
            raise FetchError("its server is behind")  # noqa: TRY301 - the same
    except FetchError as error:
        if not trusts:
            raise Stale(
                f"what is known of revocations at {state.issuer.url} is too old, and asking did "
                f"not help ({error}); try again shortly"
            ) from error


def _refresh_keys(core: VerifierCore, state: IssuerState) -> Flow[None]:
    """Fetch good keys again; nobody waits for it where a thread may do it.

    A failure is logged where it happens, and the keys that are there go on.
    """
    flight, is_mine = state.key_flights.board(joins_sent=True)
    if not is_mine:
        return
    try:
        yield Boarded(flight, is_mine, is_awaited=not core.rules.is_following)
    except FetchError:
        return


def warm(core: VerifierCore) -> Flow[None]:
    """Fetch what checks will need: keys, and first snapshots.

    Raises:
        IssuerUnavailable: An issuer did not answer; the others were asked all the same.
    """
    core.start()
    failures: list[str] = []
    for state in core.states:
        due = []
        if state.keys.loaded is None:
            due.append(state.key_flights)
        if state.picture is not None and not state.picture.cursor:
            due.append(state.feed_flights)
        for flights in due:
            flight, is_mine = flights.board(joins_sent=True)
            try:
                yield Boarded(flight, is_mine)
            except FetchError as error:
                failures.append(str(error))
    if failures:
        raise IssuerUnavailable("; ".join(failures))
