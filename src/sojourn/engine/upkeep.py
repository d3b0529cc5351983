"""What keeps a store and its keys in order: rotation, the public key set, removal of what is dead."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sojourn.engine.core import Core


async def rotate_keys(core: Core, *, by: str, is_emergency: bool) -> None:
    """Put a new signing key into service; see `AsyncSojourn.rotate_keys`."""
    await core.ready()
    await core.keys.rotate(core, by=by, is_emergency=is_emergency)


async def jwks(core: Core) -> dict[str, Any]:
    """Give the public keys; see `AsyncSojourn.jwks`."""
    await core.ready()
    await core.keys.keep_schedule(core)
    return core.keys.jwks()


async def purge(core: Core) -> int:
    """Remove what is dead; see `AsyncSojourn.purge`.

    A server that signs nothing for a while publishes its next key in time all the same, since it
    purges now and then.
    """
    await core.ready()
    await core.keys.keep_schedule(core)
    return await core.store.purge()
