"""The lines of an export: what is kept, without what could be used."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any

import msgspec

from sojourn.cli.trail import PAGE, Trail
from sojourn.server.admin import shown_account, shown_record

if TYPE_CHECKING:
    from sojourn.model import Session
    from sojourn.server.app import Server

VERSION = 1
ACCOUNTS = 500
SECONDS = {
    "created_at_ms": "created_at",
    "auth_time_ms": "auth_time",
    "seen_at_ms": "seen_at",
    "expires_at_ms": "expires_at",
}
WITHHELD = frozenset({"seed", "chains", "position", "revision", "version", "idle_ms"})
"""The half of every handle, and what means something to this store only."""


async def all_lines(server: Server) -> AsyncIterator[dict[str, Any]]:
    """Give everything: what this is, the accounts, the trail, the sessions of all who are named."""
    core = server.sojourn.core
    yield {
        "kind": "export",
        "version": VERSION,
        "url": core.settings.url,
        "made_at": core.clock() // 1000,
    }
    subjects: dict[str, None] = {}
    async for line in _accounts(server):
        subjects[line["subject"]] = None
        yield line
    trail, number = Trail(core.store), 0
    while page := await trail.page(number, limit=PAGE):
        for each in page:
            subjects[each.record.subject] = None
            yield {"kind": "audit", "number": each.number, **shown_record(each.record)}
        number = page[-1].number
    subjects.pop("", None)
    for subject in subjects:
        for session in await core.store.list(subject):
            yield {**_session(session), "data": await _data(server, session.sid)}


async def _accounts(server: Server) -> AsyncIterator[dict[str, Any]]:
    after = ""
    while page := await server.accounts.page(after=after, limit=ACCOUNTS):
        for account in page:
            yield {
                "kind": "account",
                **shown_account(account),
                "password_hash": account.password_hash,
            }
        after = page[-1].email


def _session(session: Session) -> dict[str, Any]:
    kept = {
        name: value
        for name, value in msgspec.to_builtins(msgspec.structs.asdict(session)).items()
        if name not in WITHHELD
    }
    seconds = {new: kept.pop(old) // 1000 for old, new in SECONDS.items()}
    return {"kind": "session", **kept, **seconds}


async def _data(server: Server, sid: str) -> Any:
    stored = await server.sojourn.core.store.get_data(sid)
    return {} if stored is None else msgspec.json.decode(stored.payload)
