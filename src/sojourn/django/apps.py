"""The application as Django knows it."""

from __future__ import annotations

from django.apps import AppConfig


class SojournConfig(AppConfig):
    """``sojourn.django`` in ``INSTALLED_APPS``; its label, and the prefix of its tables, is ``sojourn``."""

    name = "sojourn.django"
    label = "sojourn"
    verbose_name = "Sojourn"

    def ready(self) -> None:
        """Register the checks, and listen to what happens to users."""
        from sojourn.django import checks  # noqa: F401, PLC0415 - registered by being imported
        from sojourn.django.endings import connect  # noqa: PLC0415 - models are there by now

        connect()
