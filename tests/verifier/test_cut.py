"""A feed that is cut and healed: verifiers know that they are stale, act by policy, and miss nothing."""

import dataclasses
import time

import pytest
from proxy import Proxy
from servers import running_server
from verifier.test_real_server import AUDIENCE, Person, add_verifier, seen

from sojourn import Issuer, Stale, Verifier
from sojourn.verifier import Web

pytestmark = pytest.mark.filterwarnings("ignore:when_stale='trust'")
BOUND_SECONDS = 2.0
PATIENCE_SECONDS = 20.0


class Through(Web):
    """The real client, through a proxy in front of a server."""

    def __init__(self, server_url, proxy):
        super().__init__()
        self._urls = server_url, f"http://127.0.0.1:{proxy.port}"

    def _moved(self, request):
        return dataclasses.replace(request, url=request.url.replace(*self._urls))

    def fetch(self, request):
        return super().fetch(self._moved(request))

    def stream(self, request):
        return super().stream(self._moved(request))


def eventually(condition, about):
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        assert time.monotonic() < deadline, f"never happened: {about}"
        time.sleep(0.005)


def code_of(verifier, token):
    try:
        return seen(verifier, token)
    except Stale as error:
        return error.code


def test_a_feed_that_is_cut_and_healed(tmp_path):
    """A black hole between: stale beyond the bound by each policy, caught up soon after healing."""
    with running_server(tmp_path, **AUDIENCE) as server:
        port = int(server.url.rpartition(":")[2])
        issuer = Issuer.sojourn(server.url, feed_token=add_verifier(server))
        person = Person(server.url)
        with Proxy(port) as proxy:
            verifiers = {
                when_stale: Verifier(
                    audience="billing",
                    issuers=[issuer],
                    when_stale=when_stale,
                    max_lag_seconds=BOUND_SECONDS,
                    fetcher=Through(server.url, proxy),
                )
                for when_stale in ("ask", "refuse", "trust")
            }
            token, kept = person.token(), person.token("jwt")
            for verifier in verifiers.values():
                eventually(lambda one=verifier: code_of(one, token) == "good", "it works")
                eventually(lambda one=verifier: one.lag_seconds < 1, "a heartbeat came")
            proxy.cut()
            person.token()  # another sign-in, so that the next call ends the first's session
            first = verifiers["trust"]._core.remembered.entries[token].principal.sid
            assert 204 == person.http.delete(f"/auth/sessions/{first}").status_code
            for verifier in verifiers.values():
                eventually(lambda one=verifier: one.lag_seconds > BOUND_SECONDS, "it knows")
            said = {name: code_of(verifier, token) for name, verifier in verifiers.items()}
            assert {"ask": "stale", "refuse": "stale", "trust": "good"} == said
            proxy.heal()
            healed = time.monotonic()
            for verifier in verifiers.values():
                eventually(lambda one=verifier: code_of(one, token) == "revoked", "it is told")
                eventually(lambda one=verifier: code_of(one, kept) == "good", "others go on")
            print(f"caught up {time.monotonic() - healed:.2f} s after healing")
            assert [0, 0, 0] == [verifier.gaps for verifier in verifiers.values()]
            for verifier in verifiers.values():
                verifier.close()
        person.http.close()


def test_a_door_that_is_shut(tmp_path):
    """Refused connections are tried again; the stream comes back by itself."""
    with running_server(tmp_path, **AUDIENCE) as server:
        issuer = Issuer.sojourn(server.url, feed_token=add_verifier(server))
        person = Person(server.url)
        with Proxy(int(server.url.rpartition(":")[2])) as proxy:
            verifier = Verifier(
                audience="billing", issuers=[issuer], fetcher=Through(server.url, proxy)
            )
            token = person.token()
            assert "good" == code_of(verifier, token)
            eventually(lambda: verifier.lag_seconds < 1, "a heartbeat came")
            proxy.drop()
            eventually(lambda: verifier.lag_seconds > 1.5, "the stream is gone")
            proxy.heal()
            eventually(lambda: verifier.lag_seconds < 1, "the stream is back")
            person.post("/auth/logout")
            eventually(lambda: code_of(verifier, token) == "revoked", "it is told")
            verifier.close()
        person.http.close()
