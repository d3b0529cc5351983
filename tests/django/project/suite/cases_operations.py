"""The admin, the commands and the system checks."""

import json
from io import StringIO

from django.conf import settings
from django.contrib.auth.models import Permission, User
from django.contrib.messages import get_messages
from django.core.checks import run_checks
from django.core.management import CommandError, call_command
from django.test import Client, TestCase, modify_settings, override_settings

from sojourn.django import get_auth, subject_of
from sojourn.django.testing import sign_in

PASSWORD = "seven unrelated words"
URL = "http://testserver.localhost:8000"
SECURE = {
    "URL": "https://app.example.com",
    "SECRET": "a secret of the tests: 0123456789abcdef0123456789abcdef",
}


class AdminCase(TestCase):
    @classmethod
    def setUpTestData(cls):
        cls.root = User.objects.create_superuser("root", password=PASSWORD)
        cls.ann = User.objects.create_user("ann", password=PASSWORD)
        cls.bob = User.objects.create_user("bob", password=PASSWORD)

    def setUp(self):
        self.client.force_login(self.root)
        for user in (self.ann, self.bob):
            sign_in(Client(), user)

    def page(self, query=""):
        return self.client.get(f"/admin/sojourn/session/?q={query}")

    def users(self, query=""):
        return sorted(row.user for row in self.page(query).context["rows"])

    def test_the_newest_are_listed(self):
        """Where the sessions are in Django's database; visitors are not among them."""
        Client().post("/basket", {"item": "tea"})
        self.assertEqual(["ann", "bob", "root"], self.users())

    def test_in_another_store_a_user_is_searched_for(self):
        """The list says so, and ends sessions there."""
        with override_settings(SOJOURN={"URL": URL, "STORE": "memory://"}):
            self.client.force_login(self.root)
            self.assertContains(self.page(), "Search for a user")
            self.assertEqual(["root"], self.users("root"))

    def test_a_user_is_searched_for(self):
        """By a part of the name, or by key."""
        self.assertEqual(["ann"], self.users("AN"))
        self.assertEqual(["bob"], self.users(subject_of(self.bob)))
        self.assertEqual([], self.users("nobody"))

    def test_ending_tells_everybody(self):
        """Through the engine: the trail has who did it."""
        (info,) = get_auth().sessions(subject_of(self.ann))
        answer = self.client.post("/admin/sojourn/session/?q=ann", {"sid": [info.sid]})
        self.assertRedirects(answer, "/admin/sojourn/session/?q=ann")
        self.assertEqual(["Ended: 1."], [str(m) for m in get_messages(answer.wsgi_request)])
        self.assertEqual([], get_auth().sessions(subject_of(self.ann)))
        auth = get_auth()
        lines = auth.run(auth.core.store.read_audit(sid=info.sid, limit=10))
        self.assertEqual(
            ("revoked", subject_of(self.root)), (lines[-1].record.action, lines[-1].record.by)
        )

    def test_what_is_no_session_is_refused(self):
        """As no form of this page would send it."""
        answer = self.client.post("/admin/sojourn/session/", {"sid": ["no sid"]})
        self.assertEqual(403, answer.status_code)

    def test_a_password_set_in_the_admin(self):
        """Another's ends all of theirs; one's own leaves this session."""
        for user in (self.ann, self.root):
            sign_in(Client(), user)
            form = {"password1": "eight new", "password2": "eight new", "usable_password": "true"}
            answer = self.client.post(f"/admin/auth/user/{user.pk}/password/", form)
            self.assertEqual(302, answer.status_code)
        self.assertEqual([], get_auth().sessions(subject_of(self.ann)))
        self.assertEqual(1, len(get_auth().sessions(subject_of(self.root))))
        self.assertEqual("root", self.client.get("/me").json()["user"])

    def test_permissions(self):
        """To see them and to end them are two."""
        carol = User.objects.create_user("carol", password=PASSWORD, is_staff=True)
        self.client.force_login(carol)
        self.assertEqual(403, self.page().status_code)
        carol.user_permissions.add(
            Permission.objects.get(codename="view_session", content_type__app_label="sojourn")
        )
        answer = self.page("ann")
        self.assertContains(answer, "ann")
        self.assertNotContains(answer, "End the chosen")
        (info,) = get_auth().sessions(subject_of(self.ann))
        refused = self.client.post("/admin/sojourn/session/", {"sid": [info.sid]})
        self.assertEqual(403, refused.status_code)


