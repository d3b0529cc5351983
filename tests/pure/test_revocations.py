import itertools

import pytest
from hypothesis import given, strategies as st
from pure.samples import NOW_MS, OTHER_SID, SID, some_entry

from sojourn.model import NO_CUTOFF, Cutoff, Entry, Event, Kind
from sojourn.revocations import Verdict, View


def judged(view, *, subject="alice", sid=SID, position=10, version=1):
    """What a view says of a credential, by default of Alice's stored session."""
    return view.judge(subject=subject, sid=sid, position=position, version=version)


def view_of(*entries):
    """A view that has been told these entries."""
    view = View()
    for entry in entries:
        view.apply(entry)
    return view


def contents(view):
    """Everything a view remembers, for comparison."""
    return (
        view.ended,
        view.ended_of,
        view.changed,
        view.cutoffs,
        view.outdated,
        view.revoked_keys,
    )


class TestJudgement:
    def test_an_empty_view_refuses_nobody(self):
        """Nothing said, nothing revoked."""
        assert judged(View()) is Verdict.GOOD
        assert judged(View(), version=None) is Verdict.GOOD

    def test_an_ended_session_is_over_for_all_its_proofs(self):
        """With the store's word (no subject needed) the sid is over, stored or not."""
        view = view_of(some_entry(20, kind=Kind.ENDED, sid=SID))
        assert judged(view) is Verdict.REVOKED
        assert judged(view, version=None) is Verdict.REVOKED
        assert judged(view, sid=OTHER_SID) is Verdict.GOOD

    def test_a_stateless_token_ends_for_its_own_subject(self):
        """Where nothing was stored, an end binds (sid, subject) as the token itself says."""
        view = view_of(some_entry(20, kind=Kind.ENDED, sid=SID, subject="alice"))
        assert judged(view, version=None) is Verdict.REVOKED

    def test_an_attacker_cannot_end_another_session_by_its_public_sid(self):
        """Mallory's end of Alice's sid concerns Mallory alone."""
        view = view_of(some_entry(20, kind=Kind.ENDED, sid=SID, subject="mallory"))
        assert judged(view) is Verdict.GOOD
        assert judged(view, subject="mallory") is Verdict.REVOKED

    @pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
    def test_an_attacker_cannot_undo_or_hide_the_victims_end(self, order):
        """Before, between or after: Mallory's entries for the same sid leave Alice's end in force."""
        entries = [
            some_entry(20, kind=Kind.ENDED, sid=SID, subject="alice", expires_at_ms=NOW_MS + 9),
            some_entry(21, kind=Kind.ENDED, sid=SID, subject="mallory", expires_at_ms=NOW_MS + 1),
            some_entry(22, kind=Kind.ENDED, sid=SID, subject="", expires_at_ms=NOW_MS + 1),
        ]
        view = view_of(*(entries[n] for n in order))
        view.forget(now_ms=NOW_MS + 5)
        assert judged(view) is Verdict.REVOKED
        assert judged(view, subject="bob") is Verdict.GOOD

    def test_an_attacker_cannot_hide_the_stores_end(self):
        """The store's word survives any later entry that names a subject."""
        view = view_of(
            some_entry(20, kind=Kind.ENDED, sid=SID, expires_at_ms=NOW_MS + 9),
            some_entry(21, kind=Kind.ENDED, sid=SID, subject="mallory", expires_at_ms=NOW_MS + 1),
        )
        view.forget(now_ms=NOW_MS + 5)
        assert judged(view) is Verdict.REVOKED

    @pytest.mark.parametrize(
        ("version", "expected"),
        [(1, Verdict.REFRESH), (2, Verdict.REFRESH), (3, Verdict.GOOD), (4, Verdict.GOOD)],
    )
    def test_a_changed_session_asks_for_a_refresh(self, version, expected):
        """Copies and tokens below the announced version are out of date, not revoked."""
        view = view_of(some_entry(20, kind=Kind.CHANGED, sid=SID, version=3))
        assert judged(view, version=version) is expected
        assert judged(view, version=None) is Verdict.GOOD

    def test_an_older_change_does_not_lower_the_version(self):
        """A reordered older change leaves the newer minimum in force."""
        view = view_of(
            some_entry(21, kind=Kind.CHANGED, sid=SID, version=5),
            some_entry(20, kind=Kind.CHANGED, sid=SID, version=3),
        )
        assert judged(view, version=4) is Verdict.REFRESH

    @pytest.mark.parametrize(
        ("position", "sid", "expected"),
        [
            (4, SID, Verdict.REVOKED),
            (5, SID, Verdict.GOOD),
            (19, OTHER_SID, Verdict.REVOKED),
            (20, OTHER_SID, Verdict.GOOD),
        ],
    )
    def test_a_cutoff_is_its_own_position(self, position, sid, expected):
        """Refuse below the entry's id, but for `keep` down to the floor (protocol.md)."""
        view = view_of(some_entry(20, kind=Kind.CUTOFF, subject="alice", floor=5, keep=SID))
        assert judged(view, position=position, sid=sid) is expected
        assert judged(view, position=position, sid=sid, subject="bob") is Verdict.GOOD

    @pytest.mark.parametrize(
        ("position", "version", "expected"),
        [
            (19, None, Verdict.REVOKED),
            (20, None, Verdict.GOOD),
            (19, 1, Verdict.GOOD),
        ],
    )
    def test_outdated_concerns_tokens_with_nothing_behind_them(self, position, version, expected):
        """Changed roles of a `jwt` subject say "sign in again"; a stored session is not concerned."""
        view = view_of(some_entry(20, kind=Kind.OUTDATED, subject="alice"))
        assert judged(view, position=position, version=version) is expected
        assert judged(view, position=position, version=version, subject="bob") is Verdict.GOOD

    def test_revoked_outranks_out_of_date(self):
        """A revoked credential signs in again, even where a refresh would be due too."""
        view = view_of(
            some_entry(20, kind=Kind.CHANGED, sid=SID, version=9),
            some_entry(21, kind=Kind.CUTOFF, subject="alice", floor=21),
        )
        assert judged(view) is Verdict.REVOKED

    def test_a_ring_entry_concerns_no_credential(self):
        """A changed key ring is read again elsewhere; the view keeps nothing of it."""
        view = view_of(some_entry(20, kind=Kind.RING, kid="k"))
        assert len(view) == 0


