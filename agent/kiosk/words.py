"""What a picture says, in two short lines: the page and a text display take their words from here.

A headline has at most 14 characters and a line at most 17 (a countdown of two digits may follow), as large type needs.
"""

from typing import Final

from agent.core.screen import PublicCode, Screen, State

_OWN: Final = ""
"""Stands for what this door says to do where it cannot help."""
_WORDS: Final[dict[State, tuple[str, str]]] = {
    State.STARTING: ("Starting", "One moment"),
    State.IDLE: ("Tap your card", "or show QR code"),
    State.READING: ("Checking", "Hold still"),
    State.GRANTED_IN: ("Welcome", "Go through now"),
    State.GRANTED_OUT: ("Goodbye", "Go through now"),
    State.CHECKED_IN: ("Checked in", "Come in"),
    State.DENIED: ("Not valid here", "Please ask staff"),
    State.ONE_AT_A_TIME: ("One at a time", "Step back"),
    State.STAFF_CALLED: ("Please wait", "Staff are coming"),
    State.STAFF_AWAY: ("Please wait", _OWN),
    State.CLOSED: ("Closed", _OWN),
    State.HELD_OPEN: ("Door is open", "Please walk in"),
    State.FIRE: ("Do not enter", "Leave building"),
    State.DOOR_ALARM: ("Close the door", "Thank you"),
    State.IDENTIFY: ("This door", "Staff look for it"),
    State.OUT_OF_SERVICE: ("Out of service", _OWN),
    State.DESK: ("Card desk", "Opens no door"),
    State.CAPTURE: ("Tap new card", "Staff wait for it"),
    State.CARD_READ: ("Card read", "Staff go on"),
    State.CARD_UNASKED: ("Card read", "Nothing changed"),
    State.CARD_UNFIT: ("Not this card", "Take another one"),
}
_DENIALS: Final[dict[PublicCode, tuple[str, str]]] = {
    PublicCode.TRY_AGAIN: ("Try again", "Hold card longer"),
    PublicCode.NOT_OPEN_NOW: ("Not open now", "Please come later"),
    PublicCode.CODE_EXPIRED: ("Code expired", "Show a new one"),
    PublicCode.FULL: ("Full right now", "Please wait here"),
    PublicCode.STAFF_COMING: ("Please wait", "Staff are coming"),
    PublicCode.CLOCK: ("Please wait", "Clock not set"),
}


def words_of(screen: Screen, own_text: str) -> tuple[str, str]:
    """Return (headline, line) of a picture; `own_text` is what this door says to do where it cannot help."""
    headline, line = _WORDS[screen.state]
    if screen.state is State.DENIED and screen.code is not None:
        headline, line = _DENIALS.get(screen.code, (headline, line))
    return headline, line or own_text
