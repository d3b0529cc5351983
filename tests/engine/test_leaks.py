"""No secret where it does not belong: records, reprs, messages, log lines, a stolen store."""

import logging
import re
import sqlite3
from base64 import urlsafe_b64decode, urlsafe_b64encode
from pathlib import Path

import msgspec
import pytest
from engine.harness import MODES, OTHER_SECRET, SECRET, Bench, refusal_of

from sojourn import ConfigurationError, Need, SojournError, handles
from sojourn.engine.check import Known, judge
from sojourn.engine.picture import NearCopy
from sojourn.engine.proof import read_proof
from sojourn.jose import SigningKey, issue
from sojourn.jose.claims import AccessClaims
from sojourn.keyring import unseal
from sojourn.model import Purpose, Session, Tombstone
from sojourn.server_secret import ServerSecret, ServerSecrets

PRIVATE = "PRIVATE-claim-of-the-application"
DATA = "PRIVATE-value-of-the-application"


class Visit:
    """Everything that happens to a sign-in, in one engine, with every secret it made."""

    def __init__(self, bench):
        self.bench = bench
        self.secrets = {SECRET}
        self.errors = []

    def keep(self, client):
        """Note what a client holds."""
        held = {*client.cookies.values(), client.access_token, client.refresh_token}
        self.secrets |= {text for text in held if text}
        # A token is header, claims and signature: whoever has the signature has the token.
        self.secrets |= {text.rsplit(".")[-1] for text in held if text.count(".") == 2}

    async def refused(self, awaitable):
        """Note what a refusal says."""
        try:
            await awaitable
        except SojournError as error:
            self.errors.append(error)

    async def run(self):
        """Sign in, look, refresh, steal, save, sign out, fail; in every mode and transport."""
        bench, auth = self.bench, self.bench.auth
        for mode in MODES:
            for transport in ("cookie", "bearer"):
                client = bench.client(transport)
                values = await auth.data(client.incoming())
                values["card"] = DATA
                client.take(await auth.save(client.incoming(), values))
                self.keep(client)
                await client.login(
                    mode=mode, claims={"note": PRIVATE}, carry=["card"], roles={"admin"}
                )
                self.keep(client)
                await client.check()
                thief = client.copy()
                if mode == "hybrid":
                    for _ in range(2):
                        await client.refresh()
                        self.keep(client)
                    await self.refused(thief.refresh())
                    await self.refused(client.refresh())
                    await client.login(mode=mode)
                    self.keep(client)
                token = await auth.access_token(client.incoming())
                self.secrets.add(token.access_token)
                await client.reauthenticate()
                self.keep(client)
                await self.refused(thief.check(need=Need(max_lag_seconds=0)))
                self.errors.append((await thief.check()).refusal)
                await client.logout()
                await self.refused(auth.access_token(thief.incoming()))
        await auth.login_failed(bench.client().incoming(), "alice", reason="wrong_password")
        await auth.revoke_all("alice")
        await auth.rotate_keys(is_emergency=True)
        survivor = bench.client("bearer")
        for mode in MODES:
            await survivor.login("bob", mode=mode)
            self.keep(survivor)
            await survivor.check()

    def find_in(self, text, *, allow=()):
        """Give the secrets that a text holds."""
        return [secret for secret in self.secrets - set(allow) if secret in text]


@pytest.fixture
async def visit(make, caplog):
    """A visit that is over, with everything that was logged."""
    caplog.set_level(logging.DEBUG)
    visit = Visit(make("hybrid", modes=MODES))
    await visit.run()
    return visit


async def test_no_secret_in_a_log_line_or_on_the_trail(visit, caplog):
    """Neither the log nor the audit trail holds a handle, a token, the secret or private values."""
    trail = await visit.bench.trail()
    logged = "\n".join(
        [*caplog.messages, caplog.text, repr(trail), str(msgspec.to_builtins(trail))]
    )
    assert len(trail) > 20
    assert [] == visit.find_in(logged)
    assert (False, False) == (PRIVATE in logged, DATA in logged)


