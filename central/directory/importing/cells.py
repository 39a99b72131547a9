"""What the cells of an import mean. Pure: a cell's text in, a value or CellError out.

An absent column and an empty cell say nothing: a new member gets the default, a known one keeps what it has. A dash
takes away what was there: a date, the plan, the host, or all of a list.
"""

from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from central.directory.enrolling import TYPED_FORMS, read_typed
from central.directory.importing.sheet import shortened
from wire.credentials import CredentialError
from wire.forms import FORMS, read_form
from wire.vocabulary import CredentialKind, HolderKind, Right

NOTHING: Final = "-"
LISTED_BY: Final = ";"
"""Between the sites of one cell; where semicolons part the cells, quote it or write `|`."""
MAX_EXTERNAL_ID_CHARS: Final = 64
MAX_NAME_CHARS: Final = 150
MAX_DAYS: Final = 366
MAX_LEVEL: Final = 32_767
MAX_VISITS: Final = 1_000_000
_DAY_DIGITS: Final = 3
_YEARS: Final = range(1970, 2200)
_YES: Final = ("yes", "true", "1")
_NO: Final = ("no", "false", "0")


class CellError(ValueError):
    """A cell that means nothing; says what would do."""


def external_id(text: str) -> str:
    """Return the operator's own id of a member."""
    return _at_most(text, MAX_EXTERNAL_ID_CHARS)


def full_name(text: str) -> str:
    """Return a name."""
    if text == NOTHING:
        raise CellError("a member has a name; write it, or leave the cell empty to keep the one there is")
    return _at_most(text, MAX_NAME_CHARS)


def yes_or_no(text: str) -> bool:
    """Return what `yes` or `no` says."""
    if text.lower() in _YES:
        return True
    if text.lower() in _NO:
        return False
    raise CellError("write yes or no")


def holder(text: str) -> str:
    """Return whose passages a member's are."""
    if text.lower() not in {kind.value for kind in HolderKind}:
        raise CellError(f"no such holder; known are {', '.join(HolderKind)}")
    return text.lower()


def days(text: str) -> int:
    """Return a number of days."""
    if not (text.isascii() and text.isdecimal() and int(text[:_DAY_DIGITS]) <= MAX_DAYS and len(text) <= _DAY_DIGITS):
        raise CellError(f"write a whole number of days, 0 to {MAX_DAYS}")
    return int(text)


def number(most: int) -> Callable[[str], int]:
    """Return what reads a whole number from 0 to `most`."""

    def read(text: str) -> int:
        if not (text.isascii() and text.isdecimal() and len(text) <= len(str(most)) and int(text) <= most):
            raise CellError(f"write a whole number, 0 to {most}")
        return int(text)

    return read


def rights(text: str) -> list[str]:
    """Return what a member may do beyond passing, in order."""
    entered = [name.lower() for name in names(text)]
    for name in entered:
        if name not in {right.value for right in Right}:
            raise CellError(f"there is no right {shortened(name)!a}; known are {', '.join(Right)}")
    return sorted(set(entered))


def person(text: str) -> str:
    """Return the external id of somebody else, empty for a dash."""
    return "" if text == NOTHING else external_id(text)


def plan(text: str) -> str:
    """Return the name of a plan, empty for a dash."""
    return "" if text == NOTHING else _at_most(text, MAX_EXTERNAL_ID_CHARS)


def names(text: str) -> tuple[str, ...]:
    """Return the names that a cell lists, in its order, none of them twice; none for a dash."""
    if text == NOTHING:
        return ()
    parts = (part.strip() for part in text.replace("|", LISTED_BY).split(LISTED_BY))
    return tuple(dict.fromkeys(part for part in parts if part))


def moment(text: str, zone: ZoneInfo, *, ends: bool) -> datetime | None:
    """Return the moment, or None for a dash. A date alone is its first moment in `zone`, or its last where it `ends`.

    The last moment of a day is the first of the next one, as a validity leaves its end out.
    """
    if text == NOTHING:
        return None
    day = _day(text)
    if day is not None:
        return datetime.combine(day + timedelta(days=1) if ends else day, time(), zone).astimezone(UTC)
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        raise CellError("no such date; write 2026-12-31 or 2026-12-31T18:00+01:00") from None
    if at.year not in _YEARS:
        raise CellError(_bad_year())
    return (at if at.tzinfo else at.replace(tzinfo=zone)).astimezone(UTC)


def credential_kind(text: str) -> CredentialKind:
    """Return the family of a credential; passes are issued by central, not entered."""
    kind = next((kind for kind in TYPED_FORMS if kind.value == text.lower()), None)
    if kind is None:
        raise CellError(f"no such kind; known are {', '.join(TYPED_FORMS)}")
    return kind


def credential(kind: CredentialKind, form: str, text: str) -> bytes:
    """Return the canonical bytes; without a `form` the text may be in any that staff type at the desk."""
    known = [known.name for known in FORMS[kind]]
    if form and form not in known:
        raise CellError(f"{kind} has no form {shortened(form)!a}; it has {', '.join(known)}")
    try:
        return read_form(kind, form, text) if form else read_typed(kind, text)
    except CredentialError as fault:
        raise CellError(str(fault)) from fault


def _at_most(text: str, most: int) -> str:
    if len(text) > most:
        raise CellError(f"{len(text)} characters; at most {most} are possible")
    return text


def _day(text: str) -> date | None:
    try:
        day = date.fromisoformat(text)
    except ValueError:
        return None
    if day.year not in _YEARS:
        raise CellError(_bad_year())
    return day


def _bad_year() -> str:
    return f"the year must be from {_YEARS[0]} to {_YEARS[-1]}"
