"""Texts of at most 80 columns for a terminal. A command that is to be copied is never broken."""

import re
import textwrap
from typing import Final

COLUMNS: Final = 80
_COMMANDS: Final = re.compile(r"\b(?:apt|pip|systemctl|raspi-config|i2cdetect|doorstile) [^,;:()]*[^,;:()\s]")
_GLUE: Final = "\x00"
"""Stands for the spaces of a command while lines are made."""


def wrapped(text: str, *, first: str = "", rest: str = "") -> list[str]:
    """Return the lines of a text, the first one and the others behind what they begin with."""
    glued = _COMMANDS.sub(lambda found: found[0].replace(" ", _GLUE), text)
    lines = textwrap.wrap(
        glued,
        COLUMNS,
        initial_indent=first,
        subsequent_indent=rest,
        break_long_words=False,
        break_on_hyphens=False,
    )
    return [line.replace(_GLUE, " ") for line in lines]
