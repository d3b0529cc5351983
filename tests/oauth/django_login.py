"""Run as a program: a Django application signs in at the provider named by the first argument."""

import sys
from urllib.parse import urlsplit

import django
import httpx2
from django.conf import settings
from oauth.provider import CLIENT_ID, CLIENT_SECRET, SUBJECT

URL = "http://127.0.0.1:8000"
ISSUER, MODE = sys.argv[1:]

settings.configure(
    SECRET_KEY="Jq7-a-secret-of-the-tests-0123456789-abcdefghijklmnop",
    ALLOWED_HOSTS=["127.0.0.1"],
    ROOT_URLCONF=__name__,
    INSTALLED_APPS=["django.contrib.auth", "django.contrib.contenttypes", "sojourn.django"],
    MIDDLEWARE=[
        "django.contrib.sessions.middleware.SessionMiddleware",
        "django.contrib.auth.middleware.AuthenticationMiddleware",
        "sojourn.django.SojournMiddleware",
    ],
    SESSION_ENGINE="sojourn.django.sessions",
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}},
    SOJOURN={"STORE": "memory://", "URL": URL, "MODE": MODE},
    AUTHLIB_OAUTH_CLIENTS={
        "provider": {
            "client_id": CLIENT_ID,
            "client_secret": CLIENT_SECRET,
            "server_metadata_url": f"{ISSUER}/.well-known/openid-configuration",
            "client_kwargs": {"scope": "openid email"},
        }
    },
)
django.setup()

from authlib.integrations.django_client import OAuth  # noqa: E402 - after django.setup()
from django.contrib import auth  # noqa: E402
from django.contrib.auth.models import User  # noqa: E402
from django.core.management import call_command  # noqa: E402
from django.http import JsonResponse  # noqa: E402
from django.shortcuts import redirect  # noqa: E402
from django.test import Client  # noqa: E402
from django.urls import path  # noqa: E402

from sojourn.django import get_auth  # noqa: E402

oauth = OAuth()
oauth.register("provider")


def login(request):
    return oauth.provider.authorize_redirect(request, f"{URL}/callback")


def callback(request):
    said = oauth.provider.authorize_access_token(request)["userinfo"]
    user, _ = User.objects.get_or_create(username=f"provider:{said['sub']}", email=said["email"])
    auth.login(request, user)
    return redirect("/me")


def me(request):
    if not request.user.is_authenticated:
        return JsonResponse({}, status=401)
    return JsonResponse({"user": request.user.username, "subject": request.principal.subject})


urlpatterns = [path("login", login), path("callback", callback), path("me", me)]

call_command("migrate", verbosity=0)
browser = Client(headers={"host": "127.0.0.1:8000"})
assert browser.get("/me").status_code == 401
leaving = browser.get("/login")
back = urlsplit(httpx2.get(leaving["location"]).headers["location"])
stranger = Client(headers={"host": "127.0.0.1:8000"}, raise_request_exception=False)
assert stranger.get(f"{back.path}?{back.query}").status_code == 500
answer = browser.get(f"{back.path}?{back.query}", follow=True).json()
user = User.objects.get()
assert answer == {"user": f"provider:{SUBJECT}", "subject": str(user.pk)}, answer
(session,) = get_auth().sessions(user.pk)
get_auth().revoke(session.sid, subject=user.pk)
assert browser.get("/me").status_code == 401
print("signed in, and out")
