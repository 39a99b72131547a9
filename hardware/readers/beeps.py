"""Which readers sound by themselves, before anybody has decided anything, and what can be done about it. Pure.

A beep at every card sounds like a welcome. Where we can switch it off we do, at the start and after each replug; where
we cannot, `doorstile hardware list` says so, with what does. An ACR122U is told by an escape command (see
`hardware.readers.acr122u`), which libccid passes on only where ``ifdDriverOptions`` has its first bit set
(DRIVER_OPTION_CCID_EXCHANGE_AUTHORIZED in the comments of libccid's Info.plist).
"""

import re
from pathlib import Path
from typing import Final

from hardware import profiles

PLIST: Final = Path("/etc/libccid_Info.plist")
_EXCHANGE_AUTHORIZED: Final = 1
_OPTIONS: Final = re.compile(r"<key>ifdDriverOptions</key>\s*<string>(0x[0-9a-fA-F]+|\d+)</string>")
_OWN: Final = "sounds by itself at every read, before any decision; "


def passes_commands(plist: Path = PLIST) -> bool:
    """Say whether libccid hands escape commands to its readers."""
    try:
        found = _OPTIONS.search(plist.read_text(encoding="utf-8", errors="replace"))
    except OSError:
        return False
    return found is not None and bool(int(found[1], 0) & _EXCHANGE_AUTHORIZED)


def own_beep(part: profiles.ReaderPart, names: list[str], *, is_told: bool) -> str:
    """Return what to say of a reader's own beep, empty where there is none or it is switched off.

    `names` are those of the daemon for it; `is_told` says whether libccid passes commands on.
    """
    match part:
        case profiles.EvdevReader() | profiles.SerialReader():
            return f"{_OWN}nothing here can stop it: scan the code for that in its manual"
        case profiles.WiegandReader():
            return f"{_OWN}nothing here can stop it unless its manual says how"
        case profiles.PcscReader() if any("ACR122" in name for name in names) and not is_told:
            return f"{_OWN}set ifdDriverOptions to 0x0001 in {PLIST}, then: systemctl restart pcscd"
        case _:
            return ""
