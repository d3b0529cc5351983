"""What stands beside: sessions of an earlier engine, a service that only verifies, and look-ups."""

from collections import Counter
from unittest import mock

from django.contrib.auth.hashers import MD5PasswordHasher
from django.contrib.auth.models import User
from django.contrib.sessions.backends.db import SessionStore as EarlierStore
from django.core.checks import run_checks
from django.db import connection
from django.test import (
    AsyncClient,
    Client,
    TestCase,
    TransactionTestCase,
    modify_settings,
    override_settings,
)

from sojourn import Incoming, Issuer, Sojourn, Verifier
from sojourn.django import get_auth, subject_of
from sojourn.django.sessions import SessionStore
from sojourn.django.testing import sign_in
from sojourn.ports import OPERATIONS
from sojourn.stores.memory import MemoryStore
from sojourn.testing import ManualClock

URL = "http://testserver.localhost:8000"
PASSWORD = "seven unrelated words"
ENGINE = "django.contrib.sessions.backends.db"


class EarlierSessionsCase(TestCase):
    def setUp(self):
        self.ann = User.objects.create_user("ann", password=PASSWORD)
        with override_settings(SESSION_ENGINE=ENGINE):
            self.client.force_login(self.ann)
        self.key = self.client.cookies["sessionid"].value
        self.clock = ManualClock()
        doors = ["sojourn.doors.django.DjangoSessions"]
        ours = {"URL": URL, "DOORS": doors, "STORE": "memory://", "CLOCK": self.clock}
        changed = override_settings(SOJOURN=ours)
        changed.enable()
        self.addCleanup(changed.disable)

    def who(self, client):
        return client.get("/me").json()

    def test_nobody_is_signed_out(self):
        """The old cookie becomes one of ours, in the same place, and works as any."""
        self.assertEqual("ann", self.who(self.client)["user"])
        key = self.client.cookies["sessionid"].value
        self.assertEqual("sj_s1_", key[:6])
        self.client.post("/basket", {"item": "tea"})
        self.assertEqual(["tea"], self.client.get("/basket").json()["basket"])
        self.assertEqual("ann", self.who(self.client)["user"])
        self.assertEqual(1, len(get_auth().sessions(subject_of(self.ann))))
        self.client.post("/logout")
        self.assertIsNone(self.who(self.client)["user"])

    def test_once(self):
        """Requests beside the first one get the same session; a later copy of the cookie is nobody."""
        beside, later = Client(), Client()
        for client in (beside, later):
            client.cookies["sessionid"] = self.key
        self.assertEqual("ann", self.who(self.client)["user"])
        self.assertEqual("ann", self.who(beside)["user"])
        self.assertEqual(self.client.cookies["sessionid"].value, beside.cookies["sessionid"].value)
        self.clock.advance(seconds=11)
        self.assertIsNone(self.who(later)["user"])

    def test_a_page_that_fails_hands_the_new_cookie_out(self):
        """Django writes no session cookie beside status 500; the old one is good for seconds only."""
        self.client.raise_request_exception = False
        failed = self.client.get("/fail")
        self.assertEqual(500, failed.status_code)
        written = failed.cookies["sessionid"]
        self.assertEqual(("sj_s1_", "Lax"), (written.value[:6], written["samesite"]))
        self.assertEqual((True, 1_209_600), (written["httponly"], written["max-age"]))
        self.clock.advance(seconds=60)
        self.assertEqual("ann", self.who(self.client)["user"])
        self.assertNotIn("sessionid", self.client.get("/fail").cookies)

    async def test_an_asynchronous_page_that_fails(self):
        """The same there."""
        client = AsyncClient(raise_request_exception=False)
        client.cookies["sessionid"] = self.key
        self.assertEqual(500, (await client.get("/fail")).status_code)
        self.clock.advance(seconds=60)
        self.assertEqual("ann", (await client.get("/asynchronous-me")).json()["user"])

    def test_in_another_mode_our_own_cookies_take_over(self):
        """The old cookie is taken back, and the hybrid sign-in is handed out in its place."""
        doors = ["sojourn.doors.django.DjangoSessions"]
        ours = {"URL": URL, "DOORS": doors, "STORE": "memory://", "MODE": "hybrid"}
        with override_settings(SOJOURN=ours):
            self.assertEqual("ann", self.who(self.client)["user"])
            kept = {name for name, morsel in self.client.cookies.items() if morsel.value}
            self.assertEqual({"sojourn-8000-access", "sojourn-8000-refresh"}, kept)
            self.assertEqual("ann", self.who(self.client)["user"])

    def test_who_is_gone_is_nobody(self):
        """An old session of a user that no backend gives."""
        User.objects.update(is_active=False)
        self.assertIsNone(self.who(self.client)["user"])

    def test_an_unknown_cookie_is_nobody(self):
        """And nothing is stored for it."""
        self.client.cookies["sessionid"] = "0" * 32
        self.assertIsNone(self.who(self.client)["user"])
        self.assertFalse(EarlierStore().exists("0" * 32))


