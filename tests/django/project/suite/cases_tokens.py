"""Our own cookies and bearer credentials, beside Django's sessions."""

import json

from django.contrib.auth.models import Group, User
from django.test import AsyncClient, Client, RequestFactory, TestCase, override_settings

from sojourn import ConfigurationError
from sojourn.django import get_auth, requires, state_of, subject_of
from sojourn.django.testing import acting_as, sign_in
from sojourn.testing import ManualClock

PASSWORD = "seven unrelated words"
URL = "http://testserver.localhost:8000"
ELSEWHERE = {"origin": "https://elsewhere.example"}


def ours(**more):
    return override_settings(
        SOJOURN={
            "URL": URL,
            "MODES": ["session", "jwt", "hybrid"],
            "FACTS": "sojourn.django.groups_as_roles",
            **more,
        }
    )


class Case(TestCase):
    @classmethod
    def setUpTestData(cls):
        cls.ann = User.objects.create_user("ann", "ann@example.com", PASSWORD)
        cls.bob = User.objects.create_user("bob", "bob@example.com", PASSWORD, is_staff=True)
        cls.ann.groups.add(Group.objects.create(name="chief editors"))
        cls.ann.groups.add(Group.objects.create(name="editors"))

    def form(self, name="ann", **more):
        return {"username": name, "password": PASSWORD, **more}

    def call(self, path, body=None, client=None):
        client = client or self.client
        return client.post(f"/auth/{path}", json.dumps(body or {}), "application/json")

    def me(self, client=None, **headers):
        return (client or self.client).get("/me", headers=headers).json()

    def infos(self):
        return get_auth().sessions(subject_of(self.ann))


class SignInCase(Case):
    def test_each_mode_over_cookies(self):
        """`request.user` and `request.principal` are there, whichever proof the browser holds."""
        for mode in ("session", "jwt", "hybrid"):
            with self.subTest(mode):
                client = Client()
                answer = client.post("/sign-in", self.form(mode=mode))
                self.assertEqual(mode, answer.json()["mode"])
                self.assertNotIn("access_token", answer.json())
                self.assertEqual("no-store", answer["Cache-Control"])
                self.assertEqual(
                    {
                        "user": "ann",
                        "subject": subject_of(self.ann),
                        "roles": ["chief-editors", "editors"],
                        "transport": "cookie",
                    },
                    self.me(client),
                )
                self.assertEqual(b"ann", client.get("/private").content)
                self.assertEqual(204, client.post("/auth/logout").status_code)
                self.assertIsNone(self.me(client)["user"])

    def test_each_mode_as_bearer(self):
        """Tokens are in the body, and no cookie is set."""
        for mode in ("session", "jwt", "hybrid"):
            with self.subTest(mode):
                answer = Client().post("/sign-in", self.form(mode=mode, transport="bearer"))
                self.assertNotIn("sojourn-8000", answer.cookies)
                token = answer.json()["access_token"]
                who = self.me(authorization=f"Bearer {token}")
                self.assertEqual(("ann", "bearer"), (who["user"], who["transport"]))

    def test_cookies_as_a_browser_wants_them(self):
        """Bound to this host alone, out of reach of scripts, over TLS."""
        https = {"URL": "https://app.example.com", "MODE": "hybrid"}
        with override_settings(SOJOURN=https):
            answer = self.client.post("/sign-in", self.form(), secure=True)
            for name in ("__Host-sojourn-access", "__Host-sojourn-refresh"):
                written = answer.cookies[name]
                self.assertEqual(
                    (True, True, "Lax", "/", ""),
                    tuple(
                        written[what]
                        for what in ("secure", "httponly", "samesite", "path", "domain")
                    ),
                )
            self.assertIn("Cookie", answer["Vary"])
            who = self.client.get("/me", secure=True).json()
            self.assertEqual("ann", who["user"])

    def test_djangos_signals_are_sent(self):
        """`last_login` is written, as by Django's own sign-in."""
        self.assertIsNone(self.ann.last_login)
        self.client.post("/sign-in", self.form())
        self.ann.refresh_from_db()
        self.assertIsNotNone(self.ann.last_login)

    def test_who_is_not_active_is_refused(self):
        """Whatever let them in."""
        User.objects.filter(pk=self.ann.pk).update(is_active=False)
        answer = self.client.post("/sign-in-inactive", {"username": "ann"})
        self.assertEqual((401, "invalid_credentials"), (answer.status_code, answer.json()["code"]))

    def test_who_is_not_active_any_more_is_nobody(self):
        """Also where no signal told of it."""
        self.client.post("/sign-in", self.form(mode="hybrid"))
        User.objects.filter(pk=self.ann.pk).update(is_active=False)
        self.assertIsNone(self.me()["user"])

    def test_a_page_of_another_site_signs_nobody_in(self):
        """Login CSRF: where the view is exempt from Django's tokens, Origin decides."""
        answer = self.client.post("/sign-in", self.form(), headers=ELSEWHERE)
        self.assertEqual((403, "cross_site"), (answer.status_code, answer.json()["code"]))

    async def test_an_asynchronous_client(self):
        """Signing in, `request.auser`, and a guarded asynchronous view."""
        client = AsyncClient()
        answer = await client.post("/asynchronous-sign-in")
        self.assertEqual(200, answer.status_code)
        self.assertEqual("ann", (await client.get("/asynchronous-me")).json()["user"])
        self.assertEqual("ann", (await client.get("/me")).json()["user"])
        self.assertEqual(403, (await client.get("/notes")).status_code)
        await client.post("/data", {"note": "hello"})
        self.assertEqual({"note": "hello"}, (await client.get("/data")).json())

    def test_the_backend_says_who_a_request_is(self):
        """For libraries that call `authenticate` without a password."""
        self.assertIsNone(self.client.get("/by-backend").json()["user"])
        sign_in(self.client, self.ann)
        self.assertEqual("ann", self.client.get("/by-backend").json()["user"])


