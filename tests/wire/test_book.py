"""The book's items: their keys, their texts, and what an older agent must not overlook."""

import msgspec
import pytest

from wire.book import (
    RULES_FEATURE,
    BookItem,
    CredentialClass,
    Door,
    Group,
    Here,
    Holiday,
    PassKey,
    PassRevocation,
    Plan,
    Schedule,
    Site,
    Window,
    Zone,
    features_of,
    item_text,
    key_of,
    read_item,
)
from wire.rows import DirectoryRow
from wire.vocabulary import CredentialKind, HolderKind, Weekday

pytestmark = pytest.mark.unit

ITEMS: dict[str, BookItem] = {
    "site": Site(id="s1", tz="Europe/Madrid"),
    "here": Here(door="north"),
    "holiday/2026-12-25": Holiday(date="2026-12-25", name="Christmas"),
    "schedule/day": Schedule(name="day", windows=[Window(start_min=480, end_min=1320, days=[Weekday.MO])]),
    "plan/gold": Plan(name="gold", schedules=["day"], zones=["gym"]),
    "group/juniors": Group(name="juniors", schedules=["day"]),
    "zone/gym": Zone(name="gym", limit=80),
    "door/north": Door(name="north", zone="gym"),
    "class/staff": CredentialClass(name="staff"),
    "passkey/k1": PassKey(kid="k1", public="ab" * 32),
    "passrevocation/p1": PassRevocation(id="p1"),
}
ROW = DirectoryRow(key="00" * 16, kind=CredentialKind.HF_UID, member="m")


@pytest.mark.parametrize("key", ITEMS)
def test_an_item_has_a_key_of_its_own_and_survives_the_link(key: str) -> None:
    assert key_of(ITEMS[key]) == key
    assert read_item(item_text(ITEMS[key])) == ITEMS[key]


def test_every_kind_of_item_is_tried_here() -> None:
    assert {type(item) for item in ITEMS.values()} == set(BookItem.__args__)


@pytest.mark.parametrize(
    "text",
    [
        b'{"item":"zone","name":"gym","only_on_sundays":true}',
        b'{"item":"moon","name":"full"}',
        b'{"item":"zone","name":"a/b"}',
        b'{"item":"zone","name":"gym","limit":-1}',
        b'{"item":"schedule","name":"s","windows":[{"start_min":0,"end_min":1441}]}',
        b'{"item":"holiday","date":"tomorrow"}',
        b'{"name":"gym"}',
        b'{"item":"site","id":"\xff","tz":"UTC"}',
        b"[",
        b'{"item":' * 5_000,
    ],
)
def test_an_item_that_is_not_wholly_understood_is_refused(text: bytes) -> None:
    with pytest.raises(msgspec.DecodeError):
        read_item(text)


def test_a_directory_needs_the_rules_as_soon_as_it_uses_them() -> None:
    plain = msgspec.structs.replace(ROW, is_active=False, valid_to_ms=1)
    assert features_of([plain], []) == frozenset()
    assert features_of([plain], [ITEMS["zone/gym"]]) == {RULES_FEATURE}
    assert features_of([ROW, msgspec.structs.replace(ROW, holder=HolderKind.STAFF)], []) == {RULES_FEATURE}