class VerifyingCase(TestCase):
    def setUp(self):
        clock = ManualClock()
        self.issuer = Sojourn(
            "memory://", url="http://127.0.0.1:9000", mode="jwt", audience="notes", clock=clock
        )
        self.addCleanup(self.issuer.close)
        verifier = Verifier(
            audience="notes",
            issuers=[
                Issuer(
                    url="http://127.0.0.1:9000",
                    algorithms=frozenset({"ES256"}),
                    typ="at+jwt",
                    jwks=self.issuer.jwks(),
                )
            ],
            clock=clock,
            is_following=False,
        )
        changed = override_settings(SOJOURN={"VERIFIER": verifier}, SESSION_ENGINE=ENGINE)
        changed.enable()
        self.addCleanup(changed.disable)
        signed_in = self.issuer.login(
            Incoming(), "of another service", transport="bearer", roles={"editors"}
        )
        self.headers = {"authorization": f"Bearer {signed_in.access_token}"}

    def test_a_token_of_another_service(self):
        """There is a principal, and no user of this project's."""
        answer = self.client.get("/me", headers=self.headers).json()
        self.assertEqual(("of another service", None), (answer["subject"], answer["user"]))
        self.assertEqual(200, self.client.get("/guarded", headers=self.headers).status_code)
        self.assertEqual(200, self.client.get("/ninja/notes", headers=self.headers).status_code)
        self.assertEqual("unauthenticated", self.client.get("/guarded").json()["code"])

    async def test_in_an_asynchronous_project(self):
        """The same there."""
        answer = await AsyncClient().get("/me", headers=self.headers)
        self.assertEqual("of another service", answer.json()["subject"])

    def test_users_stay_djangos(self):
        """Their sessions are Django's, and a change of password asks no store."""
        ann = User.objects.create_user("ann", password=PASSWORD)
        self.client.force_login(ann)
        self.assertEqual("ann", self.client.get("/me").json()["user"])
        ann.set_password("eight new")
        ann.save()
        ann.delete()
        self.assertEqual(200, self.client.post("/login", {"username": "x"}).status_code)

    def test_it_is_one_or_the_other(self):
        """A store beside a verifier, and what is no verifier, are told."""
        self.assertEqual([], [m.id for m in run_checks(databases=["default"])])
        self.assertEqual([], run_checks(tags=["security"], include_deployment_checks=False))
        for given in ({"VERIFIER": "views.me"}, {"VERIFIER": self.issuer, "URL": URL}):
            with override_settings(SOJOURN=given):
                self.assertEqual(["sojourn.E001"], [m.id for m in run_checks()])


def hashed(password, salt, *_):
    """Stand for a hash of a password."""
    return f"md5${salt}${password}"


class CountingStore:
    """A memory store that counts what it is asked."""

    def __init__(self):
        self.calls = Counter()
        self._store = MemoryStore()
        self.feed = self._store.feed

    def __getattr__(self, name):
        """Give an operation that counts."""
        operation = getattr(self._store, name)

        def counted(*args, **kwargs):
            self.calls[name] += 1
            return operation(*args, **kwargs)

        return counted if name in OPERATIONS else operation


async def settled(core):
    """Catch up with the feed and the ring now, as the follower would soon."""
    await core.catch_up(0)
    while core.keys.is_outdated:
        await core.keys.load(core)
        await core.catch_up(0)


