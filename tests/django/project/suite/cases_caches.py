"""Django's cache for a whole site, in front of pages that depend on who asks."""

from django.contrib.auth.models import User
from django.core.cache import cache
from django.test import AsyncClient, Client, TestCase, modify_settings

from sojourn.django import subject_of
from sojourn.django.testing import sign_in

PASSWORD = "seven unrelated words"
IN_FRONT = "django.middleware.cache.UpdateCacheMiddleware"
BEHIND = "django.middleware.cache.FetchFromCacheMiddleware"


@modify_settings(MIDDLEWARE={"prepend": IN_FRONT, "append": BEHIND})
class Case(TestCase):
    @classmethod
    def setUpTestData(cls):
        cls.ann = User.objects.create_user("ann", password=PASSWORD)

    def setUp(self):
        cache.clear()
        self.addCleanup(cache.clear)

    def each(self):
        """Give clients that are ann, each by another credential, before an empty cache."""
        for name in ("django", "session", "jwt", "hybrid", "bearer"):
            client = Client()
            cache.clear()
            if name == "django":
                client.force_login(self.ann)
            elif name == "bearer":
                sign_in(client, self.ann, transport="bearer")
            else:
                sign_in(client, self.ann, mode=name)
            yield name, client


class PersonalCase(Case):
    def test_a_page_of_one_is_not_served_to_others(self):
        """Whichever way it looked who asks, and whichever credential said so."""
        paths = ("/me", "/private", "/guarded", "/drf/notes", "/ninja/notes", "/by-backend")
        for name, client in self.each():
            for path in paths:
                with self.subTest(name, path=path):
                    answer = client.get(path)
                    self.assertEqual(200, answer.status_code)
                    self.assertIn("Cookie", answer["Vary"])
                    self.assertIn("private", answer["Cache-Control"])
                    others = Client().get(path)
                    self.assertNotEqual(answer.content, others.content)

    def test_a_page_for_nobody_is_not_served_to_somebody(self):
        """A page that looked and found nobody differs for those who are somebody."""
        for path in ("/me", "/asynchronous-me"):
            for name, client in self.each():
                with self.subTest(name, path=path):
                    self.assertIsNone(Client().get(path).json()["user"])
                    self.assertEqual("ann", client.get(path).json()["user"])

    def test_what_a_page_says_itself_stays(self):
        """Its own Cache-Control; each browser has its own copy."""
        sign_in(self.client, self.ann)
        answer = self.client.get("/says-itself")
        self.assertEqual("max-age=60", answer["Cache-Control"])
        self.assertEqual(401, Client().get("/says-itself").status_code)
        self.assertEqual(answer.content, self.client.get("/says-itself").content)

    def test_a_view_that_is_cached_alone(self):
        """`cache_page` around a guard keeps nothing of somebody."""
        sign_in(self.client, self.ann)
        self.assertEqual(subject_of(self.ann), self.client.get("/cached").content.decode())
        self.assertEqual(401, Client().get("/cached").status_code)

    async def test_asynchronous_views(self):
        """The same there."""
        client = AsyncClient()
        await client.aforce_login(self.ann)
        for path in ("/asynchronous-me", "/asynchronous-guarded"):
            answer = await client.get(path)
            self.assertIn("private", answer["Cache-Control"])
            self.assertNotEqual(answer.content, (await AsyncClient().get(path)).content)

    def test_a_site_without_djangos_users_in_requests(self):
        """There, too, `request.user` of nobody is a look."""
        removed = [
            "django.contrib.auth.middleware.AuthenticationMiddleware",
            "django.contrib.messages.middleware.MessageMiddleware",
        ]
        with modify_settings(MIDDLEWARE={"remove": removed}):
            self.assertIsNone(Client().get("/me").json()["user"])
            sign_in(self.client, self.ann)
            self.assertEqual("ann", self.client.get("/me").json()["user"])


class PublicCase(Case):
    def test_a_page_that_does_not_look_is_one_for_all(self):
        """Who is signed in makes no difference to it, and it is made once."""
        first = Client().get("/plain")
        self.assertFalse(first.has_header("Vary"))
        for name, client in self.each():
            if name == "bearer":
                continue  # Django's cache itself keeps what a bearer gets apart
            with self.subTest(name):
                made = client.get("/plain")
                self.assertNotIn("private", made["Cache-Control"])
                self.assertEqual(made.content, Client().get("/plain").content)
