"""How a store bears many live sessions: size of one, and the time of each verb, at 10^3, 10^5 and 10^6.

    python bench/scale.py                      # Valkey and PostgreSQL, started here and ended again
    python bench/scale.py --live 1000 100000   # fewer
    python bench/scale.py --url redis://…      # a server of yours; it is filled, and left so

Ratios count, not microseconds: what a verb costs at 10^6 sessions, divided by what it costs at 10^3.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import secrets
import statistics
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

sys.path[:0] = [str(Path(__file__).parents[1] / folder) for folder in ("src", "tests")]

from sojourn import AsyncSojourn, Incoming, Need
from sojourn.model import Chain, Purpose, Session

URL = "http://127.0.0.1:8000"
SESSIONS_A_SUBJECT = 10
ROUNDS = 200
AT_ONCE = 64
LOADED_FROM = 5_000
LOADED_AT_ONCE = 20_000
ASK = Need.of(max_lag=timedelta(0))
DAY_MS = 86_400_000


@dataclass(frozen=True)
class Engine:
    """A store to be filled.

    Args:
        name: As printed.
        url: Where it is.
        used_bytes: What its sessions take up.
        load: Stores many at once, past the store's own way; None where that is quick enough.
    """

    name: str
    url: str
    used_bytes: Callable[[], int]
    load: Callable[[list[Session]], None] | None = None


def draft(core: Any, number: int, now_ms: int) -> Session:
    """Make a session as a login does."""
    subject = f"subject-{number // SESSIONS_A_SUBJECT}"
    return Session(
        sid=core.new_sid(subject),
        subject=subject,
        mode="session",
        transport="cookie",
        seed=secrets.token_bytes(32),
        position=now_ms,
        chains={Purpose.SESSION: Chain(1, core.secrets.current.id, now_ms)},
        created_at_ms=now_ms,
        auth_time_ms=now_ms,
        seen_at_ms=now_ms,
        expires_at_ms=now_ms + 30 * DAY_MS,
        idle_ms=14 * DAY_MS,
        user_agent="Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 Chrome/140.0 Safari/537.36",
        address="192.0.2.7",
        amr=("pwd",),
    )


async def fill(engine: Engine, core: Any, *, start: int, end: int) -> float:
    """Store sessions start to end, many at once; tells how many a second."""
    if engine.load is not None:
        first = min(end, start + LOADED_FROM)
        for number in range(first, end, LOADED_AT_ONCE):
            some = range(number, min(end, number + LOADED_AT_ONCE))
            engine.load([draft(core, one, core.clock()) for one in some])
        end = first
    numbers = iter(range(start, end))
    began = time.perf_counter()

    async def work() -> None:
        for number in numbers:
            session = draft(core, number, core.clock())
            await core.store.create(session, limit=None, on_excess="refuse")

    await asyncio.gather(*(work() for _ in range(AT_ONCE)))
    return (end - start) / (time.perf_counter() - began)


async def median_us(act: Callable[[int], Awaitable[object]], *, rounds: int = ROUNDS) -> float:
    """Time an action, one after the other."""
    times = []
    gc.disable()
    for number in range(rounds):
        began = time.perf_counter_ns()
        await act(number)
        times.append((time.perf_counter_ns() - began) / 1000)
    gc.enable()
    return statistics.median(times)


def bearer(token: str) -> Incoming:
    """Present a handle."""
    return Incoming(authorization=f"Bearer {token}")


async def verbs(auth: AsyncSojourn[Any]) -> dict[str, float]:
    """Time each verb, in microseconds."""
    core = auth.core
    nobody = Incoming()
    figures: dict[str, float] = {}
    signed_in: list[Any] = []

    async def sign_in(number: int) -> None:
        signed_in.append(await auth.login(nobody, f"new-{number}", transport="bearer"))

    figures["sign-in"] = await median_us(sign_in)
    handles = [bearer(one.access_token) for one in signed_in]
    figures["check, first"] = await median_us(lambda n: auth.check(handles[n]))
    figures["check, seen"] = await median_us(lambda n: auth.check(handles[n]))
    figures["check, asking"] = await median_us(lambda n: auth.check(handles[n], need=ASK))
    figures["revoke one"] = await median_us(
        lambda n: auth.revoke(signed_in[n].principal.sid, subject=f"new-{n}")
    )
    figures["revoke all of 10"] = await median_us(
        lambda n: auth.revoke_all(f"subject-{n}"), rounds=50
    )
    began = time.perf_counter()
    await core.store.purge()
    figures["purge"] = (time.perf_counter() - began) * 1e6
    return figures


async def measure(engine: Engine, live: list[int]) -> None:
    """Fill an engine step by step, and print a column a step."""
    auth = AsyncSojourn(engine.url, mode="session", url=URL, secret=secrets.token_urlsafe(48))
    columns: dict[int, dict[str, float]] = {}
    async with auth:
        empty_bytes, stored = engine.used_bytes(), 0
        for count in live:
            rate = await fill(engine, auth.core, start=stored, end=count)
            taken = engine.used_bytes() - empty_bytes
            stored = count
            columns[count] = {"bytes a session": taken / count, "stored a second": rate}
            columns[count] |= await verbs(auth)
            show = ", ".join(f"{name} {value:,.0f}" for name, value in columns[count].items())
            print(f"  {engine.name} {count:,}: {show}", file=sys.stderr, flush=True)
    print(f"\n{engine.name}: microseconds a verb, median of {ROUNDS}\n")
    print(f"| live sessions | {' | '.join(f'{count:,}' for count in live)} | last / first |")
    print("|---|" + "---:|" * (len(live) + 1))
    for name in columns[live[0]]:
        values = [columns[count][name] for count in live]
        ratio = values[-1] / values[0] if values[0] else 0
        print(f"| {name} | {' | '.join(f'{v:,.1f}' for v in values)} | {ratio:.2f} |")


def redis_bytes(url: str) -> int:
    """Ask a server for the memory it uses."""
    import redis  # noqa: PLC0415 - only where it is measured

    with redis.Redis.from_url(url) as client:
        return int(client.info("memory")["used_memory"])  # type: ignore[index]


def postgres_bytes(url: str) -> int:
    """Ask a server for the size of the sessions' table with its indexes."""
    import psycopg  # noqa: PLC0415 - only where it is measured

    with psycopg.connect(url) as connection:
        row = connection.execute("SELECT pg_total_relation_size('sojourn_sessions')").fetchone()
        return int(row[0]) if row else 0


