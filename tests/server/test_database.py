"""The server's tables where the network swallows everything, and who may make it ask at all."""

import asyncio
import secrets
import time

import pytest
from proxy import Proxy
from services_postgres import shared_postgres
from stores.postgres_samples import port_of, through

from sojourn.errors import InvalidToken, StoreError
from sojourn.server.accounts import MIGRATIONS, NAMESPACE
from sojourn.server.database import database_of
from sojourn.server.verifiers import PREFIX, Verifiers
from sojourn.stores.memory import MemoryStore, system_clock
from sojourn.stores.postgres import DEADLINE_SECONDS


async def test_a_black_hole_does_not_make_a_queue():
    """One sign-in behind sixty anonymous questions is told in time that nothing answers."""
    url = shared_postgres().new_database()
    with Proxy(port_of(url)) as proxy:
        database = database_of(through(url, proxy), beside=MemoryStore(clock=system_clock))
        await database.open(namespace=NAMESPACE, migrations=MIGRATIONS)
        verifiers = Verifiers(database, clock=system_clock)
        token = await verifiers.add("one")
        assert "one" == await verifiers.named_by(f"Bearer {token}")
        proxy.cut()
        started = time.monotonic()
        unknown = [f"Bearer {PREFIX}{secrets.token_urlsafe(32)}" for _ in range(60)]
        answers = await asyncio.gather(
            *(verifiers.named_by(one) for one in unknown),
            verifiers.add("two"),
            return_exceptions=True,
        )
        assert time.monotonic() - started < 2 * DEADLINE_SECONDS
        assert {StoreError} == {type(answer) for answer in answers}
        proxy.heal()
        assert "one" == await verifiers.named_by(f"Bearer {token}")
        await database.close()


@pytest.mark.parametrize(
    "text", ["", PREFIX, PREFIX + "a" * 42, PREFIX + "a" * 44, PREFIX + "é" * 43, "a" * 47]
)
async def test_what_is_no_token_is_not_looked_up(text):
    """Made-up words cost the database nothing."""
    verifiers = Verifiers(None, clock=system_clock)  # type: ignore[arg-type] - it is not asked
    with pytest.raises(InvalidToken):
        await verifiers.named_by(f"Bearer {text}")
