"""What the judge says of histories written by hand: each promise once kept and once broken."""

import msgspec
import pytest
from faults.history import judge
from faults.operations import MS, NEVER, Operation
from faults.recorder import Recorder, read_histories

from sojourn import Revoked, StoreError

GRACE_MS = 1000
LAG_MS = 500


def op(name, at_ms, *, took_ms=1, process="one", outcome="ok", sid="s", subject="ann", **fields):
    """Write one operation."""
    end = NEVER if outcome == "unknown" else int((at_ms + took_ms) * MS)
    if name in {"revoke_all", "update", "store_loss"}:
        sid = ""
    return Operation(
        process=process,
        name=name,
        start=int(at_ms * MS),
        end=end,
        outcome=outcome,
        sid=sid,
        subject=subject,
        **fields,
    )


LOGIN = op("login", 0)


def refresh(at_ms, presented, successor="", **fields):
    successor = successor or f"generation {presented + 1}"
    return op("refresh", at_ms, presented=presented, successor=successor, **fields)


def check(at_ms, **fields):
    return op("check", at_ms, **{"max_lag_ms": LAG_MS, **fields})


def refused(at_ms, code="revoked", name="check", **fields):
    return op(name, at_ms, outcome="refused", code=code, max_lag_ms=LAG_MS, **fields)


GOOD = {
    "a chain": [LOGIN, refresh(10, 1), refresh(20, 2), refresh(30, 3)],
    "the same successor in the window": [LOGIN, refresh(10, 1), refresh(900, 1)],
    "two at once": [LOGIN, refresh(10, 1, took_ms=9), refresh(11, 1, process="two")],
    "a slow retry": [LOGIN, refresh(10, 1, took_ms=500), refresh(12, 2)],
    "an unknown refresh that happened": [LOGIN, refresh(10, 1, outcome="unknown"), refresh(20, 2)],
    "a store that lost a rotation": [
        LOGIN,
        refresh(10, 1),
        refresh(20, 2),
        op("store_loss", 25),
        refresh(30, 1),
    ],
    "within the bound": [LOGIN, op("revoke", 10), check(11 + LAG_MS, process="two")],
    "a request that began before": [LOGIN, op("revoke", 10), check(10.5, took_ms=999)],
    "a revocation nobody acknowledged": [LOGIN, op("revoke", 10, outcome="unknown"), check(9999)],
    "an unknown revocation that happened": [
        LOGIN,
        op("revoke", 10, outcome="unknown"),
        refused(9999),
    ],
    "a sign-in after the cutoff": [op("revoke_all", 0), op("login", 5), check(9999)],
    "a sign-in at the cutoff, refused": [
        op("revoke_all", 0, took_ms=9),
        op("login", 5),
        refused(99),
    ],
    "a sign-in at the cutoff, accepted": [
        op("revoke_all", 0, took_ms=9),
        op("login", 5),
        check(99),
    ],
    "the kept one": [LOGIN, op("revoke_all", 10, keep="s"), check(9999)],
    "another subject's end": [LOGIN, op("revoke_all", 10, subject="bob"), check(9999)],
    "another session's end": [LOGIN, op("revoke", 10, sid="other"), check(9999)],
    "reuse": [
        LOGIN,
        refresh(10, 1),
        refresh(20, 2),
        refused(30, "refresh_reuse", "refresh", presented=1),
        refused(40),
    ],
    "roles within the bound": [
        op("login", 0, roles=("old",)),
        op("update", 10, roles=("new",)),
        check(11 + LAG_MS, process="two", roles=("old",)),
    ],
    "roles of either of two at once": [
        op("login", 0, roles=("old",)),
        op("update", 10, roles=("new",), took_ms=9),
        op("update", 11, roles=("newer",)),
        check(9999, roles=("new",)),
    ],
    "roles of a session that was ended meanwhile, within the bound": [
        op("login", 0, roles=("old",)),
        op("revoke", 10, took_ms=9),
        op("update", 15, roles=("new",)),
        check(20, process="two", roles=("old",)),
    ],
    "an update nobody acknowledged": [
        op("login", 0, roles=("old",)),
        op("update", 10, roles=("new",), outcome="unknown"),
        check(9998, roles=("new",)),
        check(9999, roles=("old",)),
    ],
    "a stateless token that is out of date": [
        op("login", 0, is_stateless=True),
        op("update", 10),
        refused(20),
    ],
    "a sign-in nobody heard of": [refresh(10, 1), op("revoke", 20), refused(30)],
}

