"""The audit trail: every sign-in, failure, refused refresh, revocation and key event, with why."""

from engine.harness import refusal_of

from sojourn import ANY

HERE = {"user_agent": "Browser/7", "peer": "203.0.113.5"}


def shown(record):
    """Reduce a record to who, whom, by whom, why and where from."""
    return (
        record.action,
        record.subject,
        record.by,
        record.reason,
        record.address,
        record.user_agent,
    )


async def test_login_is_on_the_trail(make, mode, transport):
    """A sign-in says who, in which mode, under which sid, when and from where."""
    bench = make(mode)
    principal = (await bench.client(transport, **HERE).login()).principal
    record = (await bench.trail(subject="alice"))[-1]
    assert ("login", "alice", "", "", "203.0.113.5", "Browser/7") == shown(record)
    assert (principal.sid, mode, bench.clock()) == (record.sid, record.mode, record.at_ms)


async def test_failed_sign_in_is_on_the_trail(make, mode):
    """A failed sign-in says whom it concerned, why, and from where."""
    bench = make(mode)
    incoming = bench.client(**HERE).incoming()
    await bench.auth.login_failed(incoming, "alice", reason="wrong_password")
    record = (await bench.trail(subject="alice"))[-1]
    expected = ("login_failed", "alice", "", "wrong_password", "203.0.113.5", "Browser/7")
    assert expected == shown(record)


async def test_failed_sign_in_of_anybody_is_bounded(make):
    """What a stranger types as a name is kept short and printable: it is no place to store things."""
    bench = make("hybrid")
    await bench.auth.login_failed(
        bench.client().incoming(), "x" * 100_000 + "\x00", reason="unknown"
    )
    await bench.auth.login_failed(bench.client().incoming(), "a\x00\ud800\x1b[2J", reason="unknown")
    names = [record.subject for record in (await bench.trail())[-2:]]
    assert ["x" * 255, "a???[2J"] == names


async def test_refused_sign_ins_are_on_the_trail(make, stored_mode):
    """A sign-in refused as superseded or as one too many is a failure on the trail."""
    bench = make(stored_mode, max_sessions=1, on_excess="refuse")
    attempt = await bench.auth.begin("alice")
    await bench.auth.revoke_all("alice")
    assert "superseded" == await refusal_of(bench.client(**HERE).login(attempt=attempt))
    await bench.client().login()
    assert "session_limit" == await refusal_of(bench.client(**HERE).login())
    failed = [shown(r) for r in await bench.trail() if r.action == "login_failed"]
    where = ("203.0.113.5", "Browser/7")
    assert [
        ("login_failed", "alice", "", "superseded", *where),
        ("login_failed", "alice", "", "session_limit", *where),
    ] == failed


async def test_session_ended_by_the_limit_is_on_the_trail(make, stored_mode):
    """To "why was I signed out?" the trail says: for another sign-in, and from where."""
    bench = make(stored_mode, max_sessions=1)
    sid = (await bench.client().login()).principal.sid
    await bench.client(**HERE).login()
    record = (await bench.trail(sid=sid))[-1]
    assert ("revoked", "alice", "", "session_limit", "203.0.113.5", "Browser/7") == shown(record)


async def test_logout_is_on_the_trail(make, mode, transport):
    """A logout is a revocation by the subject."""
    bench = make(mode)
    client = bench.client(transport, **HERE)
    sid = (await client.login()).principal.sid
    await client.logout()
    record = (await bench.trail(sid=sid))[-1]
    assert ("revoked", "alice", "alice", "logout", "203.0.113.5", "Browser/7") == shown(record)


async def test_revocation_is_on_the_trail(make, mode):
    """A revocation says by whom, whose, which, why and from where, successful or not."""
    bench = make(mode)
    sid = (await bench.client().login()).principal.sid
    incoming = bench.client(**HERE).incoming()
    where = ("203.0.113.5", "Browser/7")
    await bench.auth.revoke(sid, subject=ANY, by="root", reason="abuse", incoming=incoming)
    assert ("revoked", "", "root", "abuse", *where) == shown((await bench.trail(sid=sid))[-1])
    await bench.auth.revoke(sid, subject="bob", by="bob", incoming=incoming)
    record = (await bench.trail(sid=sid))[-1]
    assert ("revoked", "bob", "bob", "administrator", *where) == shown(record)
    await bench.auth.revoke_all(
        "alice", keep=sid, by="alice", reason="logout_others", incoming=incoming
    )
    record = (await bench.trail(sid=sid))[-1]
    assert ("revoked_all", "alice", "alice", "logout_others", *where) == shown(record)


async def test_update_is_on_the_trail(make, mode):
    """A change of roles says by whom and what changed, not to what."""
    bench = make(mode)
    await bench.auth.update("alice", roles={"a"}, claims={"secret": "x"}, by="root")
    record = (await bench.trail(subject="alice"))[-1]
    assert ("updated", "alice", "root", "claims, roles", "", "") == shown(record)


