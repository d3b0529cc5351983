"""Django's settings for all tests that need Django; imported as ``django_settings``."""

SECRET_KEY = "not a secret, the tests' own"
USE_TZ = True
INSTALLED_APPS = ["sojourn.django"]
DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}}
