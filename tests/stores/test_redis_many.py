"""Many: sessions of one subject, guests, bytes."""

import msgspec
import pytest
from services import new_namespace
from services_valkey import running_valkey, shared_valkey
from stores.redis_samples import client, draft, every_key

from sojourn.model import Session, Tombstone
from sojourn.stores.redis import LINGER_SECONDS, RedisStore
from sojourn.stores.redis.lua import CHUNK, CUT, SWEEP


@pytest.fixture
def store():
    store = RedisStore(f"{shared_valkey().url}?prefix={new_namespace()}")
    store.open(longest_token_ms=1)
    yield store
    store.close()


def sign_in(store, count=1, **changes):
    sessions = [draft(**changes) for _ in range(count)]
    for session in sessions:
        assert "created" == store.create(session, limit=None, on_excess="refuse").outcome
    return sessions


@pytest.fixture
def scripts(store, monkeypatch):
    """Notes each script that is sent, and does what is asked before one of a number."""
    sent, before = [], {}
    perform = store._wire._perform

    def noted(step):
        for exchange in step.exchanges:
            for command in exchange.commands:
                if command[0] in {"EVALSHA", "EVAL"} and command[1] in {
                    CUT.digest,
                    SWEEP.digest,
                    CUT.body,
                    SWEEP.body,
                }:
                    act = before.pop(len(sent), None)
                    sent.append(command[0])
                    if act:
                        act()
        return perform(step)

    store._wire._perform = noted
    store.delete_subject("nobody", keep=None, reason="x")  # both scripts are known from here
    sent.clear()
    return sent, before


