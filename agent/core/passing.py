"""What the machines of a door and of a turnstile say: values, from which the station makes records and effects."""

from msgspec import Struct

from agent.core.effects import Grant, Opening
from wire.vocabulary import AlarmCode, DoorChange, PassageOutcome, PassageSense


class Moved(Struct, frozen=True):
    """The door, or its turnstile, moved, or somebody asked to leave."""

    what: DoorChange


class Noticed(Struct, frozen=True):
    """Staff should look at it."""

    code: AlarmCode
    detail: str = ""


class Ended(Struct, frozen=True):
    """A grant came to its end, and `sense` told so; each grant gets one."""

    grant: Grant
    outcome: PassageOutcome
    sense: PassageSense | None = None


class Relocks(Struct, frozen=True):
    """Nobody needs the way any more: it may be closed before its time."""


class Frees(Struct, frozen=True):
    """It is this opening's turn: its way is to be freed now."""

    opening: Opening


Said = Moved | Noticed | Ended | Relocks | Frees
