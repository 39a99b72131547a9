"""Wiegand frames: data bits between an even and an odd parity bit.

The 26-bit frame is that of the SIA Access Control Standard Protocol for the 26-Bit Wiegand Reader Interface (1996),
which HID calls H10301; the 34-bit frame (H10306) and the 37-bit frame (H10302, H10304) extend it. The first bit makes
the number of ones in itself and the first half of the data even, the last bit makes it odd over the last half and
itself; the 35 data bits of the longest frame have their middle bit in both halves.
"""

from typing import Final

from wire.credentials import HID_DATA_BITS, CredentialError

_HALF: Final = {bits: (data_bits + 1) // 2 for bits, data_bits in HID_DATA_BITS.items()}


def wiegand_frame(bits: int, data: int) -> str:
    """Return the frame of 26, 34 or 37 bits as a string of 0 and 1, first bit first."""
    text = f"{data:0{HID_DATA_BITS[bits]}b}"
    even = text[: _HALF[bits]].count("1") % 2
    odd = 1 - text[-_HALF[bits] :].count("1") % 2
    return f"{even}{text}{odd}"


def wiegand_data(frame: str) -> tuple[int, int]:
    """Return (frame bits, data) of a frame; raise CredentialError where length or parity is wrong."""
    bits = len(frame)
    if bits not in HID_DATA_BITS or set(frame) - {"0", "1"}:
        raise CredentialError(f"{frame[:48]!a} is no Wiegand frame of 26, 34 or 37 zeros and ones")
    data = int(frame[1:-1], 2)
    if wiegand_frame(bits, data) != frame:
        raise CredentialError(f"Wiegand frame {frame} fails its parity; present the card again")
    return bits, data
