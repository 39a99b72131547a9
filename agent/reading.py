"""From what a driver saw to what the core can judge.

The raw bytes of a credential end here: everything behind this module knows the keyed index only.
"""

from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Final

from agent.core.effects import Misread, ReaderChanged
from agent.core.types import Credential, Now, Read
from agent.errors import ConfigError
from hardware.base import FaultReason, Medium, ReaderEvent, ReaderFault, Removed, Scan
from hardware.profiles import Profile
from hardware.readers.cards import uid_trouble
from hardware.sections.readers import ReaderPart, SpellingSection
from rules.passes import Check
from wire.credentials import CredentialError, check_canonical, credential_key, partial_key
from wire.forms import FORMS, form_of, is_partial, read_form
from wire.passes import is_pass
from wire.vocabulary import CredentialKind, Direction

KINDS: Final = {
    Medium.CARD_UID: CredentialKind.HF_UID,
    Medium.QR: CredentialKind.QR_STATIC,
    Medium.EM4100: CredentialKind.LF_EM4100,
    Medium.HID: CredentialKind.LF_HID,
}
_PARTIAL_CHARS = 64
_MISREADS = frozenset(
    {
        FaultReason.TORN_READ,
        FaultReason.OVERSIZE,
        FaultReason.UNSUPPORTED_CARD,
        FaultReason.ALREADY_PRESENT,
        FaultReason.GARBLED,
        FaultReason.FLOOD,
    }
)
_DETAIL_CHARS = 200
_BACK = frozenset({FaultReason.READER_BACK, FaultReason.SERVICE_BACK})


@dataclass(frozen=True, slots=True)
class ReaderPlace:
    """Where a reader hangs and which way it lets people through."""

    name: str
    direction: Direction
    also: tuple[tuple[CredentialKind, str], ...] = ()
    """What else a reading may be where one reader reads several families: kinds and forms."""


def places_of(profile: Profile) -> dict[str, ReaderPlace]:
    """Return the place of each reader by its name; raise ConfigError for a spelling that there is not."""
    return {part.name: _place(profile, at, part) for at, part in enumerate(profile.readers)}


def forms_of(profile: Profile) -> tuple[str, ...]:
    """Return what the readers may yield, as `kind/form`; a form that drops bits is one that central has to know."""
    found: set[str] = set()
    for part in profile.readers:
        if not isinstance(part, SpellingSection):
            found.add(f"{CredentialKind.HF_UID}/hex")
            continue
        found.add(f"{KINDS[part.medium]}/{part.form or FORMS[KINDS[part.medium]][0].name}")
        found |= {f"{KINDS[Medium(medium)]}/{form}" for medium, _, form in (name.partition("/") for name in part.also)}
    return tuple(sorted(found))


def _place(profile: Profile, at: int, part: ReaderPart) -> ReaderPlace:
    also: tuple[tuple[CredentialKind, str], ...] = ()
    if isinstance(part, SpellingSection):
        also = tuple((KINDS[Medium(medium)], form) for medium, _, form in (name.partition("/") for name in part.also))
        own = [("form", KINDS[part.medium], part.form)] if part.form else []
        for field, kind, form in (*own, *(("also", *each) for each in also)):
            try:
                form_of(kind, form)
            except CredentialError as fault:
                raise ConfigError(f"profile {profile.name}: readers[{at}].{field}: {fault}") from fault
    return ReaderPlace(part.name, Direction(part.direction.value), also)


def plain_of(scan: Scan, now: Now, also: tuple[tuple[CredentialKind, str], ...] = ()) -> Scan | Misread:
    """Return the scan with canonical bytes, however its reader spelled them, or why it shows no credential.

    What may be several things, or only a part of one, stays as it was spelled; `credentials_of` tells them.
    """
    kind = KINDS[scan.medium]
    try:
        if scan.form and (also or is_partial(kind, scan.form)):
            if not credentials_of(scan, also, b""):
                return _garbled(scan, now)
            return scan
        canonical = read_form(kind, scan.form, scan.data.decode(errors="replace")) if scan.form else scan.data
        if not is_shown_pass(scan):
            check_canonical(kind, canonical)
    except CredentialError:  # it quotes what was read, so it goes no further
        return _unfit(scan, now) or _garbled(scan, now)
    return replace(scan, data=canonical, form="")


def credentials_of(scan: Scan, also: tuple[tuple[CredentialKind, str], ...], key: bytes) -> list[Credential]:
    """Return everything that a spelled reading may be, the reader's own family first; empty for garbage."""
    found: list[Credential] = []
    text = scan.data.decode(errors="replace")
    for kind, form in ((KINDS[scan.medium], scan.form), *also):
        if is_partial(kind, form):
            if 0 < len(text) <= _PARTIAL_CHARS and text.isascii() and text.isprintable():
                found.append(Credential(kind, partial_key(key, kind, form, text)))
            continue
        with suppress(CredentialError):
            found.append(Credential(kind, credential_key(key, kind, read_form(kind, form, text))))
    return found


def _unfit(scan: Scan, now: Now) -> Misread | None:
    """Say so where a UID was read well and yet names no card, as it is another each time or the first part of one."""
    kind = KINDS[scan.medium]
    form = form_of(kind, scan.form) if scan.form and kind is CredentialKind.HF_UID else None
    if form is None or form.read is None:
        return None
    with suppress(CredentialError):
        trouble = uid_trouble(form.read(scan.data.decode(errors="replace")), b"")
        return None if trouble is None else Misread(scan.reader, FaultReason.UNSUPPORTED_CARD, trouble, now)
    return None


def _garbled(scan: Scan, now: Now) -> Misread:
    kind = KINDS[scan.medium]
    return Misread(scan.reader, FaultReason.GARBLED, f"no {kind} in {scan.form or 'its bytes'}", now)


def is_shown_pass(scan: Scan) -> bool:
    """Say whether a scan is the code of a pass."""
    return scan.medium is Medium.QR and is_pass(scan.data)


def read_of(scan: Scan, place: ReaderPlace, key: bytes, checked: Check | None = None) -> Read:
    """Return the read of a scan; `key` is the device's 32-byte credential key, `checked` what became of a pass."""
    kind, canonical = (KINDS[scan.medium], scan.data) if checked is None else (checked.kind, checked.canonical)
    credential = Credential(kind, credential_key(key, kind, canonical))
    return Read(scan.reader, place.direction, credential, scan.at_mono_ms)


def fault_of(fault: ReaderFault, place: ReaderPlace, now: Now) -> Misread | ReaderChanged:
    """Return what a reader's fault means for the station."""
    if fault.reason in _MISREADS:
        return Misread(fault.reader, fault.reason, fault.detail, now)
    return ReaderChanged(place.name, is_ready=fault.reason in _BACK, detail=_detail(fault), now=now)


def _detail(fault: ReaderFault) -> str:
    return f"{fault.reason}: {fault.detail}"[:_DETAIL_CHARS] if fault.detail else fault.reason


def is_presentation(event: ReaderEvent) -> bool:
    """Say whether somebody is waiting for an answer to this event."""
    match event:
        case Scan():
            return True
        case Removed():
            return False
        case ReaderFault(reason=reason):
            return reason in _MISREADS
