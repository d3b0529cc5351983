"""Accounts: what a sign-in tells, how guessing is slowed, and what a password change ends."""

import httpx2
import pytest
from server.conftest import PASSWORD, Person
from services_postgres import shared_postgres

from sojourn.aio import AsyncSojourn
from sojourn.errors import InvalidCredentials, InvalidInput, StoreError, Superseded
from sojourn.messages import Incoming
from sojourn.server import throttle
from sojourn.server.accounts import MIGRATIONS, NAMESPACE, AccountExists, Accounts
from sojourn.server.database import database_of
from sojourn.server.hashing import Busy, Hasher
from sojourn.server.service import Service
from sojourn.server.throttle import RateLimited, Throttle, network_of
from sojourn.stores.sqlite import AsyncSqliteStore
from sojourn.testing.clock import ManualClock

HOME, AWAY = "192.0.2.1", "198.51.100.7"


def from_address(address: str) -> Incoming:
    return Incoming(method="POST", peer=address)


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture(params=["sqlite", "postgresql"])
async def parts(request, tmp_path, clock):
    """A service on each kind of database, with a clock to advance."""
    path = tmp_path / "accounts.db"
    url = shared_postgres().new_schema() if request.param == "postgresql" else f"sqlite:///{path}"
    store = AsyncSqliteStore(str(path), clock=clock, durable=False)
    database = database_of(url, beside=store)
    sojourn = AsyncSojourn(
        store,
        mode="hybrid",
        modes=("session", "jwt", "hybrid"),
        url="http://127.0.0.1:8000",
        secret="a-secret-for-tests-alone-of-forty-eight-letters.",
        clock=clock,
    )
    async with sojourn:
        await database.open(namespace=NAMESPACE, migrations=MIGRATIONS)
        hasher = Hasher()
        accounts = Accounts(database, clock=clock)
        yield Service(sojourn, accounts, hasher, Throttle(database, clock=clock))
        hasher.close()
        await database.close()


async def wrong(service: Service, email: str, address: str, times: int = 1) -> None:
    for _ in range(times):
        with pytest.raises(InvalidCredentials):
            await service.login(from_address(address), email, "not the password")


async def test_an_address_has_one_account_whatever_its_spelling(parts):
    """Case, surrounding space and compatibility characters do not make another account."""
    await parts.register("Ann@Example.com", PASSWORD)
    with pytest.raises(AccountExists):
        await parts.register(" ａnn@example.COM ", PASSWORD)
    signed_in = await parts.login(from_address(HOME), "ANN@example.com", PASSWORD)
    assert signed_in.principal.amr == ("pwd",)


async def test_unknown_account_and_wrong_password_cost_and_say_the_same(parts, monkeypatch):
    """Both verify one Argon2 hash and give one and the same error, a disabled account too."""
    await parts.register("ann@example.com", PASSWORD)
    disabled = await parts.register("old@example.com", PASSWORD)
    await parts.set_disabled(disabled, is_disabled=True, by="test")
    verified = []
    verify = parts._hasher._verify
    monkeypatch.setattr(
        parts._hasher, "_verify", lambda *args: verified.append(args) or verify(*args)
    )
    told = set()
    for email, password in (
        ("ann@example.com", "not the password"),
        ("nobody@example.com", PASSWORD),
        ("old@example.com", PASSWORD),
    ):
        with pytest.raises(InvalidCredentials) as refused:
            await parts.login(from_address(HOME), email, password)
        told.add((refused.value.code, refused.value.status, str(refused.value)))
    assert 1 == len(told)
    assert 3 == len(verified)


async def test_guessing_is_slowed_per_account_and_network(parts, clock):
    """After so many failures the pair waits, the right password too; later it may try again."""
    await parts.register("ann@example.com", PASSWORD)
    await wrong(parts, "ann@example.com", HOME, throttle.PER_ACCOUNT_AND_NETWORK)
    with pytest.raises(RateLimited) as refused:
        await parts.login(from_address(HOME), "ann@example.com", PASSWORD)
    assert 0 < refused.value.retry_after_seconds <= throttle.WINDOW_MS // 1000
    clock.advance(seconds=refused.value.retry_after_seconds)
    assert await parts.login(from_address(HOME), "ann@example.com", PASSWORD)


