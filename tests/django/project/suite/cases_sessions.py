"""Django's sessions, kept by Sojourn: written as an application's own tests."""

import os
from datetime import timedelta
from unittest import mock

from django.contrib.auth.models import Group, User
from django.test import AsyncClient, Client, TestCase, override_settings
from django.utils import timezone

from sojourn import ConfigurationError, InvalidInput, Sojourn
from sojourn.django import get_auth, subject_of
from sojourn.django.conf import stored_in
from sojourn.django.sessions import SessionStore
from sojourn.model import ANY

PASSWORD = "seven unrelated words"


class Case(TestCase):
    @classmethod
    def setUpTestData(cls):
        cls.ann = User.objects.create_user("ann", "ann@example.com", PASSWORD)
        cls.bob = User.objects.create_user("bob", "bob@example.com", PASSWORD)
        cls.ann.groups.add(Group.objects.create(name="editors"))

    def sign_in(self, client=None, name="ann"):
        client = client or self.client
        form = {"username": name, "password": PASSWORD}
        answer = client.post("/login", form, headers={"user-agent": "Firefox"})
        self.assertRedirects(answer, "/me", fetch_redirect_response=False)
        return client

    def who(self, client=None):
        return (client or self.client).get("/me").json()["user"]

    def infos(self, user=None):
        return get_auth().sessions(subject_of(user or self.ann))


class SignInCase(Case):
    def test_djangos_own_sign_in_makes_a_session_of_the_user(self):
        """What `django.contrib.auth` signs in is a session with its browser and address on it."""
        self.sign_in()
        (info,) = self.infos()
        self.assertEqual(
            ("session", "Firefox", "127.0.0.1"), (info.mode, info.user_agent, info.address)
        )
        answer = self.client.get("/me").json()
        self.assertEqual(("ann", subject_of(self.ann)), (answer["user"], answer["subject"]))
        self.assertEqual(["editors"], answer["roles"])

    def test_a_visitor_takes_the_basket_along(self):
        """What a visitor's session holds is there after signing in, under another key."""
        self.client.post("/basket", {"item": "tea"})
        before = self.client.cookies["sessionid"].value
        self.sign_in()
        after = self.client.cookies["sessionid"].value
        self.assertEqual(("sj_g1_", "sj_s1_"), (before[:6], after[:6]))
        self.assertEqual(["tea"], self.client.get("/basket").json()["basket"])
        self.assertFalse(SessionStore().exists(before))

    def test_messages_and_tokens_against_forgery_work(self):
        """Messages are shown once, and a form without its token is refused."""
        self.assertEqual(["taken"], self.client.post("/basket", {"item": "tea"}).json()["messages"])
        self.assertEqual([], self.client.get("/basket").json()["messages"])
        strict = Client(enforce_csrf_checks=True)
        self.assertEqual(403, strict.post("/basket", {"item": "tea"}).status_code)

    def test_logging_out_ends_the_session(self):
        """The old cookie is good for nothing."""
        self.sign_in()
        thief = Client()
        thief.cookies["sessionid"] = self.client.cookies["sessionid"].value
        self.client.post("/logout")
        self.assertEqual([None, None], [self.who(), self.who(thief)])
        self.assertEqual([], self.infos())

    def test_another_user_takes_the_browser_over(self):
        """Whoever signs in where somebody is signed in has a session of their own, without the data."""
        self.sign_in()
        self.client.post("/basket", {"item": "tea"})
        self.sign_in(name="bob")
        self.assertEqual("bob", self.who())
        self.assertEqual([], self.client.get("/basket").json()["basket"])
        self.assertEqual(([], 1), (self.infos(), len(self.infos(self.bob))))

    def test_signing_in_again_keeps_the_session(self):
        """The same user goes on in the same session, as in Django."""
        self.sign_in()
        (before,) = self.infos()
        self.sign_in()
        self.assertEqual([before.sid], [info.sid for info in self.infos()])

    def test_force_login(self):
        """The test client's own way in."""
        self.client.force_login(self.ann)
        self.assertEqual("ann", self.who())
        self.client.logout()
        self.assertIsNone(self.who())

    def test_pages_that_lead_to_the_sign_in(self):
        """`login_required` is Django's own."""
        self.assertRedirects(
            self.client.get("/private"), "/login?next=/private", fetch_redirect_response=False
        )
        self.client.force_login(self.ann)
        self.assertEqual(b"ann", self.client.get("/private").content)

    def test_the_admins_sign_in(self):
        """The admin's own sign-in works."""
        User.objects.create_superuser("root", "", PASSWORD)
        form = {"username": "root", "password": PASSWORD}
        self.assertEqual(302, self.client.post("/admin/login/?next=/admin/", form).status_code)
        self.assertContains(self.client.get("/admin/"), "Sessions")

    def test_a_failed_sign_in_is_on_the_trail(self):
        """The trail says who was tried from where."""
        self.client.post("/login", {"username": "ann", "password": "a guess"})
        lines = get_auth().run(get_auth().core.store.read_audit(limit=1000))
        last = lines[-1].record
        self.assertEqual(
            ("login_failed", "ann", "127.0.0.1"), (last.action, last.subject, last.address)
        )

    def test_one_sign_in_too_many_is_forbidden(self):
        """Where more sign-ins are refused, Django answers 403."""
        ours = {"URL": "http://localhost:8000", "MAX_SESSIONS": 1, "ON_EXCESS": "refuse"}
        with override_settings(SOJOURN=ours):
            self.sign_in()
            form = {"username": "ann", "password": PASSWORD}
            self.assertEqual(403, Client().post("/login", form).status_code)

    def test_whom_the_facts_do_not_know_may_not_sign_in(self):
        """A loader that gives no facts refuses the sign-in."""
        ours = {"URL": "http://localhost:8000", "FACTS": lambda _: None}
        with override_settings(SOJOURN=ours):
            form = {"username": "ann", "password": PASSWORD}
            self.assertEqual(403, self.client.post("/login", form).status_code)

    def test_a_cookie_that_comes_twice_is_nobodys(self):
        """Whoever can plant a second one must not choose the session; both are taken back."""
        self.client.force_login(self.ann)
        other = Client()
        other.force_login(self.bob)
        for path in ("/me", "/basket"):
            twice = "; ".join(
                f"sessionid={client.cookies['sessionid'].value}" for client in (self.client, other)
            )
            answer = Client().get(path, headers={"cookie": twice})
            self.assertNotIn("bob", answer.content.decode())
            self.assertEqual(0, answer.cookies["sessionid"]["max-age"])
        self.assertEqual(["ann", "bob"], [self.who(), self.who(other)])


