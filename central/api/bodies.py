"""What requests and answers of the API hold. Times are RFC 3339 with an offset; ids are UUIDs.

A field that a request does not know is refused, so that a misspelled one is never taken for left out.
"""

from datetime import datetime
from typing import Annotated
from uuid import UUID

import msgspec
from msgspec import UNSET, Meta, UnsetType

from central.directory.enrolling import TYPED_FORMS
from wire.vocabulary import Assurance, CredentialKind, HolderKind, Right

Id = Annotated[str, Meta(min_length=1, max_length=64)]
Name = Annotated[str, Meta(min_length=1, max_length=150)]
Time = Annotated[datetime, Meta(tz=True)]
Days = Annotated[int, Meta(ge=0, le=366)]
Visits = Annotated[int, Meta(ge=0, le=1_000_000)]
Level = Annotated[int, Meta(ge=0, le=32_767)]
Value = Annotated[str, Meta(min_length=1, max_length=3000)]


class Body(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Base of what requests hold."""


class MembershipBody(Body, frozen=True, kw_only=True):
    """A site that the member may enter; plan, groups, schedules and zones by their names there."""

    site: UUID
    plan: str | None = None
    groups: list[str] = []
    schedules: list[str] = []
    zones: list[str] = []


class PackBody(Body, frozen=True, kw_only=True):
    """A bought number of visits, and how many of them are used: as many as before where that is left out."""

    visits: Visits
    used: Visits | UnsetType = UNSET


class NewMember(Body, frozen=True, kw_only=True):
    """A member to be made."""

    full_name: Name
    external_id: Id | None = None
    is_active: bool = True
    valid_from: Time | None = None
    valid_to: Time | None = None
    holder: HolderKind = HolderKind.MEMBER
    is_blocked: bool = False
    paid_to: Time | None = None
    grace_days: Days = 0
    is_minor: bool = False
    guardians: list[UUID] = []
    host: UUID | None = None
    clearance: Level = 0
    rights: list[Right] = []
    memberships: list[MembershipBody] = []
    pack: PackBody | None = None


class MemberChange(Body, frozen=True, kw_only=True):
    """What changes of a member; what is left out stays. A list replaces the one that was there.

    `pack` sets the figures of the newest pack, or gives the first one.
    """

    full_name: Name | UnsetType = UNSET
    external_id: Id | UnsetType | None = UNSET
    is_active: bool | UnsetType = UNSET
    valid_from: Time | UnsetType | None = UNSET
    valid_to: Time | UnsetType | None = UNSET
    holder: HolderKind | UnsetType = UNSET
    is_blocked: bool | UnsetType = UNSET
    paid_to: Time | UnsetType | None = UNSET
    grace_days: Days | UnsetType = UNSET
    is_minor: bool | UnsetType = UNSET
    guardians: list[UUID] | UnsetType = UNSET
    host: UUID | UnsetType | None = UNSET
    clearance: Level | UnsetType = UNSET
    rights: list[Right] | UnsetType = UNSET
    memberships: list[MembershipBody] | UnsetType = UNSET
    pack: PackBody | UnsetType = UNSET


class MemberAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """A member."""

    id: UUID
    full_name: str
    external_id: str | None
    is_active: bool
    valid_from: datetime | None
    valid_to: datetime | None
    holder: str
    is_blocked: bool
    paid_to: datetime | None
    grace_days: int
    is_minor: bool
    guardians: list[UUID]
    host: UUID | None
    clearance: int
    rights: list[str]
    memberships: list[MembershipBody]
    pack: PackBody | None
    created_at: datetime


class MemberPage(msgspec.Struct, frozen=True, kw_only=True):
    """Members in order of their ids; `next` is the `after` of the page that follows, null on the last."""

    items: list[MemberAnswer]
    next: UUID | None


class CardBody(Body, frozen=True, kw_only=True):
    """A credential's value. `form` says how it is spelled; without one it is as staff type it."""

    kind: CredentialKind
    value: Value
    form: str = ""


class NewCredential(CardBody, frozen=True, kw_only=True):
    """A credential to be given to a member."""

    member: UUID
    is_revoked: bool = False


class CredentialChange(Body, frozen=True, kw_only=True):
    """What changes of a credential; holder and value never do."""

    is_revoked: bool


class CredentialAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """A credential. Its value is never told; `hint` is the value, masked, `assurance` how hard it is to copy."""

    id: UUID
    member: UUID
    kind: CredentialKind
    hint: str
    assurance: Assurance
    is_revoked: bool
    created_at: datetime


class CredentialPage(msgspec.Struct, frozen=True, kw_only=True):
    """Credentials in order of their ids; `next` as with members."""

    items: list[CredentialAnswer]
    next: UUID | None


ENTERED_KINDS = tuple(TYPED_FORMS)
"""The kinds that another system may give; passes are issued by central."""
