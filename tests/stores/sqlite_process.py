"""Another process on a SQLite file: ``python sqlite_process.py VERB PATH …``."""

import resource
import sys
from pathlib import Path

import msgspec

from sojourn.errors import StoreError
from sojourn.model import Event, Kind, Session
from sojourn.stores.sqlite import SqliteStore

sys.path.insert(0, str(Path(__file__).parent))
from sqlite_samples import LONGEST_TOKEN_MS, sign_in


def say(*words):
    print(*words, flush=True)


def write_for_ever(store):
    """Say each sid once its session is acknowledged."""
    while True:
        say(sign_in(store).sid)


def raise_revision(store, sid, times):
    """Win a compare-and-swap so many times, each on what was read just before."""
    for _ in range(int(times)):
        is_won = False
        while not is_won:
            session = store.get(sid).record
            if not isinstance(session, Session):
                say("gone")
                return
            after = msgspec.structs.replace(session, revision=session.revision + 1)
            is_won = store.replace(after, expected_revision=session.revision) is not None


def append_when_told(store):
    """Append an entry for each line read."""
    say("ready")
    for _ in sys.stdin:
        written = store.append(0, (Event(kind=Kind.RING),))
        say(written.entries[0].id)


def read_when_told(store, sid):
    """Say how many sessions the subject of a sid has, for each line read."""
    subject = store.get(sid).record.subject
    say("ready")
    for _ in sys.stdin:
        say(len(store.list(subject)))


def run_out_of_space(store):
    """Write until the (file size) limit is reached; then, without the limit, go on."""
    written = [sign_in(store).sid]
    resource.setrlimit(resource.RLIMIT_FSIZE, (400_000, resource.RLIM_INFINITY))
    try:
        while True:
            written.append(sign_in(store).sid)
    except StoreError as error:
        say(type(error).__name__, str(error).replace(" ", "_"))
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    written.append(sign_in(store).sid)
    say(*written)


if __name__ == "__main__":
    verb, path, *rest = sys.argv[1:]
    own = SqliteStore(path)
    say(own.open(longest_token_ms=LONGEST_TOKEN_MS).placement_key.hex())
    if verb != "open":
        globals()[verb](own, *rest)
    own.close()
