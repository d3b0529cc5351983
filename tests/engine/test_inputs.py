"""Strict inputs: what no engine, token or cookie could keep is refused before anything happens."""

from dataclasses import dataclass
from uuid import UUID

import msgspec
import pytest
from engine.harness import SECRET, URL, Bench, refusal_of

from sojourn import (
    AsyncSojourn,
    Checked,
    ConfigurationError,
    Forbidden,
    Incoming,
    InvalidInput,
    Need,
    Sojourn,
    Unauthenticated,
)
from sojourn.ports import inline
from sojourn.stores.memory import MemoryStore
from sojourn.sync import drive


class Facts(msgspec.Struct):
    """An application's claims."""

    plan: str
    seats: int = 1


class Later(msgspec.Struct):
    """The same application's claims, a release later."""

    level: str


def endless():
    """Make a dictionary that holds itself."""
    values = {}
    values["self"] = values
    return values


@pytest.mark.parametrize("subject", ["", "x" * 256, "a\x00b", "\ud800", True, None, 1.5, b"x"])
async def test_subject_that_cannot_be_kept_is_refused(make_memory, subject):
    """A subject is an int, a UUID or plain text of bounded length."""
    bench = make_memory("hybrid")
    assert "invalid_input" == await refusal_of(bench.client().login(subject))
    assert "invalid_input" == await refusal_of(bench.auth.begin(subject))
    assert "invalid_input" == await refusal_of(bench.auth.revoke_all(subject))


@pytest.mark.parametrize("subject", ["7", 7, "Zoë", "a b", UUID(int=7), "x" * 255])
async def test_subject_has_one_spelling(make, mode, subject):
    """A subject is stored, signed and compared as its text."""
    bench = make(mode)
    client = bench.client()
    assert str(subject) == (await client.login(subject)).principal.subject
    assert str(subject) == (await client.check()).principal.subject
    await bench.auth.revoke_all(str(subject))
    assert "revoked" == await client.code()


@pytest.mark.parametrize("field", ["roles", "scopes", "amr"])
@pytest.mark.parametrize(
    "names",
    [
        "admin",
        {""},
        {"x" * 129},
        {"a b"},
        {"a\n"},
        {"a\x00"},
        {"\ud800"},
        {7},
        7,
        set(map(str, range(101))),
    ],
    ids=["bare", "empty", "long", "space", "newline", "nul", "surrogate", "int", "number", "many"],
)
async def test_names_that_no_token_could_carry_are_refused(make_memory, field, names):
    """Roles, scopes and methods are sets of short names without white space."""
    bench = make_memory("hybrid")
    assert "invalid_input" == await refusal_of(bench.client().login(**{field: names}))
    assert [] == await bench.trail(subject="alice")


@pytest.mark.parametrize(
    "claims",
    [{"x": object()}, {"x": "\ud800"}, [1], "text", endless(), {"x": "y" * 3000}],
    ids=["object", "surrogate", "list", "text", "endless", "large"],
)
async def test_claims_that_no_token_could_carry_are_refused(make_memory, claims):
    """Claims are a JSON object of bounded size."""
    bench = make_memory("hybrid")
    assert "invalid_input" == await refusal_of(bench.client().login(claims=claims))
    assert [] == await bench.trail(subject="alice")


async def test_login_too_large_ends_nobody(make, stored_mode):
    """A sign-in that could not be handed out takes nobody's place."""
    bench = make(stored_mode, max_sessions=1)
    client = bench.client()
    await client.login()
    fat = {f"role-{n}-{'x' * 100}" for n in range(40)}
    assert "invalid_input" == await refusal_of(bench.client().login(roles=fat))
    assert "" == await client.code(need=Need(max_lag_seconds=0))


# --- typed claims ---------------------------------------------------------------------------------


async def test_claims_have_the_applications_type(face, mode, transport, tmp_path, keep_open):
    """With `claims=` a principal's claims are of that type, after login, check and refresh."""
    bench = Bench(face, "memory", tmp_path, mode=mode, claims=Facts)
    keep_open(bench)
    client = bench.client(transport)
    signed_in = await client.login(claims=Facts("pro", 3))
    assert Facts("pro", 3) == signed_in.principal.claims
    for _ in range(2):
        assert Facts("pro", 3) == (await client.check()).principal.claims
    if mode == "hybrid":
        assert Facts("pro", 3) == (await client.refresh()).principal.claims
    assert Facts("pro", 3) == (await client.reauthenticate()).principal.claims
    await bench.auth.update("alice", claims=Facts("free"))


async def test_claims_of_another_type_are_refused(face, mode, tmp_path, keep_open):
    """Claims that are not of the declared type are refused at login and at update."""

    @dataclass
    class Wanted:
        plan: str

    bench = Bench(face, "memory", tmp_path, mode=mode, claims=Wanted)
    keep_open(bench)
    client = bench.client()
    for claims in (None, {"plan": 7}, {"other": "x"}):
        assert "invalid_input" == await refusal_of(client.login(claims=claims))
    await client.login(claims={"plan": "pro"})
    assert Wanted("pro") == (await client.check()).principal.claims
    assert "invalid_input" == await refusal_of(bench.auth.update("alice", claims={"plan": 7}))


