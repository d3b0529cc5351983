"""What arrives together travels together, each with its own answer, and nothing joins what was sent."""

import asyncio

import pytest
from stores.postgres_samples import LONGEST_TOKEN_MS, asking
from stores.sqlite_samples import PATIENCE_SECONDS, draft

from sojourn.errors import StoreError
from sojourn.model import ANY, AuditRecord, Kind, Session, Tombstone
from sojourn.stores.postgres import AsyncPostgresStore
from sojourn.stores.postgres.batches import MOST
from sojourn.stores.postgres.driver import psycopg


@pytest.fixture
def url(shared_postgres):
    return shared_postgres.new_schema()


@pytest.fixture
async def store(url):
    store = AsyncPostgresStore(url)
    await store.open(longest_token_ms=LONGEST_TOKEN_MS)
    await store.head(0)  # connected, so that statements can be counted from here
    yield store
    await store.close()


@pytest.fixture
def sent(store, monkeypatch):
    """Every statement that is sent in the loop, and its parameters."""
    sent = []
    execute = psycopg.AsyncCursor.execute

    async def noted(self, query, params=None, **kwargs):
        sent.append((query, params))
        return await execute(self, query, params, **kwargs)

    monkeypatch.setattr(psycopg.AsyncCursor, "execute", noted)
    return sent


def of(sent, what):
    return [params for query, params in sent if what in str(query)]


