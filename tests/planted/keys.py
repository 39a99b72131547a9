"""Bugs around a change of keys: a key that goes too early, and what must not go with it."""

import asyncio
import tempfile
from pathlib import Path

from agent.keyring import Keyring
from central.rotation import rotating
from central.rotation.models import KeyRotation
from tests.agent.test_keyring import keyring, renewal, told
from tests.central_rotation.agents import begin, drive, world
from tests.passes.making import PassDoor, claims, signed
from tests.planted.door import patched
from tests.planted.registry import PlantedBug


def _believed(rotation: KeyRotation) -> None:
    """What the device has asked for counts as what it has."""
    rotation.state = KeyRotation.State.USED
    rotation.save(update_fields=["state"])


def _fails_cards() -> str | None:
    agent = world()
    begin(agent)
    for _ in range(4):
        drive()
        agent.obey()
    return None if agent.knows_the_card else "the old key was retired while the directory was under it"


def _opens_again() -> str | None:
    async def run() -> str | None:
        with tempfile.TemporaryDirectory(prefix="doorstile-planted-") as folder:
            keys = keyring(Path(folder))
            door = PassDoor(keys=keys)
            text = signed(claims(once=True))
            assert door.decide(text).is_grant
            await told(keys, renewal())
            return "a pass for once opened twice, by either key" if door.decide(text).is_grant else None

    return asyncio.run(run())


PLANTED = (
    PlantedBug(
        "rotation-drops-old-early", "the old key goes before the device has confirmed a directory under the new one",
        "no door fails a valid card in the middle of a change of keys", "tests.planted.keys",
        patched(rotating, "_see_whether_used", _believed), _fails_cards, uses_database=True,
    ),
    PlantedBug(
        "rotation-forgets-uses", "what was used of passes is looked up by the newest key alone",
        "a pass that was used stays used through a change of keys", "tests.planted.keys",
        patched(Keyring, "naming", property(lambda self: self.finding[:1])), _opens_again,
    ),
)  # fmt: skip
"""The layer of keys."""
