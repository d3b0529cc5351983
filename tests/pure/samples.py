"""Values the tests of the pure modules start from; each may be varied by keyword."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from sojourn.model import Chain, Entry, Event, Principal, Purpose, Session, Tombstone
from sojourn.server_secret import ServerSecret, ServerSecrets
from sojourn.settings import Settings

RAW_SECRET = "Zr3xVq8Lk2Nw7Tb5Yh9Gd4Js6Mc1Pf0AaXeRuQo"
OTHER_RAW_SECRET = "m1B7vC3xZ9aS5dF0gH2jK4lQ6wE8rT-yU_iOpWn"
SECRET = ServerSecret(RAW_SECRET)
OTHER_SECRET = ServerSecret(OTHER_RAW_SECRET)
SECRETS = ServerSecrets(RAW_SECRET)
BOTH_SECRETS = ServerSecrets([RAW_SECRET, OTHER_RAW_SECRET])
SEED = bytes(range(100, 132))
SID = "AAECAwQFBgcICQoLDA0ODw"
OTHER_SID = "AA8ODQwLCgkIBwYFBAMCAQ"
NOW_MS = 1_800_000_000_000

_VECTORS = Path(
    os.environ.get("SOJOURN_VECTORS", Path(__file__).parents[2].parent / "shared" / "vectors")
)


def some_settings(**given: Any) -> Settings:
    """Settings of an application at https://app.example.com."""
    return Settings(**({"url": "https://app.example.com"} | given))


def some_session(**given: Any) -> Session:
    """A session that began now and lasts 30 days, 14 idle."""
    values: dict[str, Any] = {
        "sid": SID,
        "subject": "alice",
        "mode": "session",
        "transport": "cookie",
        "seed": SEED,
        "position": 10,
        "chains": {Purpose.SESSION: Chain(1, SECRET.id, NOW_MS)},
        "created_at_ms": NOW_MS,
        "auth_time_ms": NOW_MS,
        "seen_at_ms": NOW_MS,
        "expires_at_ms": NOW_MS + 30 * 86_400_000,
        "idle_ms": 14 * 86_400_000,
    }
    return Session(**(values | given))


def some_tombstone(**given: Any) -> Tombstone:
    """What stays of that session after signing out."""
    values: dict[str, Any] = {
        "sid": SID,
        "subject": "alice",
        "seed": SEED,
        "chains": {},
        "reason": "logout",
        "ended_at_ms": NOW_MS,
    }
    return Tombstone(**(values | given))


def some_principal(**given: Any) -> Principal[Any]:
    """Alice, recognised by her session cookie, signed in now."""
    values: dict[str, Any] = {
        "subject": "alice",
        "issuer": "https://app.example.com",
        "sid": SID,
        "mode": "session",
        "transport": "cookie",
        "auth_time": NOW_MS // 1000,
        "expires_at": NOW_MS // 1000 + 3600,
        "roles": frozenset(),
        "scopes": frozenset(),
        "amr": (),
        "claims": {},
        "position": 10,
    }
    return Principal(**(values | given))


def some_entry(entry_id: int, *, expires_at_ms: int = NOW_MS, **event: Any) -> Entry:
    """An entry of the feed; the tags do not matter to a view."""
    return Entry(entry_id, entry_id, entry_id - 1, Event(**event), expires_at_ms)


def vector_cases(path: str) -> list[Any]:
    """Parameters from a file of public cases; one that says why it is skipped where it is absent."""
    file = _VECTORS / path
    if file.exists():
        cases = json.loads(file.read_text(encoding="utf-8"))
        return [pytest.param(case, id=case["test"]) for case in cases]
    reason = f"no public vectors at {file}; set SOJOURN_VECTORS to their folder"
    if os.environ.get("SOJOURN_REQUIRE_SERVICES") == "1":
        raise FileNotFoundError(reason)
    return [pytest.param(None, id="absent", marks=pytest.mark.skip(reason=reason))]