class TestEndingMany:
    def test_chunk_by_chunk(self, store, scripts):
        """A subject's sessions end a bounded number a script, each with its tombstone and data gone."""
        count = 2 * CHUNK + 10
        sessions = sign_in(store, count)
        store.put_data(sessions[0].sid, b"data", expected_version=0)
        deleted = store.delete_subject("ada", keep=None, reason="password")
        assert {session.sid for session in sessions} == set(deleted.ended)
        assert (count, 1) == (len(deleted.ended), len(deleted.entries))
        assert {Tombstone} == {type(store.get(session.sid).record) for session in sessions}
        assert None is store.get_data(sessions[0].sid)
        assert 2 <= len(scripts[0]) - scripts[0].count("EVAL") <= 3
        prefix = store._core.place.prefix
        left = [key for _, key in every_key([shared_valkey().url], prefix) if b":u:" in key]
        assert [] == left

    @pytest.mark.parametrize("count", [CHUNK - 1, CHUNK, 2 * CHUNK])
    def test_the_kept_one_stays(self, store, count):
        """However many chunks, the kept session is skipped in each, wherever it stands."""
        for position in (0, count // 2, count - 1):
            sessions = sign_in(store, count, position=store.head(0).id)
            kept = sessions[position]
            deleted = store.delete_subject("ada", keep=kept.sid, reason="others")
            assert count - 1 == len(deleted.ended)
            assert [kept] == store.list("ada")
            store.delete_subject("ada", keep=None, reason="all")

    def test_who_signs_in_meanwhile_stays(self, store, scripts):
        """A login that began after the cutoff lives; an old session cannot be refreshed meanwhile."""
        old = sign_in(store, CHUNK + 50)
        _, before = scripts
        new, late, refreshed = [], [], []

        def meanwhile():
            now_at = store.head(0).id
            new.extend(sign_in(store, 3, position=now_at, expires_at_ms=old[0].expires_at_ms - 1))
            outcome = store.create(draft(), limit=None, on_excess="refuse").outcome
            late.append(outcome)
            for session in old:
                later = msgspec.structs.replace(
                    session, revision=2, expires_at_ms=session.expires_at_ms + 1
                )
                refreshed.append(store.replace(later, expected_revision=1))

        before[1] = meanwhile
        deleted = store.delete_subject("ada", keep=None, reason="password")
        assert (["superseded"], {None}) == (late, set(refreshed))
        assert {session.sid for session in old} == set(deleted.ended)
        assert {session.sid for session in new} == {session.sid for session in store.list("ada")}

    def test_more_new_ones_than_a_chunk(self, store, scripts):
        """The walk ends though more stays than one script can see."""
        old = sign_in(store, CHUNK + 50)
        _, before = scripts
        before[1] = lambda: sign_in(
            store,
            2 * CHUNK + 20,
            position=store.head(0).id,
            expires_at_ms=old[0].expires_at_ms - 1,
        )
        deleted = store.delete_subject("ada", keep=None, reason="password")
        assert {session.sid for session in old} == set(deleted.ended)
        assert 2 * CHUNK + 20 == len(store.list("ada"))

    @pytest.mark.parametrize("keeps", [False, True])
    def test_a_purge_finishes_what_was_begun(self, store, scripts, keeps):
        """Sessions that a dying process left are ended by the next purge; later logins are not."""
        old = sign_in(store, 2 * CHUNK + 50)
        kept = old[CHUNK] if keeps else None
        other = sign_in(store, subject="grace")
        _, before = scripts

        def die():
            raise KeyboardInterrupt

        before[1] = die
        with pytest.raises(KeyboardInterrupt):
            store.delete_subject("ada", keep=kept and kept.sid, reason="stolen")
        new = sign_in(store, 3, position=store.head(0).id)
        left = len(store.list("ada"))
        assert left > CHUNK
        assert 0 == store.purge()
        expected = {session.sid for session in (*new, *([kept] if kept else []))}
        assert expected == {session.sid for session in store.list("ada")}
        assert {"stolen"} == {
            store.get(session.sid).record.reason for session in old if session is not kept
        }
        assert other == store.list("grace")
        assert 0 == client(shared_valkey().url).exists(store._core.keys.named(0, "p")[1])

    def test_an_index_without_its_session(self, store):
        """What is in the index alone (an evicted or expired key) is taken out of it."""
        one, other, third = sign_in(store, 3)
        for session in (one, third):
            client(shared_valkey().url).delete(store._core.keys.named(0, f"s:{session.sid}")[1])
        assert [other] == store.list("ada")
        created = store.create(draft(), limit=2, on_excess="end_oldest")
        assert 2 == len(created.ended)
        assert len(store.delete_subject("ada", keep=None, reason="x").ended) <= 2
        assert [] == store.list("ada")


class TestGuests:
    def test_those_nearest_to_their_end_make_room(self, store):
        """Guests beyond the limit go by the end of their life, without a look at all of them."""
        guests = [
            sign_in(store, subject="", expires_at_ms=draft().expires_at_ms + n * 1000)[0]
            for n in (3, 1, 2)
        ]
        created = store.create(draft(""), limit=2, on_excess="end_oldest")
        assert (guests[1].sid, guests[2].sid) == created.ended[1:] or 2 == len(created.ended)
        assert 2 == len(store.list(""))
        assert None is store.get(created.ended[0]).record

    def test_the_dead_are_swept_out_of_the_index(self):
        """Guests that Redis let go leave the index with later ones, a bounded number at a time."""
        now = [1_800_000_000_000]
        prefix = new_namespace()
        store = RedisStore(f"{shared_valkey().url}?prefix={prefix}", clock=lambda: now[0])
        store.open(longest_token_ms=1)
        sign_in(store, 150, subject="", expires_at_ms=now[0] + 1000, created_at_ms=now[0])
        now[0] += (LINGER_SECONDS + 1) * 1000
        index = store._core.keys.named(0, "u:")[1]
        server = client(shared_valkey().url)
        sizes = []
        for _ in range(3):
            sign_in(store, subject="", expires_at_ms=now[0] + 9000, created_at_ms=now[0])
            sizes.append(server.zcard(index))
        assert [51, 2, 3] == sizes
        store.close()


def test_ties_are_told_by_sid(store):
    """Of sessions made in one millisecond the smaller sid goes first, byte by byte."""
    made_ms = draft().created_at_ms
    sids = ["A" + end * 20 + "A" for end in ("Z", "a", "-", "_", "9")]
    for sid in sids:
        sign_in(store, sid=sid, created_at_ms=made_ms)
    sign_in(store, created_at_ms=made_ms + 1)
    created = store.create(draft(created_at_ms=made_ms + 2), limit=2, on_excess="end_oldest")
    assert sorted(sids) == list(created.ended)


def test_a_session_takes_few_bytes():
    """Ten thousand sessions of as many subjects: record, index, expiry and tables, each."""
    with running_valkey() as service:
        server = client(service.url)
        store = RedisStore(service.url)
        store.open(longest_token_ms=1)
        before = server.info("memory")["used_memory"]
        for number in range(10_000):
            sign_in(store, subject=f"user-{number:06d}", roles=("admin",))
        each = (server.info("memory")["used_memory"] - before) / 10_000
        print(f"bytes a session: {each:.0f}")
        assert each < 450
        store.close()


def test_expiry_is_rediss(store):
    """Every key of sessions, tombstones, data, cutoffs and indexes goes by itself."""
    kept, ended = sign_in(store, 2)
    store.put_data(kept.sid, b"x", expected_version=0)
    store.delete(ended.sid, subject="ada", reason="x")
    store.delete_subject("grace", keep=None, reason="x")
    server, prefix = client(shared_valkey().url), store._core.place.prefix
    lives = {key: server.pttl(key) for _, key in every_key([shared_valkey().url], prefix)}
    forever = {key.rpartition(b":")[2] for key, left_ms in lives.items() if left_ms == -1}
    assert {b"h", b"f", b"meta"} == forever
    assert isinstance(store.get(kept.sid).record, Session)
    longer = msgspec.structs.replace(kept, revision=2, expires_at_ms=kept.expires_at_ms + 10**9)
    store.replace(longer, expected_revision=1)
    for name in (f"s:{kept.sid}", f"d:{kept.sid}", "u:ada"):
        key = store._core.keys.named(0, name)[1]
        assert server.pttl(key) > 10**9 + LINGER_SECONDS * 1000
    shorter = msgspec.structs.replace(kept, revision=3)
    store.replace(shorter, expected_revision=2)
    assert server.pttl(store._core.keys.named(0, f"s:{kept.sid}")[1]) < 10**9
    assert server.pttl(store._core.keys.named(0, "u:ada")[1]) > 10**9


def test_a_long_feed_is_purged(monkeypatch):
    """A purge goes on from script to script; revoked keys stay in their places among the rest."""
    from sojourn.model import Event, Kind

    now = [1_800_000_000_000]
    prefix = new_namespace()
    store = RedisStore(f"{shared_valkey().url}?prefix={prefix}", clock=lambda: now[0])
    store.open(longest_token_ms=1)
    ring, key = Event(kind=Kind.RING), Event(kind=Kind.KEY, kid="stolen")
    for _ in range(3):
        store.append(0, [ring] * CHUNK + [key])
    now[0] += 86_400_000
    store.append(0, [ring])
    assert 3 * CHUNK == store.purge()
    assert [Kind.KEY] * 3 + [Kind.RING] == [
        entry.event.kind for entry in store.read(0, after=0).entries
    ]
    assert 0 == store.purge()
    store.close()