class CommandCase(TestCase):
    @classmethod
    def setUpTestData(cls):
        cls.ann = User.objects.create_user("ann", password=PASSWORD)

    def call(self, *args):
        output = StringIO()
        call_command(*args, stdout=output)
        return output.getvalue()

    def test_sessions_and_revoking(self):
        """By the name or key of a user, or by session."""
        for _ in range(3):
            sign_in(Client(), self.ann)
        lines = [
            json.loads(line) for line in self.call("sojourn_sessions", "ann", "--json").splitlines()
        ]
        self.assertEqual(3, len(lines))
        sid = lines[0]["sid"]
        self.assertIn(sid, self.call("sojourn_sessions", subject_of(self.ann)))
        self.assertEqual("ended: 1\n", self.call("sojourn_revoke", "--sid", sid))
        self.assertEqual("ended: 0\n", self.call("sojourn_revoke", "--sid", sid))
        self.assertEqual("ended: 2\n", self.call("sojourn_revoke", "--user", "ann"))
        self.assertEqual("", self.call("sojourn_sessions", "ann"))
        with self.assertRaises(CommandError):
            self.call("sojourn_revoke", "--sid", "no sid")

    def test_purging(self):
        """Ours and Django's."""
        self.assertIn("removed: ", self.call("sojourn_purge"))
        self.assertEqual("", self.call("clearsessions"))

    def test_keys(self):
        """They are shown, and rotated."""
        before = json.loads(self.call("sojourn_keys"))["keys"]
        after = json.loads(self.call("sojourn_keys", "--rotate"))["keys"]
        self.assertEqual(len(before) + 1, len(after))
        self.call("sojourn_keys", "--emergency")


class CheckCase(TestCase):
    def found(self, *, deploy=False, databases=None, **changed):
        with override_settings(**changed):
            messages = run_checks(include_deployment_checks=deploy, databases=databases)
        return sorted(m.id for m in messages if m.id.startswith("sojourn."))

    def test_the_project_has_no_findings(self):
        """Neither errors nor warnings."""
        self.assertEqual([], self.found(databases=["default"]))

    def test_each_finding_has_an_id_and_a_hint(self):
        """One change, one finding."""
        secure = {"SOJOURN": SECURE, "SESSION_COOKIE_SECURE": True}
        self.assertEqual([], self.found(**secure))
        cases = {
            "sojourn.E001": [
                {"SOJOURN": {}},
                {"SOJOURN": {"URL": "http://app.example.com"}},
                {"SOJOURN": {"URL": URL, "GRACE_SECOND": 1}},
                {"SOJOURN": {"URL": URL, "FACTS": "no.such.function"}},
            ],
            "sojourn.E002": [{"SOJOURN": {"URL": URL, "STORE": "django://other"}}],
            "sojourn.E004": [{"SESSION_SERIALIZER": "a.b"}],
            "sojourn.E005": [{"SESSION_COOKIE_NAME": "sojourn-8000"}],
            "sojourn.W004": [{"SESSION_COOKIE_AGE": 60 * 86_400}],
            "sojourn.W005": [{"SESSION_COOKIE_SECURE": True}, {"SOJOURN": SECURE}],
            "sojourn.W006": [{"SESSION_COOKIE_HTTPONLY": False}],
            "sojourn.W007": [
                {"SESSION_COOKIE_SAMESITE": "Strict"},
                {"SESSION_COOKIE_DOMAIN": "localhost"},
            ],
        }
        for wanted, changes in cases.items():
            for changed in changes:
                with self.subTest(wanted, changed=changed):
                    self.assertEqual([wanted], self.found(**changed))
        with override_settings(SESSION_ENGINE="django.contrib.sessions.backends.db"):
            self.assertEqual([], self.found(SESSION_COOKIE_HTTPONLY=False))

    def test_the_order_of_middleware(self):
        """Ours stands after Django's, and is there."""
        ours = "sojourn.django.SojournMiddleware"
        with modify_settings(MIDDLEWARE={"remove": ours}):
            self.assertEqual(["sojourn.W003"], self.found())
            with override_settings(SESSION_ENGINE="django.contrib.sessions.backends.db"):
                self.assertEqual([], self.found())
        others = [name for name in settings.MIDDLEWARE if name != ours]
        self.assertEqual(["sojourn.E003"] * 2, self.found(MIDDLEWARE=[ours, *others]))

    def test_before_it_is_deployed(self):
        """What is right in development only."""
        self.assertEqual(["sojourn.W002"], self.found(deploy=True))
        memory = {**SECURE, "STORE": "memory://"}
        found = self.found(deploy=True, SOJOURN=memory, SESSION_COOKIE_SECURE=True)
        self.assertEqual(["sojourn.W001"], found)
        self.assertEqual(["sojourn.E001"], self.found(deploy=True, SOJOURN={}))
        self.assertEqual(
            ["sojourn.E001"], self.found(deploy=True, SOJOURN={}, databases=["default"])
        )
