"""All targets. Django has to be set up before this is imported: central's parsers stand in its applications."""

from typing import Final

from tests.fuzz import (
    booking,
    frames,
    importing,
    joining,
    ledger,
    panel,
    passing,
    presenting,
    sealing,
    sessions,
    settings,
    typing_readers,
)
from tests.fuzz.target import Target

TARGETS: Final[dict[str, Target]] = {
    target.name: target
    for module in (
        booking,
        frames,
        sessions,
        settings,
        joining,
        presenting,
        passing,
        panel,
        ledger,
        importing,
        sealing,
        typing_readers,
    )
    for target in module.TARGETS
}
"""By name."""
