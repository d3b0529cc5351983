"""``manage.py sojourn_purge``: remove what is dead; ``clearsessions`` does the same."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand

from sojourn.django.conf import get_auth


class Command(BaseCommand):
    """Removes expired sessions, and the traces of ended ones; run it every few minutes or hours."""

    help = "Remove expired sessions, and the traces of ended ones."

    def handle(self, *args: Any, **options: Any) -> None:
        """Remove them."""
        del args, options
        self.stdout.write(f"removed: {get_auth().purge()}")