async def test_strangers_cannot_lock_the_owner_out(parts, monkeypatch):
    """However many networks guess, one from which the owner signed in before is let in."""
    monkeypatch.setattr(throttle, "PER_ACCOUNT_FROM_STRANGERS", 12)
    await parts.register("ann@example.com", PASSWORD)
    await parts.login(from_address(HOME), "ann@example.com", PASSWORD)
    for number in range(3):
        await wrong(parts, "ann@example.com", f"203.0.113.{number}", 4)
    with pytest.raises(RateLimited):
        await parts.login(from_address(AWAY), "ann@example.com", PASSWORD)
    assert await parts.login(from_address(HOME), "ann@example.com", PASSWORD)


async def test_a_network_that_tries_many_accounts_is_slowed(parts, monkeypatch):
    """Credential stuffing is counted by its network, also over accounts that do not exist."""
    monkeypatch.setattr(throttle, "PER_NETWORK", 5)
    await parts.register("ann@example.com", PASSWORD)
    for number in range(5):
        await wrong(parts, f"guess{number}@example.com", AWAY)
    with pytest.raises(RateLimited):
        await parts.login(from_address(AWAY), "ann@example.com", PASSWORD)
    assert await parts.login(from_address(HOME), "ann@example.com", PASSWORD)


async def test_registrations_are_bounded_per_network(parts, monkeypatch):
    """One network cannot fill the accounts; staff adding them is not counted."""
    monkeypatch.setattr(throttle, "REGISTRATIONS_PER_NETWORK", 2)
    for number in range(2):
        await parts.register(f"a{number}@example.com", PASSWORD, incoming=from_address(AWAY))
    with pytest.raises(RateLimited):
        await parts.register("b@example.com", PASSWORD, incoming=from_address(AWAY))
    await parts.register("b@example.com", PASSWORD, incoming=from_address(HOME))
    await parts.register("c@example.com", PASSWORD, by="staff")


async def test_a_busy_moment_is_not_a_wrong_password(parts, monkeypatch):
    """What was never looked at is not counted, however often it is tried."""
    await parts.register("ann@example.com", PASSWORD)
    with monkeypatch.context() as busy:
        busy.setattr(parts._hasher, "_limit", 0)
        for _ in range(throttle.PER_ACCOUNT_AND_NETWORK + 1):
            with pytest.raises(Busy):
                await parts.login(from_address(AWAY), "ann@example.com", PASSWORD)
    assert await parts.login(from_address(AWAY), "ann@example.com", PASSWORD)


async def test_a_failed_password_change_can_be_repeated(parts, monkeypatch):
    """Where the store fails half-way, the old password still proves, and nobody else is left in."""
    await parts.register("ann@example.com", PASSWORD)
    victim = await parts.login(from_address(HOME), "ann@example.com", PASSWORD, transport="bearer")
    thief = await parts.login(from_address(AWAY), "ann@example.com", PASSWORD, transport="bearer")
    bearer = Incoming(authorization=f"Bearer {victim.access_token}", peer=HOME)
    principal = (await parts.sojourn.check(bearer)).require()
    new = "four other unrelated words"

    async def failing(*args, **kwargs):
        raise StoreError("the disk is full")

    with monkeypatch.context() as away:
        away.setattr(parts.accounts, "set_password", failing)
        with pytest.raises(StoreError):
            await parts.change_password(bearer, principal, PASSWORD, new)
    stolen = Incoming(authorization=f"Bearer {thief.access_token}", peer=AWAY)
    assert (await parts.sojourn.check(stolen)).principal is None
    renewed = await parts.change_password(bearer, principal, PASSWORD, new)
    assert await parts.login(from_address(HOME), "ann@example.com", new)
    again = Incoming(authorization=f"Bearer {renewed.access_token}", peer=HOME)
    assert (await parts.sojourn.check(again)).principal is not None


@pytest.mark.parametrize("change", ["roles", "disabled"])
async def test_a_password_change_races_a_change_of_the_account(change, parts, monkeypatch):
    """A token handed out in `jwt` does not carry what was taken away meanwhile."""
    account = await parts.register("ann@example.com", PASSWORD, roles=("boss",))
    told = await parts.login(
        from_address(HOME), "ann@example.com", PASSWORD, mode="jwt", transport="bearer"
    )
    bearer = Incoming(authorization=f"Bearer {told.access_token}", peer=HOME)
    principal = (await parts.sojourn.check(bearer)).require()
    login = parts.sojourn.login

    async def change_then_login(*args, **kwargs):
        if change == "roles":
            await parts.set_roles(account, (), by="staff")
        else:
            await parts.set_disabled(account, is_disabled=True, by="staff")
        return await login(*args, **kwargs)

    monkeypatch.setattr(parts.sojourn, "login", change_then_login)
    with pytest.raises(Superseded):
        await parts.change_password(bearer, principal, PASSWORD, "four other unrelated words")


