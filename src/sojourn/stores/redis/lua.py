"""The scripts, read once: each is one step on one slot, and all are sent by their digest."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from importlib.resources import files

from sojourn.ports import RETENTION_MARGIN_MS, TOMBSTONE_MS

LINGER_SECONDS = 3600
"""How long Redis keeps a session beyond its end, so that an expired one is told from an unknown one."""
CHUNK = 128
"""So many sessions or entries are looked at by one script; nobody else is served meanwhile."""

_CONSTANTS = {
    "LINGER_MS": LINGER_SECONDS * 1000,
    "MARGIN_MS": RETENTION_MARGIN_MS,
    "TOMBSTONE_MS": TOMBSTONE_MS,
    "CHUNK": CHUNK,
    "SWEEP": 100,
}
_FOLDER = files("sojourn.stores.redis").joinpath("scripts")


@dataclass(frozen=True, slots=True)
class Script:
    """A script as the server knows it.

    Args:
        name: Its file.
        body: All of it.
        digest: What it is called by.
        writes: Whether sending it twice could do twice as much.
    """

    name: str
    body: str
    digest: str
    writes: bool


def _script(name: str, *before: str, header: str, writes: bool = True) -> Script:
    parts = [_FOLDER.joinpath(f"{part}.lua").read_text("utf-8") for part in (*before, name)]
    constants = "".join(f"local {word} = {value}\n" for word, value in _CONSTANTS.items())
    body = "\n".join([header, constants, *parts])
    return Script(name, body, hashlib.sha1(body.encode()).hexdigest(), writes)  # noqa: S324 - Redis's own digest


# What revokes, rotates or makes room has to work on a server that is full.
_ALWAYS = "#!lua flags=allow-oom"
_WHILE_THERE_IS_ROOM = "#!lua"
_READS = "#!lua flags=no-writes"
# Without a first line of flags a script may write as long as the server takes writes: heartbeats.
_PERHAPS = ""

OPEN_STORE = _script("open_store", header=_ALWAYS)
OPEN_SHARD = _script("open_shard", header=_ALWAYS)
CREATE = _script("create", "prelude", header=_WHILE_THERE_IS_ROOM)
REPLACE = _script("replace", "prelude", header=_ALWAYS)
DELETE = _script("delete", "prelude", header=_ALWAYS)
CUT = _script("cut", "prelude", "chunk", header=_ALWAYS)
SWEEP = _script("sweep", "prelude", "chunk", header=_ALWAYS)
LIST = _script("list", "prelude", header=_READS, writes=False)
APPEND = _script("append", "prelude", header=_ALWAYS)
READ = _script("read", "prelude", header=_PERHAPS, writes=False)
PUT_DATA = _script("put_data", "prelude", header=_WHILE_THERE_IS_ROOM)
PUT_DOCUMENT = _script("put_document", "prelude", header=_ALWAYS)
PURGE = _script("purge", "prelude", header=_ALWAYS)