async def test_reauthentication_is_on_the_trail(make, mode, transport):
    """A re-authentication is on the trail of the subject; in `jwt` with the sid it replaces."""
    bench = make(mode)
    client = bench.client(transport, **HERE)
    sid = (await client.login()).principal.sid
    await client.reauthenticate()
    record = (await bench.trail(subject="alice"))[-1]
    reason = f"instead of {sid}" if mode == "jwt" else ""
    where = ("203.0.113.5", "Browser/7")
    assert ("reauthenticated", "alice", "", reason, *where) == shown(record)


async def test_refused_refresh_is_on_the_trail(make, transport):
    """A handle of an ended or expired session that comes back is noted, with why it was refused."""
    bench = make("hybrid", absolute_ttl_seconds=600)
    where = ("203.0.113.5", "Browser/7")
    ended, expired = bench.client(transport, **HERE), bench.client(transport, **HERE)
    await ended.login()
    await bench.auth.revoke_all("alice")
    await expired.login("bob")
    assert "revoked" == await refusal_of(ended.refresh())
    record = (await bench.trail(subject="alice"))[-1]
    assert ("refresh_refused", "alice", "", "revoked", *where) == shown(record)
    await bench.advance(601)
    assert "expired" == await refusal_of(expired.refresh())
    record = (await bench.trail(subject="bob"))[-1]
    assert ("refresh_refused", "bob", "", "expired", *where) == shown(record)


async def test_refused_refresh_is_noted_once_a_minute(make, transport):
    """A dead handle that comes back without end is one line a minute, and each session its own."""
    bench = make("hybrid")
    clients = [bench.client(transport) for _ in range(2)]
    sids = [(await client.login()).principal.sid for client in clients]
    await bench.auth.revoke_all("alice")

    async def lines(sid):
        return (await bench.actions(sid=sid)).count("refresh_refused")

    for elapsed, expected in ((0, 1), (59, 1), (1, 2), (-30, 2), (-31, 3)):
        await bench.advance(elapsed)
        for _ in range(3):
            for client in clients:
                assert "revoked" == await refusal_of(client.refresh())
        assert [expected, expected] == [await lines(sid) for sid in sids]


async def test_refused_refresh_of_nobody_writes_nothing(make):
    """Handles whose MAC is bad, or of no session, write no line: anybody could fill the trail."""
    bench = make("hybrid")
    client = bench.client("bearer")
    await client.login()
    before = await bench.trail()
    for handle in ("x", "sj_r1_" + "A" * 80, client.handle[:-2] + "AA"):
        await refusal_of(bench.auth.refresh(client.incoming(), refresh_token=handle))
    assert before == await bench.trail()


async def test_browser_of_an_ended_session_writes_nothing_in_passing(make):
    """A signed-out browser that goes on browsing does not write a line a request."""
    bench = make("hybrid")
    client = bench.client()
    await client.login()
    await bench.auth.revoke_all("alice")
    await bench.advance(1000)
    before = await bench.trail()
    for _ in range(3):
        assert "revoked" == await client.code()
    assert before == await bench.trail()


async def test_refresh_refused_although_the_record_went_meanwhile(make_memory):
    """A tombstone that is purged between the two looks leaves a line without a subject."""
    bench = make_memory("hybrid")
    client = bench.client("bearer")
    sid = (await client.login()).principal.sid
    await client.logout()

    def purge(found):
        bench.spy.inner._tombstones.clear()
        return found

    bench.spy.after["get"] = purge
    assert "revoked" == await refusal_of(client.refresh())
    assert ("refresh_refused", "") == (
        (await bench.trail(sid=sid))[-1].action,
        (await bench.trail(sid=sid))[-1].subject,
    )


async def test_key_events_are_on_the_trail(make):
    """Keys made, added and revoked are on the trail: which, by whom."""
    bench = make("jwt")
    first = (await bench.auth.jwks())["keys"][0]["kid"]
    await bench.auth.rotate_keys(by="root")
    second = (await bench.auth.jwks())["keys"][1]["kid"]
    await bench.auth.rotate_keys(by="root", is_emergency=True)
    third = (await bench.auth.jwks())["keys"][0]["kid"]
    assert [
        ("key_added", "schedule", first),
        ("key_added", "root", second),
        ("key_revoked", "root", first),
        ("key_revoked", "root", second),
        ("key_added", "root", third),
    ] == [(record.action, record.by, record.reason) for record in await bench.trail()]


async def test_address_behind_a_proxy_is_the_clients(make, stored_mode):
    """Behind a trusted proxy the trail has the client's address; else what was claimed is ignored."""
    claim = {"peer": "10.0.0.1", "forwarded_for": "6.6.6.6, 203.0.113.5"}
    for networks, address in ((("10.0.0.0/8",), "203.0.113.5"), ((), "10.0.0.1")):
        bench = make(stored_mode, trusted_proxies=networks)
        await bench.client(**claim).login()
        assert address == (await bench.trail(subject="alice"))[-1].address
