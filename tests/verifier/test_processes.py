"""What importing costs, and what a fork does: nothing is inherited but what was configured."""

import os
import subprocess
import sys
import traceback
from math import inf

import pytest
from verifier.scripted import ScriptedStream

from sojourn import Incoming

pytestmark = pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
HEAVY = ("sqlite3", "starlette", "psycopg", "redis", "granian", "click", "jinja2", "httpx2")


def test_what_importing_costs():
    """The verifier needs cryptography and msgspec only, and no store."""
    program = (
        "import sys, sojourn.verifier, sojourn; sojourn.Verifier; "
        "print(*sorted(name for name in sys.modules if name.count('.') < 1))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert set() == set(HEAVY) & set(done.stdout.split())


def test_sojourn_alone_does_not_import_the_verifier():
    """Applications that never name it do not pay for it."""
    program = "import sys, sojourn; assert 'sojourn.verifier' not in sys.modules; sojourn.Issuer"
    subprocess.run([sys.executable, "-c", program], check=True)
    program = "import sojourn\ntry: sojourn.Nothing\nexcept AttributeError: print('as it should')"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert "as it should" in done.stdout


def in_a_child(act):
    """Do something in a forked child; it must end well."""
    pid = os.fork()
    if pid == 0:
        try:
            act()
        except BaseException:  # noqa: BLE001 - a child never goes on as a second test run
            traceback.print_exc()
            os._exit(1)
        os._exit(0)
    assert 0 == os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def test_a_fork(authority, clocks):
    """A child of a verifier that was in use knows nothing, and finds everything again."""
    stream = ScriptedStream()
    authority.streams = [stream]
    verifier = authority.verifier(is_following=True)
    token = authority.token()
    incoming = Incoming(authorization=f"Bearer {token}")
    assert verifier.check(incoming).principal
    state = verifier._core.states[0]
    # At this very moment threads of the parent hold what the child must not wait for.
    state.key_flights.board(joins_sent=True)
    state.feed_flights.board(joins_sent=True)

    def child():
        assert (inf, None, False) == (
            verifier.lag_seconds,
            verifier.issuers[0].key_age_seconds,
            verifier._core.is_started,
        )
        authority.append("ended", sid="sid-of-ann")
        authority.streams = [ScriptedStream()]
        assert "revoked" == verifier.check(incoming).refusal.code
        assert verifier.check(
            Incoming(authorization=f"Bearer {authority.token(sid='other')}")
        ).principal
        assert verifier._core.is_started
        verifier.close()

    in_a_child(child)
    assert verifier.check(incoming).principal, "the parent goes on as before"
    verifier.close()


def test_what_a_fork_forgets(authority):
    """The rule itself: every verifier of the process starts over."""
    from sojourn.verifier import core as core_module

    verifier = authority.verifier()
    verifier.warm()
    assert verifier.is_fresh
    core_module._forget_after_fork()
    assert (inf, None) == (verifier.lag_seconds, verifier.issuers[0].key_age_seconds)
    verifier.warm()
    assert verifier.is_fresh