BAD = {
    "a branch": (
        "one generation has two successors",
        [LOGIN, refresh(10, 1, "left"), refresh(11, 1, "right", process="two")],
    ),
    "a generation that went back": (
        "a generation went back",
        [LOGIN, refresh(10, 1), refresh(20, 2), refresh(30, 1)],
    ),
    "a loss that came too early to explain it": (
        "a generation went back",
        [LOGIN, op("store_loss", 5), refresh(10, 1), refresh(20, 2), refresh(30, 1)],
    ),
    "after the window": (
        "a replaced handle was taken after its window",
        [LOGIN, refresh(10, 1), refresh(1500, 1)],
    ),
    "after the bound": (
        "accepted after it was over",
        [LOGIN, op("revoke", 10), check(12 + LAG_MS, process="two")],
    ),
    "where it was revoked": ("accepted after it was over", [LOGIN, op("revoke", 10), check(12)]),
    "where the store is asked": (
        "accepted after it was over",
        [LOGIN, op("logout", 10), check(12, process="two", max_lag_ms=0)],
    ),
    "a refresh after the end": (
        "accepted after it was over",
        [LOGIN, op("revoke", 10), refresh(12, 1, process="two")],
    ),
    "after everything ended": (
        "accepted after it was over",
        [LOGIN, op("revoke_all", 10, keep="other"), check(12 + LAG_MS, process="two")],
    ),
    "after reuse": (
        "accepted after it was over",
        [
            LOGIN,
            refresh(10, 1),
            refresh(20, 2),
            refused(30, "refresh_reuse", "refresh", presented=1),
            refresh(40, 3),
        ],
    ),
    "refused, then accepted": (
        "accepted after it was over",
        [LOGIN, op("revoke", 9, outcome="unknown"), refused(10), check(999, process="two")],
    ),
    "refused for nothing": ("refused as ended, and nobody ended it", [LOGIN, refused(10)]),
    "the kept one is refused": (
        "refused as ended, and nobody ended it",
        [LOGIN, op("revoke_all", 10, keep="s"), refused(20)],
    ),
    "an end before the sign-in": (
        "refused as ended, and nobody ended it",
        [op("revoke_all", 0), op("login", 5), refused(20)],
    ),
    "a retry in the window that ended the session": (
        "refused as ended, and nobody ended it",
        [LOGIN, refresh(10, 1), refused(20, "refresh_late", "refresh", presented=1)],
    ),
    "old roles": (
        "roles that had been changed were shown",
        [
            op("login", 0, roles=("old",)),
            op("update", 10, roles=("new",)),
            check(12 + LAG_MS, process="two", roles=("old",)),
        ],
    ),
    "roles nobody gave": (
        "roles that had been changed were shown",
        [op("login", 0, roles=("old",)), check(10, roles=("admin",))],
    ),
    "roles refreshed away": (
        "roles that had been changed were shown",
        [
            op("login", 0, roles=("old",)),
            op("update", 10, roles=("new",)),
            refresh(20, 1, roles=("old",), process="two"),
        ],
    ),
    "a stateless token after an update": (
        "a token outlived the change of its roles",
        [op("login", 0, is_stateless=True), op("update", 10), check(12)],
    ),
}


@pytest.mark.parametrize("name", GOOD)
def test_good_history(name):
    """What may happen is not reported."""
    assert [] == judge(GOOD[name], grace_ms=GRACE_MS)


@pytest.mark.parametrize("name", BAD)
def test_bad_history(name):
    """What may not happen is reported, once, as what it is."""
    promise, history = BAD[name]
    assert [promise] == [one.promise for one in judge(history, grace_ms=GRACE_MS)]


def test_strict_history():
    """Without a window a generation is refreshed once."""
    twice = [LOGIN, refresh(10, 1, took_ms=5), refresh(11, 1)]
    promises = [one.promise for one in judge(twice, grace_ms=0)]
    assert ["strict: one generation was refreshed twice"] == promises


def test_order_of_writing_does_not_matter():
    """Files are merged by time."""
    for promise, history in BAD.values():
        assert [promise] == [one.promise for one in judge(history[::-1], grace_ms=GRACE_MS)]


def test_violation_names_what_it_is_by():
    """A report shows the operations that contradict each other."""
    promise, history = BAD["where it was revoked"]
    (violation,) = judge(history, grace_ms=GRACE_MS)
    assert promise in str(violation)
    assert all(repr(one) in str(violation) for one in history[1:])


def test_recorded_outcomes(tmp_path):
    """A refusal is an answer; an error, and what never came back, is unknown and has no end."""
    recorder = Recorder(tmp_path, "one")
    with recorder.call("check", sid="s") as call:
        call.ok(roles=["a"])
    with recorder.call("check", sid="s"):
        raise Revoked("over")
    with recorder.call("revoke", sid="s"):
        raise StoreError("down")
    with pytest.raises(ZeroDivisionError), recorder.call("logout", sid="s"):
        raise ZeroDivisionError
    recorder.close()
    path = tmp_path / "one.history"
    killed = msgspec.json.encode({"number": 9, "process": "one", "name": "login", "start": 1})
    path.write_bytes(path.read_bytes() + killed + b'\n{"number": 10, "pro')
    read = read_histories(tmp_path)
    assert ["ok", "refused", "unknown", "unknown", "unknown"] == [one.outcome for one in read]
    assert ["", "revoked", "store_unavailable", "", ""] == [one.code for one in read]
    assert [False, False, True, True, True] == [one.end == NEVER for one in read]
    assert all(one.start <= one.end for one in read)
