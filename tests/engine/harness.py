"""What the engine's tests are tried on: both faces behind one shape, a store that counts, clients.

`Bench` is one engine ("process") with a clock in the test's hand; `Client` is a browser with a cookie
jar or a bearer client with its tokens. Nothing here sleeps but `eventually`, which waits for a
follower thread with a deadline.
"""

import asyncio
import inspect
import threading
import time
from collections import Counter

from sojourn import AsyncSojourn, Incoming, Sojourn, SojournError
from sojourn.errors import StoreError
from sojourn.jose import unverified
from sojourn.ports import OPERATIONS
from sojourn.stores.memory import MemoryStore
from sojourn.stores.sqlite import AsyncSqliteStore, SqliteStore
from sojourn.testing.clock import ManualClock

URL = "http://127.0.0.1:8000"
SECRET = "Jq7-first-server-secret-of-the-tests-0123456789abcdef"
OTHER_SECRET = "Zw4-second-server-secret-of-the-tests-fedcba9876543210"
MODES = ("session", "jwt", "hybrid")
STORED_MODES = ("session", "hybrid")
TRANSPORTS = ("cookie", "bearer")
PATIENCE_SECONDS = 20.0
HOUR = 3600
DAY = 24 * HOUR


async def eventually(condition, about):
    """Wait for what a follower thread does soon."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        assert time.monotonic() < deadline, f"never happened: {about}"
        await asyncio.sleep(0.002)


class Awaited:
    """`Sojourn` with awaitable methods, so that one test runs on both faces."""

    def __init__(self, sojourn):
        self.sojourn = sojourn

    def __getattr__(self, name):
        """Give a method as one to await, anything else as it is."""
        attribute = getattr(self.sojourn, name)
        if not inspect.ismethod(attribute):
            return attribute

        async def awaited(*args, **kwargs):
            return attribute(*args, **kwargs)

        return awaited


class Spied:
    """A store that counts the engine's calls and lets a test step in between.

    `before` and `after` hold, by operation, what is called once, at the next call; `answers` what
    is answered instead of asking at all. The follower's reader is not counted.
    """

    def __init__(self, inner):
        self.inner = inner
        self.never_blocks = getattr(inner, "never_blocks", False)
        self.calls = Counter()
        self.before = {}
        self.after = {}
        self.answers = {}
        self.open_feed = inner.feed
        for name in OPERATIONS:
            setattr(self, name, self._spied(name))

    def feed(self):
        return self.open_feed()

    def _spied(self, name):
        operation = getattr(self.inner, name)

        def enter(args, kwargs):
            self.calls[name] += 1
            self.before.pop(name, lambda *_, **__: None)(*args, **kwargs)
            return name in self.answers

        def leave(answer):
            return self.after.pop(name, lambda same: same)(answer)

        if not inspect.iscoroutinefunction(operation):

            def spied(*args, **kwargs):
                if enter(args, kwargs):
                    return self.answers[name](*args, **kwargs)
                return leave(operation(*args, **kwargs))

            return spied

        async def spied_async(*args, **kwargs):
            if enter(args, kwargs):
                return self.answers[name](*args, **kwargs)
            return leave(await operation(*args, **kwargs))

        return spied_async

    @property
    def writes(self):
        """Give the names and numbers of calls that change something."""
        quiet = {"open", "close", "head", "get", "list", "read", "get_data", "get_document"}
        return {name: n for name, n in self.calls.items() if name not in {*quiet, "read_audit"}}


class HungFeed:
    """A reader whose store never answers, until it is closed."""

    def __init__(self):
        self._closed = threading.Event()

    def read(self, after, *, limit=1000):
        self._closed.wait(PATIENCE_SECONDS)
        raise StoreError("the store did not answer")

    def wait(self, timeout_seconds):
        """Never reached."""

    def close(self):
        self._closed.set()


def new_store(face, kind, folder, clock):
    """Make the store of a face; several on one folder share one SQLite file."""
    if kind == "memory":
        return MemoryStore(clock=clock)
    store_type = SqliteStore if face == "sync" else AsyncSqliteStore
    return store_type(str(folder / "sojourn.db"), clock=clock, durable=False)


class Bench:
    """One engine on one store."""

    def __init__(self, face, kind, folder, *, inner=None, clock=None, secret=SECRET, **settings):
        self.face, self.kind, self.folder = face, kind, folder
        self.clock = clock or ManualClock()
        inner = new_store(face, kind, folder, self.clock) if inner is None else inner
        self.spy = Spied(inner)
        self.secret = secret
        self.settings = {"url": URL, **settings}
        options = {
            "secret": secret,
            "clock": self.clock,
            "monotonic_ms": self.clock,
            **self.settings,
        }
        if face == "sync":
            self.auth = Awaited(Sojourn(self.spy, **options))
        else:
            self.auth = AsyncSojourn(self.spy, **options)

    @property
    def core(self):
        return self.auth.core

    @property
    def picture(self):
        return self.core.picture

    def another(self, *, face=None, **changes):
        """Make a second engine ("process") on the same data."""
        inner = self.spy.inner if self.kind == "memory" else None
        options = {"secret": self.secret, **self.settings, **changes}
        return Bench(
            face or self.face, self.kind, self.folder, inner=inner, clock=self.clock, **options
        )

    def client(self, transport="cookie", **headers):
        return Client(self, transport, **headers)

    async def close(self):
        await self.auth.close()

    async def settle(self):
        """Catch up with the feed and the ring now, as the follower would soon; start counting."""
        await self.core.ready()
        await self.core.catch_up(0)
        while self.core.keys.is_outdated:
            await self.core.keys.load(self.core)
            await self.core.catch_up(0)
        self.spy.calls.clear()

    async def advance(self, seconds):
        """Move the clock, with the follower keeping up."""
        self.clock.advance(seconds=seconds)
        await self.settle()

    async def record(self, sid):
        """Read what the store holds under a sid."""
        return (await self._inner("get", sid)).record

    async def trail(self, **filters):
        """Read the audit trail."""
        lines = await self._inner("read_audit", limit=10_000, **filters)
        return [line.record for line in lines]

    async def actions(self, **filters):
        return [record.action for record in await self.trail(**filters)]

    async def head(self):
        """Read the feed's newest entry."""
        return await self._inner("head", 0)

    async def _inner(self, name, *args, **kwargs):
        await self.core.ready()
        answer = getattr(self.spy.inner, name)(*args, **kwargs)
        return await answer if inspect.isawaitable(answer) else answer


