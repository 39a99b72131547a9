"""What the clock of the site shows: by the site's book, else by central's last word, else by what enrolment said.

A name that this device does not know is passed over: a wrong one at central costs times in words, and nothing else.
"""

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from zoneinfo import ZoneInfo

    from rules.book import Book

ZONE_KEY: Final = "time_zone"
"""Under this name the directory's store keeps central's last word of the time zone."""


def zone_of(book: "Book | None", told: str | None, joined: str) -> "ZoneInfo | None":
    """Return the first zone that this device knows, of the book's, central's word and the identity's; None for none."""
    from zoneinfo import ZoneInfo, ZoneInfoNotFoundError  # imported late, as in `rules.calendar`

    for name in ("" if book is None else book.site.tz, told or "", joined):
        try:
            if name:
                return ZoneInfo(name)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            continue
    return None


def zone_name(book: "Book | None", told: str | None, joined: str) -> str:
    """Return the name of that zone, empty where there is none."""
    zone = zone_of(book, told, joined)
    return "" if zone is None else zone.key
