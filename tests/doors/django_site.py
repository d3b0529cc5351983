"""The old application: Django with its sessions and users, and simplejwt's blacklist."""

import os
from pathlib import Path

import django
from django.conf import settings
from django.contrib.auth import get_user_model, login
from django.http import JsonResponse
from django.urls import path

SECRET = "the old secret of Django, long enough to sign with"
FOLDER = Path(os.environ["SOJOURN_TEST_FOLDER"])

settings.configure(
    SECRET_KEY=SECRET,
    ALLOWED_HOSTS=["*"],
    ROOT_URLCONF=__name__,
    DATABASES={
        "default": {"ENGINE": "django.db.backends.sqlite3", "NAME": FOLDER / "django.db"},
    },
    CACHES={
        "default": {
            "BACKEND": "django.core.cache.backends.filebased.FileBasedCache",
            "LOCATION": FOLDER / "cache",
        }
    },
    SESSION_FILE_PATH=FOLDER,
    INSTALLED_APPS=[
        "django.contrib.auth",
        "django.contrib.contenttypes",
        "django.contrib.sessions",
        "rest_framework_simplejwt.token_blacklist",
    ],
    MIDDLEWARE=[
        "django.contrib.sessions.middleware.SessionMiddleware",
        "django.contrib.auth.middleware.AuthenticationMiddleware",
    ],
    PASSWORD_HASHERS=[
        "django.contrib.auth.hashers.MD5PasswordHasher",  # quick, for whoever only signs in
        "django.contrib.auth.hashers.PBKDF2PasswordHasher",
    ],
    USE_TZ=True,
    DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
)
django.setup()


def sign_in(request, name):
    """Sign in as a view of the old application does."""
    login(request, get_user_model().objects.get(username=name))
    request.session["basket"] = ["tea"]
    if days := request.GET.get("days"):
        request.session.set_expiry(int(days) * 86_400)
    return JsonResponse({})


def visit(request):
    """Begin a guest's session."""
    request.session["basket"] = ["tea"]
    return JsonResponse({})


def me(request):
    """Say who the old application thinks it is."""
    return JsonResponse({"name": request.user.username})


urlpatterns = [path("login/<name>", sign_in), path("visit", visit), path("me", me)]
