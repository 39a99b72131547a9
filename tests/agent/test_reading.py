from dataclasses import replace

import pytest

from agent.core.effects import Misread, ReaderChanged
from agent.core.types import Credential, Read
from agent.errors import ConfigError
from agent.presenting import OneKey, Presenter
from agent.reading import ReaderPlace, credentials_of, fault_of, is_presentation, places_of, plain_of, read_of
from hardware.base import FaultReason, Medium, ReaderFault, Removed, Scan
from hardware.profiles import Profile, parse_profile
from rules.book import load
from tests.core.builders import DIRECTORY, now, row
from tests.fakes.memory_directory import MemoryDirectory
from tests.fakes.memory_journal import MemoryJournal
from tests.passes.making import PassClock, items
from wire.credentials import credential_key, partial_key
from wire.forms import FORMS, forms
from wire.rows import DirectoryRow
from wire.vocabulary import CredentialKind, Direction

pytestmark = pytest.mark.unit

KEY = bytes(32)
PLACE = ReaderPlace("in", Direction.IN)


def credential_read(scan: Scan) -> Read:
    plain = plain_of(scan, now())
    assert isinstance(plain, Scan)
    return read_of(plain, PLACE, KEY)


@pytest.mark.parametrize(
    ("medium", "kind"), [(Medium.CARD_UID, CredentialKind.HF_UID), (Medium.QR, CredentialKind.QR_STATIC)]
)
def test_a_scan_becomes_a_keyed_index_of_its_kind(medium: Medium, kind: CredentialKind) -> None:
    uid = b"7 bytes"
    read = credential_read(Scan("in.0", medium, uid, 77))
    assert (read.reader, read.direction, read.at_mono_ms) == ("in.0", Direction.IN, 77)
    assert (read.credential.kind, read.credential.key) == (kind, credential_key(KEY, kind, uid))
    assert uid.hex() not in repr(read)


UID, EM4100, HID = bytes.fromhex("04A1B2C3"), bytes.fromhex("0102030405"), bytes.fromhex("1A760643")


@pytest.mark.parametrize(
    ("medium", "kind", "canonical"),
    [
        (Medium.CARD_UID, CredentialKind.HF_UID, UID),
        (Medium.EM4100, CredentialKind.LF_EM4100, EM4100),
        (Medium.HID, CredentialKind.LF_HID, HID),
    ],
)
def test_every_whole_spelling_of_a_card_is_the_same_card(
    medium: Medium, kind: CredentialKind, canonical: bytes
) -> None:
    keys = {
        credential_read(Scan("in", medium, form.write(canonical).encode(), 0, form=form.name)).credential.key
        for form in FORMS[kind]
        if form.read is not None
    }
    assert keys == {credential_key(KEY, kind, canonical)}


@pytest.mark.parametrize(
    "scan",
    [
        Scan("in", Medium.EM4100, b"0012345678", 5, form="decimal"),
        Scan("in", Medium.HID, b"0" * 26, 5, form="wiegand"),
        Scan("in", Medium.CARD_UID, b"\xff\xfe", 5, form="hex"),
        Scan("in", Medium.CARD_UID, bytes.fromhex("88a1b2c3"), 5),
        Scan("in", Medium.QR, b"\xff", 5),
    ],
)
def test_what_is_no_credential_in_its_spelling_is_a_misread_that_quotes_nothing(scan: Scan) -> None:
    misread = plain_of(scan, now())
    assert isinstance(misread, Misread)
    assert misread.fault == FaultReason.GARBLED
    assert "12345678" not in misread.detail


def scanner(medium: str, form: str) -> Profile:
    reader = f'driver = "evdev"\nusb_id = "0c2e:0b61"\nmedium = "{medium}"\nform = "{form}"'
    return parse_profile(
        'name = "desk"\ndescription = "A desk"\nlock_type = "none"\n'
        f'[[readers]]\nname = "in"\ndirection = "in"\n{reader}\n'
        '[light]\ndriver = "none"\n[buzzer]\ndriver = "none"\n'
    )


def test_places_come_from_the_profile() -> None:
    assert places_of(scanner("em4100", "decimal")) == {"in": PLACE}


@pytest.mark.parametrize(("medium", "form"), [("em4100", "octal"), ("hid", "hexagonal"), ("card_uid", "wiegand99")])
def test_spelling_that_there_is_not_is_refused_with_those_that_there_are(medium: str, form: str) -> None:
    with pytest.raises(ConfigError, match=rf"readers\[0\]\.form: .* has no form '{form}'; it has (hex|wiegand), "):
        places_of(scanner(medium, form))


def test_reader_of_several_families_is_told_what_else_it_reads() -> None:
    place = places_of(scanner("hid", 'wiegand"\nalso = ["em4100/wiegand26", "card_uid/wiegand34_first"]\n#"'))["in"]
    assert place.also == (
        (CredentialKind.LF_EM4100, "wiegand26"), (CredentialKind.HF_UID, "wiegand34_first"),
    )  # fmt: skip
    with pytest.raises(ConfigError, match=r"readers\[0\]\.also: lf_em4100 has no form 'octal'"):
        places_of(scanner("hid", 'wiegand"\nalso = ["em4100/octal"]\n#"'))


