"""`manage.py demo_seed`: a site to try things on. Runs again without harm; each run gives a fresh enrolment code."""

import json
import os
import secrets
from typing import Any

from django.contrib.auth import get_user_model
from django.core.management.base import BaseCommand, CommandParser
from django.db import transaction
from django.utils import timezone

from central.devices.codes import issue_code
from central.directory.demo import make_members, make_site

PASSWORD_VARIABLE = "DOORSTILE_DEMO_PASSWORD"


class Command(BaseCommand):
    """Makes a site, a door, members with cards, a member of staff, and an enrolment code."""

    help = "Make a site to try things on: door, members with cards, a member of staff, an enrolment code."

    def add_arguments(self, parser: CommandParser) -> None:
        """Add what may be chosen."""
        parser.add_argument("--members", type=int, default=30)
        parser.add_argument("--username", default="desk")
        parser.add_argument("--password", help=f"else {PASSWORD_VARIABLE}, else a random one, printed")
        parser.add_argument("--json", action="store_true")

    def handle(self, *_args: Any, **options: Any) -> None:
        """Make what is missing and print it."""
        password = options["password"] or os.environ.get(PASSWORD_VARIABLE) or secrets.token_urlsafe(12)
        with transaction.atomic():
            door = make_site()
            cards = make_members(door.site, options["members"])
            _make_staff(options["username"], password)
            code, _ = issue_code(door, now=timezone.now())
        if options["json"]:
            made = {
                "code": code,
                "username": options["username"],
                "password": password,
                "site": door.site.name,
                "door": door.name,
                "cards": [{"uid": card.uid, "member": card.member} for card in cards],
            }
            self.stdout.write(json.dumps(made))
            return
        self.stdout.write(f"{door}: {len(cards)} members, enrolment code {code}")
        self.stdout.write(f"Log in as {options['username']} with {password}")


def _make_staff(username: str, password: str) -> None:
    user, _ = get_user_model().objects.get_or_create(username=username)
    user.is_staff = user.is_superuser = user.is_active = True
    user.set_password(password)
    user.save()