class LookUpCase(TransactionTestCase):
    def setUp(self):
        self.ann = User.objects.create_user("ann", password=PASSWORD)
        self.store = CountingStore()
        changed = override_settings(SOJOURN={"URL": URL, "STORE": self.store, "MODE": "hybrid"})
        changed.enable()
        self.addCleanup(changed.disable)

    def asked(self, client, path):
        client.get(path)  # the first request brings the session near
        get_auth().run(settled(get_auth().core))
        self.store.calls.clear()
        with self.assertNumQueries(1):  # the user's own row
            self.assertEqual(200, client.get(path).status_code)
        return dict(self.store.calls)

    def test_djangos_session_costs_the_row_of_data_alone(self):
        """Who is signed in is at hand."""
        client = Client()
        client.force_login(self.ann)
        self.assertEqual({"get_data": 1}, self.asked(client, "/private"))

    def test_our_own_credentials_cost_nothing(self):
        """A token or handle that was seen before."""
        for mode in ("session", "hybrid"):
            client = Client()
            sign_in(client, self.ann, transport="bearer", mode=mode)
            self.assertEqual({}, self.asked(client, "/private"), mode)

    def test_an_unknown_name_takes_the_same_steps(self):
        """Neither the store nor the hasher tells a wrong password from a name that nobody has."""
        asked = []
        get_auth().begin("somebody")  # opens the store
        for name in ("ann", "nobody"):
            self.store.calls.clear()
            body = {"username": name, "password": "a guess"}
            with mock.patch.object(MD5PasswordHasher, "encode", wraps=hashed) as encode:
                answer = self.client.post("/auth/login", body, content_type="application/json")
            self.assertEqual(401, answer.status_code)
            asked.append((dict(self.store.calls), encode.call_count))
        self.assertEqual(asked[0], asked[1])

    def test_visitors_without_a_cookie_cost_nothing(self):
        """Not even where they ask for their session."""
        client = Client()
        client.get("/basket")
        self.store.calls.clear()
        with self.assertNumQueries(0):
            client.get("/basket")
        self.assertEqual({}, dict(self.store.calls))
        self.assertNotIn("sessionid", client.cookies)


class OneSessionCase(TestCase):
    def test_a_visitor_who_signs_in_to_our_own_cookies_keeps_djangos_session(self):
        """What it holds is there, and is not the signed-in session's data."""
        ann = User.objects.create_user("ann", password=PASSWORD)
        self.client.post("/basket", {"item": "tea"})
        form = {"username": "ann", "password": PASSWORD, "mode": "hybrid"}
        self.client.post("/sign-in", form)
        self.assertEqual("ann", self.client.get("/me").json()["user"])
        self.assertEqual(["tea"], self.client.get("/basket").json()["basket"])
        self.client.post("/auth/logout")
        self.assertEqual([], self.client.get("/basket").json()["basket"])
        self.assertEqual([], get_auth().sessions(subject_of(ann)))

    def test_signing_in_both_ways_leaves_one(self):
        """What Django's session held before is over."""
        ann = User.objects.create_user("ann", password=PASSWORD)
        self.client.force_login(ann)
        before = self.client.cookies["sessionid"].value
        self.client.post("/sign-in", {"username": "ann", "password": PASSWORD, "mode": "hybrid"})
        self.assertEqual("ann", self.client.get("/me").json()["user"])
        self.assertFalse(SessionStore().exists(before))
        self.assertEqual(["hybrid"], [i.mode for i in get_auth().sessions(subject_of(ann))])


