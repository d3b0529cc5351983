"""What a request may do: sign in, refresh, sign out, load its data. Written once for all adapters.

Each is the engine's verb on the request's state: what a login hands out replaces what was about to be
handed out before, and whatever follows in the same request is checked as the one who signed in.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypedDict, Unpack

from sojourn.adapting.state import NOBODY, RequestState
from sojourn.engine import (
    data,
    exchange,
    login as logins,
    reauthenticate as again,
    refresh as rotation,
    revoke,
)
from sojourn.engine.answers import Attempt, Checked, SignedIn
from sojourn.engine.data import SessionData
from sojourn.messages import Incoming
from sojourn.model import Mode, Subject, Transport

if TYPE_CHECKING:
    from sojourn.engine.core import Core


class LoginOptions(TypedDict, total=False):
    """The keyword arguments of `AsyncSojourn.login`, which describes them."""

    attempt: Attempt | None
    mode: Mode | None
    transport: Transport | None
    remember: bool
    roles: Iterable[str]
    scopes: Iterable[str]
    claims: Mapping[str, Any] | None
    amr: Iterable[str]
    client_id: str
    carry: Iterable[str]


def hand_out(core: Core, state: RequestState, signed_in: SignedIn[Any]) -> SignedIn[Any]:
    """Have the response carry what a login gave, and the rest of the request be its principal."""
    state.outgoing = state.outgoing.overtaken_by(signed_in.outgoing)
    state.incoming = _as_signed_in(core, state, signed_in)
    state.checked = Checked(principal=signed_in.principal, now_ms=core.clock())
    state.error = state.data = None
    return signed_in


def _as_signed_in(core: Core, state: RequestState, signed_in: SignedIn[Any]) -> Incoming:
    """Give the request as whoever has just signed in would send it: the credential counts alone."""
    if signed_in.transport == "bearer":
        bearer = f"Bearer {signed_in.access_token}"
        return replace(state.incoming, authorization=bearer, cookies="")
    incoming = core.browser.after(state.incoming, signed_in.outgoing)
    is_bearer = core.browser.credentials(incoming).transport == "bearer"
    return replace(incoming, authorization="") if is_bearer else incoming


async def login(
    core: Core, state: RequestState, subject: Subject, **options: Unpack[LoginOptions]
) -> SignedIn[Any]:
    """See `AsyncSojourn.login`."""
    await _settle_data(core, state)
    return hand_out(core, state, await logins.login(core, state.incoming, subject, **options))


async def refresh(
    core: Core, state: RequestState, *, refresh_token: str | None = None
) -> SignedIn[Any]:
    """See `AsyncSojourn.refresh`; what was just renewed in passing is not rotated again."""
    renewed = state.checked.renewed
    if refresh_token is None and renewed is not None:
        return renewed
    if refresh_token is None and state.principal is not None:
        recent = await rotation.recent(core, state.incoming, state.principal)
        if recent is not None:
            return hand_out(core, state, recent)
    signed_in = await rotation.refresh(core, state.incoming, refresh_token=refresh_token)
    return hand_out(core, state, signed_in)


async def reauthenticate(
    core: Core, state: RequestState, *, amr: Iterable[str] = (), attempt: Attempt | None = None
) -> SignedIn[Any]:
    """See `AsyncSojourn.reauthenticate`."""
    state.require()
    await _settle_data(core, state)
    signed_in = await again.reauthenticate(core, state.incoming, amr=amr, attempt=attempt)
    return hand_out(core, state, signed_in)


async def move(
    core: Core, state: RequestState, *, mode: Mode, refresh_token: str | None = None
) -> SignedIn[Any]:
    """See `AsyncSojourn.move`."""
    state.require()
    await _settle_data(core, state)
    signed_in = await exchange.move(core, state.incoming, mode=mode, refresh_token=refresh_token)
    return hand_out(core, state, signed_in)


async def access_token(core: Core, state: RequestState, *, audience: str = "") -> SignedIn[Any]:
    """See `AsyncSojourn.access_token`."""
    state.require()
    signed_in = await exchange.access_token(core, state.incoming, audience=audience)
    state.outgoing += signed_in.outgoing
    return signed_in


async def logout(core: Core, state: RequestState) -> None:
    """See `AsyncSojourn.logout`."""
    state.outgoing = await revoke.logout(core, state.incoming)
    state.incoming = core.browser.after(state.incoming, state.outgoing)
    state.checked, state.data = NOBODY, None


async def logout_all(core: Core, state: RequestState) -> None:
    """End everything of whoever is signed in, this session too."""
    await _revoke_all(core, state, keep=False, reason="logout_all")
    await logout(core, state)


async def logout_others(core: Core, state: RequestState) -> None:
    """End all other sessions and tokens of whoever is signed in."""
    await _revoke_all(core, state, keep=True, reason="logout_others")


async def _revoke_all(core: Core, state: RequestState, *, keep: bool, reason: str) -> None:
    principal = state.require()
    await revoke.revoke_all(
        core,
        principal.subject,
        keep=principal.sid if keep else None,
        by=principal.subject,
        reason=reason,
        incoming=state.incoming,
    )


async def load_data(core: Core, state: RequestState) -> SessionData:
    """Load the session's data (or the visitor's), once in a request."""
    if state.error is not None:
        raise state.error
    if state.data is None:
        state.data = await data.load(core, state.incoming, state.principal)
    return state.data


async def _settle_data(core: Core, state: RequestState) -> None:
    """Save what was changed so far, before the session that it belongs to becomes another one."""
    if state.data is not None:
        outgoing = await data.save(core, state.incoming, state.data)
        state.outgoing += outgoing
        state.incoming = core.browser.after(state.incoming, outgoing)


async def save_data(core: Core, state: RequestState) -> None:
    """Save the data that was loaded, where it changed; before the response begins."""
    values, state.data = state.data, None
    if values is not None:
        state.outgoing += await data.save(core, state.incoming, values)