class EndCase(Case):
    def test_what_an_administrator_ends_is_over_at_the_next_request(self):
        """One session of two is ended, and the other goes on."""
        first, second = self.sign_in(Client()), self.sign_in(Client())
        get_auth().revoke(self.infos()[0].sid, subject=ANY, by="root")
        self.assertEqual([None, "ann"], [self.who(first), self.who(second)])

    def test_nothing_brings_an_ended_session_back(self):
        """A request that was under way when its session ended is refused, and signs nobody in."""
        self.sign_in()
        self.assertEqual(400, self.client.get("/end-own").status_code)
        self.assertIsNone(self.who())
        self.assertEqual([], self.infos())

    def test_a_change_of_password_ends_the_others(self):
        """Django's own page: this browser stays, under another key; the others are out."""
        here, there = self.sign_in(Client()), self.sign_in(Client())
        before = here.cookies["sessionid"].value
        form = {
            "old_password": PASSWORD,
            "new_password1": "eight new",
            "new_password2": "eight new",
        }
        self.assertRedirects(here.post("/password", form), "/me", fetch_redirect_response=False)
        self.assertEqual(["ann", None], [self.who(here), self.who(there)])
        self.assertNotEqual(before, here.cookies["sessionid"].value)
        self.assertFalse(SessionStore().exists(before))

    def test_a_password_that_somebody_else_sets_ends_all(self):
        """As the admin's form does it, or a reset by mail."""
        self.sign_in()
        self.ann.set_password("eight new")
        self.ann.save()
        self.assertIsNone(self.who())
        self.assertEqual([], self.infos())

    def test_an_upgraded_hash_ends_nothing(self):
        """A hash that Django renews at a sign-in is no change of password."""
        self.sign_in()
        with self.settings(
            PASSWORD_HASHERS=[
                "django.contrib.auth.hashers.PBKDF2PasswordHasher",
                "django.contrib.auth.hashers.MD5PasswordHasher",
            ]
        ):
            User.objects.get(pk=self.ann.pk).check_password(PASSWORD)
        self.assertEqual(1, len(self.infos()))

    def test_who_is_not_active_any_more_is_out(self):
        """Deactivating ends everything."""
        self.sign_in()
        self.ann.is_active = False
        self.ann.save()
        self.assertEqual((None, []), (self.who(), self.infos()))

    def test_who_is_removed_is_out(self):
        """Removing a user ends everything."""
        self.sign_in()
        subject = subject_of(self.ann)
        self.ann.delete()
        self.assertEqual((None, []), (self.who(), get_auth().sessions(subject)))

    def test_without_the_middleware_a_change_of_password_signs_out(self):
        """Nobody knows then which session is the one that made it; there is no error."""
        with self.modify_settings(MIDDLEWARE={"remove": "sojourn.django.SojournMiddleware"}):
            here = self.sign_in(Client())
            form = {
                "old_password": PASSWORD,
                "new_password1": "eight new",
                "new_password2": "eight new",
            }
            self.assertEqual(302, here.post("/password", form).status_code)
            self.assertEqual("/login?next=/private", here.get("/private").url)

    def test_a_secret_that_was_replaced_gives_a_new_key(self):
        """Django's own rotation of SECRET_KEY keeps everybody signed in."""
        with override_settings(SECRET_KEY="what it was before, 0a1b2c3d4e5f60718293"):
            self.sign_in()
        before = self.client.cookies["sessionid"].value
        with override_settings(SECRET_KEY_FALLBACKS=["what it was before, 0a1b2c3d4e5f60718293"]):
            self.assertEqual("ann", self.who())
            self.assertNotEqual(before, self.client.cookies["sessionid"].value)
            self.assertEqual("ann", self.who())


