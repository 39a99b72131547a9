"""`manage.py createsuperuser`: Django's own, which fails instead of skipping where nobody can be asked."""

import sys
from typing import Any

from django.contrib.auth.management.commands import createsuperuser
from django.core.management.base import CommandError


class Command(createsuperuser.Command):
    """Makes the first member of staff, who has every right."""

    help = "Make a member of staff who has every right; others are made with desk_user"

    def handle(self, *args: Any, **options: Any) -> str | None:
        """Ask for name and password on a terminal; without one, say how to do without."""
        if options["interactive"] and not sys.stdin.isatty():
            raise CommandError(
                "no terminal to ask on; set DJANGO_SUPERUSER_PASSWORD and give --no-input --username NAME "
                "--email ADDRESS"
            )
        return super().handle(*args, **options)