class NeedCase(Case):
    def test_roles_and_age(self):
        """Groups are roles; a sign-in that is too old is told from a missing role."""
        clock = ManualClock()
        with ours(CLOCK=clock, STORE="memory://"):
            sign_in(self.client, self.bob)
            self.assertEqual("forbidden", self.client.get("/editors").json()["code"])
            sign_in(self.client, self.ann)
            self.assertEqual(b"ann", self.client.get("/editors").content)
            clock.advance(seconds=301)
            answer = self.client.get("/editors")
            self.assertEqual(
                (401, "insufficient_user_authentication"),
                (answer.status_code, answer.json()["code"]),
            )
            self.client.post("/do/reauthenticate")
            self.assertEqual(b"ann", self.client.get("/editors").content)

    def test_scopes_and_transport(self):
        """An asynchronous view that takes bearer credentials alone, and asks the store."""
        sign_in(self.client, self.ann, scopes={"notes"})
        self.assertEqual("credential_not_accepted", self.client.get("/notes").json()["code"])
        client = Client()
        sign_in(client, self.ann, scopes={"notes"}, transport="bearer")
        self.assertEqual(subject_of(self.ann), client.get("/notes").content.decode())
        client = Client()
        sign_in(client, self.ann, transport="bearer")
        self.assertEqual("insufficient_scope", client.get("/notes").json()["code"])

    def test_a_class(self):
        """`method_decorator` puts the guard before a class."""
        answer = self.client.get("/guarded")
        self.assertEqual((401, "Bearer"), (answer.status_code, answer["WWW-Authenticate"]))
        sign_in(self.client, self.ann)
        self.assertEqual(subject_of(self.ann), self.client.get("/guarded").content.decode())

    def test_djangos_session_counts(self):
        """Whom Django's session knows meets needs, too, but not from another site's page."""
        self.client.force_login(self.ann)
        self.assertEqual(b"ann", self.client.get("/editors").content)
        self.assertEqual(403, self.client.post("/auth/logout-all", headers=ELSEWHERE).status_code)
        self.assertEqual(1, len(self.infos()))
        self.assertEqual(204, self.client.post("/auth/logout-all").status_code)
        self.assertEqual(([], None), (self.infos(), self.me()["user"]))

    def test_a_request_of_somebody(self):
        """A view is tried with a request alone, and nothing is stored."""

        @requires(roles={"editors"})
        def view(request):
            return request.user.get_username(), request.principal.claims

        request = RequestFactory().get("/")
        seen = view(acting_as(request, self.ann, roles={"editors"}, claims={"plan": "pro"}))
        self.assertEqual(("ann", {"plan": "pro"}), seen)
        self.assertEqual([], self.infos())

    def test_a_missing_middleware_is_told(self):
        """With the remedy."""
        with self.assertRaisesMessage(ConfigurationError, "to MIDDLEWARE"):
            state_of(RequestFactory().get("/"))

    def test_without_the_store_a_public_page_works(self):
        """Whoever asks who it is gets 503, and nobody is taken for signed out."""
        sign_in(self.client, self.ann)
        with ours(STORE="sqlite:////dev/null/no-folder.db"):
            self.assertEqual(503, self.client.get("/me").status_code)
            self.assertEqual(503, self.client.get("/guarded").status_code)
            self.assertEqual(200, Client().get("/me").status_code)