class DataCase(Case):
    def test_two_tabs_do_not_lose_each_others_keys(self):
        """Each saves what it changed."""
        self.client.force_login(self.ann)
        key = self.client.cookies["sessionid"].value
        first, second = SessionStore(key), SessionStore(key)
        first["a"], second["b"] = 1, 2
        first.save()
        second.save()
        self.assertEqual([1, 2], [SessionStore(key)["a"], SessionStore(key)["b"]])

    def test_a_key_that_is_removed_is_gone(self):
        """Others stay."""
        session = self.client.session
        session["a"], session["b"] = 1, 2
        session.save()
        del session["a"]
        session.save()
        self.assertEqual({"b": 2}, dict(self.client.session.items()))

    def test_what_is_not_json_is_refused_before_anything_is_stored(self):
        """The message names the cause."""
        session = SessionStore()
        session["when"] = timezone.now()
        with self.assertRaisesMessage(Exception, "not JSON"):
            session.save()
        self.assertIsNone(session.session_key)

    def test_what_is_too_large_signs_nobody_in(self):
        """It is refused before the session is made."""
        session = self.client.session
        session["_auth_user_id"], session["large"] = subject_of(self.ann), "x" * 40_000
        with self.assertRaises(InvalidInput):
            session.save()
        self.assertEqual([], self.infos())

    def test_a_serializer_of_ones_own_is_refused(self):
        """With the remedy in the message."""
        with (
            override_settings(SESSION_SERIALIZER="django.core.signing.JSONSerializer"),
            self.assertRaisesMessage(ConfigurationError, "remove the setting"),
        ):
            SessionStore()

    def test_emptying_the_session_signs_out(self):
        """Without the user in it, it is a visitor's."""
        self.client.force_login(self.ann)
        self.client.get("/empty")
        self.assertEqual((None, []), (self.who(), self.infos()))
        self.assertEqual({"left": 1}, dict(self.client.session.items()))

    def test_a_new_session_takes_nothing_of_whose_it_was(self):
        """`create` begins an empty one."""
        self.client.force_login(self.ann)
        session = SessionStore(self.client.cookies["sessionid"].value)
        self.assertIn("_auth_user_id", session)
        session.create()
        self.assertEqual([], list(session.keys()))
        self.assertEqual(1, len(self.infos()))

    def test_reading_who_it_is_reads_no_data(self):
        """Who is signed in is known from the handle; the row of data is read by whom touches it."""
        self.client.force_login(self.ann)
        session = SessionStore(self.client.cookies["sessionid"].value)
        self.assertEqual(subject_of(self.ann), session.identify().principal.subject)
        self.assertFalse(session.accessed)

    def test_purging(self):
        """Django's `clearsessions` removes what is over."""
        session = SessionStore()
        session.set_expiry(-60)
        session["a"] = 1
        session.save()
        SessionStore.clear_expired()
        self.assertFalse(SessionStore().exists(session.session_key))


