"""One verifying process of E6: asks about one sign-in after the other until it is refused, and when.

Usage: verifying.py FACE WHERE FILE (secret in SOJOURN_SECRET). FACE is ``async`` or ``sync`` on a store's
URL, or ``verifier`` or ``async_verifier`` at a server's. FILE holds the bearer credentials, in the
order in which they will be revoked, and a verifier's token. Prints, as JSON, the monotonic
nanoseconds before each first refused answer was asked for.
"""

import asyncio
import inspect
import sys
import time
from contextlib import AsyncExitStack, ExitStack
from pathlib import Path

import msgspec

from sojourn import AsyncSojourn, AsyncVerifier, Incoming, Issuer, Sojourn, Verifier

URL = "http://127.0.0.1:8000"
SETTINGS: dict[str, object] = {
    "url": URL,
    "modes": ("hybrid", "session", "jwt"),
    "transport": "bearer",
}
POLL_SECONDS = 0.002
PATIENCE_NS = 60 * 10**9


class Errand(msgspec.Struct):
    """What the processes are told."""

    credentials: list[str]
    feed_token: str = ""


def verifying(face: str, where: str, errand: Errand):
    """Make the engine, or the verifier."""
    match face:
        case "async":
            return AsyncSojourn(where, **SETTINGS)
        case "sync":
            return Sojourn(where, **SETTINGS)
        case _:
            kind = Verifier if face == "verifier" else AsyncVerifier
            issuer = Issuer.sojourn(where, feed_token=errand.feed_token)
            return kind(audience=where, issuers=[issuer])


async def main() -> None:
    face, where, file = sys.argv[1:]
    errand = msgspec.json.decode(Path(file).read_bytes(), type=Errand)
    requests = [Incoming(authorization=f"Bearer {one}") for one in errand.credentials]
    with ExitStack() as stack:
        async with AsyncExitStack() as async_stack:
            auth = verifying(face, where, errand)
            if hasattr(auth, "__aenter__"):
                await async_stack.enter_async_context(auth)
            else:
                stack.enter_context(auth)

            async def is_refused(incoming: Incoming) -> bool:
                checked = auth.check(incoming)
                if inspect.isawaitable(checked):
                    checked = await checked
                return checked.principal is None

            for incoming in requests:
                assert not await is_refused(incoming), "refused before anybody revoked it"
            print("ready", flush=True)
            deadline = time.monotonic_ns() + PATIENCE_NS
            refused_at = []
            for incoming in requests:
                asked = time.monotonic_ns()
                while not await is_refused(incoming):
                    assert asked < deadline, f"{len(refused_at)} of {len(requests)} refused"
                    if face in {"async", "async_verifier"}:
                        await asyncio.sleep(POLL_SECONDS)
                    else:
                        time.sleep(POLL_SECONDS)  # noqa: ASYNC251 - nothing else runs here
                    asked = time.monotonic_ns()
                refused_at.append(asked)
            # A sign-in that is refused stays refused.
            assert all([await is_refused(incoming) for incoming in requests])
    print(msgspec.json.encode(refused_at).decode(), flush=True)


if __name__ == "__main__":
    asyncio.run(main())
