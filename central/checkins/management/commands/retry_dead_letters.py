"""`manage.py retry_dead_letters`: try again what could not be applied; for after an update of central."""

from typing import Any

from django.core.management.base import BaseCommand

from central.checkins.letters import retry_all


class Command(BaseCommand):
    """Tries every dead letter that waits."""

    help = "Try every dead letter again; those that still cannot be applied go on waiting."

    def handle(self, *_args: Any, **_options: Any) -> None:
        """Try them and print how many were applied."""
        applied, waiting = retry_all()
        self.stdout.write(f"{applied} applied, {waiting} still waiting")