CARD = bytes.fromhex("04A15BC2D3E4E6")
PART = Scan("in", Medium.CARD_UID, b"04 a1:5b-c2", 5, form="hex4_first")


def test_part_of_a_card_is_known_by_another_index_than_any_whole_one() -> None:
    assert plain_of(PART, now()) == PART
    (found,) = credentials_of(PART, (), KEY)
    text = forms(CredentialKind.HF_UID, CARD)["hex4_first"]
    assert found == Credential(CredentialKind.HF_UID, partial_key(KEY, CredentialKind.HF_UID, "hex4_first", text))
    whole = credential_key(KEY, CredentialKind.HF_UID, bytes.fromhex("04A15BC2"))
    assert found.key not in (whole, partial_key(KEY, CredentialKind.HF_UID, "hex4_last", text))


@pytest.mark.parametrize("data", [b"", b"x" * 65, b"\x00", "\N{CYRILLIC SMALL LETTER A}".encode(), b"\xff"])
def test_garbage_is_no_part_of_a_card(data: bytes) -> None:
    assert isinstance(plain_of(replace(PART, data=data), now()), Misread)


def test_reading_is_whatever_the_directory_knows_it_as() -> None:
    frame = forms(CredentialKind.LF_EM4100, bytes.fromhex("0110185C5B"))["wiegand26"].encode()
    also = ((CredentialKind.LF_EM4100, "wiegand26"),)
    scan = Scan("in", Medium.HID, frame, 5, form="wiegand")
    as_hid, as_em = credentials_of(scan, also, KEY)
    place = ReaderPlace("in", Direction.IN, also)

    def read_with(*rows: DirectoryRow) -> tuple[CredentialKind, str | None]:
        presenter = Presenter(MemoryDirectory(*rows, ref=DIRECTORY), MemoryJournal(), PassClock(), OneKey(KEY))
        facts = presenter.facts(scan, place)
        return facts.read.credential.kind, facts.row.member if facts.row else None

    em, hid = row("ann", key=as_em.key), row("ben", key=as_hid.key)
    assert read_with(em) == (CredentialKind.LF_EM4100, "ann")
    assert read_with(hid) == (CredentialKind.LF_HID, "ben")
    assert read_with() == (CredentialKind.LF_HID, None)
    assert read_with(em, hid) == (CredentialKind.LF_HID, None), "what two members share is nobody's"


def test_leading_zeros_are_part_of_a_uid() -> None:
    one, two = (credential_read(Scan("in", Medium.CARD_UID, uid, 0)) for uid in (b"\0abc", b"\0\0bc"))
    assert one.credential != two.credential


@pytest.mark.parametrize("reason", [FaultReason.TORN_READ, FaultReason.OVERSIZE, FaultReason.UNSUPPORTED_CARD])
def test_a_read_without_a_credential_is_a_misread(reason: FaultReason) -> None:
    fault = ReaderFault("in.0", reason, 5, "short")
    assert fault_of(fault, PLACE, now()) == Misread("in.0", reason, "short", now())
    assert is_presentation(fault)


@pytest.mark.parametrize(
    ("reason", "is_ready"),
    [
        (FaultReason.READER_MISSING, False),
        (FaultReason.SERVICE_DOWN, False),
        (FaultReason.READER_STALLED, False),
        (FaultReason.READER_BACK, True),
        (FaultReason.SERVICE_BACK, True),
    ],
)
def test_a_reader_that_comes_or_goes_changes_the_door(reason: FaultReason, is_ready: bool) -> None:
    fault = ReaderFault("in", reason, 5)
    assert fault_of(fault, PLACE, now()) == ReaderChanged("in", is_ready, reason, now())
    assert not is_presentation(fault)


def test_a_card_that_lay_there_is_asked_for_again_and_opens_nothing() -> None:
    fault = ReaderFault("in", FaultReason.ALREADY_PRESENT, 5)
    assert isinstance(fault_of(fault, PLACE, now()), Misread)


def test_lifting_a_card_is_nobody_presenting() -> None:
    assert not is_presentation(Removed("in", 5))
    assert is_presentation(Scan("in", Medium.QR, b"x", 1))


def test_every_fault_of_a_reader_has_been_thought_of() -> None:
    kinds = {reason: type(fault_of(ReaderFault("in", reason, 0), PLACE, now())) for reason in FaultReason}
    back = {FaultReason.READER_BACK, FaultReason.SERVICE_BACK}
    gone = {FaultReason.READER_MISSING, FaultReason.SERVICE_DOWN, FaultReason.READER_STALLED}
    assert {reason for reason, kind in kinds.items() if kind is ReaderChanged} == back | gone


def test_card_in_part_is_judged_by_door_and_age_like_a_whole_one() -> None:
    site = load(items())
    presenter = Presenter(
        MemoryDirectory(row(), ref=DIRECTORY),
        MemoryJournal(),
        PassClock(),
        OneKey(KEY),
        book=lambda: site,
        age_s=lambda: 99,
    )
    for scan in (PART, Scan("in", Medium.CARD_UID, CARD, 5)):
        facts = presenter.facts(scan, PLACE)
        assert (facts.stale_s, facts.door.door, facts.book) == (99, "north", site)