class RenewalCase(Case):
    def test_renewed_in_passing(self):
        """Past the access token's life a page works, and the new cookies are handed out."""
        clock = ManualClock()
        with ours(CLOCK=clock, STORE="memory://", MODE="hybrid"):
            sign_in(self.client, self.ann)
            before = self.client.cookies["sojourn-8000-refresh"].value
            clock.advance(seconds=3600)
            self.assertEqual("ann", self.me()["user"])
            self.assertNotEqual(before, self.client.cookies["sojourn-8000-refresh"].value)

    def test_a_rotated_handle_reaches_the_browser_whatever_happens(self):
        """Also where the view fails: else the old one would look stolen."""
        clock = ManualClock()
        with ours(CLOCK=clock, STORE="memory://", MODE="hybrid"):
            self.client.raise_request_exception = False
            sign_in(self.client, self.ann)
            before = self.client.cookies["sojourn-8000-refresh"].value
            clock.advance(seconds=3600)
            self.assertEqual(500, self.client.get("/fail").status_code)
            self.assertNotEqual(before, self.client.cookies["sojourn-8000-refresh"].value)
            clock.advance(seconds=60)
            self.assertEqual("ann", self.me()["user"])

    def test_what_the_group_lost_is_gone_at_the_refresh(self):
        """The facts are asked for at each refresh."""
        clock = ManualClock()
        with ours(CLOCK=clock, STORE="memory://"):
            sign_in(self.client, self.ann, mode="hybrid")
            self.ann.groups.clear()
            clock.advance(seconds=60)
            self.assertEqual(200, self.client.post("/auth/refresh").status_code)
            self.assertEqual([], self.me()["roles"])

    def test_moving_and_a_token_for_another_service(self):
        """A hybrid sign-in becomes a session, and Django's session a hybrid sign-in, and the same."""
        sign_in(self.client, self.ann, mode="hybrid")
        self.assertEqual("session", self.client.post("/do/move").json()["mode"])
        self.assertEqual("ann", self.me()["user"])
        client = Client()
        client.force_login(self.ann)
        token = client.post("/auth/access-token").json()
        self.assertEqual("ann", self.me(authorization=f"Bearer {token['access_token']}")["user"])
        self.assertEqual("hybrid", self.call("mode", {"mode": "hybrid"}, client).json()["mode"])
        self.assertEqual("ann", self.me(client)["user"])
        self.assertNotIn("sessionid", [n for n, m in client.cookies.items() if m.value])
        self.assertEqual(2, len(self.infos()))

    def test_confirming_who_one_is_in_djangos_session(self):
        """The session goes on under another key, with a new sign-in time."""
        self.client.force_login(self.ann)
        before = self.client.cookies["sessionid"].value
        answer = self.client.post("/do/reauthenticate")
        self.assertEqual(200, answer.status_code)
        self.assertNotEqual(before, self.client.cookies["sessionid"].value)
        self.assertNotIn("sojourn-8000", answer.cookies)
        self.assertEqual("ann", self.me()["user"])


