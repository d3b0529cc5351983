"""Slowing down guessing, without letting anybody lock somebody else out.

Failed sign-ins are counted per (account, network), per network, and per account over all networks
that have never signed in to it. A network from which the account was signed in to before
(a *familiar* one) is judged by its own count alone: however many strangers guess, the owner at home
gets in. Counters are changed by the store in one step; success clears the pair's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from ipaddress import ip_address, ip_network
from typing import TYPE_CHECKING

from sojourn.errors import SojournError

if TYPE_CHECKING:
    from sojourn.ports import Clock
    from sojourn.server.database import Connection, Database

WINDOW_MS = 15 * 60_000
FAMILIAR_MS = 90 * 86_400_000
PER_ACCOUNT_AND_NETWORK = 10
PER_NETWORK = 100
PER_ACCOUNT_FROM_STRANGERS = 100
REGISTRATIONS_PER_NETWORK = 300


class RateLimited(SojournError):
    """Too many failed attempts from here; wait as long as it says."""

    code = "rate_limited"
    status = 429

    def __init__(self, retry_after_seconds: int) -> None:
        """Say how long to wait."""
        self.retry_after_seconds = retry_after_seconds
        super().__init__(f"too many failed attempts; try again in {retry_after_seconds} seconds")


@dataclass(frozen=True, slots=True)
class _Counter:
    name: str
    limit: int


def network_of(address: str) -> str:
    """Give the network an address is counted under: an IPv4 address, an IPv6 /64."""
    try:
        ip = ip_address(address)
    except ValueError:
        return "unknown"
    return str(ip) if ip.version == 4 else str(ip_network(f"{ip}/64", strict=False))  # noqa: PLR2004


class Throttle:
    """The counters of failed sign-ins.

    Args:
        database: Where they are kept.
        clock: Gives milliseconds since the epoch.
    """

    def __init__(self, database: Database, *, clock: Clock) -> None:
        """Take the database."""
        self._database = database
        self._clock = clock

    async def admit(self, account: str, address: str) -> None:
        """Let an attempt pass, or not; it counts as failed until `succeeded` says otherwise.

        Counting first closes the gap in which many attempts at once would all be let in.

        Args:
            account: The normalised address typed in, whether or not there is such an account.
            address: The client's.

        Raises:
            RateLimited: Too many failed before.
        """
        now_ms = self._clock()
        network = network_of(address)
        await self._count(lambda db: _counters(db, account, network, now_ms))

    async def _count(self, counters_of: Callable[[Connection], tuple[_Counter, ...]]) -> None:
        now_ms = self._clock()

        def count(db: Connection) -> int:
            counters = counters_of(db)
            db.execute("DELETE FROM sojourn_throttle WHERE since_ms <= ?", (now_ms - WINDOW_MS,))
            waits_ms = [_wait_ms(db, counter, now_ms) for counter in counters]
            if any(waits_ms):
                return max(waits_ms)
            for counter in counters:
                db.execute(
                    "INSERT INTO sojourn_throttle (name, failures, since_ms) VALUES (?, 1, ?) "
                    "ON CONFLICT (name) DO UPDATE SET failures = sojourn_throttle.failures + 1",
                    (counter.name, now_ms),
                )
            return 0

        wait_ms = await self._database.write(count)
        if wait_ms > 0:
            raise RateLimited(-(-wait_ms // 1000))

    async def admit_registration(self, address: str) -> None:
        """Let a new account be made, so many from each network.

        Raises:
            RateLimited: There were as many already.
        """
        counter = _Counter(f"register {network_of(address)}", REGISTRATIONS_PER_NETWORK)
        await self._count(lambda _: (counter,))

    async def take_back(self, account: str, address: str) -> None:
        """Uncount an attempt whose password was never looked at."""
        now_ms, network = self._clock(), network_of(address)
        await self._database.write(lambda db: _uncount(db, _counters(db, account, network, now_ms)))

    async def succeeded(self, account: str, address: str) -> None:
        """Take the attempt back, clear the pair's count, remember the network as familiar."""
        now_ms, network = self._clock(), network_of(address)

        def note(db: Connection) -> None:
            pair, *others = _counters(db, account, network, now_ms)
            db.execute("DELETE FROM sojourn_throttle WHERE name = ?", (pair.name,))
            _uncount(db, others)
            db.execute(
                "DELETE FROM sojourn_familiar WHERE seen_at_ms <= ?", (now_ms - FAMILIAR_MS,)
            )
            db.execute(
                "INSERT INTO sojourn_familiar (account, network, seen_at_ms) VALUES (?, ?, ?) "
                "ON CONFLICT (account, network) DO UPDATE SET seen_at_ms = excluded.seen_at_ms",
                (account, network, now_ms),
            )

        await self._database.write(note)


def _uncount(db: Connection, counters: Iterable[_Counter]) -> None:
    for counter in counters:
        db.execute(
            "UPDATE sojourn_throttle SET failures = failures - 1 WHERE name = ? AND failures > 0",
            (counter.name,),
        )


def _wait_ms(db: Connection, counter: _Counter, now_ms: int) -> int:
    sql = "SELECT failures, since_ms FROM sojourn_throttle WHERE name = ?"
    row = db.execute(sql, (counter.name,)).fetchone()
    return max(1, row[1] + WINDOW_MS - now_ms) if row and row[0] >= counter.limit else 0


def _counters(db: Connection, account: str, network: str, now_ms: int) -> tuple[_Counter, ...]:
    pair = _Counter(f"pair {account} {network}", PER_ACCOUNT_AND_NETWORK)
    is_familiar = db.execute(
        "SELECT 1 FROM sojourn_familiar WHERE account = ? AND network = ? AND seen_at_ms > ?",
        (account, network, now_ms - FAMILIAR_MS),
    ).fetchone()
    if is_familiar:
        return (pair,)
    return (
        pair,
        _Counter(f"network {network}", PER_NETWORK),
        _Counter(f"strangers {account}", PER_ACCOUNT_FROM_STRANGERS),
    )
