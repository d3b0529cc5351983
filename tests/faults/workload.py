"""One process of a recorded run: a mix of everything clients and applications do, at random.

Usage: workload.py STORE FOLDER NAME SEED OPERATIONS (secret in SOJOURN_SECRET; begins when FOLDER/go
is there). What each process was handed out lies on a shelf in the folder, where the others find it:
they check, refresh and revoke one another's.
"""

import asyncio
import hashlib
import random
import sys
import time
from collections.abc import Iterator, Mapping
from datetime import timedelta
from itertools import islice
from pathlib import Path

import msgspec
from faults.recorder import Recorder

from sojourn import AsyncSojourn, Incoming, Need, SignedIn, handles
from sojourn.jose import unverified

URL = "http://127.0.0.1:8000"
MODES = ("hybrid", "session", "jwt")
GRACE_SECONDS = 1
MAX_LAG_SECONDS = 1
TASKS = 4
SUBJECTS = tuple(f"user-{n}" for n in range(5))
ASKING = Need.of(max_lag=timedelta(0))
RECENT = 15
"""So many sessions are worked on at a time, the dead ones among them."""
SETTINGS: dict[str, object] = {
    "url": URL,
    "mode": "hybrid",
    "modes": MODES,
    "transport": "bearer",
    "grace_seconds": GRACE_SECONDS,
    "max_lag_seconds": MAX_LAG_SECONDS,
}
WEIGHTS = {
    "check": 45,
    "refresh": 35,
    "login": 7,
    "late": 1,
    "logout": 1,
    "revoke": 2,
    "revoke_all": 0.5,
    "keep": 1,
    "update": 5,
}


class Proof(msgspec.Struct, frozen=True):
    """What somebody was handed out."""

    sid: str
    subject: str
    access: str
    refresh: str = ""


class Shelf:
    """What all processes were handed out, newest last."""

    def __init__(self, folder: Path, name: str) -> None:
        self.folder = folder
        self.proofs: dict[str, list[Proof]] = {}
        self._own = (folder / f"{name}.shelf").open("ab", buffering=0)
        self._read: dict[Path, int] = {}

    def put(self, signed_in: SignedIn) -> None:
        principal = signed_in.principal
        proof = Proof(
            principal.sid, principal.subject, signed_in.access_token, signed_in.refresh_token
        )
        self._own.write(msgspec.json.encode(proof) + b"\n")

    def look(self) -> None:
        for path in self.folder.glob("*.shelf"):
            with path.open("rb") as file:
                file.seek(self._read.get(path, 0))
                whole = file.read().rpartition(b"\n")[0]
            self._read[path] = self._read.get(path, 0) + len(whole) + bool(whole)
            for line in whole.splitlines():
                proof = msgspec.json.decode(line, type=Proof)
                self.proofs.setdefault(proof.sid, []).append(proof)

    def close(self) -> None:
        self._own.close()

    def recent(self) -> list[list[Proof]]:
        self.look()
        return list(islice(reversed(self.proofs.values()), RECENT))


def successor_of(signed_in: SignedIn) -> str:
    """Name what was handed out: a second rotation has the same handle, and another token's end."""
    end = unverified.inspect(signed_in.access_token).unverified_claims["exp"]
    return hashlib.blake2b(f"{signed_in.refresh_token} {end}".encode(), digest_size=9).hexdigest()


