"""The matrix itself, and strangers: whole credentials that nobody enrolled, many of them neighbours of one that is."""

from dataclasses import replace
from random import Random
from typing import Final

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from msgspec import Struct

from agent.capturing import Captures
from agent.reading import ReaderPlace, plain_of
from hardware.base import Medium, Scan
from rules.policy import decide
from tests.cardmatrix.doors import DOORS, MEDIA, DoorKind
from tests.cardmatrix.formats import FORMATS, PHONE, Format
from tests.core.builders import now
from tests.passes.making import ISSUER, KEY, PassDoor, encoded
from wire.credentials import CredentialError, check_canonical, credential_key, hid_canonical, partial_key
from wire.forms import forms, is_partial, read_form
from wire.messages import Command
from wire.rows import DirectoryRow
from wire.sealing import open_card, signed_order
from wire.vocabulary import CommandMode, CommandName, CredentialKind, Direction

PLACE: Final = ReaderPlace("in", Direction.IN)
_DESK: Final = X25519PrivateKey.from_private_bytes(bytes(range(32)))
"""Central's key for cards."""
_HID_BITS: Final = {26: 24, 34: 32, 37: 35}


class Cell(Struct, frozen=True):
    """What became of one credential at one door; `reason` is None where no reader there reads it."""

    format: str
    door: str
    member: str | None
    reason: str | None
    expected: str

    @property
    def opens(self) -> bool:
        """True where the door opened for the one who holds the credential."""
        return self.reason == "member_valid" and self.member == self.expected


def canonical_of(format_: Format) -> bytes:
    """Return the bytes under which a format's credential was enrolled; empty for a pass."""
    return b"" if format_.typed is None else read_form(format_.kind, *format_.typed)


def directory() -> list[DirectoryRow]:
    """Return one row for each credential, the signed pass aside: doors are not told of it."""
    rows = [PHONE.row(f"m{len(FORMATS) - 1}")]
    for number, format_ in enumerate(FORMATS):
        if format_.typed is not None:
            keys = [credential_key(KEY, format_.kind, enrolled(format_)), *_parts(format_)]
            rows += [DirectoryRow(key=key, kind=format_.kind, member=f"m{number}") for key in keys]
    return rows


def enrolled(format_: Format) -> bytes:
    """Return what central is handed of a credential: tapped at the first reader that yields all of it, else typed."""
    return next((value for door in DOORS if (value := tapped(format_, door)) is not None), canonical_of(format_))


def tapped(format_: Format, door: DoorKind) -> bytes | None:
    """Return what a capture at a reader of this door brings to central; None where it can bring nothing."""
    scan = door.scan(format_.kind, canonical_of(format_), (format_.typed or ("", ""))[1])
    if scan is None:
        return None
    place = replace(PLACE, also=door.also)
    captures = Captures("d1", ISSUER.public_key().public_bytes_raw, lambda count: b"\x07" * count)
    args = {"key": _DESK.public_key().public_bytes_raw().hex()}
    args["sig"] = encoded(ISSUER.sign(signed_order("d1", "c1", CommandName.CAPTURE.value, args["key"])))
    order = Command(id="c1", name="capture", mode=CommandMode.ONCE, ttl_ms=1, age_ms=0, server_ms=0, args=args)
    assert captures.begin(order) == ""
    found = captures.taken("c1", _plain(scan, place), place)
    if not found.sealed:
        return None
    card = open_card(found.sealed, _DESK.private_bytes_raw(), "d1|c1")
    return card.value if card.kind is format_.kind else None


def _parts(format_: Format) -> list[str]:
    """Return the indexes of a card in the forms that drop bits and that one of the doors has."""
    canonical, names = canonical_of(format_), {door.reads.get(format_.kind) for door in DOORS}
    spelled = forms(format_.kind, canonical)
    partial = [name for name in spelled if name in names and is_partial(format_.kind, name)]
    return [partial_key(KEY, format_.kind, name, spelled[name]) for name in partial]


def cells() -> list[Cell]:
    """Present every credential at every door."""
    return [_cell(number, format_, door) for number, format_ in enumerate(FORMATS) for door in DOORS]


def _cell(number: int, format_: Format, kind_of_door: DoorKind) -> Cell:
    text = format_.shown or (format_.typed or ("", ""))[1]
    scan = kind_of_door.scan(format_.kind, canonical_of(format_), text)
    door = PassDoor(*directory())
    expected = door.facts(format_.shown).row if format_.kind is CredentialKind.PASS_SIGNED else None
    member = f"m{number}" if expected is None else expected.member
    if scan is None:
        return Cell(format_.name, kind_of_door.name, None, None, member)
    place = replace(PLACE, also=kind_of_door.also)
    decision = decide(door.presenter.facts(_plain(scan, place), place))
    return Cell(format_.name, kind_of_door.name, decision.member, decision.reason, member)


def _plain(scan: Scan, place: ReaderPlace) -> Scan:
    plain = plain_of(scan, now(), place.also)
    assert isinstance(plain, Scan), f"{scan.medium} in {scan.form} is garbled"
    return plain


# Strangers


def strangers(count: int, seed: int) -> int:
    """Present random whole credentials, none of them enrolled; return how many opened."""
    random, door = Random(seed), PassDoor(*directory())
    held = [(format_.kind, canonical_of(format_)) for format_ in FORMATS if format_.typed is not None]
    enrolled, opened, shown = set(held), 0, 0
    while shown < count:
        kind, canonical = _neighbour(random, *random.choice(held)) if random.random() < 0.5 else _anybody(random)
        if (kind, canonical) in enrolled or not _is_whole(kind, canonical):
            continue
        shown += 1
        scan = Scan("in", MEDIA[kind], canonical, 1_000)
        opened += decide(door.presenter.facts(scan, PLACE)).is_grant
    return opened


def _anybody(random: Random) -> tuple[CredentialKind, bytes]:
    match random.randrange(4):
        case 0:
            return CredentialKind.HF_UID, random.randbytes(random.choice((4, 7, 10)))
        case 1:
            return CredentialKind.LF_EM4100, random.randbytes(5)
        case 2:
            bits = random.choice(list(_HID_BITS))
            return CredentialKind.LF_HID, hid_canonical(bits, random.getrandbits(_HID_BITS[bits]))
        case _:
            return CredentialKind.QR_STATIC, "".join(random.choices("0123456789ABCDEFx-/", k=13)).encode()


def _neighbour(random: Random, kind: CredentialKind, canonical: bytes) -> tuple[CredentialKind, bytes]:
    """Return a credential that shares most of its bytes with one that is enrolled, or all of them in another family."""
    match random.randrange(5):
        case 0:
            at = random.randrange(len(canonical))
            return kind, canonical[:at] + bytes([canonical[at] ^ 1 << random.randrange(8)]) + canonical[at + 1 :]
        case 1:
            return kind, canonical[::-1]
        case 2:
            return kind, random.randbytes(len(canonical) - len(canonical) // 2) + canonical[-(len(canonical) // 2) :]
        case 3:
            return kind, canonical[: len(canonical) // 2] + random.randbytes(len(canonical) - len(canonical) // 2)
        case _:
            return random.choice([other for other in MEDIA if MEDIA[other] is not Medium.QR]), canonical


def _is_whole(kind: CredentialKind, canonical: bytes) -> bool:
    try:
        check_canonical(kind, canonical)
    except CredentialError:
        return False
    return True
