"""`manage.py door hold|lock|lockdown|release|identify --door NAME --reason WHY`: change what a door does."""

import getpass
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from central.devices import commands
from central.devices.asking import AskedError, check, checked_reason
from central.devices.doors import device_at
from central.devices.outcome import add_waiting, outcome_of
from wire.vocabulary import CommandName

_ELSEWHERE = {CommandName.UNLOCK, CommandName.CAPTURE, CommandName.ROTATE_KEY}
_NAMES = [name.value for name in CommandName if name not in _ELSEWHERE]


class Command(BaseCommand):
    """Issues the command and waits for its end."""

    help = "Hold a door open, lock it, lock it down, release it or let it show itself; refused where it is away"

    def add_arguments(self, parser: CommandParser) -> None:
        """Declare the options."""
        parser.add_argument("name", choices=_NAMES)
        parser.add_argument("--door", required=True)
        parser.add_argument("--site", default="", help="needed where two sites have a door of that name")
        parser.add_argument("--reason", required=True)
        parser.add_argument("--for-s", type=int, help="seconds until it ends by itself: 60 to 86400 [8 hours]")
        parser.add_argument("--level", type=int, help="of a lockdown: who has it still passes [1]")
        parser.add_argument(
            "--what",
            default="",
            help="of a lock: maintenance; of a release: mode [the default], lockdown, fire or assist",
        )
        add_waiting(parser)

    def handle(self, *_args: Any, **options: Any) -> None:
        """Issue it and print what came of it; one that was not done is an error."""
        name, level, for_s, what = CommandName(options["name"]), options["level"], options["for_s"], options["what"]
        try:
            reason = checked_reason(options["reason"])
            check(name, level=level, for_s=for_s, what=what)
            device = device_at(options["door"], options["site"])
        except (AskedError, LookupError) as error:
            raise CommandError(str(error.args[0])) from error
        command = commands.issue(
            device,
            name,
            actor=f"manage.py, {getpass.getuser()}",
            reason=reason,
            now=timezone.now(),
            args=commands.args_of(level=level or 0, for_s=for_s or 0, what=what),
        )
        self.stdout.write(outcome_of(command, no_wait=options["no_wait"]))
