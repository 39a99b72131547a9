"""An HD44780 behind a PCF8574, as seen from the I2C bus (Hitachi HD44780U datasheet, tables 6 and 12).

It takes nibbles at each falling edge of E, so it only shows what was really clocked into it.
"""

from dataclasses import dataclass, field

RS, ENABLE, BACKLIGHT = 0x01, 0x04, 0x08
ROW_STARTS = (0x00, 0x40)


@dataclass(slots=True)
class CharacterLcdBus:
    """Stands in for ``SMBus``; `is_absent` makes every access fail as an address that nobody answers."""

    port: int = 1
    is_absent: bool = False
    is_lit: bool = False
    is_closed: bool = False
    address: int | None = None
    _memory: dict[int, str] = field(default_factory=dict)
    _cursor: int = 0
    _last: int = 0
    _high: int | None = None
    _is_four_bit: bool = False

    def rows(self, columns: int = 16) -> tuple[str, ...]:
        return tuple(
            "".join(self._memory.get(start + at, " ") for at in range(columns)).rstrip() for start in ROW_STARTS
        )

    def write_byte(self, address: int, value: int) -> None:
        if self.is_absent:
            raise OSError(121, "Remote I/O error")
        self.address = address
        self.is_lit = bool(value & BACKLIGHT)
        if self._last & ENABLE and not value & ENABLE:
            self._clock(self._last)
        self._last = value

    def close(self) -> None:
        self.is_closed = True

    def _clock(self, value: int) -> None:
        nibble = value & 0xF0
        if not self._is_four_bit:
            self._is_four_bit = nibble == 0x20
            return
        if self._high is None:
            self._high = nibble
            return
        byte, self._high = self._high | nibble >> 4, None
        if value & RS:
            self._memory[self._cursor] = chr(byte)
            self._cursor += 1
        elif byte & 0x80:
            self._cursor = byte & 0x7F
        elif byte == 0x01:
            self._memory.clear()
            self._cursor = 0