class ExpiryCase(Case):
    def lives_for(self):
        (info,) = self.infos()
        return round((info.expires_at - get_auth().core.clock() / 1000) / 3600, 1)

    def test_a_session_ends_as_django_says(self):
        """SESSION_COOKIE_AGE, `set_expiry` in both directions and back."""
        self.client.force_login(self.ann)
        self.assertEqual(14 * 24, self.lives_for())
        for value, hours in ((3600, 1), (7200, 2), ("none", 14 * 24), (60 * 86400, 14 * 24)):
            self.client.get(f"/expire?value={value}")
            self.assertEqual(hours, self.lives_for(), value)

    def test_a_session_ends_with_the_browser(self):
        """The cookie has no Max-Age, and the session lives no longer than BROWSER_TTL_SECONDS."""
        self.client.force_login(self.ann)
        answer = self.client.get("/expire?value=0")
        self.assertEqual("", answer.cookies["sessionid"]["max-age"])
        self.assertEqual(24, self.lives_for())

    def test_a_session_ends_at_the_longest_life_whatever_django_says(self):
        """ABSOLUTE_TTL_SECONDS counts from the sign-in."""
        ours = {"URL": "http://localhost:8000", "ABSOLUTE_TTL_SECONDS": 3600}
        with override_settings(SOJOURN=ours, SESSION_SAVE_EVERY_REQUEST=True):
            self.client.force_login(self.ann)
            self.assertEqual("ann", self.who())
            self.assertEqual(1, self.lives_for())

    def test_what_is_over_is_over(self):
        """Nobody is signed in by it."""
        self.client.force_login(self.ann)
        session = SessionStore(self.client.cookies["sessionid"].value)
        session.set_expiry(timedelta(seconds=-10))
        session.save()
        self.assertIsNone(self.who())


class RolledBackCase(TestCase):
    """Two tests of the same user, in whichever order they run."""

    @classmethod
    def setUpTestData(cls):
        cls.ann = User.objects.create_user("ann", password=PASSWORD)

    def test_ending_everything(self):
        """What is ended here is ended."""
        self.client.force_login(self.ann)
        get_auth().revoke_all(subject_of(self.ann))
        self.assertIsNone(self.client.get("/me").json()["user"])

    def test_rows_of_other_tests_are_gone(self):
        """Neither their sessions nor what they ended is left."""
        self.assertEqual([], get_auth().sessions(subject_of(self.ann)))
        self.client.force_login(self.ann)
        self.assertEqual("ann", self.client.get("/me").json()["user"])

    test_ending_everything_once_more = test_ending_everything


class AsynchronousCase(Case):
    async def test_an_asynchronous_client(self):
        """Signing in, being known, and signing out."""
        client = AsyncClient()
        await client.aforce_login(self.ann)
        self.assertEqual("ann", (await client.get("/asynchronous-me")).json()["user"])
        await client.alogout()
        self.assertIsNone((await client.get("/asynchronous-me")).json()["user"])

    async def test_a_new_key(self):
        """`acycle_key` keeps the session, and the old key is refused."""
        client = AsyncClient()
        await client.aforce_login(self.ann)
        before = client.cookies["sessionid"].value
        session = SessionStore(before)
        await session.acycle_key()
        self.assertNotEqual(before, session.session_key)
        self.assertFalse(await session.aexists(before))
        self.assertEqual(subject_of(self.ann), await session.aget("_auth_user_id"))


class SettingsCase(TestCase):
    def test_the_settings_are_those_of_the_project(self):
        """One `Sojourn` a process, made anew where a test changes a setting."""
        auth = get_auth()
        self.assertIsInstance(auth, Sojourn)
        self.assertIs(auth, get_auth())
        self.assertEqual("session", auth.settings.mode)
        with override_settings(SOJOURN={"URL": "http://localhost:9000", "MODE": "hybrid"}):
            self.assertEqual("http://localhost:9000", get_auth().settings.url)
            self.assertEqual(("hybrid", "session"), get_auth().settings.allowed_modes)
        self.assertIsNot(auth, get_auth())

    def test_what_the_environment_says(self):
        """It fills in what the settings leave open."""
        said = {
            "SOJOURN_MODE": "hybrid",
            "SOJOURN_MODES": "jwt, hybrid",
            "SOJOURN_STORE": "memory://",
        }
        with (
            mock.patch.dict(os.environ, said),
            override_settings(SOJOURN={"URL": "http://localhost"}),
        ):
            self.assertEqual(("hybrid", "jwt", "session"), get_auth().settings.allowed_modes)
            self.assertIsNone(stored_in())
        with override_settings(SOJOURN={"URL": "http://localhost", "MODE": "session"}):
            self.assertEqual(("session",), get_auth().settings.allowed_modes)
            self.assertEqual("default", stored_in())

    def test_an_unknown_setting_is_refused_with_its_neighbour(self):
        """A typing error is told."""
        with (
            override_settings(SOJOURN={"URL": "http://localhost:9000", "GRACE_SECOND": 1}),
            self.assertRaisesMessage(ConfigurationError, "did you mean GRACE_SECONDS?"),
        ):
            get_auth()
