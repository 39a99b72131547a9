"""`manage.py unlock --door NAME --reason WHY`: let one person in, now or not at all."""

import getpass
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from central.devices import commands
from central.devices.models import Device
from wire.vocabulary import CommandName


class Command(BaseCommand):
    """Issues the command; does not wait for its end."""

    help = "Open a door once, within ten seconds; refused where its device is not connected"

    def add_arguments(self, parser: CommandParser) -> None:
        """Declare the options."""
        parser.add_argument("--door", required=True)
        parser.add_argument("--site", default="", help="needed where two sites have a door of that name")
        parser.add_argument("--reason", required=True)

    def handle(self, *_args: Any, **options: Any) -> None:
        """Issue it and print its id and state."""
        found = Device.objects.filter(door__name=options["door"], state=Device.State.ACTIVE)
        if options["site"]:
            found = found.filter(door__site__name=options["site"])
        devices = list(found.order_by("-last_seen_at")[:2])
        if not devices:
            raise CommandError(f"no active device at door {options['door']!r}; see the admin for their names")
        if len(devices) > 1:
            raise CommandError(f"door {options['door']!r} has two active devices; name the --site, or revoke one")
        command = commands.issue(
            devices[0],
            CommandName.UNLOCK,
            actor=f"manage.py, {getpass.getuser()}",
            reason=options["reason"],
            now=timezone.now(),
        )
        self.stdout.write(f"{command.id} {command.state} {command.code}".rstrip())
