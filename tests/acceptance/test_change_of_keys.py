"""A change of keys under a busy door: every tap is let in, across a kill of the agent in the middle."""

import asyncio
from pathlib import Path

import pytest

from agent.identity import load_identity
from demo.processes import manage, output_of
from demo.world import Setup, World, world

pytestmark = [pytest.mark.service, pytest.mark.slow, pytest.mark.timeout(180)]

HOLD_OFF_S = 0.2


async def command(built: World, *words: str) -> str:
    return (await output_of(manage("rotate_key", *words), env=built.central_env)).decode()


async def let_in(built: World, uid: str) -> None:
    """Tap a card, and see that it opens."""
    await built.sim("tap", uid=uid)
    await built.until("screen", "granted_in", within_s=10)
    await built.until("screen", "idle", within_s=15)


async def test_every_tap_is_let_in_while_the_key_changes(tmp_path: Path) -> None:
    config = tmp_path / "agent.toml"
    config.write_text(f"[door]\nhold_off_s = {HOLD_OFF_S}\n")
    setup = Setup(agent_options=("--profile", "simulated", "--config", str(config)))
    async with world(tmp_path, setup) as built:
        await built.until("members", "yes")
        await built.until("link", "up")
        card = built.seed.cards[0].uid
        await let_in(built, card)
        first = load_identity(built.state)

        await built.sim("link", state="cut")
        await built.until("link", "down")
        assert "done at 0 of 1 door" in await command(built)
        await let_in(built, card)
        await built.kill_agent()
        await built.start_agent()
        await built.sim("link", state="heal")

        async with asyncio.timeout(60):
            while "done at 1 of 1 door" not in (said := await command(built, "--status")):
                await let_in(built, card)
        now = load_identity(built.state)
        assert now.credential_key != first.credential_key, said
        assert (now.old_key, now.retired_keys) == ("", [first.credential_key])
        await let_in(built, card)
        _is_silent(tmp_path, now.credential_key)


def _is_silent(folder: Path, key: str) -> None:
    """Look for the new key in everything that was written but the identity."""
    for path in folder.rglob("*"):
        if path.is_file() and path.name != "identity.json":
            content = path.read_bytes()
            assert key.encode() not in content, path
            assert bytes.fromhex(key) not in content, path