def copy_into_postgres(url: str, sessions: list[Session]) -> None:
    """Load sessions, with the statistics that a server makes by itself in time."""
    import psycopg  # noqa: PLC0415 - only where it is measured

    from sojourn.stores.postgres.rows import packed_session  # noqa: PLC0415 - its client is an extra

    columns = "sid, subject, position, created_at, dies_at, revision, remains, payload"
    with psycopg.connect(url, autocommit=True) as connection:
        with (
            connection.cursor() as cursor,
            cursor.copy(f"COPY sojourn_sessions ({columns}) FROM STDIN") as copy,
        ):
            for one in sessions:
                facts = (one.sid, one.subject, one.position, one.created_at_ms, one.dies_at_ms)
                copy.write_row((*facts, one.revision, *packed_session(one)))
        connection.execute("VACUUM (ANALYZE) sojourn_sessions")


@contextmanager
def engines(urls: list[str]) -> Iterator[list[Engine]]:
    """Give the engines to measure, started here where none are named."""
    if urls:
        yield [_engine(url) for url in urls]
        return
    from services_postgres import running_postgres  # noqa: PLC0415 - only where they are started
    from services_valkey import running_valkey  # noqa: PLC0415

    with running_valkey() as valkey, running_postgres() as postgres:
        yield [_engine(valkey.url), _engine(postgres.url)]


def _engine(url: str) -> Engine:
    if url.startswith(("postgres:", "postgresql:")):
        return Engine(
            "PostgreSQL",
            url,
            lambda: postgres_bytes(url),
            lambda some: copy_into_postgres(url, some),
        )
    return Engine("Valkey or Redis", url, lambda: redis_bytes(url))


def main() -> None:
    """Measure."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--live", type=int, nargs="+", default=[1_000, 100_000, 1_000_000])
    parser.add_argument("--url", action="append", default=[], help="a server of yours; repeatable")
    given = parser.parse_args()
    with engines(given.url) as found:
        for engine in found:
            asyncio.run(measure(engine, sorted(given.live)))


if __name__ == "__main__":
    main()
