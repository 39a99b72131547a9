"""Commands that are typed beside a running central, without Redis: a real door obeys them long before its heartbeat."""

import json
import time
from pathlib import Path

import pytest

from demo.processes import DemoError, doorstile, manage, output_of
from demo.world import Setup, World, world
from wire.limits import HEARTBEAT_S

pytestmark = [pytest.mark.service, pytest.mark.slow, pytest.mark.timeout(180)]

DOOR = ("--door", "North door", "--reason", "test")
ROW = "from central.devices.models import Command; c = Command.objects.latest('created_at'); "
TOOK = ROW + "print((c.ended_at - c.created_at).total_seconds())"


async def typed(built: World, *words: str) -> str:
    """Run a command of central and return what it printed, or its complaint."""
    try:
        return (await output_of(manage(*words), env=built.central_env)).decode().strip()
    except DemoError as failed:
        return str(failed).splitlines()[-1]


async def took_s(built: World) -> float:
    """Return how long the last command took from its row to its result."""
    return float(await typed(built, "shell", "--no-imports", "-c", TOOK))


async def unlocks_and_lockdown(built: World) -> None:
    took = []
    for _ in range(3):
        assert await typed(built, "unlock", *DOOR) == "unlocked"
        took.append(await took_s(built))
        await built.until("lock", "locked")
    assert sorted(took)[1] < HEARTBEAT_S / 3, f"the median of {took}"
    assert await typed(built, "door", "lockdown", *DOOR) == "done: locked down"
    assert await typed(built, "unlock", *DOOR) == "CommandError: failed: the door is locked down"
    assert await typed(built, "door", "release", "--what", "lockdown", *DOOR) == "done: released"


async def pass_by_a_new_key(built: World) -> None:
    at_desk = doorstile("pass", "--data", str(built.folder / "central"))
    sold = json.loads(await output_of([*at_desk, "issue", "--site", "Harbour Gym", "--for", "Guest", "--json"]))
    begun_s, behind = time.monotonic(), ["North door"]
    while behind:
        verify = [*at_desk, "verify", "--site", "Harbour Gym", sold["text"], "--json"]
        behind = json.loads(await output_of(verify))["behind"]
    assert time.monotonic() - begun_s < HEARTBEAT_S
    await built.sim("qr", text=sold["text"])
    await built.until("lock", "unlocked", within_s=10.0)


async def test_what_is_typed_beside_the_server_is_obeyed_long_before_the_heartbeat(tmp_path: Path) -> None:
    async with world(tmp_path, Setup()) as built:
        await built.until("members", "yes")
        await unlocks_and_lockdown(built)
        await pass_by_a_new_key(built)
