"""The follower's reader: woken by writers, sure of its subscription, dependent on neither."""

import threading
import time
from dataclasses import replace

import pytest
from msgspec.structs import replace as replace_fields
from proxy import Proxy
from services import new_namespace
from services_processes import wait_until
from services_valkey import shared_valkey, shared_valkey_cluster
from stores.redis_samples import client, draft, node_port

from sojourn.errors import StoreError
from sojourn.model import AuditRecord, Event, Kind
from sojourn.stores.redis import RedisStore, entries, feed as redis_feed

RING = (Event(kind=Kind.RING),)


@pytest.fixture
def proxy():
    with Proxy(node_port(shared_valkey().url)) as proxy:
        yield proxy


@pytest.fixture
def store():
    store = RedisStore(f"{shared_valkey().url}?prefix={new_namespace()}")
    store.open(longest_token_ms=1)
    yield store
    store.close()


@pytest.fixture
def reader(store, proxy):
    """A reader behind the proxy, of what the store writes."""
    url = f"redis://127.0.0.1:{proxy.port}/0?prefix={store._core.place.prefix}"
    behind = RedisStore(url)
    behind.open(longest_token_ms=1)
    reader = behind.feed()
    yield reader
    reader.close()
    behind.close()


def seconds(work):
    started = time.monotonic()
    work()
    return time.monotonic() - started


def test_a_burst_is_one_wake(store, reader):
    """What has been published by the time of a wake-up does not wake again."""
    reader.read({0: 0})
    for _ in range(10):
        store.append(0, RING)
    wakes = 0
    while reader.wait(0.05) is None and wakes < 10 and _is_woken(reader):
        wakes += 1
    assert wakes < 10
    assert 10 == len(reader.read({0: 0})[0].entries)


def _is_woken(reader):
    return reader._subscription._connection.can_read(0)


def test_a_lost_subscription_is_renewed(store, reader, proxy):
    """A reader whose connections end reads on, and is woken again."""
    reader.read({0: 0})
    proxy.drop()
    reader.wait(60)  # the end is noticed
    reader.wait(0.01)  # without a subscription this polls
    with pytest.raises(StoreError):
        reader.read({0: 0})
    proxy.heal()
    last = reader.read({0: 0})[0].head.id
    store.append(0, RING)
    assert seconds(lambda: reader.wait(60)) < 30
    assert 1 == len(reader.read({0: last})[0].entries)


def test_a_subscription_follows_the_primary(store):
    """When the first shard has another node, that one is listened to; a lost one may be closed twice."""
    reader = store.feed()
    reader.read({0: 0})
    first, router = reader._subscription, store._core.router
    (host, port), *_ = router.shape.nodes
    assert "127.0.0.1" == host
    router.shape = replace(router.shape, nodes=(("localhost", port),) * 2)
    reader.read({0: 0})
    assert ("localhost", port) == reader._subscription.address
    first.close()
    reader.close()


def test_a_silent_subscription_is_asked(store, reader, proxy, monkeypatch):
    """After a silence the other side is asked; where it says nothing, there is a new subscription."""
    monkeypatch.setattr(redis_feed, "QUIET_SECONDS", 0.0)
    monkeypatch.setattr(redis_feed, "DEADLINE_SECONDS", 0.2)
    reader.read({0: 0})
    first = reader._subscription
    for _ in range(5):
        reader.wait(0.01)  # it asks, is answered, and asks again
    assert first is reader._subscription
    proxy.cut()
    wait_until(lambda: reader.wait(0.01) or reader._subscription is None, what="the loss")
    proxy.heal()
    reader.read({0: 0})
    assert first is not reader._subscription
    assert reader._subscription is not None


def test_a_subscription_that_is_not_allowed(store):
    """A user who may not use the channel polls, writes, and is not failed."""
    server, prefix = client(shared_valkey().url), store._core.place.prefix
    server.execute_command("ACL", "SETUSER", prefix, "on", ">pw", "~*", "resetchannels", "+@all")
    url = shared_valkey().url.replace("//", f"//{prefix}:pw@")
    limited = RedisStore(f"{url}?prefix={prefix}")
    limited.open(longest_token_ms=1)
    assert 1 == len(limited.append(0, RING).entries)
    reader = limited.feed()
    assert 1 == len(reader.read({0: 0})[0].entries)
    assert seconds(lambda: reader.wait(0.01)) < 5
    reader.close()
    limited.close()
    server.execute_command("ACL", "DELUSER", prefix)


def test_a_closed_reader_stays_closed(store):
    """Closed, it neither waits nor subscribes any more; closing again is nothing."""
    reader = store.feed()
    reader.close()
    reader.close()
    assert seconds(lambda: reader.wait(60)) < 30
    reader.read({0: 0})
    assert None is reader._subscription


def test_a_close_during_the_subscribing(store, monkeypatch):
    """A reader closed by another thread just now does not keep what it has made meanwhile."""
    reader = store.feed()
    made = redis_feed._Subscription

    def slow(*args):
        subscription = made(*args)
        reader.close()
        return subscription

    monkeypatch.setattr(redis_feed, "_Subscription", slow)
    reader.read({0: 0})
    assert None is reader._subscription