async def until(condition):
    """Let the loop turn until something holds."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        while not condition():  # noqa: ASYNC110 - there is no event to wait for
            await asyncio.sleep(0)


async def sign_in(store, count=1):
    sessions = [draft(f"subject-{n}") for n in range(count)]
    await asyncio.gather(*(store.create(s, limit=None, on_excess="refuse") for s in sessions))
    return sessions


async def test_look_ups_of_one_turn_are_one_statement(store, sent):
    """Fifty requests at once cost one round trip; the absent and the ended among them are told apart."""
    sessions = await sign_in(store, 48)
    await store.delete(sessions[0].sid, subject=ANY, reason="x")
    sids = [*(s.sid for s in sessions), "absent", sessions[1].sid]
    sent.clear()
    found = await asyncio.gather(*(store.get(sid) for sid in sids))
    assert 1 == len(sent)
    records = [one.record for one in found]
    assert isinstance(records[0], Tombstone)
    assert sessions[1:] == records[1:48]
    assert [None, sessions[1]] == records[48:]


async def test_a_look_up_does_not_join_what_was_sent(url, store, sent):
    """An answer under way may be older than the question: the later question travels by itself."""
    (session,) = await sign_in(store)
    sent.clear()
    with asking(url) as other, other.transaction():
        other.execute("LOCK TABLE sojourn_tombstones IN ACCESS EXCLUSIVE MODE")
        early = asyncio.create_task(store.get(session.sid))
        await until(lambda: of(sent, "sojourn_sessions"))
        late = asyncio.create_task(store.get(session.sid))
        await until(lambda: len(of(sent, "sojourn_sessions")) == 2)
    assert session == (await early).record == (await late).record


async def test_look_ups_that_wait_for_a_connection_are_one(url):
    """While every connection is busy, what arrives is gathered, in chunks of a bounded size."""
    store = AsyncPostgresStore(f"{url}&pool=1")
    await store.open(longest_token_ms=LONGEST_TOKEN_MS)
    busy = asyncio.create_task(store.head(0))
    await asyncio.sleep(0)
    found = await asyncio.gather(*(store.get(f"sid-{n}") for n in range(MOST + 1)))
    assert [None] * (MOST + 1) == [one.record for one in found]
    await busy
    await store.close()


async def test_revocations_of_one_turn_are_one_step(store, sent):
    """A burst is one transaction; each is told its own entry, and whether there was anything to end."""
    sessions = await sign_in(store, 20)
    head = await store.head(0)
    audit = AuditRecord(at_ms=1, action="revoked")
    sent.clear()
    answers = await asyncio.gather(
        *(store.delete(s.sid, subject=s.subject, reason="x", audit=(audit,)) for s in sessions),
        store.delete("absent", subject="ada", reason="x"),
    )
    assert 1 == len(of(sent, "sojourn_delete"))
    assert [(s.sid,) for s in sessions] == [one.ended for one in answers[:-1]]
    assert () == answers[-1].ended
    page = await store.read(0, after=head.id)
    assert [one.entries for one in answers] == [(entry,) for entry in page.entries]
    assert [None] * 20 + ["ada"] == [entry.event.subject for entry in page.entries]
    assert 20 == len(await store.read_audit())


async def test_one_session_is_ended_once(store, sent):
    """Who ends the same session at once is answered one after the other."""
    (session,) = await sign_in(store)
    sent.clear()
    answers = await asyncio.gather(
        *(store.delete(session.sid, subject="subject-0", reason=reason) for reason in "abc")
    )
    assert [(), (), (session.sid,)] == sorted(one.ended for one in answers)
    assert 3 == len({one.entries[0].id for one in answers})
    assert 3 == len(of(sent, "sojourn_delete"))


async def test_one_bad_member_fails_alone(store):
    """What the database cannot keep fails the call that asked for it, and no other of its batch."""
    sessions = await sign_in(store, 3)
    reasons = ("x", "\0", "\ud800")
    answers = await asyncio.gather(
        *(
            store.delete(s.sid, subject=ANY, reason=reason)
            for s, reason in zip(sessions, reasons, strict=True)
        ),
        return_exceptions=True,
    )
    assert (sessions[0].sid,) == answers[0].ended
    assert [StoreError, UnicodeEncodeError] == [type(answer) for answer in answers[1:]]
    left = [(await store.get(s.sid)).record for s in sessions[1:]]
    assert sessions[1:] == left


async def test_one_that_goes_away_stops_nobody(url, store, sent):
    """A cancelled member, before or after its batch is sent, leaves the others their answers."""
    sessions = await sign_in(store, 3)
    sent.clear()
    tasks = [asyncio.create_task(store.get(s.sid)) for s in sessions]
    with asking(url) as other, other.transaction():
        other.execute("LOCK TABLE sojourn_tombstones IN ACCESS EXCLUSIVE MODE")
        await asyncio.sleep(0)
        tasks[0].cancel()
        await until(lambda: of(sent, "sojourn_sessions"))
        tasks[1].cancel()
    assert sessions[2] == (await tasks[2]).record
    await asyncio.wait(tasks)
    assert [True, True, False] == [task.cancelled() for task in tasks]


async def test_each_member_fails_with_an_error_of_its_own(url, store):
    """A batch that failed is told to everybody, each by an error of its own, and nothing was done."""
    sessions = await sign_in(store, 3)
    with asking(url) as other, other.transaction():
        other.execute("SELECT * FROM sojourn_sessions FOR UPDATE")
        answers = await asyncio.gather(
            *(store.delete(s.sid, subject=ANY, reason="x") for s in sessions),
            return_exceptions=True,
        )
    assert ["kept a lock" in str(answer) for answer in answers] == [True] * 3
    assert 3 == len({id(answer) for answer in answers})
    assert (await store.read(0, after=0)).entries == ()
    for session in sessions:
        assert isinstance((await store.get(session.sid)).record, Session)


async def test_a_closed_store_says_so(url):
    """Who asks a store that is not open is told the remedy."""
    store = AsyncPostgresStore(url)
    for work in (store.get("x"), store.delete("x", subject=ANY, reason="x"), store.head(0)):
        with pytest.raises(StoreError, match=r"not open; call open\(\) first"):
            await work


async def test_closing_waits_for_what_was_asked(store):
    """A revocation under way is answered before the store is closed."""
    (session,) = await sign_in(store)
    asked = asyncio.create_task(store.delete(session.sid, subject=ANY, reason="x"))
    await asyncio.sleep(0)
    await store.close()
    assert Kind.ENDED == (await asked).entries[0].event.kind


def test_one_loop_after_another(url):
    """A store outlives its event loop, and whatever that loop left undone."""
    store = AsyncPostgresStore(url)

    async def leave_undone():
        await store.open(longest_token_ms=LONGEST_TOKEN_MS)
        await store.head(0)
        asyncio.get_running_loop().create_task(store.get("x"))
        asyncio.get_running_loop().create_task(store.delete("x", subject=ANY, reason="x"))
        await asyncio.sleep(0)

    async def go_on():
        assert None is (await store.get("x")).record
        await store.delete("x", subject=ANY, reason="x")
        await store.close()

    asyncio.run(leave_undone())
    asyncio.run(go_on())
