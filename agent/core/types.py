"""What the core talks about: what the rules judge, and events' places in the journal."""

from enum import StrEnum
from typing import Final

from msgspec import Struct

from rules.facts import Credential, Decision, Facts, Now, Read

__all__ = ["UNRECORDED", "Credential", "Decision", "EventId", "Facts", "Now", "OpenPromise", "Read", "Role", "Use"]


class Use(Struct, frozen=True):
    """A step of a pass that a grant uses up; `name` is the kind and the keyed index of the pass, `KIND:INDEX`."""

    name: str
    step: int


class Role(StrEnum):
    """What an input tells; the values are those of `hardware.base.InputRole`."""

    CONTACT = "contact"
    REX = "rex"
    TAMPER = "tamper"
    FIRE = "fire"
    PASSAGE_IN = "passage_in"
    PASSAGE_OUT = "passage_out"
    BUSY = "busy"
    INTERLOCK = "interlock"
    ASSIST = "assist"
    MAINS_FAIL = "mains_fail"


class EventId(Struct, frozen=True):
    """An event's place in the journal: number `n` of run `run`."""

    run: str
    n: int


UNRECORDED: Final = EventId("", 0)
"""Stands where an event is not durable yet."""


class OpenPromise(Struct, frozen=True):
    """Something begun in an earlier run whose end was never recorded; `key` names it."""

    key: str
    event: EventId
