"""What an application's own tests may count on, written as they write them.

Run by `test_django_testcase.py` with Django's test runner, in a process of its own.
"""

from contextlib import suppress

from django.db import transaction
from django.test import SimpleTestCase, TestCase, TransactionTestCase

from sojourn import Incoming, Sojourn
from sojourn.django.models import AuditLine, Session
from sojourn.testing import ManualClock

URL = "http://127.0.0.1:8000"
SECRET = "one server secret of all these tests, long"


def auth_in(mode, **options):
    return Sojourn("django://default", mode=mode, url=URL, secret=SECRET, **options)


AUTHS = {mode: auth_in(mode) for mode in ("session", "hybrid", "jwt")}
"""One for each mode, for the whole process, as an application has it."""
STOPPED = {mode: auth_in(mode, clock=ManualClock()) for mode in AUTHS}
"""The same under a clock that stands still."""


def incoming_of(signed_in):
    return Incoming(authorization=f"Bearer {signed_in.access_token}")


def login(auth, subject="1"):
    return auth.login(Incoming(), subject, transport="bearer")


def is_in(auth, signed_in):
    return auth.check(incoming_of(signed_in)).principal is not None


class _Kept:
    """Tests that all do the same to the same user; each finds the database as it was before."""

    auths = AUTHS

    def everything(self):
        for mode, auth in self.auths.items():
            with self.subTest(mode=mode):
                assert 0 == Session.objects.count()
                signed_in = login(auth)
                assert auth.check(incoming_of(signed_in)).principal is not None
                assert "login" == AuditLine.objects.first().record.action
                auth.revoke_all("1")
                assert "revoked" == auth.check(incoming_of(signed_in)).refusal.code
                assert is_in(auth, login(auth)), "the user cannot sign in again"
                auth.revoke_all("1")

    def test_first(self):
        """The user signs in, is signed out everywhere, and signs in again."""
        self.everything()

    def test_second(self):
        """So again, after a rollback."""
        self.everything()

    def test_third(self):
        """And again."""
        self.everything()

    def test_sign_in_only(self):
        """What an earlier test revoked is not held against the user."""
        for auth in self.auths.values():
            signed_in = login(auth)
            assert is_in(auth, signed_in)
            assert is_in(auth, signed_in)

    def test_one_session_ends(self):
        """A revoked session is refused by the next check; another one goes on."""
        for mode in ("session", "hybrid"):
            auth = self.auths[mode]
            one, other = login(auth), login(auth)
            assert is_in(auth, one)
            auth.revoke(one.principal.sid, subject="1")
            assert (False, True) == (is_in(auth, one), is_in(auth, other))

    def test_a_rolled_back_block(self):
        """An application that rolls back within a test has revoked nothing."""
        for auth in self.auths.values():
            signed_in = login(auth)
            with suppress(ZeroDivisionError), transaction.atomic():
                auth.revoke_all("1")
                1 / 0  # noqa: B018 - the application fails
            assert is_in(auth, signed_in)

    def test_a_token_of_nobody(self):
        """A token of another issuer changes nothing for whoever is signed in."""
        for mode in ("hybrid", "jwt"):
            auth = self.auths[mode]
            signed_in = login(auth)
            stranger = Sojourn("memory://", mode=mode, url=URL, secret=SECRET)
            assert not is_in(auth, login(stranger))
            stranger.close()
            assert is_in(auth, signed_in)

    def test_keys_rotate(self):
        """Keys can be revoked within a test."""
        auth = self.auths["hybrid"]
        signed_in = login(auth)
        auth.rotate_keys(is_emergency=True)
        assert not is_in(auth, signed_in)
        assert is_in(auth, login(auth))


class RolledBack(_Kept, TestCase):
    """Each test is rolled back."""


class RolledBackInNoTime(_Kept, TestCase):
    """Each test is rolled back, and no time passes."""

    auths = STOPPED


class Data(TestCase):
    """Rows made for a whole class."""

    @classmethod
    def setUpTestData(cls):
        """Sign somebody in for all tests."""
        cls.signed_in = login(AUTHS["session"])

    def test_signed_in(self):
        """Whoever was signed in for the class is."""
        assert is_in(AUTHS["session"], self.signed_in)

    def test_signed_out(self):
        """One test signs out what the other needs."""
        AUTHS["session"].logout(incoming_of(self.signed_in))
        assert not is_in(AUTHS["session"], self.signed_in)


class Forbidden(SimpleTestCase):
    """A test that may not use the database."""

    def test_not_even_in_passing(self):
        """It fails as with Django's own queries, though there is a connection."""
        with self.assertRaisesMessage(AssertionError, "not allowed in SimpleTestCase"):
            login(AUTHS["session"])


class Committed(TransactionTestCase):
    """Nothing is rolled back: what is revoked is."""

    def test_revoked(self):
        """A revocation holds at once, and the user may come back."""
        for mode, auth in AUTHS.items():
            with self.subTest(mode=mode):
                signed_in = login(auth)
                assert is_in(auth, signed_in)
                auth.revoke_all("1")
                assert not is_in(auth, signed_in)
                assert is_in(auth, login(auth))
