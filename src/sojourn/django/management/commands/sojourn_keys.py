"""``manage.py sojourn_keys``: the public signing keys, and putting a new one into service."""

from __future__ import annotations

import json
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand

from sojourn.django.conf import get_auth


class Command(BaseCommand):
    """Shows the public keys, or rotates them; keys also rotate by themselves."""

    help = "Show the public signing keys, or put a new one into service."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Take what to do."""
        parser.add_argument("--rotate", action="store_true", help="put a new key into service")
        parser.add_argument(
            "--emergency",
            action="store_true",
            help="with --rotate: revoke the keys there are, since one was stolen",
        )
        parser.add_argument("--by", default="manage.py", help="who does it, for the audit trail")

    def handle(self, *args: Any, **options: Any) -> None:
        """Show or rotate."""
        del args
        auth = get_auth()
        if options["rotate"] or options["emergency"]:
            auth.rotate_keys(by=options["by"], is_emergency=options["emergency"])
        self.stdout.write(json.dumps(auth.jwks(), indent=2))
