"""Django REST framework and Django Ninja, as their users test them."""

import interfaces
from django.contrib.auth.models import User
from django.test import Client, TestCase, override_settings
from rest_framework.test import APIClient, APIRequestFactory, force_authenticate

from sojourn.django import get_auth, subject_of
from sojourn.django.testing import sign_in
from sojourn.testing import ManualClock

ELSEWHERE = {"origin": "https://elsewhere.example"}


class Case(TestCase):
    @classmethod
    def setUpTestData(cls):
        cls.ann = User.objects.create_user("ann", password="seven unrelated words")

    def bearer(self, client=None, **options):
        return sign_in(client or self.client, self.ann, transport="bearer", **options).access_token


class RestFrameworkCase(Case):
    client_class = APIClient

    def test_nobody_is_401(self):
        """Not 403: there is a challenge."""
        answer = self.client.get("/drf/notes")
        self.assertEqual((401, "Bearer"), (answer.status_code, answer["WWW-Authenticate"]))

    def test_bearer(self):
        """`request.user` is the user, `request.auth` the principal."""
        token = self.bearer(client=Client())
        self.client.credentials(HTTP_AUTHORIZATION=f"Bearer {token}")
        self.assertEqual({"user": "ann", "by": "Principal"}, self.client.get("/drf/notes").json())
        self.client.credentials()
        self.assertEqual(401, self.client.get("/drf/notes").status_code)

    def test_cookies(self):
        """Ours and Django's, from the site's own pages."""
        strict = APIClient(enforce_csrf_checks=True)
        sign_in(strict, self.ann, scopes={"notes"})
        self.assertEqual(201, strict.post("/drf/notes").status_code)
        answer = strict.post("/drf/notes", headers=ELSEWHERE)
        self.assertEqual((403, "cross_site"), (answer.status_code, answer.json()["code"]))
        strict = APIClient(enforce_csrf_checks=True)
        strict.force_login(self.ann)
        self.assertEqual("ann", strict.get("/drf/notes").json()["user"])
        self.assertEqual("insufficient_scope", strict.post("/drf/notes").json()["code"])
        self.assertEqual("cross_site", strict.post("/drf/notes", headers=ELSEWHERE).json()["code"])

    def test_what_is_needed(self):
        """Scopes, and a recent sign-in; each refusal has its code, status and challenge."""
        clock = ManualClock()
        ours = {"URL": "http://localhost:8000", "STORE": "memory://", "CLOCK": clock}
        with override_settings(SOJOURN=ours):
            self.bearer()
            answer = self.client.post("/drf/notes")
            self.assertEqual(
                (403, "insufficient_scope", 'Bearer error="insufficient_scope"'),
                (answer.status_code, answer.json()["code"], answer["WWW-Authenticate"]),
            )
            self.bearer(scopes={"notes"})
            self.assertEqual(subject_of(self.ann), self.client.post("/drf/notes").json()["subject"])
            clock.advance(seconds=301)
            answer = self.client.post("/drf/notes")
            self.assertEqual(
                (401, "insufficient_user_authentication"),
                (answer.status_code, answer.json()["code"]),
            )

    def test_what_was_revoked(self):
        """401 with the reason."""
        self.bearer(mode="session")
        get_auth().revoke_all(subject_of(self.ann))
        answer = self.client.get("/drf/notes")
        self.assertEqual((401, "revoked"), (answer.status_code, answer.json()["code"]))

    def test_who_is_not_active_any_more(self):
        """Nobody, also where no signal told of it."""
        self.bearer()
        User.objects.update(is_active=False)
        answer = self.client.get("/drf/notes")
        self.assertEqual((401, "invalid_token"), (answer.status_code, answer.json()["code"]))

    def test_logging_out(self):
        """The framework's request is taken, too."""
        self.bearer(mode="session")
        self.assertEqual(204, self.client.delete("/drf/notes").status_code)
        self.assertEqual("revoked", self.client.get("/drf/notes").json()["code"])

    def test_without_the_store(self):
        """503, to be tried again."""
        self.bearer(mode="session")
        ours = {"URL": "http://testserver.localhost:8000", "STORE": "sqlite:////dev/null/no.db"}
        with override_settings(SOJOURN=ours):
            answer = self.client.get("/drf/notes")
        self.assertEqual((503, "store_unavailable"), (answer.status_code, answer.json()["code"]))

    def test_the_frameworks_own_ways_in(self):
        """`force_authenticate` on a client and on a request."""
        self.client.force_authenticate(self.ann)
        self.assertEqual("ann", self.client.get("/drf/notes").json()["user"])
        request = APIRequestFactory().get("/drf/notes")
        force_authenticate(request, self.ann)
        self.assertEqual("ann", interfaces.Notes.as_view()(request).data["user"])


class NinjaCase(Case):
    def test_who_it_is(self):
        """`request.auth` is the principal; nobody is 401, as a problem document."""
        answer = self.client.get("/ninja/notes")
        self.assertEqual((401, "unauthenticated"), (answer.status_code, answer.json()["code"]))
        self.bearer()
        self.assertEqual(
            {"subject": subject_of(self.ann), "user": "ann"}, self.client.get("/ninja/notes").json()
        )

    def test_scopes(self):
        """What a route needs."""
        self.bearer()
        self.assertEqual("insufficient_scope", self.client.post("/ninja/notes").json()["code"])
        self.bearer(scopes={"notes"})
        self.assertEqual(200, self.client.post("/ninja/notes").status_code)

    def test_cookies_of_another_sites_page(self):
        """Refused."""
        sign_in(self.client, self.ann, scopes={"notes"})
        self.assertEqual(200, self.client.post("/ninja/notes").status_code)
        self.assertEqual(403, self.client.post("/ninja/notes", headers=ELSEWHERE).status_code)

    def test_the_documented_scheme(self):
        """The Authorize button of the docs asks for a bearer token."""
        schema = interfaces.api.get_openapi_schema()
        self.assertEqual(
            {"SojournAuth": {"type": "http", "scheme": "bearer"}},
            dict(schema["components"]["securitySchemes"]),
        )
