import pytest
from hypothesis import given, strategies as st
from pure.samples import NOW_MS, SECRET, some_session

from sojourn.model import Chain
from sojourn.policy import (
    ACCESS_JITTER,
    Rotation,
    access_expiry_ms,
    is_alive,
    is_touch_due,
    judge_generation,
)

GRACE_MS = 10_000


def judged(generation, age_ms, *, grace_ms=GRACE_MS, current=7):
    """The answer to a generation, so long after the last rotation."""
    return judge_generation(
        Chain(current, SECRET.id, NOW_MS),
        generation=generation,
        store_now_ms=NOW_MS + age_ms,
        grace_ms=grace_ms,
    )


class TestRotation:
    @pytest.mark.parametrize(
        ("generation", "age_ms", "grace_ms", "expected"),
        [
            # n > g: the store lost a write, however old
            (8, 0, GRACE_MS, Rotation.AHEAD),
            (8, 10**9, GRACE_MS, Rotation.AHEAD),
            (9, 0, 0, Rotation.AHEAD),
            (2**32 - 1, 0, GRACE_MS, Rotation.AHEAD),
            # n = g: rotate, however old and with any grace
            (7, 0, GRACE_MS, Rotation.ROTATE),
            (7, 10**9, GRACE_MS, Rotation.ROTATE),
            (7, 0, 0, Rotation.ROTATE),
            # n = g - 1: the same successor up to the end of the window, then the session ends
            (6, 0, GRACE_MS, Rotation.SAME),
            (6, GRACE_MS, GRACE_MS, Rotation.SAME),
            (6, GRACE_MS + 1, GRACE_MS, Rotation.LATE),
            (6, 10**9, GRACE_MS, Rotation.LATE),
            # grace 0 is strict: not even within the same millisecond
            (6, 0, 0, Rotation.LATE),
            (6, 1, 0, Rotation.LATE),
            # n <= g - 2: theft, within the window too
            (5, 0, GRACE_MS, Rotation.THEFT),
            (5, 10**9, GRACE_MS, Rotation.THEFT),
            (1, 0, GRACE_MS, Rotation.THEFT),
            (0, 0, GRACE_MS, Rotation.THEFT),
            (5, 0, 0, Rotation.THEFT),
        ],
    )
    def test_the_table_row_by_row(self, generation, age_ms, grace_ms, expected):
        """protocol.md, "Rotation", each row at its edges."""
        assert judged(generation, age_ms, grace_ms=grace_ms) is expected

    @pytest.mark.parametrize("behind_ms", [1, 5_000, 10_000])
    def test_a_store_clock_a_little_behind_signs_nobody_out(self, behind_ms):
        """After a failover the store's clock may be behind the rotation: a retry is still a retry."""
        assert judged(6, -behind_ms) is Rotation.SAME

    def test_a_store_clock_far_behind_opens_no_window(self):
        """A step back beyond the window says nothing of the age, and prolongs nothing."""
        assert judged(6, -10_001) is Rotation.LATE
        assert judged(6, -300_000) is Rotation.LATE

    @given(st.lists(st.integers(1, GRACE_MS), max_size=20))
    def test_the_window_never_slides(self, gaps):
        """Presenting the old handle again and again does not lengthen its grace.

        The answer follows from the rotation's instant alone; earlier answers do not change it.
        """
        age_ms, answers = 0, []
        for gap in gaps:
            age_ms += gap
            answers.append(judged(6, age_ms) is Rotation.SAME)
            assert answers[-1] == (age_ms <= GRACE_MS)
        assert answers == sorted(answers, reverse=True)

    @given(st.integers(1, 2**32 - 1), st.integers(1, 2**32 - 1), st.integers(0, 10**7))
    def test_only_the_store_clock_counts(self, current, generation, age_ms):
        """Shifting every clock alike changes no answer: only the store's own difference is read."""
        answers = {
            judge_generation(
                Chain(current, SECRET.id, NOW_MS + shift),
                generation=generation,
                store_now_ms=NOW_MS + shift + age_ms,
                grace_ms=GRACE_MS,
            )
            for shift in (-(10**12), 0, 10**12)
        }
        assert len(answers) == 1


class TestLives:
    @pytest.mark.parametrize(
        ("after_ms", "expected"), [(0, True), (999, True), (1000, False), (1001, False)]
    )
    def test_a_session_ends_at_the_instant(self, after_ms, expected):
        """Absolute and idle ends are exclusive: at the very instant it is over."""
        for session in (
            some_session(idle_ms=1000),
            some_session(idle_ms=None, expires_at_ms=NOW_MS + 1000),
        ):
            assert is_alive(session, now_ms=NOW_MS + after_ms) is expected

    def test_touching_never_outlives_the_absolute_end(self):
        """A session used each second dies at its absolute end all the same."""
        end_ms = NOW_MS + 60_000
        for seen_ms in range(NOW_MS, end_ms, 1000):
            session = some_session(seen_at_ms=seen_ms, idle_ms=5000, expires_at_ms=end_ms)
            assert is_alive(session, now_ms=end_ms) is False

    @pytest.mark.parametrize(
        ("idle_ms", "after_ms", "expected"),
        [
            (3_600_000, 999, False),
            (3_600_000, 1000, True),
            (900_000, 1000, True),
            (3_600_001, 59_999, False),
            (3_600_001, 60_000, True),
            (14 * 86_400_000, 60_000, True),
            (14 * 86_400_000, -5, False),
            (None, 10**12, False),
        ],
    )
    def test_when_a_touch_is_due(self, idle_ms, after_ms, expected):
        """With idle ≤ 1 h each second at most, else each minute; never where idleness is not kept."""
        session = some_session(idle_ms=idle_ms)
        assert is_touch_due(session, now_ms=NOW_MS + after_ms) is expected


class TestAccessExpiry:
    @pytest.mark.parametrize(
        ("randomness", "expected_life_ms"), [(0.0, 900_000), (0.5, 810_000), (1.0, 720_000)]
    )
    def test_it_is_shortened_by_up_to_a_fifth(self, randomness, expected_life_ms):
        """The random part is 0 to 20 % of the life (protocol.md, "Rotation")."""
        expires_at_ms = access_expiry_ms(
            now_ms=NOW_MS,
            access_ms=900_000,
            session_expires_at_ms=NOW_MS + 10**9,
            randomness=randomness,
        )
        assert (ACCESS_JITTER, expires_at_ms - NOW_MS) == (0.2, expected_life_ms)

    @given(st.integers(1, 10**9), st.integers(0, 10**9), st.floats(0, 1))
    def test_it_outlives_neither_its_life_nor_the_session(self, access_ms, left_ms, randomness):
        """Whatever is drawn: at most the configured life, at most the session's absolute end."""
        life_ms = (
            access_expiry_ms(
                now_ms=NOW_MS,
                access_ms=access_ms,
                session_expires_at_ms=NOW_MS + left_ms,
                randomness=randomness,
            )
            - NOW_MS
        )
        assert min(int(access_ms * 0.8), left_ms) <= life_ms <= min(access_ms, left_ms)