@pytest.mark.parametrize("need", [Need(), Need(max_lag_seconds=0)], ids=["in lag", "asking"])
async def test_claims_of_an_earlier_form_ask_to_sign_in_again(
    make_memory, another, mode, transport, need
):
    """After a release that declares other claims, who is signed in signs in again: no error."""
    before = make_memory(mode, claims=Facts)
    client = before.client(transport)
    sid = (await client.login(claims=Facts("pro"))).principal.sid
    after = another(before, claims=Later)
    later = client.copy(after)
    for _ in range(2):
        assert "expired" == await later.code(need=need)
        assert "expired" == await later.code(need=need, renew=False)
    for asked in (
        after.auth.access_token(later.incoming()),
        later.reauthenticate(),
        later.move(mode),
    ):
        assert "expired" == await refusal_of(asked)
    if mode == "hybrid":
        assert "expired" == await refusal_of(later.refresh())
    assert ["login"] == await after.actions(sid=sid)
    assert "" == await client.code()
    await later.login(claims=Later("gold"))
    assert Later("gold") == (await later.check(need=need)).principal.claims


async def test_claims_of_an_earlier_form_are_no_error_in_passing(make_memory, another):
    """A browser of hybrid whose token is over is told the same, and nothing is rotated."""
    before = make_memory("hybrid", claims=Facts)
    client = before.client()
    sid = (await client.login(claims=Facts("pro"))).principal.sid
    later = client.copy(another(before, claims=Later))
    await before.advance(1000)
    record = await before.record(sid)
    assert "expired" == await later.code()
    assert record == await before.record(sid)
    await later.logout()
    assert "revoked" == await client.code()


async def test_claims_of_an_earlier_form_are_mended_by_an_update(make_memory, another):
    """Who does not want everybody to sign in again updates the claims of the stored sessions."""
    before = make_memory("session", claims=Facts)
    client = before.client()
    await client.login(claims=Facts("pro"))
    later = client.copy(another(before, claims=Later))
    assert "expired" == await later.code()
    assert 1 == await later.auth.update("alice", claims=Later("gold"))
    assert Later("gold") == (await later.check()).principal.claims


# --- construction ---------------------------------------------------------------------------------


def test_store_of_the_wrong_kind_is_refused_with_the_remedy():
    """An asynchronous store under the blocking face, and the reverse, are refused at once."""

    class Awaitable:
        async def get(self, sid):
            """Read."""

    class Blocking:
        def get(self, sid):
            """Read."""

    options = {"url": URL, "secret": SECRET}
    with pytest.raises(ConfigurationError, match="use AsyncSojourn"):
        Sojourn(Awaitable(), **options)
    with pytest.raises(ConfigurationError, match="use Sojourn"):
        AsyncSojourn(Blocking(), **options)


def test_store_that_suspends_is_refused():
    """A store that pretends to block and then suspends is told, and nothing is left half done."""

    class Suspends:
        def __await__(self):
            yield

    async def suspending():
        await Suspends()

    with pytest.raises(RuntimeError, match="use AsyncSojourn"):
        drive(suspending())


async def test_engine_from_validated_parts(tmp_path):
    """The server makes its engine from parts that are validated already."""
    given = AsyncSojourn("memory://", url=URL, secret=SECRET, mode="session")
    made = AsyncSojourn.of(
        settings=given.settings, secrets=given.core.secrets, store=inline(MemoryStore())
    )
    async with made:
        signed_in = await made.login(Incoming(), "alice")
        assert (URL, "alice") == (made.settings.issuer, signed_in.principal.subject)


def test_blocking_face_is_a_context_manager():
    """`with Sojourn(...)` opens and closes."""
    with Sojourn("memory://", url=URL, secret=SECRET) as sojourn:
        assert sojourn.core.is_open
        assert URL == sojourn.settings.url
        assert 0 == sojourn.purge()
    assert not sojourn.core.is_open


# --- answers --------------------------------------------------------------------------------------


async def test_checked_gives_the_principal_or_raises_why_not(make, mode):
    """`require` gives who it is where the need is met, and raises the refusal otherwise."""
    bench = make(mode)
    client = bench.client()
    with pytest.raises(Unauthenticated):
        (await client.check()).require()
    await client.login(roles={"reader"})
    checked = await client.check()
    assert checked.principal is checked.require()
    assert checked.principal is checked.require(Need(roles=frozenset({"reader"})))
    with pytest.raises(Forbidden):
        checked.require(Need(roles=frozenset({"admin"})))


def test_checked_is_one_of_the_two():
    """An answer without a principal has a reason."""
    with pytest.raises(InvalidInput):
        Checked(refusal=InvalidInput("x")).require()
