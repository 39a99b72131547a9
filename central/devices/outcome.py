"""What came of a command, for those who wait for it at a command line; the dashboard says it in the same words."""

import threading
from datetime import timedelta
from typing import Final

from django.core.management.base import CommandError, CommandParser
from django.utils import timezone

from central.checkins.words import code_words
from central.devices.models import Command
from wire.vocabulary import CommandName

NOTHING_TO_RELEASE: Final = "nothing_to_release"
_LOOK_EVERY_S: Final = 0.2
_GRACE: Final = timedelta(seconds=5)
"""After a command's expiry central ends it, within a few seconds, and says how."""
_STATES: Final = {Command.State.PENDING: "asked", Command.State.UNKNOWN: "outcome unknown"}
_NOT_SENT: Final = "asked: no central sent it; see that one runs on this database: doorstile central"


def add_waiting(parser: CommandParser) -> None:
    """Declare the option not to wait."""
    parser.add_argument("--no-wait", action="store_true", help="ask and leave; print where the command stands then")


def outcome_of(command: Command, *, no_wait: bool) -> str:
    """Return how a command ended, once it has; raise CommandError where it did not do what it was asked.

    It is waited for until central ended it after its expiry, and not at all with `no_wait`: one that may still be done
    is then no error.
    """
    if not no_wait:
        _wait(command)
    words = words_of(command)
    if command.state == Command.State.DONE:
        return words
    if no_wait and not command.is_over:
        return f"{command.pk} {words}"
    if command.is_over:
        raise CommandError(words)
    if command.state == Command.State.PENDING:
        raise CommandError(_NOT_SENT)
    raise CommandError(f"{words}: no result by its expiry; see command {command.pk} in the admin for what came of it")


def words_of(command: Command) -> str:
    """Return where a command stands."""
    if command.state == Command.State.DONE and command.name == CommandName.UNLOCK:
        return "unlocked"
    state = Command.State(command.state)
    word, why = _STATES.get(state, str(state.label).lower()), code_words(command.code)
    if command.code == NOTHING_TO_RELEASE and command.out:
        why = f"{why} of that; in force: {command.out}; name one: --what {' or '.join(_names(command.out))}"
    return f"{word}: {why}" if why else word


def _names(standing: str) -> list[str]:
    """Return what `release --what` calls each thing that a door says is in force."""
    return list(dict.fromkeys(part.split(" ")[0] for part in standing.split(", ")))


def _wait(command: Command) -> None:
    pause = threading.Event()
    while not command.is_over and timezone.now() < command.expires_at + _GRACE:
        pause.wait(_LOOK_EVERY_S)
        command.refresh_from_db()
