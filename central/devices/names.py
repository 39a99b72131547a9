"""Names of sites and doors: what can be shown on one line, told to a device and written in a file of members."""

from typing import Final

_LISTED_BY: Final = ";|"
"""What stands between names in a cell (`directory.importing.cells`): a site with it in its name could not be named."""


def fault_of(name: str, *, listed: bool = False) -> str:
    """Return what is wrong with a name, empty for nothing; one that stands in lists has no separator in it."""
    if not name.strip():
        return "give it a name that can be seen"
    if name != name.strip() or not name.isprintable():
        return f"the name {name[:40]!a} has spaces at an end or characters that cannot be seen; leave them out"
    if listed and any(mark in name for mark in _LISTED_BY):
        return f"the name {name[:40]!a} has one of {_LISTED_BY}, which stand between sites in a file of members"
    return ""
