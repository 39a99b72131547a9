"""A row of the directory: one credential, with the facts about its holder that a decision needs."""

import msgspec

from wire.limits import Moment, Whole
from wire.vocabulary import Assurance, CredentialKind, HolderKind


class Pack(msgspec.Struct, frozen=True, omit_defaults=True):
    """A bought number of visits, of which central had counted `used` when it wrote this."""

    id: str
    visits: Whole
    used: Whole = 0


class DirectoryRow(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One credential as a device may know it: `key` is its keyed index (32 hex digits), times are wall ms.

    The facts of its holder stand in every row, so that one look-up is enough for a decision. Names of plans, groups,
    schedules, zones and classes are those of the site's book (`wire.book`); one that the book does not hold denies. A
    directory that uses a field below `valid_to_ms` needs the feature `rules` (`wire.book.features_of`).
    """

    key: str
    kind: CredentialKind
    member: str
    is_active: bool = True
    is_revoked: bool = False
    valid_from_ms: Moment | None = None
    valid_to_ms: Moment | None = None
    is_blocked: bool = False
    holder: HolderKind = HolderKind.MEMBER
    cls: str = ""
    assurance: Assurance = Assurance.LOW
    plan: str = ""
    groups: list[str] = []
    schedules: list[str] = []
    """Hours beyond those of the plan; without a plan the only ones, where there are any."""
    zones: list[str] = []
    """Zones beyond those of the plan; without a plan the only ones, where there are any."""
    paid_to_ms: Moment | None = None
    grace_days: Whole = 0
    """Days of 24 hours after `paid_to_ms` in which staff are told and the holder is let in."""
    pack: Pack | None = None
    guardians: list[str] = []
    """Members, one of whom must be inside: the holder is a minor."""
    host: str = ""
    """The member who must be inside before this guest."""
    clearance: Whole = 0
    """The highest level of lockdown in which the holder may still come in."""
    rights: list[str] = []
    """What the holder may do beyond passing, as `Right` names it."""
