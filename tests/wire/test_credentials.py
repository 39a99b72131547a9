"""Canonical bytes, their index, and every form that readers yield, against vectors of independent origin."""

import hmac
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wire.credentials import (
    HID_DATA_BITS,
    MAX_TEXT_BYTES,
    CredentialError,
    check_canonical,
    credential_key,
    hid_canonical,
    hid_frame,
)
from wire.em4100 import em4100_data, em4100_frame
from wire.forms import FORMS, forms, read_form
from wire.vocabulary import CredentialKind
from wire.wiegand import wiegand_data, wiegand_frame

pytestmark = pytest.mark.unit

CARDS = tomllib.loads((Path(__file__).parent / "vectors" / "credentials.toml").read_text())["card"]
UID, EM, HID, QR = list(CredentialKind)[:4]


def is_refused(kind: CredentialKind, canonical: bytes, says: str) -> bool:
    with pytest.raises(CredentialError, match=re.escape(says)):
        check_canonical(kind, canonical)
    return True


@pytest.mark.parametrize("card", CARDS, ids=lambda card: f"{card['kind']}-{card['canonical'][:20]}")
def test_every_form_of_a_card_is_as_the_vectors_say(card: dict[str, Any]) -> None:
    kind, canonical = CredentialKind(card["kind"]), bytes.fromhex(card["canonical"])
    assert forms(kind, canonical) == card["forms"]
    for form in FORMS[kind]:
        if form.read is not None:
            assert read_form(kind, form.name, card["forms"][form.name]) == canonical


def test_the_vectors_hold_every_form() -> None:
    assert {(CredentialKind(card["kind"]), name) for card in CARDS for name in card["forms"]} == {
        (kind, form.name) for kind in FORMS for form in FORMS[kind]
    }


def test_an_em4100_card_gives_the_numbers_that_were_published_for_it() -> None:
    card = bytes.fromhex("0110185C5B")
    assert f"{int(em4100_frame(card), 2):X}" == "FF806300E2AC2AFC"
    found = forms(EM, card)
    published = {
        "hex_mirrored": "8008183ADA",
        "decimal8": "01596507",
        "decimal10": "0270031963",
        "pair5_5": "04120.23643",
        "pair3_5a": "001.23643",
        "pair3_5b": "016.23643",
        "pair3_5c": "024.23643",
    }
    assert {name: found[name] for name in published} == published


def test_an_hid_card_gives_the_frame_that_was_published_for_it() -> None:
    prox = 0x2006EC0C86  # 118-1603 with the preamble of HID Prox, whose last 1 stands right before the 26 bits
    frame = f"{prox & (1 << 26) - 1:026b}"
    assert read_form(HID, "wiegand", frame) == read_form(HID, "facility_number", "118-01603")


canonicals = st.one_of(
    st.tuples(st.just(UID), st.sampled_from([4, 7, 10]).flatmap(lambda n: st.binary(min_size=n, max_size=n))),
    st.tuples(st.just(EM), st.binary(min_size=5, max_size=5)),
    st.tuples(
        st.just(HID),
        st.builds(lambda bits, data: hid_canonical(bits, data % (1 << HID_DATA_BITS[bits])),
                  st.sampled_from(sorted(HID_DATA_BITS)), st.integers(0, 2**35 - 1)),
    ),
)  # fmt: skip


@given(canonicals)
def test_a_whole_form_comes_back_to_the_same_card(card: tuple[CredentialKind, bytes]) -> None:
    kind, canonical = card
    if kind is UID and canonical[0] in (0x08, 0x88):
        canonical = b"\x04" + canonical[1:]
    for form in FORMS[kind]:
        if form.read is not None:
            assert read_form(kind, form.name, form.write(canonical)) == canonical


@given(st.sampled_from(sorted(HID_DATA_BITS)), st.integers(0, 2**35 - 1))
def test_parity_finds_any_single_wrong_bit(bits: int, data: int) -> None:
    data %= 1 << HID_DATA_BITS[bits]
    frame = wiegand_frame(bits, data)
    assert wiegand_data(frame) == (bits, data)
    for at in range(bits):
        wrong = frame[:at] + ("0" if frame[at] == "1" else "1") + frame[at + 1 :]
        with pytest.raises(CredentialError, match="parity"):
            wiegand_data(wrong)


@given(st.binary(min_size=5, max_size=5))
def test_an_em4100_frame_finds_any_single_wrong_bit(data: bytes) -> None:
    frame = em4100_frame(data)
    assert em4100_data(frame) == data
    for at in range(64):
        wrong = frame[:at] + ("0" if frame[at] == "1" else "1") + frame[at + 1 :]
        with pytest.raises(CredentialError, match="parity"):
            em4100_data(wrong)


