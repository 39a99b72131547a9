"""What an OSDP reader sends of a card, and its key. Pure.

Source: IEC 60839-11-5 (OSDP 2.2), osdp_RAW and the annex on the secure channel. SCBK-D, the default key that stands in
the standard, protects nothing.
"""

from typing import Final

from hardware.base import FaultReason, Medium, ReaderEvent, ReaderFault, Scan
from hardware.errors import HardwareError
from hardware.readers.framing import Identity
from hardware.readers.wiegand_frames import has_parity

KEY_BYTES: Final = 16
MAX_CARD_BITS: Final = 8 * 128
_DEFAULT_KEY: Final = bytes(range(0x30, 0x40))


def read_key(text: str, source: str) -> bytes:
    """Return the key in the text of a file, 32 hex digits. HardwareError for one that protects nothing."""
    remedy = f"write a key of its own: openssl rand -hex 16 > {source}, and the same into the reader"
    try:
        key = bytes.fromhex(text.strip())
    except ValueError:
        raise HardwareError(f"OSDP key {source}: not hex; {remedy}") from None
    if len(key) != KEY_BYTES:
        raise HardwareError(f"OSDP key {source}: {len(key)} bytes instead of {KEY_BYTES}; {remedy}")
    if key == _DEFAULT_KEY or len(set(key)) <= 2:
        raise HardwareError(f"OSDP key {source}: a default key that everybody knows; {remedy}")
    return key


def read_card(identity: Identity, bits: tuple[int, ...], data: bytes, count: int, at_mono_ms: int) -> ReaderEvent:
    """Judge ``count`` bits of a card, first bit highest in the first byte, by how the reader spells cards."""
    reader = identity.reader
    if not 0 < count <= MAX_CARD_BITS or len(data) != (count + 7) // 8:
        reason = FaultReason.OVERSIZE if count > MAX_CARD_BITS else FaultReason.TORN_READ
        return ReaderFault(reader, reason, at_mono_ms, f"{count} bits in {len(data)} bytes")
    if identity.form.startswith("wiegand"):
        frame = "".join(f"{byte:08b}" for byte in data)[:count]
        if count not in bits or not has_parity(frame):
            what = "wrong parity" if count in bits else "another length"
            return ReaderFault(reader, FaultReason.GARBLED, at_mono_ms, f"{count} bits, {what}")
        return Scan(reader, identity.medium, frame.encode(), at_mono_ms, form=identity.form)
    if count % 8:
        return ReaderFault(reader, FaultReason.GARBLED, at_mono_ms, f"{count} bits are no whole bytes")
    if identity.medium is Medium.QR:
        return Scan(reader, identity.medium, data, at_mono_ms)
    return Scan(reader, identity.medium, data.hex().upper().encode(), at_mono_ms, form=identity.form)
