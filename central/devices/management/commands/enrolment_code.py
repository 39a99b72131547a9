"""`manage.py enrolment_code --site NAME --door NAME`: make a one-time code for a device."""

import json
from datetime import timedelta
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from central.devices.codes import issue_code
from central.devices.models import Door, Site
from wire.vocabulary import Direction


class Command(BaseCommand):
    """Makes the code; with --create also the site and the door where they are missing."""

    help = "Make a one-time code by which a device joins a door"

    def add_arguments(self, parser: CommandParser) -> None:
        """Declare the options."""
        parser.add_argument("--site", required=True)
        parser.add_argument("--door", required=True)
        parser.add_argument("--name", default="", help="what to call the device; default: as the door")
        parser.add_argument("--hours", type=int, default=24, help="how long the code is good")
        parser.add_argument("--create", action="store_true", help="create the site and the door where missing")
        parser.add_argument("--time-zone", default="UTC", help="of a site that is created")
        parser.add_argument("--direction", default="in", choices=[way.value for way in Direction])
        parser.add_argument("--json", action="store_true", help="print one JSON object")

    def handle(self, *_args: Any, **options: Any) -> None:
        """Print the code, in clear, this once."""
        if not 1 <= options["hours"] <= 720:
            raise CommandError(f"--hours {options['hours']} is out of range; give 1 to 720")
        door = self._door(options)
        code, row = issue_code(door, now=timezone.now(), name=options["name"], life=timedelta(hours=options["hours"]))
        if options["json"]:
            self.stdout.write(
                json.dumps(
                    {
                        "code": code,
                        "site": door.site.name,
                        "door": door.name,
                        "door_id": str(door.id),
                        "site_id": str(door.site_id),
                        "expires_at": row.expires_at.isoformat(),
                    }
                )
            )
            return
        self.stdout.write(f"{code}   for {door}, good until {row.expires_at:%Y-%m-%d %H:%M} UTC")

    def _door(self, options: dict[str, Any]) -> Door:
        if options["create"]:
            site, _ = Site.objects.get_or_create(name=options["site"], defaults={"time_zone": options["time_zone"]})
            defaults = {"direction": options["direction"]}
            return Door.objects.get_or_create(site=site, name=options["door"], defaults=defaults)[0]
        door = Door.objects.select_related("site").filter(site__name=options["site"], name=options["door"]).first()
        if door is None:
            raise CommandError(
                f"no door {options['door']!r} at site {options['site']!r}; create it in the admin, or add --create"
            )
        return door
