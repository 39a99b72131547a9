"""`manage.py api_key`: makes a key for another system, or revokes one."""

from typing import Any

from django.contrib.auth.models import User
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from central.api import keys
from central.api.models import ApiKey, Scope


class Command(BaseCommand):
    """Makes an API key and prints it once, or revokes one by its id."""

    help = "Make an API key for another system and print it, once; or revoke one."

    def add_arguments(self, parser: CommandParser) -> None:
        """Add what may be chosen."""
        parser.add_argument("--name", help="which system uses it")
        parser.add_argument("--owner", help="username of who answers for it")
        parser.add_argument("--scope", action="append", choices=[scope.value for scope in Scope], help="may repeat")
        parser.add_argument("--revoke", metavar="ID", help="refuse this key from now on")

    def handle(self, *_args: Any, **options: Any) -> None:
        """Make or revoke."""
        if options["revoke"]:
            self._revoke(options["revoke"])
            return
        for needed in ("name", "owner", "scope"):
            if not options[needed]:
                raise CommandError(f"--{needed} is missing")
        owner = User.objects.filter(username=options["owner"]).first()
        if owner is None:
            raise CommandError(f"no user {options['owner']!a}; name one who exists")
        key, _ = keys.issue(options["name"], owner, [Scope(scope) for scope in options["scope"]])
        self.stdout.write(key)

    def _revoke(self, key_id: str) -> None:
        key = ApiKey.objects.filter(pk=key_id).first()
        if key is None:
            raise CommandError(f"no API key {key_id!a}; its id is the part between the underscores")
        ApiKey.objects.filter(pk=key.pk, revoked_at=None).update(revoked_at=timezone.now())
        self.stdout.write(f"{key} is revoked")