class Client:
    """A browser (``cookie``) or another client (``bearer``) of an application."""

    def __init__(self, bench, transport, **headers):
        self.bench = bench
        self.transport = transport
        self.headers = headers
        self.cookies = {}
        self.access_token = ""
        self.refresh_token = ""

    @property
    def auth(self):
        return self.bench.auth

    @property
    def names(self):
        return self.bench.core.browser.names

    def copy(self, bench=None):
        """Give what a thief who read everything would hold, or the same client elsewhere."""
        other = Client(bench or self.bench, self.transport, **self.headers)
        other.cookies = dict(self.cookies)
        other.access_token, other.refresh_token = self.access_token, self.refresh_token
        return other

    def incoming(self, method="POST", **changes):
        """Make the next request."""
        parts = {"method": method, "peer": "192.0.2.7", "user_agent": "Tester/1", **self.headers}
        parts["cookies"] = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        if self.transport == "cookie":
            parts |= {"sec_fetch_site": "same-origin", "origin": URL if method == "POST" else ""}
        elif self.access_token:
            parts["authorization"] = f"Bearer {self.access_token}"
        return Incoming(**{**parts, **changes})

    def take(self, outgoing):
        """Keep cookies as a browser does: one of Max-Age=0 is dropped."""
        for name, value in outgoing.headers:
            if name == "Set-Cookie":
                cookie, _, content = value.split(";")[0].partition("=")
                self.cookies[cookie] = content
                if "Max-Age=0" in value:
                    del self.cookies[cookie]

    def took(self, signed_in):
        """Keep everything that was handed out."""
        self.take(signed_in.outgoing)
        if signed_in.transport == "bearer":
            self.access_token = signed_in.access_token
            self.refresh_token = signed_in.refresh_token or self.refresh_token
        return signed_in

    async def login(self, subject="alice", **options):
        options = {"transport": self.transport, **options}
        return self.took(await self.auth.login(self.incoming(), subject, **options))

    async def check(self, method="GET", **options):
        checked = await self.auth.check(self.incoming(method), **options)
        self.take(checked.outgoing)
        return checked

    async def code(self, **options):
        """Tell the code of the refusal; empty for a good check."""
        refusal = (await self.check(**options)).refusal
        return "" if refusal is None else refusal.code

    async def refresh(self):
        token = self.refresh_token if self.transport == "bearer" else None
        return self.took(await self.auth.refresh(self.incoming(), refresh_token=token))

    async def move(self, mode):
        """Move to another mode; what an earlier mode handed out is let go."""
        token = self.refresh_token or None
        signed_in = self.took(await self.auth.move(self.incoming(), mode=mode, refresh_token=token))
        self.refresh_token = signed_in.refresh_token
        return signed_in

    async def logout(self):
        self.take(await self.auth.logout(self.incoming()))

    async def reauthenticate(self, **options):
        return self.took(await self.auth.reauthenticate(self.incoming(), **options))

    @property
    def handle(self):
        """Give the opaque handle held, of a session or for refreshing."""
        if self.transport == "bearer":
            return self.refresh_token or self.access_token
        return self.cookies.get(self.names.refresh) or self.cookies.get(self.names.handle, "")

    @property
    def access(self):
        """Give the access token held."""
        if self.transport == "bearer":
            return self.access_token
        return self.cookies.get(self.names.access, "")


def claims_of(token):
    """Read what a token says, unverified."""
    return unverified.inspect(token).unverified_claims


async def refusal_of(awaitable):
    """Give the stable code that a call is refused with."""
    try:
        await awaitable
    except SojournError as error:
        return error.code
    return ""
