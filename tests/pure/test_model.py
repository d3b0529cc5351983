import itertools
from uuid import UUID

import msgspec
import pytest
from hypothesis import given, strategies as st
from pure.samples import NOW_MS, SID, some_session

from sojourn.errors import InvalidInput
from sojourn.model import (
    ANY,
    NO_CUTOFF,
    Cutoff,
    Event,
    Kind,
    Purpose,
    Session,
    canonical_subject,
    is_storable,
)


class TestSubject:
    @pytest.mark.parametrize(
        ("subject", "expected"),
        [
            ("alice", "alice"),
            (7, "7"),
            (-1, "-1"),
            (0, "0"),
            ("7", "7"),
            ("x" * 255, "x" * 255),
            ("é" * 127, "é" * 127),
            (10**254, "1" + "0" * 254),
            ("é😀", "é😀"),
            (
                UUID("12345678-1234-5678-1234-56781234567A"),
                "12345678-1234-5678-1234-56781234567a",
            ),
        ],
    )
    def test_it_has_one_spelling(self, subject, expected):
        """A subject is stored, signed and compared under one text; 7 and "7" are one subject."""
        assert canonical_subject(subject) == expected

    @pytest.mark.parametrize(
        "subject",
        [
            "",
            "x" * 256,
            "é" * 128,  # 256 bytes
            -(10**254),
            "a\x00b",
            "a\ud800b",
            True,
            False,
            None,
            1.5,
            b"alice",
            ["alice"],
            ANY,
            pytest.param(10**5000, id="beyond Python's own limit for int to text"),
            10**255,
        ],
    )
    def test_what_no_engine_could_keep_is_refused(self, subject):
        """Empty, too long, NUL, surrogates, other types: InvalidInput, never another exception."""
        with pytest.raises(InvalidInput) as caught:
            canonical_subject(subject)
        assert caught.value.code == "invalid_input"

    def test_a_boolean_is_not_an_int(self):
        """True would silently be subject "True" (or "1"), so it is refused with the type's name."""
        with pytest.raises(InvalidInput, match="bool"):
            canonical_subject(True)

    @given(st.text())
    def test_storable_means_utf8_without_nul(self, text):
        """`is_storable` agrees with what UTF-8 engines can keep, for any text."""
        try:
            text.encode()
            expected = "\x00" not in text
        except UnicodeEncodeError:
            expected = False
        assert is_storable(text) == expected

    @given(st.text() | st.integers() | st.uuids() | st.floats() | st.binary() | st.none())
    def test_nothing_but_invalid_input_is_raised(self, subject):
        """Whatever is given: a storable text of 1 to 255 bytes, or InvalidInput."""
        try:
            text = canonical_subject(subject)
        except InvalidInput:
            return
        assert 1 <= len(text.encode()) <= 255
        assert is_storable(text)


class TestSession:
    def test_without_idle_it_dies_at_its_absolute_end(self):
        """Where idleness is not seen, only the absolute life counts."""
        assert some_session(idle_ms=None).dies_at_ms == NOW_MS + 30 * 86_400_000

    @pytest.mark.parametrize(
        ("seen_after_ms", "expected_after_ms"),
        [(0, 1000), (500, 1500), (8999, 9999), (9000, 10_000), (9500, 10_000)],
    )
    def test_idle_never_extends_the_absolute_end(self, seen_after_ms, expected_after_ms):
        """A touch moves the idle end up to the absolute one and never beyond."""
        session = some_session(
            seen_at_ms=NOW_MS + seen_after_ms, idle_ms=1000, expires_at_ms=NOW_MS + 10_000
        )
        assert session.dies_at_ms == NOW_MS + expected_after_ms

    def test_it_survives_storage(self):
        """MessagePack keeps every field, the enum keys and the seed's bytes included."""
        session = some_session(roles=("admin",), claims={"plan": "pro"}, amr=("pwd",))
        assert msgspec.msgpack.decode(msgspec.msgpack.encode(session), type=Session) == session

    def test_it_cannot_be_changed_in_place(self):
        """A change is a new value handed to the store; an attribute cannot be assigned."""
        with pytest.raises(AttributeError):
            some_session().subject = "mallory"

    def test_defaults_are_not_shared(self):
        """The empty claims of one session are not those of another."""
        assert some_session().claims is not some_session().claims


