"""Those whom Django knows no more, and whose sessions no signal ended: guards and endpoints agree."""

import views
from django.contrib.auth.hashers import make_password
from django.contrib.auth.models import User
from django.test import (
    AsyncClient,
    AsyncRequestFactory,
    Client,
    TestCase,
    TransactionTestCase,
    override_settings,
)

from sojourn.django import get_auth, subject_of
from sojourn.django.testing import acting_as, sign_in
from sojourn.testing import ManualClock

URL = "http://testserver.localhost:8000"
PASSWORD = "seven unrelated words"
CREDENTIALS = (
    {"mode": "session"},
    {"mode": "jwt"},
    {"mode": "hybrid"},
    {"mode": "hybrid", "transport": "bearer"},
)
GUARDED = (
    ("get", "/guarded"),
    ("get", "/asynchronous-guarded"),
    ("get", "/drf/notes"),
    ("get", "/ninja/notes"),
    ("get", "/auth/session"),
    ("get", "/auth/sessions"),
    ("post", "/auth/access-token"),
    ("post", "/auth/mode"),
    ("post", "/auth/refresh"),
    ("post", "/auth/confirm"),
    ("post", "/auth/password"),
    ("post", "/auth/logout-others"),
    ("post", "/auth/logout-all"),
    ("delete", "/auth/sessions/x"),
    ("post", "/do/access_token"),
    ("post", "/do/move"),
    ("post", "/do/reauthenticate"),
)


class Case(TestCase):
    @classmethod
    def setUpTestData(cls):
        cls.ann = User.objects.create_user("ann", password=PASSWORD)

    def refused(self, vanish):
        """See each guard refuse a client whose user vanishes, by whichever credential."""
        for options in CREDENTIALS:
            for method, path in GUARDED:
                client, user = Client(), User.objects.create_user(f"{options} {path}")
                sign_in(client, user, **options)
                vanish(User.objects.filter(pk=user.pk))
                with self.subTest(path, **options):
                    answer = getattr(client, method)(path)
                    self.assertEqual(
                        (401, "invalid_token"), (answer.status_code, answer.json()["code"])
                    )


class GoneCase(Case):
    def test_who_is_not_active_any_more(self):
        """By a query, of which Django tells nobody."""
        self.refused(lambda found: found.update(is_active=False))

    def test_who_is_not_there_any_more(self):
        """By SQL, say."""
        self.refused(lambda found: found._raw_delete(found.db))

    def test_in_djangos_session(self):
        """Not active, or with a password from elsewhere, which its hash does not fit."""
        for changed in ({"is_active": False}, {"password": make_password("eight new")}):
            for method, path in GUARDED:
                User.objects.update(is_active=True, password=self.ann.password)
                client = Client()
                client.force_login(self.ann)
                User.objects.update(**changed)
                with self.subTest(path, changed=changed):
                    self.assertEqual(401, getattr(client, method)(path).status_code)
                    self.assertEqual(401, client.get("/guarded").status_code)

    def test_they_may_sign_out(self):
        """That needs no account."""
        sign_in(self.client, self.ann)
        User.objects.update(is_active=False)
        self.assertEqual(204, self.client.post("/auth/logout").status_code)
        self.assertEqual([], get_auth().sessions(subject_of(self.ann)))

    def test_a_refresh_token_alone_gets_nothing(self):
        """Its session is ended, and stays so where the account is active again."""
        changed = override_settings(SOJOURN={"URL": URL, "MODES": ["session", "hybrid"]})
        changed.enable()
        self.addCleanup(changed.disable)
        signed_in = sign_in(Client(), self.ann, mode="hybrid", transport="bearer")
        body = {"refresh_token": signed_in.refresh_token}
        User.objects.update(is_active=False)
        answer = self.client.post("/auth/refresh", body, content_type="application/json")
        self.assertEqual((401, "invalid_token"), (answer.status_code, answer.json()["code"]))
        User.objects.update(is_active=True)
        self.assertEqual([], get_auth().sessions(subject_of(self.ann)))
        answer = self.client.post("/auth/refresh", body, content_type="application/json")
        self.assertEqual("revoked", answer.json()["code"])

    def test_nothing_is_renewed_in_passing(self):
        """The page works as for nobody, the cookies are taken back, and the session is ended."""
        clock = ManualClock()
        ours = {"URL": URL, "MODE": "hybrid", "STORE": "memory://", "CLOCK": clock}
        with override_settings(SOJOURN=ours):
            sign_in(self.client, self.ann)
            clock.advance(seconds=3600)
            with self.assertNumQueries(1):
                self.assertEqual("ann", self.client.get("/me").json()["user"])
            clock.advance(seconds=3600)
            User.objects.update(is_active=False)
            answer = self.client.get("/me")
            self.assertEqual((None, None), (answer.json()["user"], answer.json()["subject"]))
            self.assertEqual([], [n for n, m in self.client.cookies.items() if m.value])
            self.assertEqual([], get_auth().sessions(subject_of(self.ann)))

    def test_a_refresh_token_of_another_than_the_cookies(self):
        """It is the token's owner who has to be there."""
        bob = User.objects.create_user("bob", password=PASSWORD)
        signed_in = sign_in(Client(), bob, mode="hybrid", transport="bearer")
        sign_in(self.client, self.ann)
        User.objects.filter(pk=bob.pk).update(is_active=False)
        body = {"refresh_token": signed_in.refresh_token}
        answer = self.client.post("/auth/refresh", body, content_type="application/json")
        self.assertEqual(401, answer.status_code)
        self.assertEqual("ann", self.client.get("/me").json()["user"])


class CostCase(TransactionTestCase):
    def setUp(self):
        self.ann = User.objects.create_user("ann", password=PASSWORD)

    def test_a_guard_loads_the_user_once(self):
        """And a page that uses the user loads it no second time."""
        sign_in(self.client, self.ann, mode="jwt")
        for path in ("/guarded", "/asynchronous-guarded", "/drf/notes", "/ninja/notes"):
            self.client.get(path)
            with self.subTest(path), self.assertNumQueries(1):
                self.assertEqual(200, self.client.get(path).status_code)

    async def test_a_request_of_somebody_in_an_asynchronous_view(self):
        """`acting_as` is enough for a guarded one."""
        request = acting_as(AsyncRequestFactory().get("/"), self.ann)
        answer = await views.asynchronous_guarded(request)
        self.assertEqual(f"{subject_of(self.ann)} ann", answer.content.decode())
        self.assertEqual(401, (await AsyncClient().get("/asynchronous-guarded")).status_code)