async def test_roles_that_no_sign_in_could_carry(parts):
    """They are refused before anything is written."""
    account = await parts.register("ann@example.com", PASSWORD, roles=("editor",))
    for roles in (tuple(f"role{n}" for n in range(101)), tuple(f"{n:0>100}" for n in range(15))):
        with pytest.raises(InvalidInput):
            await parts.set_roles(account, roles, by="staff")
    assert ("editor",) == (await parts.accounts.by_subject(account.subject)).roles
    assert await parts.login(from_address(HOME), "ann@example.com", PASSWORD)


def test_networks():
    """An IPv4 address stands for itself, an IPv6 one for its /64, anything else for the unknown."""
    assert "192.0.2.1" == network_of("192.0.2.1")
    assert "2001:db8:1:2::/64" == network_of("2001:db8:1:2:3:4:5:6")
    assert "unknown" == network_of("")


async def test_a_storm_of_sign_ins_is_bounded(parts, monkeypatch):
    """Beyond the queue a sign-in is answered "busy" instead of taking all memory."""
    monkeypatch.setattr(parts._hasher, "_limit", 0)
    await parts.sojourn.core.ready()
    with pytest.raises(Busy):
        await parts.login(from_address(HOME), "ann@example.com", PASSWORD)


async def test_an_account_that_changes_during_the_sign_in(parts, monkeypatch):
    """A password that was changed while the old one was being checked signs nobody in."""
    account = await parts.register("ann@example.com", PASSWORD)
    login = parts.sojourn.login

    async def change_then_login(*args, **kwargs):
        await parts.accounts.set_password(account.subject, "changed", version=account.version)
        return await login(*args, **kwargs)

    monkeypatch.setattr(parts.sojourn, "login", change_then_login)
    with pytest.raises(Superseded):
        await parts.login(from_address(HOME), "ann@example.com", PASSWORD)
    assert [] == await parts.sojourn.sessions(account.subject)


async def test_a_hash_of_weaker_parameters_is_renewed_at_sign_in(parts):
    """Whoever signs in with an older hash has a current one afterwards."""
    from argon2 import PasswordHasher

    weak = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1).hash(PASSWORD)
    account = await parts.accounts.add("ann@example.com", weak)
    await parts.login(from_address(HOME), "ann@example.com", PASSWORD)
    renewed = await parts.accounts.by_subject(account.subject)
    assert "m=19456,t=2,p=1" in renewed.password_hash
    assert await parts.login(from_address(HOME), "ann@example.com", PASSWORD)


@pytest.mark.parametrize("mode", ["session", "jwt", "hybrid"])
@pytest.mark.parametrize("transport", ["cookie", "bearer"])
def test_a_password_change_ends_the_others_and_goes_on(mode, transport, server, person):
    """Over HTTP: the other client is signed out, this one stays, the old password is dead."""
    with (
        httpx2.Client(base_url=server.url) as here,
        httpx2.Client(base_url=server.url) as there,
        httpx2.Client(base_url=server.url) as copy,
    ):
        for client in (here, there):
            person.login(client, mode=mode, transport=transport)
        copy.cookies.update(here.cookies)
        copy.headers.update(here.headers)
        body = {"current": person.password, "new": "four other unrelated words"}
        answer = here.post("/auth/password", json=body)
        assert (204 if transport == "cookie" else 200) == answer.status_code, answer.text
        if transport == "bearer":
            here.headers["Authorization"] = f"Bearer {answer.json()['access_token']}"
        assert 200 == here.get("/auth/session").status_code
        assert "revoked" == there.get("/auth/session").json()["code"]
        assert 401 == copy.get("/auth/session").status_code, "a copy of what was kept ends too"
        old = {"email": person.email, "password": person.password}
        assert "invalid_credentials" == here.post("/auth/login", json=old).json()["code"]


def test_rate_limit_over_http(server):
    """Too many failures are answered 429 with Retry-After, as a problem document."""
    person = Person(server.url).register()
    body = {"email": person.email, "password": "not the password"}
    for _ in range(throttle.PER_ACCOUNT_AND_NETWORK):
        # The sign-in below would be familiar only after a success: this network has none.
        answer = httpx2.post(f"{server.url}/auth/login", json=body)
        if answer.status_code == 429:
            break
        assert 401 == answer.status_code
    answer = httpx2.post(f"{server.url}/auth/login", json=body)
    assert (429, "rate_limited") == (answer.status_code, answer.json()["code"])
    assert 0 < int(answer.headers["retry-after"]) <= 900