def test_purposes_are_three_distinct_letters():
    """A handle's prefix tells its purpose by one letter; no two are equal."""
    assert {p.name: p.value for p in Purpose} == {"SESSION": "s", "REFRESH": "r", "GUEST": "g"}


def test_an_event_without_details_is_small():
    """Defaults are left out of an entry's bytes: the feed carries what is said and no more."""
    assert msgspec.json.encode(Event(kind=Kind.RING)) == b'{"kind":"ring"}'


class TestCutoff:
    @pytest.mark.parametrize(
        ("cutoff", "position", "sid", "expected"),
        [
            (NO_CUTOFF, 0, "a", False),
            (Cutoff(10, 10), 9, "a", True),
            (Cutoff(10, 10), 10, "a", False),
            (Cutoff(0, 10, "a"), 9, "a", False),
            (Cutoff(0, 10, "a"), 9, "b", True),
            (Cutoff(0, 10, "a"), 10, "b", False),
            (Cutoff(5, 10, "a"), 4, "a", True),
            (Cutoff(5, 10, "a"), 5, "a", False),
            (Cutoff(5, 10, "a"), 5, "b", True),
        ],
    )
    def test_the_rule(self, cutoff, position, sid, expected):
        """Refuse if p < floor or (p < cutoff and sid != keep): equality is issued after."""
        assert cutoff.refuses(position=position, sid=sid) == expected

    @pytest.mark.parametrize(
        ("before", "position", "keep", "expected"),
        [
            (NO_CUTOFF, 10, None, Cutoff(10, 10)),
            (NO_CUTOFF, 10, "a", Cutoff(0, 10, "a")),
            (Cutoff(0, 10, "a"), 20, "a", Cutoff(0, 20, "a")),
            (Cutoff(0, 10, "a"), 20, "b", Cutoff(10, 20, "b")),
            (Cutoff(0, 10, "a"), 20, None, Cutoff(20, 20)),
            (Cutoff(10, 10), 20, "a", Cutoff(10, 20, "a")),
        ],
    )
    def test_merging(self, before, position, keep, expected):
        """With another keep the old cutoff becomes the floor (protocol.md, positions)."""
        assert before.succeeded_by(position, keep=keep) == expected

    def test_two_concurrent_sign_out_the_others_do_not_revive_each_other(self):
        """A keeps itself, B keeps itself: whatever the order, both are out, and C with them."""
        for first, second in (("a", "b"), ("b", "a")):
            merged = NO_CUTOFF.succeeded_by(10, keep=first).succeeded_by(20, keep=second)
            answers = [merged.refuses(position=5, sid=sid) for sid in ("a", "b", "c")]
            assert answers == [True, True, True]

    def test_every_small_history_is_judged_as_each_event_alone_would(self):
        """All 335,922 histories of up to 7 sign-ins and revocations: nothing revoked is admitted.

        A position is what the feed's head was when the sign-in began. The merged cutoff refuses it
        exactly if some later revocation, taken alone, concerned it: never what was issued before a
        revoke-all, and always admits what was issued after.
        """
        moves = ("in a", "in b", "in c", "all", "keep a", "keep b")
        histories = wrong = 0
        for length in range(1, 8):
            for history in itertools.product(moves, repeat=length):
                histories += 1
                cutoff = NO_CUTOFF
                issued: list[tuple[str, int]] = []
                revoked: list[tuple[int, str | None]] = []
                for index, move in enumerate(history):
                    if move.startswith("in"):
                        issued.append((move[-1], revoked[-1][0] if revoked else 0))
                        continue
                    keep = None if move == "all" else move[-1]
                    cutoff = cutoff.succeeded_by(index + 1, keep=keep)
                    revoked.append((index + 1, keep))
                for sid, position in issued:
                    expected = any(
                        position < at and (keep is None or keep != sid) for at, keep in revoked
                    )
                    wrong += cutoff.refuses(position=position, sid=sid) != expected
        assert (histories, wrong) == (335_922, 0)

    def test_what_began_before_and_is_issued_after_is_refused(self):
        """A sign-in whose password check straddles a revoke-all carries the earlier position."""
        began_at = 41
        cutoff = NO_CUTOFF.succeeded_by(42, keep=None)
        assert cutoff.refuses(position=began_at, sid=SID) is True
        assert cutoff.refuses(position=42, sid=SID) is False
