"""A recorded run in one process: several engines on one store object, racing at each call of it."""

import asyncio
import random
import secrets
from pathlib import Path

from faults.interleaving import interleaving
from faults.recorder import Recorder
from faults.workload import SETTINGS, WEIGHTS, Shelf, Worker

from sojourn import AsyncSojourn
from sojourn.stores.memory import MemoryStore

NAMES = ("p0", "p1", "p2")


async def run_engines(
    store: MemoryStore, folder: Path, *, seed: int, operations: int, weights=WEIGHTS
) -> None:
    """Run several engines on one object: the "processes" of a store that ends with its process."""
    secret = secrets.token_urlsafe(48)
    engines = [AsyncSojourn(interleaving(store), secret=secret, **SETTINGS) for _ in NAMES]
    recorders = [Recorder(folder, name) for name in NAMES]
    shelves = [Shelf(folder, name) for name in NAMES]
    for auth in engines:
        await auth.core.ready()
    workers = [
        Worker(auth, recorder, shelf, random.Random(seed + n), weights)
        for n, (auth, recorder, shelf) in enumerate(zip(engines, recorders, shelves, strict=True))
    ]
    await asyncio.gather(*(worker.work(operations) for worker in workers))
    for auth in engines:
        await auth.close()
    for one in (*recorders, *shelves):
        one.close()
