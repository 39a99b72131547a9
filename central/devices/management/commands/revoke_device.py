"""`manage.py revoke_device DEVICE`: cut a device off, by its id; `--undo` lets it connect again."""

from typing import Any
from uuid import UUID

from django.core.management.base import BaseCommand, CommandError, CommandParser

from central.devices.models import Device
from central.devices.revocation import set_state


class Command(BaseCommand):
    """Sets the device's state."""

    help = "Refuse a device from now on; its journal keeps what it has not sent"

    def add_arguments(self, parser: CommandParser) -> None:
        """Declare the options."""
        parser.add_argument("device", type=UUID, help="id of the device")
        parser.add_argument("--undo", action="store_true", help="let it connect again")

    def handle(self, *_args: Any, **options: Any) -> None:
        """Set the state and say so."""
        device = Device.objects.filter(pk=options["device"]).first()
        if device is None:
            raise CommandError(f"no device {options['device']}; the admin lists all of them")
        state = Device.State.ACTIVE if options["undo"] else Device.State.REVOKED
        set_state(device, state)
        self.stdout.write(f"{device.name} ({device.pk}) is {state}")