class Worker:
    """One process's work.

    Args:
        auth: Its own engine.
        recorder: Where it writes.
        shelf: Where proofs lie.
        chance: Its randomness.
        weights: How often it does what.
    """

    def __init__(
        self,
        auth: AsyncSojourn,
        recorder: Recorder,
        shelf: Shelf,
        chance: random.Random,
        weights: Mapping[str, float] = WEIGHTS,
    ) -> None:
        self.auth, self.recorder, self.shelf, self.chance = auth, recorder, shelf, chance
        self._names, self._weights = list(weights), list(weights.values())
        self._updates = 0

    async def work(self, operations: int) -> None:
        """Run several tasks over a number of operations."""
        left = iter(range(operations))
        await asyncio.gather(*(self._task(left) for _ in range(TASKS)))

    async def _task(self, left: Iterator[int]) -> None:
        await self.login()
        for _ in left:
            name = self.chance.choices(self._names, self._weights)[0]
            await getattr(self, name)()
            await asyncio.sleep(0)

    def _session(self) -> list[Proof]:
        return self.chance.choice(self.shelf.recent())

    def _bearer(self, proof: Proof) -> Incoming:
        return Incoming(authorization=f"Bearer {proof.access}")

    async def login(self) -> None:
        subject, mode = self.chance.choice(SUBJECTS), self.chance.choice(MODES)
        with self.recorder.call("login", subject=subject, is_stateless=mode == "jwt") as call:
            signed_in = await self.auth.login(Incoming(), subject, mode=mode, roles={"first"})
            call.ok(sid=signed_in.principal.sid, roles=sorted(signed_in.principal.roles))
            self.shelf.put(signed_in)

    async def check(self) -> None:
        proof = self._session()[-self.chance.randint(1, 2) :][0]
        asks = self.chance.random() < 0.3
        with self.recorder.call(
            "check",
            sid=proof.sid,
            subject=proof.subject,
            max_lag_ms=0 if asks else MAX_LAG_SECONDS * 1000,
        ) as call:
            need = ASKING if asks else Need()
            checked = await self.auth.check(self._bearer(proof), need=need, renew=False)
            if checked.principal is None:
                call.refused(checked.refusal.code)
            else:
                call.ok(roles=sorted(checked.principal.roles))

    async def refresh(self, *, back: int = 1) -> None:
        """Refresh the newest handle, several times at once."""
        proof = self._session()[-back:][0]
        if proof.refresh:
            times = self.chance.choice((1, 1, 2, 3))
            await asyncio.gather(*(self._refresh(proof) for _ in range(times)))

    async def late(self) -> None:
        """Refresh a handle that may long have been replaced."""
        await self.refresh(back=3)

    async def _refresh(self, proof: Proof) -> None:
        presented = handles.parse(proof.refresh).generation
        with self.recorder.call(
            "refresh", sid=proof.sid, subject=proof.subject, presented=presented
        ) as call:
            signed_in = await self.auth.refresh(Incoming(), refresh_token=proof.refresh)
            call.ok(successor=successor_of(signed_in), roles=sorted(signed_in.principal.roles))
            self.shelf.put(signed_in)

    async def logout(self) -> None:
        proof = self._session()[-1]
        with self.recorder.call("logout", sid=proof.sid, subject=proof.subject) as call:
            await self.auth.logout(self._bearer(proof))
            call.ok()

    async def revoke(self) -> None:
        proof = self._session()[-1]
        with self.recorder.call("revoke", sid=proof.sid, subject=proof.subject) as call:
            await self.auth.revoke(proof.sid, subject=proof.subject)
            call.ok()

    async def revoke_all(self) -> None:
        subject = self.chance.choice(SUBJECTS)
        with self.recorder.call("revoke_all", subject=subject) as call:
            await self.auth.revoke_all(subject)
            call.ok()

    async def keep(self) -> None:
        """Sign out all but one."""
        proof = self._session()[-1]
        with self.recorder.call("revoke_all", subject=proof.subject, keep=proof.sid) as call:
            await self.auth.revoke_all(proof.subject, keep=proof.sid)
            call.ok()

    async def update(self) -> None:
        subject = self.chance.choice(SUBJECTS)
        self._updates += 1
        role = f"{self.recorder.process}-{self._updates}"
        with self.recorder.call("update", subject=subject, roles=[role]) as call:
            await self.auth.update(subject, roles={role})
            call.ok()


async def main() -> None:
    store, folder, name, seed, operations = sys.argv[1:]
    place = Path(folder)
    recorder, shelf = Recorder(place, name), Shelf(place, name)
    async with AsyncSojourn(store, **SETTINGS) as auth:
        print("ready", flush=True)
        deadline = time.monotonic() + 60
        while not (place / "go").exists():
            if time.monotonic() > deadline:
                sys.exit("nobody said go")
            await asyncio.sleep(0.005)
        await Worker(auth, recorder, shelf, random.Random(int(seed))).work(int(operations))


if __name__ == "__main__":
    asyncio.run(main())
