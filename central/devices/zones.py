"""Time zones of sites, by their names in the IANA database (RFC 6557, `zoneinfo`).

A name is checked where it is entered. One that is in the database all the same, as from an older version or from a
restored backup, counts as UTC and is said: a site that has it must not take the pages and the link of others with it.
"""

import logging
from difflib import get_close_matches
from functools import cache
from typing import Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

_OF_THIS_MACHINE: Final = frozenset({"localtime", "Factory", "posixrules"})
"""Names that mean something else on the next machine."""
_log = logging.getLogger(__name__)


def fault_of(name: str) -> str:
    """Return what is wrong with a name, and what to write instead; empty where it is a time zone."""
    if name in _known():
        return ""
    by_folded = {known.casefold(): known for known in _known()}
    near = get_close_matches(name.casefold().replace(" ", "_"), by_folded, n=3, cutoff=0.7)
    listed = ", ".join(by_folded[one] for one in near) or "Europe/Madrid"
    return f"there is no time zone {name[:64]!a}; write an IANA name such as {listed}"


@cache
def zone_of(name: str) -> ZoneInfo:
    """Return the zone of a name; UTC, with a warning, where there is none."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        _log.warning("time zone %.64a is not known: UTC is used instead; correct it on the page of the site", name)
        return ZoneInfo("UTC")


def is_known(name: str) -> bool:
    """Whether times at a site with this zone are those of its clock."""
    return name in _known()


@cache
def _known() -> frozenset[str]:
    return frozenset(available_timezones() - _OF_THIS_MACHINE)
