"""Those whom Django knows no more, and whose sessions no signal ended: guards and endpoints agree."""

from django.contrib.auth.hashers import make_password
from django.contrib.auth.models import User
from django.test import AsyncClient, Client, TestCase, TransactionTestCase

from sojourn.django import get_auth, subject_of
from sojourn.django.testing import acting_as, sign_in

PASSWORD = "seven unrelated words"
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

    def refused(self, client):
        for method, path in GUARDED:
            with self.subTest(path):
                answer = getattr(client, method)(path)
                self.assertEqual(401, answer.status_code)
                self.assertIn(answer.json()["code"], {"invalid_token", "unauthenticated"})

    def clients(self):
        for options in (
            {"mode": "session"},
            {"mode": "jwt"},
            {"mode": "hybrid"},
            {"mode": "hybrid", "transport": "bearer"},
        ):
            client = Client()
            sign_in(client, self.ann, **options)
            yield client


class GoneCase(Case):
    def test_who_is_not_active_any_more(self):
        """By a query, of which Django tells nobody."""
        clients = list(self.clients())
        User.objects.update(is_active=False)
        for client in clients:
            self.refused(client)

    def test_who_is_not_there_any_more(self):
        """By SQL, say."""
        clients = list(self.clients())
        found = User.objects.filter(pk=self.ann.pk)
        found._raw_delete(found.db)
        for client in clients:
            self.refused(client)

    def test_in_djangos_session(self):
        """Not active, or with a password from elsewhere, which its hash does not fit."""
        for changed in ({"is_active": False}, {"password": make_password("eight new")}):
            for _, path in GUARDED[:2]:
                User.objects.update(is_active=True, password=self.ann.password)
                client = Client()
                client.force_login(self.ann)
                self.assertEqual(200, client.get(path).status_code)
                User.objects.update(**changed)
                self.refused(client)

    def test_they_may_sign_out(self):
        """That needs no account."""
        sign_in(self.client, self.ann)
        User.objects.update(is_active=False)
        self.assertEqual(204, self.client.post("/auth/logout").status_code)
        self.assertEqual([], get_auth().sessions(subject_of(self.ann)))

    def test_a_refresh_token_alone_gets_nothing(self):
        """Its session is ended, and stays so where the account is active again."""
        signed_in = sign_in(Client(), self.ann, mode="hybrid", transport="bearer")
        body = {"refresh_token": signed_in.refresh_token}
        User.objects.update(is_active=False)
        answer = self.client.post("/auth/refresh", body, content_type="application/json")
        self.assertEqual((401, "invalid_token"), (answer.status_code, answer.json()["code"]))
        User.objects.update(is_active=True)
        self.assertEqual([], get_auth().sessions(subject_of(self.ann)))
        answer = self.client.post("/auth/refresh", body, content_type="application/json")
        self.assertEqual("revoked", answer.json()["code"])

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
        import views  # noqa: PLC0415 - the project's own
        from django.test import AsyncRequestFactory  # noqa: PLC0415

        request = acting_as(AsyncRequestFactory().get("/"), self.ann)
        answer = await views.asynchronous_guarded(request)
        self.assertEqual(f"{subject_of(self.ann)} ann", answer.content.decode())
        self.assertEqual(401, (await AsyncClient().get("/asynchronous-guarded")).status_code)