class TransactionCase(TransactionTestCase):
    def setUp(self):
        User.objects.create_user("ann", password=PASSWORD)
        self.client.raise_request_exception = False
        settings = connection.settings_dict
        before, settings["ATOMIC_REQUESTS"] = settings["ATOMIC_REQUESTS"], True
        self.addCleanup(settings.__setitem__, "ATOMIC_REQUESTS", before)

    def test_what_is_rolled_back_is_not_handed_out(self):
        """A view that fails takes its sign-in back (ATOMIC_REQUESTS), and the browser hears nothing of it."""
        form = {"username": "ann", "password": PASSWORD, "mode": "session"}
        failed = self.client.post("/sign-in?fail", form)
        self.assertEqual(500, failed.status_code)
        self.assertNotIn("sojourn-8000", failed.cookies)
        self.assertEqual(200, self.client.post("/sign-in", form).status_code)
        self.assertEqual("ann", self.client.get("/me").json()["user"])

    def test_a_new_key_that_is_rolled_back(self):
        """The browser goes on under the one that it has; without a transaction, under the new one."""
        self.client.force_login(User.objects.get())
        before = self.client.cookies["sessionid"].value
        self.assertEqual(500, self.client.get("/new-key").status_code)
        self.assertEqual(before, self.client.cookies["sessionid"].value)
        self.assertEqual("ann", self.client.get("/me").json()["user"])
        connection.settings_dict["ATOMIC_REQUESTS"] = False
        self.assertEqual(500, self.client.get("/new-key").status_code)
        self.assertNotEqual(before, self.client.cookies["sessionid"].value)
        self.assertEqual("ann", self.client.get("/me").json()["user"])

    def refused_refresh(self, *tokens):
        for token in tokens:
            body = {"refresh_token": token}
            answer = Client().post("/refresh-bearer", body, content_type="application/json")
        return answer.json()

    def stays_ended(self, code, **changed):
        """Refresh twice, come back with the first token, and see the end stay."""
        ours = {"URL": URL, "MODES": ["session", "hybrid"], **changed}
        ann = User.objects.get()
        with override_settings(SOJOURN=ours):
            first = sign_in(Client(), ann, mode="hybrid", transport="bearer").refresh_token
            second = self.refused_refresh(first)["refresh_token"]
            if code != "refresh_late":
                second = self.refused_refresh(second)["refresh_token"]
            self.assertEqual(code, self.refused_refresh(first)["code"])
            self.assertEqual(code, self.refused_refresh(second)["code"])
            self.assertEqual([], get_auth().sessions(subject_of(ann)))

    def test_the_end_by_a_copy_stays_where_the_view_is_rolled_back(self):
        """The refusal is an error in the view, which takes back what the view wrote, but not that."""
        self.stays_ended("refresh_reuse")
        self.stays_ended("refresh_late", GRACE_SECONDS=0)

    def test_the_end_of_an_account_stays_where_the_view_is_rolled_back(self):
        """Whom the facts, or Django, know no more."""
        ann = User.objects.get()
        for facts in ("sojourn.django.groups_as_roles", None):
            ours = {"URL": URL, "MODES": ["session", "hybrid"], "FACTS": facts}
            with self.subTest(facts), override_settings(SOJOURN=ours):
                User.objects.update(is_active=True)
                token = sign_in(Client(), ann, mode="hybrid", transport="bearer").refresh_token
                User.objects.update(is_active=False)
                code = "revoked" if facts else "invalid_token"
                self.assertEqual(code, self.refused_refresh(token)["code"])
                self.assertEqual([], get_auth().sessions(subject_of(ann)))
                self.assertEqual("revoked", self.refused_refresh(token)["code"])

    def test_a_view_without_a_transaction_keeps_what_it_did(self):
        """Its cookies reach the browser whatever happens."""
        form = {"username": "ann", "password": PASSWORD, "mode": "session"}
        failed = self.client.post("/sign-in-non-atomic?fail", form)
        self.assertEqual(500, failed.status_code)
        self.assertEqual("ann", self.client.get("/me").json()["user"])


class LoginRequiredCase(TestCase):
    def test_the_endpoints_let_in_by_themselves(self):
        """A site where every view needs a sign-in can be signed in to."""
        User.objects.create_user("ann", password=PASSWORD)
        added = "django.contrib.auth.middleware.LoginRequiredMiddleware"
        with modify_settings(MIDDLEWARE={"append": added}):
            self.assertEqual(302, self.client.get("/me").status_code)
            body = {"username": "ann", "password": PASSWORD}
            self.client.post("/auth/login", body, content_type="application/json")
            self.assertEqual("ann", self.client.get("/me").json()["user"])
