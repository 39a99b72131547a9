"""`manage.py renew_directories`: after central was set back to a backup, let doors take its directory again."""

from typing import Any

from django.core.management.base import BaseCommand
from django.db import transaction
from django.utils import timezone

from central.devices.commands import void
from central.devices.fencing import raise_floor
from central.devices.models import Site
from central.directory.versions import begin_epoch


class Command(BaseCommand):
    """Begins a new epoch of every site's directory, and lets nothing from before the backup take effect."""

    help = (
        "Begin a new epoch of every site's directory. Run it once after central was restored from a backup: doors that "
        "had a later version refuse the older one as a step back until a new epoch begins. Sessions of devices begin "
        "above those that were given since the backup, and commands that were open in it end as unknown."
    )

    def handle(self, *_args: Any, **_options: Any) -> None:
        """Begin the epochs and say for how many sites."""
        with transaction.atomic():
            sites = list(Site.objects.values_list("pk", flat=True))
            begin_epoch(sites)
            raise_floor()
            void(timezone.now())
        self.stdout.write(f"{len(sites)} sites: each door gets its whole directory anew")
