"""What the page is told: one JSON object for each change, nothing that names a person or a card."""

import msgspec

from agent.core.screen import PublicCode, Screen, State
from agent.kiosk.words import words_of


class View(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The picture at the door, and what staff may see beside it. `left_ms` counts from the moment of sending.

    `text` is what this door says to do where it cannot help: a page whose agent is gone says it too. `parts` are the
    simulated inputs that its panel may work. `tz` is the site's time zone, empty where none is known.
    """

    state: State
    headline: str = ""
    line: str = ""
    code: PublicCode | None = None
    left_ms: int | None = None
    support: str = ""
    offline: bool = False
    waiting: int = 0
    door: str = ""
    text: str = ""
    simulated: bool = False
    parts: tuple[str, ...] = ()
    tz: str = ""


class Pressed(msgspec.Struct, frozen=True):
    """What became of a press on the panel: empty where it was done."""

    pressed: str


_encoder = msgspec.json.Encoder()


def view_of(
    screen: Screen,
    *,
    offline: bool,
    waiting: int,
    door: str,
    simulated: bool,
    text: str = "",
    parts: tuple[str, ...] = (),
    tz: str = "",
) -> View:
    """Return what the page shows for a screen."""
    headline, line = words_of(screen, text)
    return View(
        state=screen.state,
        headline=headline,
        line=line,
        code=screen.code,
        left_ms=screen.for_ms,
        support=screen.support,
        offline=offline,
        waiting=waiting,
        door=door,
        text=text,
        simulated=simulated,
        parts=parts,
        tz=tz,
    )


def encode_view(view: View) -> str:
    """Return the view as JSON text."""
    return _encoder.encode(view).decode()


def encode_pressed(pressed: Pressed) -> str:
    """Return what became of a press as JSON text."""
    return _encoder.encode(pressed).decode()