class TestKeys:
    def test_a_revoked_key_is_never_forgotten(self):
        """Who stole a key mints any expiry, so its revocation has none (protocol.md, retention)."""
        view = view_of(some_entry(20, kind=Kind.KEY, kid="stolen", expires_at_ms=1))
        view.forget(now_ms=2**62)
        assert (view.revoked_keys, len(view)) == ({"stolen"}, 1)


# --- a model --------------------------------------------------------------------------------------
# The promise in its plainest form: every entry is kept, and each question is answered by all of
# those that have not all expired.

SIDS = ("s1", "s2")
SUBJECTS = ("alice", "mallory")
expiries = st.integers(1, 20).map(lambda n: NOW_MS + n)
events = st.one_of(
    st.builds(
        lambda sid, subject: Event(kind=Kind.ENDED, sid=sid, subject=subject),
        st.sampled_from(SIDS),
        st.sampled_from((None, *SUBJECTS)),
    ),
    st.builds(
        lambda sid, version: Event(kind=Kind.CHANGED, sid=sid, version=version),
        st.sampled_from(SIDS),
        st.integers(1, 4),
    ),
    st.builds(
        lambda subject, keep: Event(kind=Kind.CUTOFF, subject=subject, keep=keep),
        st.sampled_from(SUBJECTS),
        st.sampled_from((None, *SIDS)),
    ),
    st.builds(
        lambda subject: Event(kind=Kind.OUTDATED, subject=subject), st.sampled_from(SUBJECTS)
    ),
    st.builds(lambda kid: Event(kind=Kind.KEY, kid=kid), st.sampled_from("kl")),
    st.just(Event(kind=Kind.RING)),
)