async def test_no_secret_in_an_error(visit):
    """No message, repr or argument of an error holds a secret."""
    said = "\n".join(f"{error!r} {error} {error.args}" for error in visit.errors)
    assert len(visit.errors) > 10
    assert [] == visit.find_in(said)
    assert (False, False) == (PRIVATE in said, DATA in said)


async def test_no_secret_in_a_repr(visit):
    """No repr of an answer, of the engine or of what it remembers holds a secret or a seed."""
    bench = visit.bench
    client = bench.client("bearer")
    shown = []
    seeds = set()
    for mode in MODES:
        shown.append(signed_in := await client.login("carol", mode=mode))
        shown.append(await client.check())
        record = await bench.record(signed_in.principal.sid)
        if isinstance(record, Session):
            seeds.add(record.seed)
            shown.append(record)
        if mode == "session":
            shown.append(await read_proof(bench.core, client.access_token, Purpose.SESSION))
            presented = bench.core.browser.credentials(client.incoming())
            known = judge(bench.core, presented, now_ms=bench.clock(), max_lag_ms=5000)
            assert isinstance(known, Known)
            shown.append(known)
        if mode == "hybrid":
            shown.append(await client.refresh())
        visit.keep(client)
    shown += await bench.auth.sessions("carol")
    shown += [await bench.auth.begin("carol"), bench.core, bench.core.secrets, bench.core.keys]
    shown += [bench.core.picture, *bench.picture.near.entries.values()]
    shown += [bench.auth.settings, bench.core.keys.ring, *bench.core.keys._signing.values()]
    text = "\n".join(map(repr, shown))
    assert any(isinstance(one, NearCopy) for one in shown)
    # The ring's private parts are sealed; their repr is ciphertext.
    assert [] == visit.find_in(text)
    assert [] == [seed for seed in seeds if repr(seed)[2:-1] in text or seed.hex() in text]
    assert seeds


# --- a stolen store -------------------------------------------------------------------------------


