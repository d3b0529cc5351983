"""A project of Django's with everything of Sojourn in use: both ways, DRF, Ninja, Channels, admin."""

import json
import os

SECRET_KEY = "not a secret, the tests' own: 5f2b1c9e8a7d6c3b4a"
SECRET_KEY_FALLBACKS = ["not a secret, what it was before: 0a1b2c3d4e5f6071"]
DEBUG = False
USE_TZ = True
ALLOWED_HOSTS = ["*"]
ROOT_URLCONF = "urls"
ASGI_APPLICATION = "served.application"
INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "rest_framework",
    "sojourn.django",
]
MIDDLEWARE = [
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "sojourn.django.SojournMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
]
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "DIRS": ["templates"],
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ]
        },
    }
]
DATABASES = {
    "default": json.loads(os.environ["PROJECT_DATABASE"])
    if "PROJECT_DATABASE" in os.environ
    else {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}
}
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
AUTHENTICATION_BACKENDS = [
    "django.contrib.auth.backends.ModelBackend",
    "sojourn.django.SojournBackend",
]
LOGIN_URL = "/login"
LOGIN_REDIRECT_URL = "/me"
LOGOUT_REDIRECT_URL = "/me"
STATIC_URL = "static/"
SESSION_ENGINE = "sojourn.django.sessions"
SOJOURN = {
    "STORE": os.environ.get("PROJECT_STORE", "django://default"),
    "URL": os.environ.get("PROJECT_URL", "http://testserver.localhost:8000"),
    "MODES": ["session", "jwt", "hybrid"],
    "FACTS": "sojourn.django.groups_as_roles",
}
if "PROJECT_DJANGO_TESTS" in os.environ:  # where Django's own tests are, from its sdist
    import sys

    sys.path.insert(0, os.environ["PROJECT_DJANGO_TESTS"])
    INSTALLED_APPS += ["sessions_tests"]
