"""What the tests of the SQLite store share: sessions, other processes, children, patience."""

import os
import secrets
import sqlite3
import subprocess
import sys
import time
import traceback
from pathlib import Path

from sojourn.handles import new_sid
from sojourn.model import Chain, Purpose, Session
from sojourn.stores.memory import system_clock

PATIENCE_SECONDS = 20.0
"""How long something that happens "soon" may take on a loaded machine."""
LONGEST_TOKEN_MS = 3_600_000


def draft(subject="ada", **changes):
    now_ms = system_clock()
    fields = {
        "sid": new_sid(0, secrets.token_bytes(15)),
        "subject": subject,
        "mode": "hybrid",
        "transport": "cookie",
        "seed": secrets.token_bytes(32),
        "position": 0,
        "chains": {Purpose.REFRESH: Chain(1, "5ec2e71d", now_ms)},
        "created_at_ms": now_ms,
        "auth_time_ms": now_ms,
        "seen_at_ms": now_ms,
        "expires_at_ms": now_ms + 86_400_000,
        "idle_ms": None,
    }
    return Session(**(fields | changes))


def sign_in(store, subject="ada", **changes):
    session = draft(subject, **changes)
    created = store.create(session, limit=None, on_excess="refuse")
    assert created.outcome == "created"
    return session


def eventually(condition):
    """Give the first true value of `condition()`, asking until patience ends."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not (value := condition()):
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.002)
    return value


def start_process(verb, path, *args):
    """Start another process on the file; see `sqlite_process.py` for the verbs."""
    script = Path(__file__).with_name("sqlite_process.py")
    return subprocess.Popen(
        [sys.executable, script, verb, path, *map(str, args)],
        text=True,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )


def finish(process):
    """Wait for a process that has to end well; gives what else it said."""
    said, _ = process.communicate(timeout=60)
    assert process.returncode == 0, said
    return said.split()


def fork(work):
    """Run work in a forked child; gives its pid."""
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            work()
            status = 0
        except BaseException:  # noqa: BLE001 - the exit status tells
            traceback.print_exc()
        finally:
            _save_coverage()
            os._exit(status)
    return pid


def _save_coverage():
    if "coverage" in sys.modules:
        coverage = sys.modules["coverage"].Coverage.current()
        if coverage is not None:
            coverage.stop()
            coverage.save()


def ends_well(pid):
    return os.waitpid(pid, 0)[1] == 0


def raw(path):
    """Open a connection that is not the store's."""
    return sqlite3.connect(path, isolation_level=None, timeout=10)
