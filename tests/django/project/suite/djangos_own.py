"""Django's own tests of a session engine; run where its sdist is."""

from django.test import TestCase
from sessions_tests.tests import SessionTestsMixin

from sojourn.django.sessions import SessionStore


class SessionEngineCase(SessionTestsMixin, TestCase):
    """Ours."""

    backend = SessionStore
