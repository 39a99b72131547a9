"""`manage.py enrolment_code --site NAME --door NAME`: make a one-time code for a device."""

import json
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import transaction
from django.utils import timezone

from central.devices.codes import cancel, issue_code, open_codes
from central.devices.models import Door, EnrolmentCode, Site
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
        parser.add_argument("--time-zone", help="IANA name, of a site that is created; default: UTC")
        parser.add_argument("--direction", choices=[way.value for way in Direction], help="of a door that is created")
        parser.add_argument("--only", action="store_true", help="cancel the codes of this door that nobody used yet")
        parser.add_argument("--json", action="store_true", help="print one JSON object")

    def handle(self, *_args: Any, **options: Any) -> None:
        """Print the code, in clear, this once."""
        if not 1 <= options["hours"] <= 720:
            raise CommandError(f"--hours {options['hours']} is out of range; give 1 to 720")
        try:
            door = _made(options) if options["create"] else _found(options)
        except ValidationError as fault:
            raise CommandError("; ".join(fault.messages)) from fault
        now = timezone.now()
        waiting = open_codes(door, now=now)
        if options["only"]:
            cancel(waiting)
        code, row = issue_code(door, now=now, name=options["name"], life=timedelta(hours=options["hours"]))
        if options["json"]:
            self.stdout.write(json.dumps({"code": code, **_described(row)}))
        else:
            self.stdout.write(f"{code}   for {door}, good until {row.expires_at:%Y-%m-%d %H:%M} UTC")
        for said in (*_kept(door, options), *_before(waiting, is_cancelled=options["only"])):
            self.stderr.write(said)


def _described(row: EnrolmentCode) -> dict[str, str]:
    door = row.door
    return {
        "site": door.site.name,
        "door": door.name,
        "door_id": str(door.id),
        "site_id": str(door.site_id),
        "expires_at": row.expires_at.isoformat(),
    }


def _found(options: dict[str, Any]) -> Door:
    door = Door.objects.select_related("site").filter(site__name=options["site"], name=options["door"]).first()
    if door is None:
        raise CommandError(
            f"no door {options['door']!r} at site {options['site']!r}; create it in the admin, or add --create"
        )
    return door


def _made(options: dict[str, Any]) -> Door:
    """Return the door, made where it is missing, with its site; raise ValidationError, and nothing is made."""
    direction = options["direction"] or Direction.IN.value
    with transaction.atomic():
        site = Site.objects.filter(name=options["site"]).first()
        if site is None:
            site = Site(name=options["site"], time_zone=options["time_zone"] or "UTC")
            site.full_clean()
            site.save()
        door = Door.objects.filter(site=site, name=options["door"]).first()
        if door is None:
            door = Door(site=site, name=options["door"], direction=direction)
            door.full_clean()
            door.save()
        return door


def _kept(door: Door, options: dict[str, Any]) -> Iterator[str]:
    """Say what was asked of a site or a door that exists and stays as it is."""
    if options["time_zone"] not in (None, door.site.time_zone):
        yield f"site {door.site} exists and keeps {door.site.time_zone}; change it in the administration, under Sites"
    if options["direction"] not in (None, door.direction):
        yield f"door {door.name} exists and stays a way {door.direction}; change it in the administration, under Doors"


def _before(waiting: list[EnrolmentCode], *, is_cancelled: bool) -> Iterator[str]:
    """Name the codes of before: each of them would let one more device join the door."""
    for earlier in waiting:
        made = f"the code of {earlier.created_at:%Y-%m-%d %H:%M} UTC"
        yield f"{made} is cancelled" if is_cancelled else f"{made} is still good; --only cancels those of before"
