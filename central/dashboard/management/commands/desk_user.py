"""`manage.py desk_user NAME`: make a user for the desk, who is staff and may do what the desk does, and no more."""

import getpass
import os
import sys
from typing import Any, Final

from django.contrib.auth.models import Group, Permission, User
from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import transaction

from central.checkins.access import ASK, ENROL, REPLACE, SEE_PASS, UNLOCK

GROUP: Final = "Desk"
RIGHTS: Final = (*SEE_PASS, ENROL, REPLACE, UNLOCK, ASK, "directory.view_member")
PASSWORD: Final = "DOORSTILE_PASSWORD"


class Command(BaseCommand):
    """Makes the user and, the first time, the group with its rights; one that exists keeps what was made of it."""

    help = f"Make a user for the desk: staff, in the group {GROUP}, which is made with the desk's rights where missing"

    def add_arguments(self, parser: CommandParser) -> None:
        """Declare the name."""
        parser.add_argument("name", help=f"to log in with; the password is asked for, or taken from {PASSWORD}")

    def handle(self, *_args: Any, **options: Any) -> None:
        """Make the user, or put one that exists into the group; nothing where the password is refused."""
        name = options["name"]
        with transaction.atomic():
            group = _group()
            user = User.objects.filter(username=name).first()
            is_new = user is None
            if user is None:
                user = _new(name)
            user.is_staff = True
            user.save()
            user.groups.add(group)
        self.stdout.write(f"{name} {'may log in' if is_new else 'keeps the password'} and is in the group {GROUP}")


def _group() -> Group:
    group, is_new = Group.objects.get_or_create(name=GROUP)
    if is_new:
        for right in dict.fromkeys(RIGHTS):
            app, _, codename = right.partition(".")
            group.permissions.add(Permission.objects.get(content_type__app_label=app, codename=codename))
    return group


def _new(name: str) -> User:
    """Return the user, not saved yet; raise CommandError where name or password would not do."""
    user = User(username=name)
    try:
        User.username_validator(name)
        password = _password()
        validate_password(password, user)
        user.set_password(password)
        user.full_clean()
    except ValidationError as fault:
        raise CommandError("; ".join(fault.messages)) from fault
    return user


def _password() -> str:
    if PASSWORD in os.environ:
        return os.environ[PASSWORD]
    if not sys.stdin.isatty():
        raise CommandError(f"no terminal to ask for a password on; set {PASSWORD}")
    password = getpass.getpass("Password: ")
    if getpass.getpass("Password (again): ") != password:
        raise CommandError("the two are not the same; try again")
    return password
