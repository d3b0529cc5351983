"""The application as Django knows it."""

from __future__ import annotations

from django.apps import AppConfig


class SojournConfig(AppConfig):
    """``sojourn.django`` in ``INSTALLED_APPS``; its label, and the prefix of its tables, is ``sojourn``."""

    name = "sojourn.django"
    label = "sojourn"
    verbose_name = "Sojourn"
    default_auto_field = "django.db.models.BigAutoField"
