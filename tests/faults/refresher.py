"""One process of E1: refreshes one handle many times and prints what came of it, as JSON.

Usage: refresher.py STORE HANDLE COUNT IN_FLIGHT GRACE_SECONDS GO_FILE
"""

import asyncio
import collections
import json
import sys
import time
from pathlib import Path

from sojourn import AsyncSojourn, Incoming, SojournError

URL = "http://127.0.0.1:8000"


async def refresh_many(
    auth: AsyncSojourn, handle: str, *, count: int, in_flight: int
) -> dict[str, object]:
    """Refresh one handle `count` times, `in_flight` at once."""
    left = iter(range(count))
    outcomes: collections.Counter[str] = collections.Counter()
    successors: set[str] = set()
    access_tokens: list[str] = []

    async def worker() -> None:
        for _ in left:
            try:
                signed_in = await auth.refresh(Incoming(), refresh_token=handle)
            except SojournError as error:
                outcomes[error.code] += 1
            else:
                outcomes["ok"] += 1
                successors.add(signed_in.refresh_token)
                access_tokens[:1] = [signed_in.access_token]

    await asyncio.gather(*(worker() for _ in range(in_flight)))
    return {
        "outcomes": dict(outcomes),
        "successors": sorted(successors),
        "access_tokens": access_tokens,
    }


async def main() -> None:
    store, handle, count, in_flight, grace, go = sys.argv[1:]
    async with AsyncSojourn(store, mode="hybrid", url=URL, grace_seconds=int(grace)) as auth:
        print("ready", flush=True)
        deadline = time.monotonic() + 60
        while not Path(go).exists():
            if time.monotonic() > deadline:
                sys.exit("nobody said go")
            await asyncio.sleep(0.005)
        found = await refresh_many(auth, handle, count=int(count), in_flight=int(in_flight))
    print(json.dumps(found), flush=True)


if __name__ == "__main__":
    asyncio.run(main())