def history_of(said):
    """Entries as a store would append them: ids in order, floors by the merging rule."""
    stored: dict[str, Cutoff] = {}
    entries = []
    for entry_id, (event, expires_at_ms) in enumerate(said, start=1):
        whole = event
        if event.kind is Kind.CUTOFF:
            before = stored.get(event.subject, NO_CUTOFF)
            cutoff = before.succeeded_by(entry_id, keep=event.keep)
            stored[event.subject] = cutoff
            whole = Event(
                kind=Kind.CUTOFF, subject=event.subject, keep=event.keep, floor=cutoff.floor
            )
        entries.append(Entry(entry_id, entry_id, entry_id - 1, whole, expires_at_ms))
    return entries


histories = st.lists(st.tuples(events, expiries), max_size=12).map(history_of)


def key_of(event):
    """Whom an entry is about: entries about the same are forgotten together."""
    match event.kind:
        case Kind.ENDED:
            return (Kind.ENDED, event.sid, event.subject)
        case Kind.CHANGED:
            return (Kind.CHANGED, event.sid)
        case kind:
            return (kind, event.subject)


def remembered(entries, now_ms):
    """Entries that count: all about a matter, as long as one of them has not expired."""
    last: dict[tuple, int] = {}
    for entry in entries:
        key = key_of(entry.event)
        last[key] = max(last.get(key, 0), entry.expires_at_ms)
    return [e for e in entries if last[key_of(e.event)] > now_ms]


def expected_verdict(entries, *, subject, sid, position, version):
    """Judge by every entry separately; a cutoff by what the store merged last."""
    cutoff = NO_CUTOFF
    for entry in entries:
        event = entry.event
        if event.kind is Kind.ENDED and event.sid == sid and event.subject in {None, subject}:
            return Verdict.REVOKED
        if event.kind is Kind.CUTOFF and event.subject == subject:
            cutoff = Cutoff(event.floor, entry.id, event.keep)
    if cutoff.refuses(position=position, sid=sid):
        return Verdict.REVOKED
    for entry in entries:
        event = entry.event
        if version is None:
            if (event.kind, event.subject) == (Kind.OUTDATED, subject) and position < entry.id:
                return Verdict.REVOKED
        elif (event.kind, event.sid) == (Kind.CHANGED, sid) and version < event.version:
            return Verdict.REFRESH
    return Verdict.GOOD


def answers(view):
    """Every question of this small world."""
    return [
        view.judge(subject=subject, sid=sid, position=position, version=version)
        for subject in (*SUBJECTS, "bob")
        for sid in SIDS
        for position in range(14)
        for version in (None, 1, 2, 3, 4)
    ]


def expected_answers(entries):
    """The same questions to the model."""
    return [
        expected_verdict(entries, subject=subject, sid=sid, position=position, version=version)
        for subject in (*SUBJECTS, "bob")
        for sid in SIDS
        for position in range(14)
        for version in (None, 1, 2, 3, 4)
    ]


