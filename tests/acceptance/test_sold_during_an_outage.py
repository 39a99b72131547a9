"""Sold during an outage: the desk sells a pass while a door is cut off, and the door lets its holder in."""

import asyncio
import json
from collections import Counter
from pathlib import Path

import pytest

from agent.store.inspect import inspect
from demo.compare import compare
from demo.processes import doorstile, output_of
from demo.world import Setup, World, world
from tests.passes.making import Phone, private_key, signed
from wire.events import DecisionBody, read_body, read_event

pytestmark = [pytest.mark.service, pytest.mark.slow, pytest.mark.timeout(180)]


HOLD_OFF_S = 0.2


async def at_desk(built: World, *words: str) -> dict[str, str]:
    """Run `doorstile pass` on central's data."""
    command = doorstile("pass", "--data", str(built.folder / "central"), *words, "--json")
    said: dict[str, str] = json.loads(await output_of(command))
    return said


def decisions(built: World) -> list[str]:
    """Return the reasons of the decisions on passes so far, oldest first."""
    found = []
    with inspect(built.state) as journal:
        for shown in journal.export():
            body = read_body(read_event(shown.text)) if shown.text else None
            if isinstance(body, DecisionBody) and body.kind.startswith("pass_"):
                found.append(body.reason.value)
    return found


async def show(built: World, text: str) -> str:
    """Show a code at the door and return the reason of its decision."""
    before = len(decisions(built))
    await built.sim("qr", text=text)
    async with asyncio.timeout(15):
        while len(decisions(built)) == before:
            await asyncio.sleep(0.1)
    await asyncio.sleep(2 * HOLD_OFF_S)  # the next is another presentation
    return decisions(built)[-1]


async def test_pass_that_is_sold_while_the_door_is_offline_opens_it_once(tmp_path: Path) -> None:
    config = tmp_path / "agent.toml"
    config.write_text(f"[door]\nhold_off_s = {HOLD_OFF_S}\n")
    setup = Setup(agent_options=("--profile", "simulated", "--config", str(config)))
    async with world(tmp_path, setup) as built:
        await built.until("members", "yes")
        await at_desk(built, "key", "--now")
        early = (await at_desk(built, "issue", "--site", "Harbour Gym", "--for", "Early bird"))["text"]
        async with asyncio.timeout(30):
            while await show(built, early) != "member_valid":
                pass  # the key is on its way

        await built.sim("link", state="cut")
        await built.until("link", "down")
        sold = await at_desk(built, "issue", "--site", "Harbour Gym", "--for", "Walk-in", "--once")
        told = [await show(built, sold["text"]) for _ in range(2)]
        assert told == ["member_valid", "pass_replayed"]
        await built.stop_central()
        await built.kill_agent()
        await built.start_agent()
        assert await show(built, sold["text"]) == "clock_unknown", "nobody told the door the time since it started"
        await built.sim("clock", shift_s="0", synced="yes")
        assert await show(built, sold["text"]) == "pass_replayed"
        assert await show(built, signed(key=private_key(9))) == "pass_unknown_key"
        assert await show(built, Phone().code()) in ("pass_stale", "unknown_credential")

        await built.start_central()
        await built.until("link", "up")
        async with asyncio.timeout(60):
            while (await built.door())["waiting"] != "0":
                await asyncio.sleep(0.2)
        found = await compare(built)
        assert found.is_equal, found
        assert Counter(decisions(built))["member_valid"] >= 2
        async with asyncio.timeout(30):
            while await show(built, sold["text"]) != "pass_revoked":
                pass  # central has heard of its use, and closes it everywhere
