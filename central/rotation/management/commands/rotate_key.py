"""`manage.py rotate_key [--site NAME] [--status]`: change the key of devices' card index, or say how far."""

import getpass
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from central.devices.models import Device, Site
from central.rotation import rotating
from central.rotation.models import KeyRotation


class Command(BaseCommand):
    """Begins the change, or shows it."""

    help = (
        "Change the key under which devices know cards. Each door changes when it is connected and looks up by both "
        "keys until its directory is under the new one. A door that never comes back is revoked; it holds up no other."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        """Declare the options."""
        parser.add_argument("--site", default="", help="devices of this site alone [all]")
        parser.add_argument("--status", action="store_true", help="begin nothing, say how far it is")

    def handle(self, *_args: Any, **options: Any) -> None:
        """Begin it where none is under way, and print how far it is."""
        site = None
        if options["site"]:
            site = Site.objects.filter(name=options["site"]).first()
            if site is None:
                raise CommandError(f"no site {options['site']!r}; see the admin for their names")
        if not options["status"]:
            devices = Device.objects.filter(state=Device.State.ACTIVE).order_by("name")
            chosen = devices if site is None else devices.filter(door__site=site)
            begun = rotating.start(chosen, actor=f"manage.py, {getpass.getuser()}", now=timezone.now())
            self.stdout.write(f"{len(begun)} changes of keys begin; see how far they are with --status")
        found = rotating.progress(None if site is None else site.pk)
        self.stdout.write(f"done at {found}")
        for rotation in found.waiting:
            self.stdout.write(f"  {rotation.device}: {self._words(rotation)}")

    def _words(self, rotation: KeyRotation) -> str:
        away = "" if rotation.device.is_connected(timezone.now()) else "; not connected"
        return f"{rotation.get_state_display()}{away}{f'; last: {rotation.why}' if rotation.why else ''}"
