"""``manage.py sojourn_revoke``: end a session, or everything of a user."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from sojourn.django.conf import get_auth
from sojourn.django.users import named
from sojourn.errors import InvalidInput
from sojourn.model import ANY


class Command(BaseCommand):
    """Ends a session, or everything of a user, in every process at once."""

    help = "End a session, or everything of a user."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Take which."""
        which = parser.add_mutually_exclusive_group(required=True)
        which.add_argument("--sid", help="a session, as sojourn_sessions shows it")
        which.add_argument("--user", help="the name the user signs in with, or the primary key")
        parser.add_argument("--reason", default="administrator", help="for the audit trail")
        parser.add_argument("--by", default="manage.py", help="who does it, for the audit trail")

    def handle(self, *args: Any, **options: Any) -> None:
        """End them."""
        del args
        auth = get_auth()
        said = {"by": options["by"], "reason": options["reason"]}
        try:
            if options["sid"]:
                count = int(auth.revoke(options["sid"], subject=ANY, **said))
            else:
                count = auth.revoke_all(named(options["user"]), **said)
        except InvalidInput as error:
            raise CommandError(str(error)) from error
        self.stdout.write(f"ended: {count}")
