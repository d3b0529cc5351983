"""Django's settings for all tests that need Django; imported as ``django_settings``."""

import json
import os

SECRET_KEY = "not a secret, the tests' own"
USE_TZ = True
INSTALLED_APPS = ["django.contrib.contenttypes", "django.contrib.auth", "sojourn.django"]
MIDDLEWARE = ["sojourn.django.SojournMiddleware"]
DATABASES = {
    "default": json.loads(os.environ.get("DJANGO_TEST_DATABASE", "null"))
    or {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}
}
"""Where tests run in a process of their own, whoever starts it may name another."""
SOJOURN = {"URL": "http://127.0.0.1:8000"}
