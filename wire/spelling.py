"""Numbers as readers spell them: hex and decimal of a fixed width, so that the width tells the size.

`widths` maps how many digits a spelling has to how many bytes it stands for.
"""

from collections.abc import Iterable, Mapping
from typing import Final

from wire.credentials import CredentialError

_SEPARATORS: Final = str.maketrans("", "", " :-")
_HEX: Final = frozenset("0123456789abcdefABCDEF")
_DECIMAL: Final = frozenset("0123456789")


def spell_hex(data: bytes) -> str:
    """Return the bytes as upper-case hex digits."""
    return data.hex().upper()


def read_hex(text: str, widths: Mapping[int, int]) -> bytes:
    """Return the bytes that hex digits stand for; spaces, colons and hyphens between them do not count."""
    digits = text.translate(_SEPARATORS)
    return _fit(text, digits, _HEX, 16, widths)


def spell_decimal(data: bytes, width: int) -> str:
    """Return the bytes, first byte highest, as a decimal number of `width` digits."""
    return f"{int.from_bytes(data):0{width}}"


def read_decimal(text: str, widths: Mapping[int, int]) -> bytes:
    """Return the bytes that a decimal number stands for; its leading zeros have to be there."""
    return _fit(text, text.strip(), _DECIMAL, 10, widths)


def _fit(text: str, digits: str, alphabet: frozenset[str], base: int, widths: Mapping[int, int]) -> bytes:
    if len(digits) not in widths or not alphabet.issuperset(digits):
        name = "hex" if base == 16 else "decimal"
        raise CredentialError(f"{text[:40]!a} is not {_either(widths)} {name} digits; give the leading zeros too")
    size, number = widths[len(digits)], int(digits, base)
    if number >> 8 * size:
        raise CredentialError(f"{text[:40]!a} is more than {size} bytes can hold")
    return number.to_bytes(size)


def _either(values: Iterable[int]) -> str:
    return " or ".join(map(str, values))
