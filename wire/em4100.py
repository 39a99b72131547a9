"""The 64 bits that an EM4100 repeats on the air (EM Microelectronic, EM4100 data sheet, "Memory array").

Nine ones, ten rows of four data bits with an even parity bit each, four even column parities, one zero.
"""

from typing import Final

from wire.credentials import CredentialError

_HEADER: Final = "1" * 9
_ROWS: Final = 10


def em4100_frame(data: bytes) -> str:
    """Return the frame of 5 data bytes as a string of 64 zeros and ones, first bit first."""
    bits = f"{int.from_bytes(data):040b}"
    rows = [bits[4 * row : 4 * row + 4] for row in range(_ROWS)]
    columns = "".join(_even("".join(row[column] for row in rows)) for column in range(4))
    return _HEADER + "".join(row + _even(row) for row in rows) + columns + "0"


def em4100_data(frame: str) -> bytes:
    """Return the 5 data bytes of a frame; raise CredentialError where header, a parity or the stop bit is wrong."""
    if len(frame) != 64 or set(frame) - {"0", "1"}:
        raise CredentialError(f"{frame[:70]!a} is no EM4100 frame of 64 zeros and ones")
    data = int("".join(frame[9 + 5 * row : 13 + 5 * row] for row in range(_ROWS)), 2).to_bytes(5)
    if em4100_frame(data) != frame:
        raise CredentialError(f"EM4100 frame {frame} fails its header, parity or stop bit; present the card again")
    return data


def _even(bits: str) -> str:
    return str(bits.count("1") % 2)
