"""`manage.py ledger`: what central holds of a device, event by event, to compare with the device's own journal."""

import json
from typing import Any
from uuid import UUID

from django.core.management.base import BaseCommand, CommandError, CommandParser

from central.checkins.models import Alert, DeadLetter, Event, Loss, Run, Visit
from central.devices.models import Device


class Command(BaseCommand):
    """Prints runs, events and counts of one device."""

    help = "Print what central holds of a device: its runs, the digest of every event, visits, dead letters."

    def add_arguments(self, parser: CommandParser) -> None:
        """Add what may be chosen."""
        parser.add_argument("--device", required=True, help="id of the device")
        parser.add_argument("--json", action="store_true")

    def handle(self, *_args: Any, **options: Any) -> None:
        """Print the ledger; raise CommandError for a device that does not exist."""
        try:
            device = Device.objects.get(pk=UUID(options["device"]))
        except (ValueError, Device.DoesNotExist):
            raise CommandError(f"no device {options['device']!r}; the admin lists them under Devices") from None
        ledger = ledger_of(device)
        if options["json"]:
            self.stdout.write(json.dumps(ledger))
            return
        for run in ledger["runs"]:
            self.stdout.write(f"run {run['run']}  {run['upto']:>9} events  head {run['head'][:16]}")
        for name in ("visits", "dead_letters", "losses", "alerts"):
            self.stdout.write(f"{ledger[name]:>9} {name.replace('_', ' ')}")


def ledger_of(device: Device) -> dict[str, Any]:
    """Return what is held; `events` are those that were applied, in order of arrival, and those that were rejected."""
    runs = {run.pk: run for run in Run.objects.filter(device=device)}
    applied = Event.objects.filter(run__in=runs).order_by("pk").values_list("run_id", "n", "digest")
    letters = DeadLetter.objects.filter(run__in=runs, state=DeadLetter.State.WAITING).order_by("pk")
    held = [*applied, *letters.values_list("run_id", "n", "digest")]
    return {
        "device": str(device.pk),
        "runs": [{"run": run.run, "ord": run.ord, "upto": run.upto, "head": run.head} for run in runs.values()],
        "events": [{"run": runs[run].run, "n": n, "digest": digest} for run, n, digest in held],
        "visits": Visit.objects.filter(device=device).count(),
        "dead_letters": letters.count(),
        "losses": Loss.objects.filter(run__in=runs).count(),
        "alerts": Alert.objects.filter(device=device).count(),
    }
