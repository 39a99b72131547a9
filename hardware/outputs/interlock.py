"""The interlock: one line that keeps the other door of a pair shut while this one is open or released."""

from hardware.outputs.pulse import Line


class LineInterlock:
    """An Interlock over any line, on while this door is busy."""

    def __init__(self, line: Line) -> None:
        self._line = line
        self._line.off()

    def tell(self, *, is_busy: bool) -> None:
        if is_busy:
            self._line.on()
        else:
            self._line.off()

    def close(self) -> None:
        self._line.off()