def strings_in(value):
    """Give every text and byte string within a value, and what base64 or hex may make of it."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, bytes):
        yield value.hex()
        yield value.decode("latin-1")
        yield urlsafe_b64encode(value).decode().rstrip("=")
    elif isinstance(value, dict):
        for key, item in value.items():
            yield from strings_in(key)
            yield from strings_in(item)
    elif isinstance(value, (list, tuple, set, frozenset)):
        for item in value:
            yield from strings_in(item)
    elif isinstance(value, msgspec.Struct):
        yield from strings_in(msgspec.structs.asdict(value))


def dump(bench):
    """Take a copy of everything that a store holds, as a thief of the disk would."""
    if bench.kind == "memory":
        return [value for name, value in vars(bench.spy.inner).items() if name != "_clock"]
    found = []
    with sqlite3.connect(Path(bench.folder) / "sojourn.db") as connection:
        tables = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
        for (table,) in tables.fetchall():
            rows = connection.execute(f'SELECT * FROM "{table}"').fetchall()  # noqa: S608
            found.append(rows)
            found += [_decoded(cell) for row in rows for cell in row]
    connection.close()
    return found


def _decoded(cell):
    """Read what an encoded cell holds."""
    for decode in (msgspec.msgpack.decode, msgspec.json.decode):
        try:
            return decode(cell)
        except (msgspec.MsgspecError, TypeError, UnicodeDecodeError):
            continue
    return cell


async def test_copy_of_the_store_and_the_logs_signs_nobody_in(visit, caplog, another):
    """Every string in the store and the logs, tried as a credential in every way, opens nothing."""
    bench = visit.bench
    stolen = set(strings_in(dump(bench)))
    stolen |= set(re.findall(r"[\w.~+/=-]{8,}", caplog.text))
    stolen |= {word for text in tuple(stolen) for word in re.findall(r"[\w.-]{20,}", text)}
    live = (await bench.record(sid) for sid in {r.sid for r in await bench.trail() if r.sid})
    seeds = {record.seed.hex() async for record in live if record}
    assert seeds  # the copy is a whole one: it has every seed
    assert seeds <= stolen
    assert [] == [text for text in stolen if visit.find_in(text, allow=())]
    names = bench.core.browser.names
    fresh = another(bench)
    attempts = 0
    for text in sorted(stolen)[:4000]:
        if not text.isascii() or not text.isprintable():
            continue
        for secret in (text, f"sj_s1_{text}"[:86], f"sj_r1_{text}"[:86]):
            attempts += 1
            incoming = fresh.client().incoming("GET", authorization=f"Bearer {secret}")
            assert (await fresh.auth.check(incoming)).principal is None
            asked = fresh.auth.refresh(incoming, refresh_token=secret)
            assert await refusal_of(asked) == "invalid_token"
        for name in (names.handle, names.access, names.refresh):
            incoming = fresh.client().incoming("GET", cookies=f"{name}={text}")
            assert (await fresh.auth.check(incoming)).principal is None
    assert attempts > 100


async def test_leaked_secret_alone_signs_nobody_in(visit, another):
    """Who knows the server secret and every sid, but no seed, mints nothing."""
    bench = visit.bench
    sids = {record.sid for record in await bench.trail() if record.sid}
    client = bench.client("bearer")
    assert len(sids) > 5
    for sid in sids:
        for seed in (bytes(32), sid.encode().ljust(32, b"\x00")):
            client.access_token = handles.mint(
                ServerSecret(SECRET), purpose=Purpose.SESSION, sid=sid, generation=1, seed=seed
            )
            assert "invalid_token" == await client.code()


async def test_keys_at_rest_are_sealed(visit):
    """No signing key in the store can be used without the server secret."""
    bench = visit.bench
    stored = await bench._inner("get_document", "keyring")
    ring = bench.core.keys.ring
    with pytest.raises(ConfigurationError):
        unseal(ring.keys, ServerSecrets(OTHER_SECRET))
    for key in bench.core.keys._signing.values():
        private = key.to_jwk()["d"]
        assert private.encode() not in stored.payload
        assert urlsafe_b64decode(private + "==") not in stored.payload


async def test_foreign_key_signs_nobody_in(visit):
    """A token of the right shape under any other key is refused, with the ring's kid too."""
    bench = visit.bench
    client = bench.client("bearer")
    now = bench.clock() // 1000
    kid = bench.core.keys.ring.keys[-1].kid
    claims = AccessClaims(
        iss="http://127.0.0.1:8000",
        sub="bob",
        aud="http://127.0.0.1:8000",
        exp=now + 60,
        iat=now,
        jti="x",
        sid="A" * 22,
        pos=2**52,
    )
    jwk = SigningKey.generate("ES256").to_jwk()
    for foreign in (jwk, {**jwk, "kid": kid}):
        client.access_token = issue(claims, SigningKey.from_jwk(msgspec.json.encode(foreign)))
        assert "invalid_token" == await client.code()


async def test_tombstone_holds_no_way_back(make, stored_mode):
    """What stays of an ended session signs nobody in, even for who knows the secret as well."""
    bench: Bench = make(stored_mode)
    client = bench.client("bearer")
    sid = (await client.login()).principal.sid
    await client.logout()
    tombstone = await bench.record(sid)
    assert isinstance(tombstone, Tombstone)
    purpose = Purpose.SESSION if stored_mode == "session" else Purpose.REFRESH
    for generation in (1, 2, 3):
        handle = handles.mint(
            ServerSecret(SECRET),
            purpose=purpose,
            sid=sid,
            generation=generation,
            seed=tombstone.seed,
        )
        if stored_mode == "session":
            client.access_token = handle
            assert "revoked" == await client.code()
        else:
            asked = bench.auth.refresh(client.incoming(), refresh_token=handle)
            assert "revoked" == await refusal_of(asked)