def test_any_shard_wakes():
    """On a cluster one subscription hears of every shard, whichever node has it."""
    store = RedisStore(f"{shared_valkey_cluster().url}?prefix={new_namespace()}")
    store.open(longest_token_ms=1)
    reader = store.feed()
    heads = dict.fromkeys(range(16), 0)
    reader.read(heads)
    for shard in heads:
        done = threading.Event()

        def wait(done=done):
            reader.wait(60)
            done.set()

        thread = threading.Thread(target=wait)
        thread.start()
        store.append(shard, RING)
        assert done.wait(30)
        thread.join()
    assert [1] * 16 == [len(page.entries) for page in reader.read(heads).values()]
    reader.close()
    store.close()


def test_lines_are_moved(store):
    """The trail's oldest lines are taken, kept elsewhere, and dropped; the rest stays."""
    for number in range(5):
        session = draft(f"user-{number}")
        store.delete(session.sid, subject="x", reason=str(number), audit=(_line(number),))
    taken = store.take_audit(3)
    assert ["0", "1", "2"] == [line.record.reason for line in taken]
    store.drop_audit(taken)
    store.drop_audit(taken)
    store.drop_audit(())
    assert ["3", "4"] == [line.record.reason for line in store.read_audit()]
    assert taken[-1].number < store.read_audit()[0].number


def test_a_line_that_is_not_understood(store, caplog):
    """A damaged line is left out, left in its place and logged; it hides none of the others."""
    (_, trail) = store._core.keys.named(0, "a")
    server = client(shared_valkey().url)
    for number, damaged in enumerate((b"damaged", b"\xa2\xff\xfe", b"\x81\xa6action\xa2\xff\xfe")):
        server.xadd(trail, {"r": damaged}, id=f"{number + 1}-0")
    store.append(0, (), audit=[_line(number) for number in range(3)])
    for limit in (3, 100):
        for read in (lambda limit: store.read_audit(limit=limit), store.take_audit):
            caplog.clear()
            assert ["0", "1", "2"] == [line.record.reason for line in read(limit)]
            assert 3 == caplog.text.count("of the audit trail is left out")
    store.drop_audit(store.take_audit(3))
    assert 3 == server.xlen(trail)


@pytest.mark.parametrize("agent", ["~" * 22, "~" * 22 + "x", "x" + "~" * 44 + "y"])
def test_what_a_client_says_is_only_recorded(store, agent):
    """Whatever the user agent, the lines of sessions that made room say it and no more."""
    old = draft(created_at_ms=draft().created_at_ms - 1)
    store.create(old, limit=None, on_excess="refuse")
    ended = AuditRecord(at_ms=1, action="session.ended", user_agent=agent)
    created = replace_fields(ended, action="session.created")
    outcome = store.create(
        draft(), limit=1, on_excess="end_oldest", audit=(created,), ended_audit=ended
    )
    assert (old.sid,) == outcome.ended
    expected = [replace_fields(ended, sid=old.sid), created]
    assert expected == [line.record for line in store.read_audit()]
    assert [old.sid] == [entry.event.sid for entry in store.read(0, after=0).entries]


def test_where_a_sid_goes_is_not_known_before(monkeypatch):
    """The place of the sid is marked with what is random each time."""
    marks = []
    token = entries.secrets.token_hex
    monkeypatch.setattr(entries.secrets, "token_hex", lambda n: marks.append(token(n)) or marks[-1])
    record = AuditRecord(at_ms=1, action="x", user_agent="~" * 22)
    for _ in range(2):
        before, after = entries.around_sid(record)
        sid = draft().sid
        assert replace_fields(record, sid=sid) == entries.unpack_audit(
            before + sid.encode() + after
        )
    assert (2, {22}) == (len(set(marks)), set(map(len, marks)))


def test_a_long_trail_is_filtered(store, monkeypatch):
    """A filter reads on, page after page, until it has enough."""
    monkeypatch.setattr("sojourn.stores.redis.journal._PAGE_LINES", 3)
    store.append(0, (), audit=[_line(number % 2) for number in range(20)])
    assert 10 == len(store.read_audit(subject="1"))
    assert 4 == len(store.read_audit(subject="1", limit=4))
    assert 20 == len(store.read_audit())


def _line(number):
    return AuditRecord(at_ms=1, action="x", subject=str(number), reason=str(number))


def test_the_trail_of_all_shards_is_one():
    """Lines of all shards come in one order by number, page after page, and are dropped together."""
    store = RedisStore(f"{shared_valkey_cluster().url}?prefix={new_namespace()}")
    store.open(longest_token_ms=1)
    for number in range(64):
        store.append(number * 7 % 16, (), audit=(_line(number),))
    lines, after = [], 0
    while page := store.read_audit(after=after, limit=10):
        lines += page
        after = page[-1].number
    numbers = [line.number for line in lines]
    assert (64, sorted(set(numbers))) == (len(lines), numbers)
    store.drop_audit(lines[:40])
    assert lines[40:] == list(store.take_audit(100))
    store.close()