@pytest.mark.parametrize(
    ("kind", "name", "text"),
    [
        (UID, "hex", ""),
        (UID, "hex", "04A1B2"),
        (UID, "hex", "04A1B2C"),
        (UID, "hex", "04A1B2CG"),
        (UID, "hex", "٠٤A1B2C3"),
        (UID, "hex", "88A1B2C3"),
        (UID, "hex", "08A1B2C3"),
        (UID, "decimal", "1"),
        (UID, "decimal", "77705923"),
        (UID, "decimal", "9999999999"),
        (UID, "decimal", "-077705923"),
        (UID, "decimal", "٠٠٧٧٧٠٥٩٢٣"),
        (EM, "hex", "04A1B2C3"),
        (EM, "decimal", "0270031963"),
        (EM, "decimal", "9999999999999"),
        (EM, "frame", "1" * 64),
        (EM, "frame", "0" * 63),
        (EM, "frame", "2" * 64),
        (HID, "wiegand", "1" * 26),
        (HID, "wiegand", "1" * 25),
        (HID, "wiegand", "x" * 26),
        (HID, "hex", "FFFFFFFFF"),
        (HID, "decimal", "99999999999"),
        (HID, "decimal_reversed", "9999999999999"),
        (HID, "facility_number", "118-1603"),
        (HID, "facility_number", "118/01603"),
        (HID, "facility_number", "11811603"),
        (HID, "facility_number", "999-01603"),
        (HID, "facility_number", "118-99999"),
        (HID, "facility_number", "١١٨-01603"),
        (QR, "text", ""),
        (QR, "text", "a\nb"),
        (QR, "text", "x" * (MAX_TEXT_BYTES + 1)),
    ],
)
def test_a_text_that_is_not_in_the_form_is_refused(kind: CredentialKind, name: str, text: str) -> None:
    with pytest.raises(CredentialError):
        read_form(kind, name, text)


def test_a_refusal_names_the_value_and_what_would_do() -> None:
    with pytest.raises(CredentialError, match="'1234' is not 10 or 17 or 25 decimal digits; give the leading"):
        read_form(UID, "decimal", "1234")


def test_hex_may_be_grouped() -> None:
    assert read_form(UID, "hex", "04:a1-b2 c3") == bytes.fromhex("04A1B2C3")


def test_a_form_that_drops_bits_names_no_card() -> None:
    with pytest.raises(CredentialError, match="drops bits and names no single card"):
        read_form(EM, "decimal10", "0270031963")


def test_an_unknown_form_is_answered_with_the_known_ones() -> None:
    with pytest.raises(CredentialError, match="hf_uid has no form 'octal'; it has hex, hex_reversed"):
        read_form(UID, "octal", "1")


def test_bytes_that_cannot_be_the_kind_are_refused() -> None:
    assert is_refused(UID, b"\x04\x05\x06", "UID 040506 has 3 bytes")
    assert is_refused(UID, b"\x88\x04\x05\x06", "first part of a longer one")
    assert is_refused(UID, b"\x08\x04\x05\x06", "is random")
    assert is_refused(EM, b"\x01", "has 1 bytes instead of 5")
    assert is_refused(HID, b"", "does not begin with its bits")
    assert is_refused(HID, b"\x1b\x00\x00\x00", "does not begin with its bits, 26, 34 or 37")
    assert is_refused(HID, b"\x1a\x00\x00", "does not hold 24 bits")
    assert is_refused(HID, b"\x25\x08\x00\x00\x00\x00", "does not hold 35 bits")
    assert is_refused(QR, b"\xff", "not UTF-8 at byte 0")
    assert is_refused(QR, b"a\x00b", "holds characters that do not print")


def test_longer_uids_may_begin_with_any_byte() -> None:
    check_canonical(UID, bytes.fromhex("88010203040506"))
    check_canonical(UID, bytes.fromhex("08010203040506"))


def test_an_hid_frame_is_checked_for_its_size() -> None:
    assert hid_frame(hid_canonical(37, 2**35 - 1)) == (37, 2**35 - 1)
    with pytest.raises(CredentialError, match="35 bits is not supported; known are 26, 34 or 37"):
        hid_canonical(35, 0)
    with pytest.raises(CredentialError, match="does not fit into the 24 data bits"):
        hid_canonical(26, 1 << 24)
    with pytest.raises(CredentialError, match="does not fit"):
        hid_canonical(26, -1)


def test_the_index_is_what_the_documentation_says() -> None:
    key, uid = bytes(range(32)), bytes.fromhex("04A1B2C3")
    assert credential_key(key, UID, uid) == hmac.new(key, b"v1|hf_uid|" + uid, "sha256").hexdigest()[:32]


def test_key_kind_and_every_byte_decide_the_index() -> None:
    key, data = bytes(32), bytes(5)
    found = {
        credential_key(key, UID, data),
        credential_key(key, EM, data),
        credential_key(key, EM, data[:-1]),
        credential_key(bytes([1]) + key[1:], EM, data),
    }
    assert len(found) == 4
