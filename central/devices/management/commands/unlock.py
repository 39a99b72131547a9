"""`manage.py unlock --door NAME --reason WHY`: let one person in, now or not at all."""

import getpass
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from central.devices import commands
from central.devices.asking import AskedError, checked_reason
from central.devices.doors import device_at
from central.devices.outcome import add_waiting, outcome_of
from wire.vocabulary import CommandName


class Command(BaseCommand):
    """Issues the command and waits for its end."""

    help = "Open a door once, within ten seconds; refused where its device is not connected"

    def add_arguments(self, parser: CommandParser) -> None:
        """Declare the options."""
        parser.add_argument("--door", required=True)
        parser.add_argument("--site", default="", help="needed where two sites have a door of that name")
        parser.add_argument("--reason", required=True)
        add_waiting(parser)

    def handle(self, *_args: Any, **options: Any) -> None:
        """Issue it and print what came of it; one that was not done is an error."""
        try:
            reason = checked_reason(options["reason"])
            device = device_at(options["door"], options["site"])
        except (AskedError, LookupError) as error:
            raise CommandError(str(error.args[0])) from error
        command = commands.issue(
            device,
            CommandName.UNLOCK,
            actor=f"manage.py, {getpass.getuser()}",
            reason=reason,
            now=timezone.now(),
        )
        self.stdout.write(outcome_of(command, no_wait=options["no_wait"]))
