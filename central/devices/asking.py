"""What may be asked of a door at a command line, checked before it travels; the doors' own bounds are the same."""

from typing import Final

from wire.vocabulary import CommandName

FOR_S: Final = (60, 24 * 3_600)
"""How long a hold, a lock or a lockdown may last, in seconds; a door takes what is beyond for the nearest."""
MAX_LEVEL: Final = 32_767
"""Of a lockdown: nobody's clearance is higher."""
MAX_REASON_CHARS: Final = 200
_WHAT: Final[dict[CommandName, tuple[str, ...]]] = {
    CommandName.LOCK: ("maintenance",),
    CommandName.RELEASE: ("mode", "lockdown", "fire", "assist"),
}
_LASTS: Final = frozenset({CommandName.HOLD, CommandName.LOCK, CommandName.LOCKDOWN})


class AskedError(ValueError):
    """Something that no door can be asked for; the message names the option and says what would be right."""


def checked_reason(reason: str) -> str:
    """Return why somebody asks, without the blanks around it; raise AskedError where it says nothing or too much."""
    said = reason.strip()
    if not 1 <= len(said) <= MAX_REASON_CHARS:
        raise AskedError(f"--reason has {len(said)} characters; give 1 to {MAX_REASON_CHARS}: it stays on the record")
    return said


def check(name: CommandName, *, level: int | None, for_s: int | None, what: str) -> None:
    """Raise AskedError for what a command does not take; None and "" leave it to the door."""
    if level is not None:
        if name is not CommandName.LOCKDOWN:
            raise AskedError(f"--level is of a lockdown; {name} has none")
        if not 1 <= level <= MAX_LEVEL:
            raise AskedError(f"--level {level} is out of range; give 1 to {MAX_LEVEL}")
    if for_s is not None:
        if name not in _LASTS:
            raise AskedError(f"--for-s is of {', '.join(sorted(_LASTS))}; {name} does not last")
        if not FOR_S[0] <= for_s <= FOR_S[1]:
            raise AskedError(f"--for-s {for_s} is out of range; give {FOR_S[0]} to {FOR_S[1]}, which is 24 hours")
    known = _WHAT.get(name, ())
    if what and what not in known:
        raise AskedError(f"--what {what!r} is nothing that {name} takes; it takes {', '.join(known) or 'none'}")
