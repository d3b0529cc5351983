"""A Sojourn server as a value: it answers what a test lets it, at once, with no network and no time.

`Authority` is a `Fetcher`. Clocks are in the test's hand.
"""

from __future__ import annotations

import inspect
import json
import queue
from collections import Counter
from urllib.parse import parse_qs, urlsplit

from sojourn import AsyncVerifier, Issuer, Verifier
from sojourn.jose import AccessClaims, KeySet, SigningKey, issue
from sojourn.testing.clock import ManualClock
from sojourn.verifier import Answer, FetchError

URL = "https://auth.example.com"
FACES = {"sync": Verifier, "async": AsyncVerifier}
HOUR_MS = 3_600_000


async def settled(value):
    """Give what either face answered."""
    return await value if inspect.isawaitable(value) else value


class Clocks:
    """Both clocks, moved together or apart."""

    def __init__(self):
        self.wall = ManualClock()
        self.monotonic = 1000.0

    def monotonic_ms(self):
        return self.monotonic

    def advance(self, seconds):
        self.wall.advance(seconds=seconds)
        self.monotonic += seconds * 1000

    @property
    def given(self):
        return {"clock": self.wall, "monotonic_ms": self.monotonic_ms}


class ScriptedStream:
    """A stream whose lines a test puts in."""

    def __init__(self):
        self.lines_in = queue.SimpleQueue()
        self.is_closed = False

    def put(self, name, data, cursor=""):
        lines = [f"event: {name}".encode()]
        lines += [f"id: {cursor}".encode()] if cursor else []
        lines += [b"data: " + (data if isinstance(data, bytes) else json.dumps(data).encode()), b""]
        for line in lines:
            self.lines_in.put(line)

    def end(self, error=None):
        self.lines_in.put(error)

    def lines(self):
        while (line := self.lines_in.get(timeout=10)) is not None:
            if isinstance(line, Exception):
                raise line
            yield line

    def close(self):
        self.is_closed = True
        self.lines_in.put(None)


class Authority:
    """A Sojourn server.

    Args:
        clocks: The clocks of the test.
        url: Its url.
    """

    def __init__(self, clocks, url=URL):
        self.clocks = clocks
        self.url = url
        self.key = SigningKey.generate("ES256", kid="first")
        self.published = [self.key]
        self.metadata = {"issuer": url, "jwks_uri": f"{url}/.well-known/jwks.json"}
        self.cache_control = ""
        self.entries = []
        self.lag_ms = 0
        self.has_gap = False
        self.asked = Counter()
        self.answers = {}
        """What is answered instead, by path: an Answer, an exception, or a function that is called first."""
        self.streams = []

    # --- what it is asked -------------------------------------------------------------------------

    def fetch(self, request):
        path = urlsplit(request.url).path
        self.asked[path] += 1
        said = self.answers.get(path)
        if callable(said):
            said = said()
        if isinstance(said, Exception):
            raise said
        if said is not None:
            return said
        match path:
            case "/.well-known/openid-configuration":
                return self.json(self.metadata)
            case "/.well-known/jwks.json":
                jwks = KeySet([key.verifying for key in self.published]).to_jwks()
                return self.json(jwks, self.cache_control)
            case "/auth/revocations":
                return self.feed(request)
        return Answer(404, b"{}")

    def feed(self, request):
        if request.headers["Authorization"] != "Bearer sjv_good":
            return Answer(401, b"{}")
        cursor = parse_qs(urlsplit(request.url).query).get("cursor")
        if cursor and self.has_gap:
            self.has_gap = False
            return Answer(410, b"{}")
        after = int(cursor[0].removeprefix("at-")) if cursor else 0
        return self.json(
            {"cursor": self.cursor, "lag_ms": self.lag_ms, "entries": self.entries[after:]}
        )

    @staticmethod
    def json(value, cache_control=""):
        return Answer(200, json.dumps(value).encode(), cache_control)

    def stream(self, request):
        if not self.streams:
            raise FetchError("no stream is scripted")
        self.asked["stream"] += 1
        self.stream_request = request
        return self.streams.pop(0)

    def down(self, *paths):
        """Answer nothing any more, or not at some paths."""
        every = ("/.well-known/openid-configuration", "/.well-known/jwks.json", "/auth/revocations")
        for path in paths or every:
            self.answers[path] = FetchError("connection refused")

    # --- what happens there -----------------------------------------------------------------------

    @property
    def cursor(self):
        return f"at-{len(self.entries)}"

    def append(self, kind, **said):
        """Have something happen."""
        now_ms = self.clocks.wall()
        said = {"expires_at_ms": now_ms + HOUR_MS, "kind": kind} | said
        entry = {"id": now_ms + len(self.entries)} | said
        self.entries.append(entry)
        return entry

    def token(self, *, key=None, leave_out=(), **claims):
        """Issue an access token of Sojourn."""
        now = self.clocks.wall() // 1000
        said = {
            "iss": self.url, "sub": "ann", "aud": "billing", "exp": now + 600, "iat": now,
            "jti": "j", "client_id": "web", "sid": "sid-of-ann", "auth_time": now, "ver": 1,
            "pos": self.clocks.wall(), "roles": ["editor"], "scope": "notes more",
            "claims": {"plan": "pro"}, "amr": ["pwd"],
        } | claims  # fmt: skip
        return issue(AccessClaims(**said), key or self.key)

    # --- who follows it ---------------------------------------------------------------------------

    def issuer(self, **more):
        return Issuer.sojourn(self.url, **({"feed_token": "sjv_good"} | more))

    def verifier(self, face="sync", *, issuers=None, **more):
        """Make a verifier that polls in passing, unless told otherwise."""
        given = {"audience": "billing", "is_following": False, "fetcher": self}
        given |= self.clocks.given | more
        return FACES[face](issuers=issuers or [self.issuer()], **given)