class TestModel:
    @given(histories)
    def test_it_answers_as_all_entries_together(self, entries):
        """What is remembered in compact form gives the answer of every entry kept."""
        assert answers(view_of(*entries)) == expected_answers(entries)

    @given(histories)
    def test_applying_twice_changes_nothing(self, entries):
        """A snapshot after a gap repeats what is known: contents and memory stay as they were."""
        view = view_of(*entries)
        before = (contents(view_of(*entries)), len(view._expiries))
        for entry in (*entries, *entries):
            view.apply(entry)
        assert (contents(view), len(view._expiries)) == before

    @given(histories, st.randoms(use_true_random=False))
    def test_the_order_of_telling_does_not_matter(self, entries, random):
        """A process notes its own entry before it reads older ones: the picture is the same."""
        shuffled = entries[:]
        random.shuffle(shuffled)
        assert contents(view_of(*shuffled)) == contents(view_of(*entries))

    @given(histories, st.integers(0, 21))
    def test_forgetting_drops_exactly_what_has_expired(self, entries, after_ms):
        """An entry goes at its expiry, not before, and never while a later one extends it."""
        view = view_of(*entries)
        view.forget(now_ms=NOW_MS + after_ms)
        left = remembered(entries, NOW_MS + after_ms)
        kept = [e for e in left if e.event.kind not in {Kind.KEY, Kind.RING}]
        keys = {e.event.kid for e in entries if e.event.kind is Kind.KEY}
        assert answers(view) == expected_answers(left)
        assert len(view) == len({key_of(e.event) for e in kept}) + len(keys)
        assert view.revoked_keys == keys

    @given(histories, st.lists(st.integers(0, 21), max_size=4))
    def test_forgetting_in_steps_is_forgetting_at_once(self, entries, steps):
        """However often the follower sweeps, what is left is the same."""
        view, once = view_of(*entries), view_of(*entries)
        for after_ms in sorted(steps):
            view.forget(now_ms=NOW_MS + after_ms)
        once.forget(now_ms=NOW_MS + max(steps, default=0))
        assert contents(view) == contents(once)

    @given(histories)
    def test_memory_goes_back_to_nothing(self, entries):
        """After the last expiry only revoked keys are left, and no book-keeping either."""
        view = view_of(*entries)
        view.forget(now_ms=NOW_MS + 21)
        keys = {e.event.kid for e in entries if e.event.kind is Kind.KEY}
        assert (len(view), len(view._expiries)) == (len(keys), 0)


class TestForgetting:
    def test_the_instant_itself(self):
        """Kept until one millisecond before its expiry, dropped at it."""
        view = view_of(some_entry(20, kind=Kind.ENDED, sid=SID, expires_at_ms=NOW_MS))
        view.forget(now_ms=NOW_MS - 1)
        assert len(view) == 1
        view.forget(now_ms=NOW_MS)
        assert len(view) == 0

    def test_a_later_entry_extends(self):
        """The expiry of the later entry counts, also if it came first."""
        for order in ((0, 1), (1, 0)):
            entries = [
                some_entry(20, kind=Kind.CHANGED, sid=SID, version=2, expires_at_ms=NOW_MS + 1),
                some_entry(21, kind=Kind.CHANGED, sid=SID, version=3, expires_at_ms=NOW_MS + 5),
            ]
            view = view_of(*(entries[n] for n in order))
            view.forget(now_ms=NOW_MS + 4)
            assert judged(view, version=2) is Verdict.REFRESH
            view.forget(now_ms=NOW_MS + 5)
            assert (len(view), len(view._expiries)) == (0, 0)

    def test_what_was_forgotten_can_be_said_again(self):
        """An entry after a purge of the same matter starts anew."""
        view = view_of(some_entry(20, kind=Kind.ENDED, sid=SID, expires_at_ms=NOW_MS))
        view.forget(now_ms=NOW_MS)
        view.apply(some_entry(30, kind=Kind.ENDED, sid=SID, expires_at_ms=NOW_MS + 10))
        view.forget(now_ms=NOW_MS + 9)
        assert judged(view) is Verdict.REVOKED

    def test_an_empty_view_forgets_nothing(self):
        """Sweeping nothing is no error."""
        view = View()
        view.forget(now_ms=NOW_MS)
        assert len(view) == 0

    def test_memory_follows_matters_not_events(self):
        """A hundred thousand repetitions of one revocation take the memory of one."""
        view = View()
        for _ in range(100_000):
            view.apply(some_entry(20, kind=Kind.ENDED, sid=SID, expires_at_ms=NOW_MS))
        assert (len(view), len(view._expiries)) == (1, 1)
