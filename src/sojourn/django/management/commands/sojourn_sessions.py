"""``manage.py sojourn_sessions``: the live sessions of a user."""

from __future__ import annotations

import json
from argparse import ArgumentParser
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from django.core.management.base import BaseCommand

from sojourn.django.conf import get_auth
from sojourn.django.users import named


class Command(BaseCommand):
    """Lists the live sessions of a user, oldest first."""

    help = "List the live sessions of a user, oldest first."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Take whose."""
        parser.add_argument("user", help="the name the user signs in with, or the primary key")
        parser.add_argument("--json", action="store_true", help="as JSON, one session a line")

    def handle(self, *args: Any, **options: Any) -> None:
        """Print them."""
        del args
        for info in get_auth().sessions(named(options["user"])):
            if options["json"]:
                self.stdout.write(json.dumps(asdict(info)))
                continue
            seen = datetime.fromtimestamp(info.seen_at, UTC).isoformat(" ", "minutes")
            self.stdout.write(
                f"{info.sid}  {info.mode:7}  {seen}  {info.address}  {info.user_agent}"
            )