class DataCase(Case):
    def test_data_of_ones_own(self):
        """A visitor's and a session's, saved with the response."""
        self.client.post("/data", {"note": "hello"})
        self.assertEqual({"note": "hello"}, self.client.get("/data").json())

    def test_a_failed_save_claims_no_success(self):
        """The answer is the refusal."""
        answer = self.client.get("/data?tooLarge")
        self.assertEqual((400, "invalid_input"), (answer.status_code, answer.json()["code"]))


class EndpointCase(Case):
    def test_signing_in_and_out(self):
        """The paths and answers of the server."""
        wrong = self.call("login", {"username": "ann", "password": "a guess"})
        unknown = self.call("login", {"email": "nobody", "password": "a guess"})
        self.assertEqual((401, wrong.content), (unknown.status_code, unknown.content))
        answer = self.call("login", {"username": "ann", "password": PASSWORD, "mode": "hybrid"})
        self.assertEqual("hybrid", answer.json()["mode"])
        session = self.client.get("/auth/session").json()
        self.assertEqual(["pwd"], session["amr"])
        self.assertEqual(["chief-editors", "editors"], session["roles"])
        self.assertEqual(204, self.call("logout").status_code)
        self.assertEqual("unauthenticated", self.client.get("/auth/session").json()["code"])
        self.assertEqual(204, self.call("logout").status_code)

    def test_what_is_no_such_body_is_refused(self):
        """400, with what is wrong."""
        for body in ({"username": "ann"}, {"password": "x", "more": 1}):
            self.assertEqual("invalid_request", self.call("login", body).json()["code"])
        large = {"username": "ann", "password": "x" * 70_000}
        self.assertEqual("invalid_request", self.call("login", large).json()["code"])
        self.assertEqual(405, self.client.get("/auth/login").status_code)

    def test_refreshing_as_bearer(self):
        """An old refresh token that comes back ends the session."""
        answer = self.call(
            "login",
            {"username": "ann", "password": PASSWORD, "mode": "hybrid", "transport": "bearer"},
        ).json()
        first = answer["refresh_token"]
        client = Client()
        second = self.call("refresh", {"refresh_token": first}, client).json()["refresh_token"]
        third = self.call("refresh", {"refresh_token": second}, client).json()["refresh_token"]
        stolen = self.call("refresh", {"refresh_token": first}, client)
        self.assertEqual((401, "refresh_reuse"), (stolen.status_code, stolen.json()["code"]))
        self.assertEqual(401, self.call("refresh", {"refresh_token": third}, client).status_code)

    def test_the_list_of_sessions(self):
        """Each is shown, this one marked; one's own are ended, others are not found."""
        other, foreign = Client(), Client()
        for client, user in ((self.client, self.ann), (other, self.ann), (foreign, self.bob)):
            sign_in(client, user)
        listed = self.client.get("/auth/sessions").json()["sessions"]
        self.assertEqual([True, False], [one["current"] for one in listed])
        (theirs,) = get_auth().sessions(subject_of(self.bob))
        for sid in (theirs.sid, "no-sid"):
            answer = self.client.delete(f"/auth/sessions/{sid}")
            self.assertEqual((404, "not_found"), (answer.status_code, answer.json()["code"]))
        self.assertEqual(204, self.client.delete(f"/auth/sessions/{listed[1]['sid']}").status_code)
        self.assertEqual(["ann", None], [self.me(c)["user"] for c in (self.client, other)])
        sign_in(other, self.ann)
        self.assertEqual(204, self.call("logout-others").status_code)
        self.assertEqual(["ann", None], [self.me(c)["user"] for c in (self.client, other)])

    def test_what_a_token_alone_cannot_answer(self):
        """In mode jwt nothing is listed."""
        sign_in(self.client, self.ann, mode="jwt")
        for answer in (self.client.get("/auth/sessions"), self.client.delete("/auth/sessions/x")):
            self.assertEqual(
                (409, "unsupported_in_mode"), (answer.status_code, answer.json()["code"])
            )

    def test_changing_the_password(self):
        """Others end, this one goes on; the current one has to be known, and the new one good."""
        for mode in ("session", "hybrid", "jwt"):
            with self.subTest(mode):
                here, there = Client(), Client()
                sign_in(here, self.ann, mode=mode)
                sign_in(there, self.ann, mode=mode)
                wrong = self.call("password", {"current": "a guess", "new": "eight new"}, here)
                self.assertEqual(401, wrong.status_code)
                right = self.call("password", {"current": PASSWORD, "new": PASSWORD}, here)
                self.assertEqual(204, right.status_code)
                self.assertEqual(["ann", None], [self.me(c)["user"] for c in (here, there)])

    def test_a_weak_password_is_refused(self):
        """By the validators of the project."""
        sign_in(self.client, self.ann)
        weak = [{"NAME": "django.contrib.auth.password_validation.NumericPasswordValidator"}]
        with self.settings(AUTH_PASSWORD_VALIDATORS=weak):
            answer = self.call("password", {"current": PASSWORD, "new": "12345678"})
        self.assertEqual((400, "invalid_request"), (answer.status_code, answer.json()["code"]))

    def test_changing_the_password_in_djangos_session(self):
        """The same there."""
        here, there = Client(), Client()
        here.force_login(self.ann)
        there.force_login(self.ann)
        body = {"current": PASSWORD, "new": PASSWORD}
        self.assertEqual(204, self.call("password", body, here).status_code)
        self.assertEqual(["ann", None], [self.me(c)["user"] for c in (here, there)])

    def test_confirming(self):
        """By password."""
        sign_in(self.client, self.ann)
        self.assertEqual(401, self.call("confirm", {"password": "a guess"}).status_code)
        answer = self.call("confirm", {"password": PASSWORD})
        self.assertEqual(200, answer.status_code)
        self.assertEqual(["pwd"], self.client.get("/auth/session").json()["amr"])

    def test_keys(self):
        """The public ones, for whoever verifies."""
        answer = self.client.get("/auth/jwks.json")
        self.assertEqual("application/jwk-set+json", answer["Content-Type"])
        self.assertEqual(["ES256"], [key["alg"] for key in answer.json()["keys"]])


class OriginsCase(Case):
    def test_pages_of_a_trusted_origin(self):
        """CORS with credentials, pre-flights included; others get no such header."""
        page = {"origin": "http://localhost:3000"}
        with ours(TRUSTED_ORIGINS=["http://localhost:3000"]):
            asked = self.client.options(
                "/auth/login", headers={**page, "access-control-request-method": "POST"}
            )
            self.assertEqual(204, asked.status_code)
            self.assertEqual("http://localhost:3000", asked["Access-Control-Allow-Origin"])
            answer = self.client.post("/sign-in", self.form(), headers=page)
            self.assertEqual("true", answer["Access-Control-Allow-Credentials"])
            self.assertIn("Origin", answer["Vary"])
            self.assertNotIn("Access-Control-Allow-Origin", self.client.get("/me"))
        self.assertEqual(
            405,
            self.client.options(
                "/auth/login", headers={**page, "access-control-request-method": "POST"}
            ).status_code,
        )
