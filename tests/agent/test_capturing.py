"""What leaves the reader for enrolment: sealed to central alone, whole, and only when central truly asked."""

from base64 import urlsafe_b64encode

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from agent.capturing import Captures
from agent.core.effects import Captured, Misread
from agent.reading import ReaderPlace, forms_of, plain_of
from hardware.base import FaultReason, Medium, Scan
from hardware.profiles import load_profile
from tests.core.builders import now
from wire.messages import Command
from wire.sealing import open_card, signed_order
from wire.vocabulary import CommandMode, CredentialKind, Direction

pytestmark = pytest.mark.unit

DEVICE = "d1"
SIGNS = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
OPENS = bytes(range(1, 33))
PUBLIC = X25519PrivateKey.from_private_bytes(OPENS).public_key().public_bytes_raw().hex()
UID = bytes.fromhex("04A1B2C3D4E5E6")
PLACE = ReaderPlace("desk", Direction.TOGGLE)
WIEGAND = "10111011000000110010000110"


def command(*, key: str = PUBLIC, device: str = DEVICE, id: str = "c1") -> Command:
    sig = urlsafe_b64encode(SIGNS.sign(signed_order(device, "c1", "capture", key))).decode().rstrip("=")
    args = {"key": key, "sig": sig}
    return Command(id=id, name="capture", mode=CommandMode.ONCE, ttl_ms=30_000, age_ms=0, server_ms=0, args=args)


def captures(*, is_trusted: bool = True) -> Captures:
    trusted = SIGNS.public_key().public_bytes_raw() if is_trusted else None
    return Captures(DEVICE, lambda: trusted, lambda count: bytes(range(count)))


def scan(data: bytes = UID, medium: Medium = Medium.CARD_UID, form: str = "", detail: str = "") -> Scan:
    return Scan("desk", medium, data, 1_000, detail, form)


def taken(shown: Scan, place: ReaderPlace = PLACE) -> Captured:
    made = captures()
    assert made.begin(command()) == ""
    return made.taken("c1", shown, place)


def test_a_card_reaches_central_with_its_full_number_and_its_type() -> None:
    found = open_card(taken(scan(detail="MIFARE Classic 1K")).sealed, OPENS, "d1|c1")
    assert (found.kind, found.value, found.card) == (CredentialKind.HF_UID, UID, "MIFARE Classic 1K")


@pytest.mark.parametrize(
    ("data", "medium", "form", "kind", "value"),
    [
        (b"E6E5D4C3B2A104", Medium.CARD_UID, "hex_reversed", CredentialKind.HF_UID, UID),
        (WIEGAND.encode(), Medium.HID, "wiegand", CredentialKind.LF_HID, bytes.fromhex("1A760643")),
        (b"DOORSTILE-0042", Medium.QR, "", CredentialKind.QR_STATIC, b"DOORSTILE-0042"),
    ],
)
def test_a_spelled_number_is_read_back_whole(
    data: bytes, medium: Medium, form: str, kind: CredentialKind, value: bytes
) -> None:
    found = open_card(taken(scan(data, medium, form)).sealed, OPENS, "d1|c1")
    assert (found.kind, found.value) == (kind, value)


@pytest.mark.parametrize(
    ("shown", "place", "code"),
    [
        (scan(b"C3B2A104", form="hex4_first_reversed"), PLACE, "partial_form"),
        (scan(b"DSP1:abc", Medium.QR), PLACE, "a_pass"),
        (scan(b"q" * 129, Medium.QR), PLACE, "too_long"),
        (
            scan(b"0110185C5B", Medium.EM4100, "hex"),
            ReaderPlace("desk", Direction.TOGGLE, ((CredentialKind.LF_EM4100, "hex_reversed"),)),
            "ambiguous",
        ),
    ],
)
def test_what_names_no_single_card_is_not_handed_over(shown: Scan, place: ReaderPlace, code: str) -> None:
    assert taken(shown, place) == Captured(code=code)


@pytest.mark.parametrize(
    ("asked", "code"),
    [
        (command(device="d2"), "unsigned"),
        (command(id="c2"), "unsigned"),
        (Command(id="c1", name="capture", mode=CommandMode.ONCE, ttl_ms=1, age_ms=0, server_ms=0), "unsigned"),
        (command(key="zz"), "bad_argument"),
        (command(key="00"), "bad_argument"),
    ],
)
def test_a_key_that_central_did_not_give_for_this_is_refused(asked: Command, code: str) -> None:
    made = captures()
    assert made.begin(asked) == code
    assert made.taken(asked.id, scan(), PLACE) == Captured(code="unsigned")


def test_a_device_that_knows_no_central_trusts_nobody() -> None:
    assert captures(is_trusted=False).begin(command()) == "unsigned"


@pytest.mark.parametrize(("data", "words"), [(b"08010203", "random UID"), (b"88010203", "truncated UID")])
def test_a_number_that_is_another_each_time_is_told_from_garbage(data: bytes, words: str) -> None:
    found = plain_of(scan(data, form="hex"), now())
    assert isinstance(found, Misread)
    assert found.fault is FaultReason.UNSUPPORTED_CARD
    assert words in found.detail
    garbage = plain_of(scan(b"nonsense", form="hex"), now())
    assert isinstance(garbage, Misread)
    assert garbage.fault is FaultReason.GARBLED


@pytest.mark.parametrize(
    ("profile", "forms"),
    [("desk", ("hf_uid/hex",)), ("wiegand-door", ("lf_hid/wiegand",)), ("usb-scanner-kiosk", ("qr_static/text",))],
)
def test_a_profile_tells_what_its_readers_yield(profile: str, forms: tuple[str, ...]) -> None:
    assert forms_of(load_profile(profile)) == forms
