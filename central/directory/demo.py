"""A site with a door, members and their cards, the same ones each time, for demonstrations and trials."""

from dataclasses import dataclass
from hashlib import sha256
from typing import Final

from central.devices.models import Door, Site
from central.directory.enrolling import enrol, holder_of
from central.directory.models import Member, Membership
from wire.vocabulary import CredentialKind

SITE: Final = "Harbour Gym"
DOOR: Final = "North door"
_FIRST: Final = ("Ada", "Bruno", "Chioma", "Dmitri", "Elif", "Farah", "Goran", "Hanna", "Ines", "Jorge")
_LAST: Final = ("Almeida", "Berg", "Castillo", "Duarte", "Eriksen", "Fontaine", "Greco", "Holm", "Ibarra", "Jansen")
_UID_BYTES: Final = 7
_NXP: Final = b"\x04"
"""First byte of a seven-byte UID: the maker of the chip (ISO/IEC 7816-6)."""


@dataclass(frozen=True, slots=True)
class Card:
    """A member's card; `uid` is hex."""

    uid: str
    member: str


def make_site() -> Door:
    """Return the demonstration's door, made at the first call."""
    site, _ = Site.objects.get_or_create(name=SITE, defaults={"time_zone": "Europe/Madrid", "longest_stay_h": 6})
    door, _ = Door.objects.get_or_create(site=site, name=DOOR)
    return door


def make_members(site: Site, count: int) -> list[Card]:
    """Return the cards of `count` members of the site; those that exist stay as they are."""
    return [_make_member(site, number) for number in range(count)]


def _make_member(site: Site, number: int) -> Card:
    first, last = _FIRST[number % len(_FIRST)], _LAST[(number // len(_FIRST) * 3 + number) % len(_LAST)]
    name = f"{first} {last}" if number < len(_FIRST) * len(_LAST) else f"{first} {last} {number}"
    uid = _NXP + sha256(f"doorstile demo card {number}".encode()).digest()[: _UID_BYTES - 1]
    member = holder_of(CredentialKind.HF_UID, uid)
    if member is None:
        member = Member.objects.create(full_name=name)
        enrol(member, CredentialKind.HF_UID, uid)
    Membership.objects.get_or_create(member=member, site=site)
    return Card(uid.hex().upper(), member.full_name)
