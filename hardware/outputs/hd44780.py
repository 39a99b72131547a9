"""Character LCDs with an HD44780 controller behind a PCF8574 on I2C, by RPLCD."""

from RPLCD.i2c import CharLCD

from hardware import profiles
from hardware.outputs.display import PanelDisplay


class LcdPanel:
    """An open LCD. Faults of the bus are OSError, as smbus2 raises them."""

    def __init__(self, part: profiles.CharacterLcd) -> None:
        self._lcd = CharLCD(
            "PCF8574",
            part.address,
            port=part.bus,
            cols=part.columns,
            rows=part.rows,
            charmap=part.charmap,
            auto_linebreaks=False,
        )

    def write(self, rows: tuple[str, ...]) -> None:
        for at, row in enumerate(rows):
            self._lcd.cursor_pos = (at, 0)
            self._lcd.write_string(row)

    def darken(self) -> None:
        self._lcd.clear()
        self._lcd.backlight_enabled = False
        self._lcd.close()
        self._lcd.bus.close()


def build_display(part: profiles.CharacterLcd, bench: object) -> PanelDisplay:
    return PanelDisplay("hd44780", lambda: LcdPanel(part), columns=part.columns, rows=part.rows)
